//! Encoding layers: many small files, native binaries, one large file.

#![expect(
    clippy::expect_used,
    reason = "a bench that can't prepare its files has no result"
)]

use std::io;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput};
use karisimbi::layer::{
    Compression, Content, Encoder, Entry, EntryPath, Executable, LayerError, Node,
};

const MIB: usize = 1 << 20;

/// Measures every kind of tree, in gzip on 1 and 2 threads, and in zstd.
pub(crate) fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trees = [
        (
            "small-files",
            tree(folder.path(), "small", &vec![6 << 10; 4000], Kind::Source),
        ),
        (
            "native-binaries",
            tree(folder.path(), "native", &[8 * MIB; 4], Kind::Native),
        ),
        (
            "large-file",
            tree(folder.path(), "large", &[64 * MIB], Kind::Source),
        ),
    ];
    let mut group = criterion.benchmark_group("layer-encode");
    group.sample_size(10);
    for (name, entries) in &trees {
        let size = encode(&Encoder::new(1), Compression::Gzip, entries).expect("a layer");
        group.throughput(Throughput::Bytes(size));
        for (label, threads, compression) in [
            ("gzip-1-thread", 1, Compression::Gzip),
            ("gzip-2-threads", 2, Compression::Gzip),
            ("zstd-2-threads", 2, Compression::Zstd),
        ] {
            let encoder = Encoder::new(threads);
            group.bench_with_input(
                BenchmarkId::new(*name, label),
                entries,
                |bencher, entries| {
                    bencher.iter(|| encode(&encoder, compression, entries).expect("a layer"));
                },
            );
        }
    }
    group.finish();
}

/// Encodes to nowhere and yields the size of the tar.
fn encode(
    encoder: &Encoder,
    compression: Compression,
    entries: &[Entry],
) -> Result<u64, LayerError> {
    let (_, layer) = encoder.encode(io::sink(), compression, |out| {
        entries.iter().try_for_each(|entry| out.append(entry))
    })?;
    Ok(layer.summary.tar_size)
}

#[derive(Clone, Copy)]
enum Kind {
    /// Compresses about 5 : 1, as JavaScript does.
    Source,
    /// Compresses about 3 : 1, as machine code does.
    Native,
}

/// Writes files of these sizes and lists them in the order of the format.
fn tree(folder: &Path, name: &str, sizes: &[usize], kind: Kind) -> Vec<Entry> {
    let folder = folder.join(name);
    fs_err::create_dir_all(&folder).expect("a folder");
    let entries = sizes.iter().enumerate().map(|(index, size)| {
        let path = folder.join(format!("{index:05}"));
        let seed = u32::try_from(index).expect("few files");
        fs_err::write(&path, contents(*size, seed, kind)).expect("a file");
        Entry {
            path: EntryPath::new(format!("app/{name}/{index:05}")).expect("a path"),
            node: Node::File {
                executable: Executable::No,
                content: Content::File {
                    path,
                    size: *size as u64,
                    expected: None,
                },
            },
            package: None,
        }
    });
    entries.collect()
}

/// Bytes that every run generates alike.
fn contents(length: usize, seed: u32, kind: Kind) -> Vec<u8> {
    const WORDS: [&[u8]; 8] = [
        b"module.exports = { ",
        b"function(require, exports) {\n",
        b"return Promise.resolve(",
        b"Object.defineProperty(exports, '__esModule', { value: true });\n",
        b"const ",
        b" => {\n    ",
        b"if (typeof window === 'undefined') ",
        b"throw new TypeError('",
    ];
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        match kind {
            Kind::Source => {
                bytes.extend_from_slice(WORDS[next() % 8]);
                bytes.extend_from_slice(format!("v{} ", next() % 4096).as_bytes());
            }
            Kind::Native => {
                bytes.extend_from_slice(&[0x48, 0x8b, 0x45]);
                bytes.extend_from_slice(&next().to_le_bytes()[..2]);
                bytes.extend_from_slice(&[0, 0, 0xe8]);
            }
        }
    }
    bytes.truncate(length);
    bytes
}
