//! Layers that others wrote.

use std::io::{self, Read};
use std::path::Path;

use karisimbi::digest::{DiffId, Digest};
use karisimbi::error::Coded as _;
use karisimbi::layer::read::{Expected, ForeignKind, ForeignSummary, read_layer, summarise};
use karisimbi::layer::{EntryKind, LayerError};
use oci_spec::image::MediaType;

use super::{encode, file, mixed, piped};
use crate::support::{run, tool, write};

const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

pub(super) fn sum_up(blob: &[u8], media_type: &MediaType) -> Result<ForeignSummary, LayerError> {
    summarise(blob, media_type, &Expected::default())
}

/// A tree with what base layers have, as root would have made it.
fn tree(folder: &Path) {
    let long = format!("{}/{}", "d".repeat(120), "e".repeat(120));
    write(&folder.join("bin/sh"), "#!/bin/busybox sh\n");
    run(tool("chmod").arg("755").arg(folder.join("bin/sh")));
    run(tool("ln")
        .arg(folder.join("bin/sh"))
        .arg(folder.join("bin/zz")));
    write(&folder.join(&long), "long");
    write(&folder.join("caf\u{e9}"), "umlaut");
    write(&folder.join("etc/.wh.gone.txt"), "");
    write(&folder.join("opq/.wh..wh..opq"), "");
    write(&folder.join("opq/new"), "new");
    std::os::unix::fs::symlink("/usr/lib", folder.join("lib")).expect("a link");
    run(tool("mkfifo").arg(folder.join("fifo")));
    let sparse = fs_err::File::create(folder.join("sparse")).expect("a file");
    std::os::unix::fs::FileExt::write_at(sparse.file(), b"x", 5 << 20).expect("a byte");
}

fn tar(folder: &Path, format: &str) -> Vec<u8> {
    let output = tool("tar")
        .args(["--sort=name", "-S", "--format", format, "-cf", "-", "-C"])
        .arg(folder)
        .arg(".")
        .output()
        .expect("tar");
    assert!(output.status.success());
    output.stdout
}

fn assert_tree(found: &ForeignSummary, tar: &[u8]) {
    assert_eq!(found.identity.diff_id, DiffId(Digest::of(tar)));
    assert_eq!(found.identity.tar_size, tar.len() as u64);
    assert_eq!(found.summary.tar_size, tar.len() as u64);
    assert_eq!(found.whiteouts, ["etc/gone.txt"]);
    assert_eq!(found.opaque, ["opq"]);
    let (d, e) = ("d".repeat(120), "e".repeat(120));
    let listed: Vec<_> = found
        .summary
        .entries
        .iter()
        .map(|e| (e.path.as_str(), e.kind, e.size, e.target.as_deref()))
        .collect();
    let expected = [
        ("bin", EntryKind::Directory, 0, None),
        ("bin/sh", EntryKind::Executable, 18, None),
        ("bin/zz", EntryKind::Executable, 0, Some("bin/sh")),
        ("caf\u{e9}", EntryKind::File, 6, None),
        (&d, EntryKind::Directory, 0, None),
        (&format!("{d}/{e}"), EntryKind::File, 4, None),
        ("etc", EntryKind::Directory, 0, None),
        ("lib", EntryKind::Symlink, 0, Some("/usr/lib")),
        ("opq", EntryKind::Directory, 0, None),
        ("opq/new", EntryKind::File, 3, None),
        ("sparse", EntryKind::File, (5 << 20) + 1, None),
    ];
    assert_eq!(listed, expected);
    assert_eq!(
        found.summary.entries[1].script.as_deref(),
        Some("/bin/busybox sh")
    );
}

#[test]
fn reads_what_gnu_tar_writes_in_every_compression() {
    let folder = tempfile::tempdir().expect("a folder");
    tree(folder.path());
    let tar = tar(folder.path(), "gnu");
    assert_tree(&sum_up(&tar, &MediaType::ImageLayer).expect("plain"), &tar);
    // Several members, which a decoder of one member would cut short without a word.
    let (front, back) = tar.split_at(tar.len() / 2);
    let mut members = piped(tool("gzip").arg("-c"), front);
    members.extend(piped(tool("gzip").arg("-c"), back));
    for media_type in [MediaType::ImageLayerGzip, DOCKER_GZIP.into()] {
        assert_tree(&sum_up(&members, &media_type).expect("gzip"), &tar);
    }
    let mut frames = piped(tool("zstd").arg("-c"), front);
    frames.extend(piped(tool("zstd").arg("-c"), back));
    assert_tree(
        &sum_up(&frames, &MediaType::ImageLayerZstd).expect("zstd"),
        &tar,
    );
}

#[test]
fn reads_pax_and_contents() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        &folder.path().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n",
    );
    write(&folder.path().join("x".repeat(200)), mixed(100_000, 1));
    let tar = tar(folder.path(), "pax");
    let mut passwd = String::new();
    let mut kinds = Vec::new();
    read_layer(
        &tar[..],
        &MediaType::ImageLayer,
        &Expected::default(),
        &mut |entry| {
            kinds.push((entry.path.len(), entry.kind.clone()));
            if entry.path == "etc/passwd" {
                entry.contents.read_to_string(&mut passwd).expect("text");
            }
            Ok(())
        },
    )
    .expect("a layer");
    assert_eq!(passwd, "root:x:0:0::/root:/bin/sh\n");
    let expected = [
        (0, ForeignKind::Directory),
        (3, ForeignKind::Directory),
        (10, ForeignKind::File),
        (200, ForeignKind::File),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn our_own_layers_read_back() {
    let (blob, layer) =
        encode(&[file("a", mixed(3_000_000, 1)), file("b/c", *b"#!/bin/sh")]).expect("a layer");
    let expected = Expected {
        digest: Some(layer.descriptor.digest),
        size: Some(layer.descriptor.size),
        diff_id: Some(layer.diff_id),
    };
    let media_type = &layer.descriptor.media_type;
    let found = summarise(&blob[..], media_type, &expected).expect("the layer");
    assert_eq!(found.summary, layer.summary);

    let other = Digest::of(b"other");
    for (expected, what) in [
        (
            Expected {
                digest: Some(other),
                ..expected
            },
            "digest",
        ),
        (
            Expected {
                size: Some(5),
                ..expected
            },
            "size",
        ),
        (
            Expected {
                diff_id: Some(DiffId(other)),
                ..expected
            },
            "diff id",
        ),
    ] {
        let error = summarise(&blob[..], media_type, &expected).expect_err("a difference");
        assert_eq!(error.code(), "LAYER-DIGEST");
        let text = format!("a layer has {what} ");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
    // A flipped bit is the digest's finding, not the decoder's.
    let mut damaged = blob.clone();
    damaged[blob.len() / 2] ^= 1;
    let error = summarise(&damaged[..], media_type, &expected).expect_err("damage");
    assert_eq!(error.code(), "LAYER-DIGEST");
}

/// A header with these fields; the size is given as eleven or twelve bytes.
pub(super) fn header(name: &[u8], flag: u8, size: &[u8], link: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let bytes = header.as_mut_bytes();
    bytes[..name.len()].copy_from_slice(name);
    bytes[124..124 + size.len()].copy_from_slice(size);
    bytes[156] = flag;
    bytes[157..157 + link.len()].copy_from_slice(link);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn hostile_layers_are_refused() {
    let zero = b"00000000000";
    let gibibyte = b"10000000000";
    let absurd = [0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    let mut torn = header(b"x", b'0', zero, b"");
    torn[0] = b'y';
    let headers = "more than 1 MiB of headers";
    let cases = [
        (
            "path",
            header(b"a/../../etc/passwd", b'0', zero, b""),
            ".. component",
        ),
        (
            "hard link",
            header(b"x", b'1', zero, b"../../etc"),
            ".. component",
        ),
        ("PAX of 1 GiB", header(b"x", b'x', gibibyte, b""), headers),
        ("name of 1 GiB", header(b"x", b'L', gibibyte, b""), headers),
        ("negative size", header(b"x", b'0', &[0xff; 12], b""), ""),
        ("absurd size", header(b"x", b'0', &absurd, b""), ""),
        ("checksum", torn, "checksum"),
        ("text", vec![b'#'; 4096], ""),
    ];
    for (name, bytes, part) in cases {
        // More than any limit of headers follows.
        let blob = (&bytes[..]).chain(io::repeat(b'1').take(64 << 20));
        let error = match summarise(blob, &MediaType::ImageLayer, &Expected::default()) {
            Err(error) => error,
            Ok(found) => panic!("{name}: {:?}", found.summary),
        };
        assert_eq!(error.code(), "LAYER-TAR", "{name}: {error}");
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
}

#[test]
fn broken_blobs_are_told_from_broken_readers() {
    let (blob, layer) = encode(&[file("a", mixed(100_000, 1))]).expect("a layer");
    let media_type = &layer.descriptor.media_type;
    for length in [0, 5, 10, blob.len() / 2, blob.len() - 1] {
        let error = sum_up(&blob[..length], media_type).expect_err("a cut");
        assert_eq!(error.code(), "LAYER-TAR", "{length} bytes: {error}");
    }
    let mut trailing = blob.clone();
    trailing.extend(b"garbage");
    let error = sum_up(&trailing, media_type).expect_err("garbage");
    assert_eq!(error.code(), "LAYER-TAR", "{error}");
    let error = sum_up(&blob, &MediaType::ImageConfig).expect_err("a media type");
    assert!(error.to_string().contains("config"), "{error}");

    let broken = (&blob[..blob.len() / 2]).chain(Broken);
    let error = summarise(broken, media_type, &Expected::default()).expect_err("a reader");
    assert_eq!(error.code(), "LAYER-READ");
    let source = std::error::Error::source(&error).expect("a source");
    assert!(source.to_string().contains("connection reset"), "{source}");
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::ConnectionReset,
            "connection reset",
        ))
    }
}
