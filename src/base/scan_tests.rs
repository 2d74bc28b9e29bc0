use std::collections::BTreeMap;
use std::io::{self, Write as _};

use oci_spec::image::MediaType;

use super::*;
use crate::digest::{DiffId, Digest};
use crate::image::Blob;
use crate::layer::Descriptor;

/// `path` and content: `d`, `f…`, `x…`, `l…` (symlink), `h…` (hard link).
fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in members {
        let (kind, rest) = content.split_at(1);
        let mut header = tar::Header::new_gnu();
        header.set_mode(if kind == "x" { 0o755 } else { 0o644 });
        header.set_entry_type(match kind {
            "d" => tar::EntryType::Directory,
            "l" => tar::EntryType::Symlink,
            "h" => tar::EntryType::Link,
            _ => tar::EntryType::Regular,
        });
        if matches!(kind, "l" | "h") {
            header.set_size(0);
            builder.append_link(&mut header, path, rest).unwrap();
        } else {
            header.set_size(rest.len() as u64);
            builder
                .append_data(&mut header, path, rest.as_bytes())
                .unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn layer(tar: &[u8], media_type: MediaType, blob: &[u8]) -> BaseLayer {
    BaseLayer {
        descriptor: Descriptor {
            media_type,
            digest: Digest::of(blob),
            size: blob.len() as u64,
            annotations: BTreeMap::new(),
        },
        diff_id: DiffId(Digest::of(tar)),
        blob: Blob::Store,
    }
}

fn add(scan: &mut Scan, tar: &[u8]) -> Result<(), BaseError> {
    let layer = layer(tar, MediaType::ImageLayer, tar);
    let bytes = tar.to_vec();
    scan.add("b", &layer, &|_| {
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    })
}

fn facts(layers: &[&[(&str, &str)]]) -> BaseFacts {
    let mut scan = Scan::default();
    for members in layers {
        add(&mut scan, &tar(members)).unwrap();
    }
    scan.finish()
}

#[test]
fn layers_merge_as_extractors_merge_them() {
    let paths =
        |layers: &[&[(&str, &str)]]| -> Vec<String> { facts(layers).entries.into_keys().collect() };
    let long = "n/".repeat(200) + "end";
    for (layers, expected) in [
        (
            &[&[("a", "f1"), ("b", "f2")][..], &[(".wh.a", "f")]][..],
            vec!["b"],
        ),
        (
            &[
                &[("d/old", "f"), ("e", "f")],
                &[("d/new", "f"), ("d/.wh..wh..opq", "f")],
            ],
            vec!["d/new", "e"],
        ),
        (&[&[("d/x", "f"), ("d/y/z", "f")], &[("d", "f")]], vec!["d"]),
        (
            &[&[("d", "lx"), ("x/f", "f")], &[("d/", "d"), ("d/g", "f")]],
            vec!["d", "d/g", "x/f"],
        ),
        // A file below a link of a lower layer lands behind the link.
        (
            &[
                &[("lib", "lusr/lib"), ("usr/lib/", "d")],
                &[("lib/x", "f"), ("lib/.wh.y", "f")],
            ],
            vec!["lib", "usr/lib", "usr/lib/x"],
        ),
        (
            &[
                &[("lib", "lusr/lib"), ("usr/lib/y", "f")],
                &[("lib/.wh.y", "f")],
            ],
            vec!["lib"],
        ),
        (
            &[&[("a", "lb"), ("b", "la")], &[("a/x", "f")]],
            vec!["a", "a/x", "b"],
        ),
        (&[&[("./c/", "d"), ("./a/./b", "f")]], vec!["a/b", "c"]),
        (&[&[(long.as_str(), "f")]], vec![long.as_str()]),
        (
            &[&[("f", "xdata"), ("g", "hf"), ("dangling", "hnone")]],
            vec!["f", "g"],
        ),
    ] {
        assert_eq!(paths(layers), expected);
    }
    let facts = facts(&[&[("f", "xdata"), ("g", "hf"), ("s", "x#!/bin/sh -e\nx")]]);
    assert_eq!(facts.entries["g"].kind, EntryKind::Executable);
    assert_eq!(facts.entries["g"].size, 4);
    assert_eq!(facts.entries["s"].script.as_deref(), Some("/bin/sh -e"));
}

#[path = "scan_facts_tests.rs"]
mod of_facts;

#[test]
fn gzip_members_and_zstd_are_read_whole() {
    let plain = tar(&[("a", "f1"), ("b", "f2")]);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let (head, tail) = plain.split_at(700);
    let members = [gzip(head), gzip(tail)].concat();
    let zstd = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
    for (media_type, blob) in [
        (MediaType::ImageLayerGzip, members),
        (MediaType::ImageLayerZstd, zstd),
    ] {
        let layer = layer(&plain, media_type, &blob);
        let mut scan = Scan::default();
        scan.add("b", &layer, &|_| {
            Ok(Box::new(io::Cursor::new(blob.clone())))
        })
        .unwrap();
        assert_eq!(scan.finish().entries.len(), 2);
    }
}

#[test]
fn an_archive_without_its_end_is_read() {
    let whole = tar(&[("a", "f1"), ("b", "f2")]);
    // Header, block, header and two bytes: no padding, no end marks.
    let mut scan = Scan::default();
    add(&mut scan, &whole[..=512 * 3]).unwrap();
    assert_eq!(scan.finish().entries.len(), 2);
}

#[test]
fn hostile_layers_are_refused() {
    let good = tar(&[("a", "f1")]);
    let mut checksum = good.clone();
    checksum[0] = b'z';
    let mut hidden = good.clone();
    hidden.truncate(1024);
    hidden.extend([0; 512]);
    hidden.extend(&good);
    let mut huge_name = good.clone();
    huge_name[156] = b'L';
    huge_name[124..136].copy_from_slice(b"77777777777\0");
    fix_checksum(&mut huge_name);
    let mut outside = good.clone();
    outside[..4].copy_from_slice(b"../a");
    fix_checksum(&mut outside);
    for (tar, part) in [
        (checksum, "wrong checksum"),
        (hidden, "a header follows an end mark"),
        (huge_name, "more than 1 MiB of headers"),
        (outside, "has a .. component"),
        (good[..512].to_vec(), "ends inside a member"),
    ] {
        let error = add(&mut Scan::default(), &tar).unwrap_err();
        let text = said(&error);
        assert!(text.contains(part), "{part}: {text}");
    }
    // Bytes that are not those of the descriptor, and a config that lies about the diff id.
    let mut other = layer(&good, MediaType::ImageLayer, &good);
    let open = |_: &BaseLayer| -> Result<BlobReader, AnyError> {
        Ok(Box::new(io::Cursor::new(tar(&[("a", "f2")]))))
    };
    let error = Scan::default().add("b", &other, &open).unwrap_err();
    assert!(said(&error).contains("a layer has digest"), "{error}");
    other.diff_id = DiffId(Digest::of(b"lie"));
    let open = |_: &BaseLayer| -> Result<BlobReader, AnyError> {
        Ok(Box::new(io::Cursor::new(good.clone())))
    };
    let error = Scan::default().add("b", &other, &open).unwrap_err();
    assert!(said(&error).contains("a layer has diff id"), "{error}");
}

/// An error with what it was caused by.
fn said(error: &BaseError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

fn fix_checksum(tar: &mut [u8]) {
    tar[148..156].copy_from_slice(b"        ");
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
