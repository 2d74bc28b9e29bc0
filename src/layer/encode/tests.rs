//! Failures, leaks and concurrency of the encoder.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::error::Coded as _;
use crate::layer::{Content, Entry, EntryPath, Executable, Node};

const MIB: usize = 1 << 20;

/// Compresses badly, so that blocks take a while.
fn noise(length: usize) -> Arc<[u8]> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x3f
        })
        .collect()
}

fn file(path: &str, bytes: Arc<[u8]>) -> Entry {
    Entry {
        path: EntryPath::new(path).unwrap(),
        node: Node::File {
            executable: Executable::No,
            content: Content::Bytes(bytes),
        },
        package: None,
    }
}

/// Fails once it has taken this many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All buffers are back on their shelves, but those that idle compressors hold.
fn assert_nothing_leaked(encoder: &Encoder) {
    let pool = encoder.pool().unwrap();
    let buffers = DEPTH + encoder.threads + 1;
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let inputs = pool.shelves.inputs.free();
        let outputs = pool.shelves.outputs.free();
        if (inputs, outputs) == (buffers, buffers - encoder.threads) {
            return;
        }
        assert!(Instant::now() < end, "{inputs} and {outputs} of {buffers}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn every_failure_is_the_one_reported_and_nothing_leaks() {
    let bytes = noise(MIB);
    for threads in [1, 3] {
        let encoder = Encoder::new(threads);
        for failing in [0, 1, 5, 19] {
            let produce = |broken: Option<usize>| {
                let bytes = Arc::clone(&bytes);
                move |out: &mut LayerWriter<'_>| {
                    for index in 0..20 {
                        if broken == Some(index) {
                            return Err(LayerError::Whiteout {
                                path: format!("entry {index}"),
                            });
                        }
                        out.append(&file(&format!("f{index:02}"), Arc::clone(&bytes)))?;
                    }
                    Ok(())
                }
            };
            let entry = encoder
                .encode(Vec::new(), Compression::Gzip, produce(Some(failing)))
                .unwrap_err();
            assert_eq!(entry.code(), "LAYER-WHITEOUT");
            let block = encoder
                .run(Vec::new(), Engine::Broken(failing as u64), produce(None))
                .unwrap_err();
            assert_eq!(
                block.to_string(),
                format!("internal check failed in block {failing}: broken for a test")
            );
            let sink = encoder
                .encode(Full(failing * 700_000), Compression::Gzip, produce(None))
                .map(|_| ())
                .unwrap_err();
            let LayerError::Write { source } = &sink else {
                panic!("{sink:?}");
            };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            assert_nothing_leaked(&encoder);
        }
        let (_, layer) = encoder
            .encode(Vec::new(), Compression::Gzip, |out| {
                out.append(&file("still", Arc::clone(&bytes)))
            })
            .unwrap();
        assert_eq!(layer.summary.entries.len(), 1);
    }
}

#[test]
fn a_source_that_hides_a_failed_entry_makes_no_layer() {
    let error = Encoder::new(1)
        .encode(Vec::new(), Compression::Gzip, |out| {
            let twice = file("a", noise(3));
            out.append(&twice)?;
            let _hidden = out.append(&twice);
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.code(), "LAYER-FORMAT");
}

#[test]
fn many_layers_at_once_share_the_buffers() {
    let encoder = Encoder::new(2);
    let bytes = noise(3 * MIB);
    let one = |out: &mut LayerWriter<'_>| out.append(&file("a", Arc::clone(&bytes)));
    let (expected, _) = encoder.encode(Vec::new(), Compression::Gzip, one).unwrap();
    thread::scope(|scope| {
        // More layers than buffers.
        let layers: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| encoder.encode(Vec::new(), Compression::Gzip, one)))
            .collect();
        for layer in layers {
            let (found, _) = layer.join().unwrap().unwrap();
            assert!(found == expected);
        }
    });
    assert_nothing_leaked(&encoder);
}

#[test]
fn gzip_is_one_member_with_a_fixed_header() {
    let bytes = noise(2 * MIB + 7);
    let (blob, encoded) = Encoder::new(2)
        .encode(Vec::new(), Compression::Gzip, |out| {
            out.append(&file("a", Arc::clone(&bytes)))
        })
        .unwrap();
    assert_eq!(blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let mut tar = Vec::new();
    // Reads the first member only.
    flate2::read::GzDecoder::new(&blob[..])
        .read_to_end(&mut tar)
        .unwrap();
    assert_eq!(tar.len() as u64, encoded.summary.tar_size);
    assert_eq!(DiffId(Digest::of(&tar)), encoded.diff_id);
    assert_eq!(Digest::of(&blob), encoded.descriptor.digest);
    assert_eq!(blob.len() as u64, encoded.descriptor.size);
    assert!(tar[512..512 + bytes.len()] == bytes[..]);
}
