//! The layer engine: bytes that are pinned, borders, refusals, and what other programs read.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests are tests, but clippy's allowance covers #[test] functions alone"
)]

mod errors;
mod foreign;
mod golden;
mod memory;
mod summary;
mod writers;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use karisimbi::layer::{
    Compression, Content, Encoder, Entry, EntryPath, Executable, LayerError, LayerRecord, Node,
    Owner,
};

use crate::support::{run, shown, tool};

const MIB: usize = 1 << 20;

fn entry(path: &str, node: Node) -> Entry {
    Entry {
        path: EntryPath::new(path).expect("a path"),
        node,
        package: None,
    }
}

fn file(path: &str, bytes: impl Into<Arc<[u8]>>) -> Entry {
    entry(
        path,
        Node::File {
            executable: Executable::No,
            content: Content::Bytes(bytes.into()),
        },
    )
}

fn on_disk(path: &str, from: &Path, size: u64) -> Entry {
    entry(
        path,
        Node::File {
            executable: Executable::Yes,
            content: Content::File {
                path: from.to_owned(),
                size,
                expected: None,
            },
        },
    )
}

fn directory(path: &str, mode: u32, owner: Owner) -> Entry {
    entry(path, Node::Directory { mode, owner })
}

fn link(path: &str, target: &str) -> Entry {
    let target = target.to_owned();
    entry(path, Node::Symlink { target })
}

fn encode(entries: &[Entry]) -> Result<(Vec<u8>, LayerRecord), LayerError> {
    encode_with(&Encoder::new(2), Compression::Gzip, entries)
}

fn encode_with(
    encoder: &Encoder,
    compression: Compression,
    entries: &[Entry],
) -> Result<(Vec<u8>, LayerRecord), LayerError> {
    encoder.encode(Vec::new(), compression, |out| {
        entries.iter().try_for_each(|entry| out.append(entry))
    })
}

/// All bytes of the *first* gzip member.
fn first_member(blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(blob)
        .read_to_end(&mut tar)
        .expect("gzip");
    tar
}

/// Half noise, half text: compresses about as well as a tree of files does.
fn mixed(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend(state.to_le_bytes());
        bytes.extend_from_slice(match state >> 30 {
            0 => b"module.exports = { ",
            1 => b"function(require) ",
            2 => b"return Promise.resolve() ",
            _ => b"\x48\x89\xe5\x48\x83\xec\x20",
        });
    }
    bytes.truncate(length);
    bytes
}

/// Runs a command on standard input and yields its standard output.
fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut stdin = child.stdin.take().expect("its input");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("all input taken"));
        child.wait_with_output().expect("its output")
    });
    assert!(output.status.success(), "{command:?}\n{}", shown(&output));
    output.stdout
}

#[test]
fn tars_at_the_borders_of_blocks_are_cut_as_the_format_says() {
    let folder = tempfile::tempdir().expect("a folder");
    for length in [
        1024,
        MIB - 512,
        MIB,
        MIB + 512,
        2 * MIB - 512,
        2 * MIB,
        2 * MIB + 512,
    ] {
        let entries: Vec<Entry> = match length {
            1024 => Vec::new(),
            _ => vec![file("f", mixed(length - 1536, 1))],
        };
        let (blob, encoded) = encode(&entries).expect("a layer");
        assert_eq!(encoded.summary.tar_size, length as u64);
        let tar = first_member(&blob);
        assert_eq!(tar.len(), length);
        assert!(blob == reference(&tar), "a tar of {length} bytes");
        let path = folder.path().join(format!("{length}.gz"));
        crate::support::write(&path, &blob);
        run(tool("gzip").arg("-t").arg(&path));
        run(tool("pigz").arg("-t").arg(&path));
    }
}

/// The gzip stream of layer format 1 from a whole tar, as layers.md defines it.
fn reference(tar: &[u8]) -> Vec<u8> {
    let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let count = tar.chunks(MIB).count();
    for (index, block) in tar.chunks(MIB).enumerate() {
        let flush = if index + 1 == count {
            flate2::FlushCompress::Finish
        } else {
            flate2::FlushCompress::Sync
        };
        let mut compressed = Vec::with_capacity(2 * MIB);
        flate2::Compress::new(flate2::Compression::new(4), false)
            .compress_vec(block, &mut compressed, flush)
            .expect("deflate");
        blob.extend(compressed);
    }
    let mut crc = flate2::Crc::new();
    crc.update(tar);
    blob.extend(crc.sum().to_le_bytes());
    blob.extend(crc.amount().to_le_bytes());
    blob
}

#[test]
fn bytes_do_not_depend_on_threads_or_on_where_contents_come_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = Vec::new();
    let mut memory = Vec::new();
    for (index, length) in [0, 1, 511, 512, 70_000, 3 * MIB, 5 * MIB + 13]
        .into_iter()
        .enumerate()
    {
        let bytes = mixed(length, 7);
        let path = folder.path().join(index.to_string());
        crate::support::write(&path, &bytes);
        disk.push(on_disk(&format!("f{index}"), &path, length as u64));
        let mut spool = karisimbi::layer::Spool::new();
        spool.write_all(&bytes).expect("a spool");
        memory.push(entry(
            &format!("f{index}"),
            Node::File {
                executable: Executable::Yes,
                content: Content::Spool(Arc::new(spool)),
            },
        ));
    }
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (expected, first) = encode_with(&Encoder::new(1), compression, &disk).expect("a layer");
        for threads in [1, 2, 8] {
            let encoder = Encoder::new(threads);
            for entries in [&disk, &memory] {
                let (blob, layer) = encode_with(&encoder, compression, entries).expect("a layer");
                assert!(blob == expected, "{compression:?}, {threads} threads");
                assert_eq!(layer.diff_id, first.diff_id);
                assert_eq!(layer.summary, first.summary);
            }
        }
    }
}

#[test]
fn zstd_layers_are_frames_that_zstd_reads() {
    let entries = [file("f", mixed(3 * MIB, 3))];
    let encoder = Encoder::new(2);
    let (blob, layer) = encode_with(&encoder, Compression::Zstd, &entries).expect("a layer");
    let (gzip, _) = encode_with(&encoder, Compression::Gzip, &entries).expect("a layer");
    assert_eq!(
        layer.descriptor.media_type.to_string(),
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
    let tar = piped(tool("zstd").args(["-dc"]), &blob);
    assert!(tar == first_member(&gzip));
    // Each frame carries a checksum: a flipped bit is found.
    let mut damaged = blob.clone();
    damaged[blob.len() / 2] ^= 1;
    assert!(zstd::decode_all(&damaged[..]).is_err());
    assert_eq!(blob[4] & 0x24, 0x24, "single segment with a checksum");
}
