//! tar → diff id → compression → digest, in one pass.
//!
//! ```text
//! producer     the calling thread: entries → tar → 1 MiB blocks, diff id        (blocks.rs)
//! compressors  shared by all layers: a block → deflate, crc                     (compress.rs)
//! sequencer    one thread for each layer: blocks in order → digest → the sink   (here)
//! ```
//! Memory is a fixed number of buffers on two shelves, whatever the number and size of the layers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};

use super::blocks::{BLOCK, Blocks, Outlet, Shelf, Shelves};
use super::compress::{self, Compressed, Done, End, Engine, Job, OUTPUT};
use super::{Descriptor, LayerError, LayerRecord, LayerSummary, LayerWriter};
use crate::digest::{DiffId, Digest, Hashing};

/// More compressors than this wait for the producer: it reads, formats and hashes at about a
/// quarter of a compressor's time per block. It also bounds the buffers to 28 MiB.
const MAX_THREADS: usize = 8;

/// Blocks that may wait between two stages.
const DEPTH: usize = 4;

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One gzip member of independent 1 MiB blocks, level 4: read by every client.
    #[default]
    Gzip,
    /// Independent Zstandard frames of 1 MiB, level 3, with checksums: faster, refused by some
    /// clients.
    Zstd,
}

impl Compression {
    /// The media type of a layer that is compressed so (image-spec, "Layer Filesystem Changeset").
    pub fn media_type(self) -> MediaType {
        match self {
            Self::Gzip => MediaType::ImageLayerGzip,
            Self::Zstd => MediaType::ImageLayerZstd,
        }
    }

    /// Name and version of the compressed format, as a field of layer keys: it changes whenever
    /// the compressor, its level or the size of its blocks does.
    pub const fn format(self) -> &'static str {
        match self {
            Self::Gzip => "gzip-1",
            Self::Zstd => "zstd-1",
        }
    }
}

/// Compressor threads and their buffers, shared by all layers of a process.
///
/// The threads start with the first layer: a build that reuses everything starts none.
#[derive(Debug)]
pub struct Encoder {
    threads: usize,
    pool: Mutex<Option<Arc<Pool>>>,
}

#[derive(Debug)]
struct Pool {
    shelves: Arc<Shelves>,
    /// None only while the pool is dropped: the compressors end when it is gone.
    jobs: Option<Sender<Job>>,
    compressors: Vec<JoinHandle<()>>,
}

impl Pool {
    fn start(threads: usize) -> Result<Self, LayerError> {
        // Bounded by the input buffers: each job holds one.
        let (jobs, queue) = unbounded::<Job>();
        let buffers = DEPTH + threads + 1;
        let shelves = Arc::new(Shelves {
            inputs: Shelf::new(buffers, BLOCK),
            outputs: Shelf::new(buffers, OUTPUT),
        });
        let mut compressors = Vec::new();
        for _ in 0..threads {
            let (queue, shelves) = (queue.clone(), Arc::clone(&shelves));
            let started = thread::Builder::new()
                .name("compressor".to_owned())
                .spawn(move || compress::work(&queue, &shelves.outputs));
            match started {
                Ok(handle) => compressors.push(handle),
                // Fewer threads write the same bytes.
                Err(_limit) if !compressors.is_empty() => break,
                Err(source) => return Err(LayerError::Threads { source }),
            }
        }
        Ok(Self {
            shelves,
            jobs: Some(jobs),
            compressors,
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for compressor in self.compressors.drain(..) {
            // A compressor's panic has been reported by the layer that lacked its block.
            let _panicked = compressor.join();
        }
    }
}

impl Encoder {
    /// An encoder with this many compressor threads: at least one, at most eight.
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.clamp(1, MAX_THREADS),
            pool: Mutex::new(None),
        }
    }

    /// Runs `produce` against a [`LayerWriter`] and writes the compressed layer to `out`.
    ///
    /// Several threads may encode at once; they share compressors and buffers. A `produce` must
    /// not encode another layer itself.
    ///
    /// # Errors
    /// The first of: the producer's, the compressors', the sink's (LAYER-WRITE with the sink's own
    /// error as its source). What was written to `out` is then garbage; the caller deletes it.
    pub fn encode<W: Write + Send>(
        &self,
        out: W,
        compression: Compression,
        produce: impl FnOnce(&mut LayerWriter<'_>) -> Result<(), LayerError>,
    ) -> Result<(W, LayerRecord), LayerError> {
        let (out, sealed, produced) = self.run(out, Engine::from(compression), produce)?;
        let descriptor = Descriptor {
            media_type: compression.media_type(),
            digest: sealed.digest,
            size: sealed.size,
            annotations: BTreeMap::new(),
        };
        let record = LayerRecord {
            descriptor,
            diff_id: produced.diff_id,
            summary: produced.summary,
        };
        Ok((out, record))
    }

    fn run<W: Write + Send>(
        &self,
        out: W,
        engine: Engine,
        produce: impl FnOnce(&mut LayerWriter<'_>) -> Result<(), LayerError>,
    ) -> Result<(W, Sealed, Produced), LayerError> {
        let pool = self.pool()?;
        let Some(jobs) = &pool.jobs else {
            return Err(missing("the compressors are gone"));
        };
        let stop = AtomicBool::new(false);
        // Bounded by the output buffers: each message holds one, or is an error.
        let (done, finished) = unbounded();
        let outlet = Outlet {
            inputs: &pool.shelves.inputs,
            jobs,
            done,
            engine,
            stop: &stop,
        };
        thread::scope(|scope| {
            let sequencer = thread::Builder::new()
                .name("sequencer".to_owned())
                .spawn_scoped(scope, || {
                    let result = sequence(out, engine, finished);
                    if result.is_err() {
                        stop.store(true, Ordering::Release);
                    }
                    result
                })
                .map_err(|source| LayerError::Threads { source })?;
            let (produced, stopped) = write_entries(Blocks::new(outlet), produce);
            let written = match sequencer.join() {
                Ok(written) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            match (produced, written) {
                (Ok(produced), Ok(Some((out, sealed)))) => Ok((out, sealed, produced)),
                (Ok(_), Err(error)) => Err(error),
                // The producer only noticed that the sink or a compressor had failed.
                (Err(_), Err(error)) if stopped => Err(error),
                (Err(error), _) if !stopped => Err(error),
                _ => Err(missing("a compressor stopped")),
            }
        })
    }

    fn pool(&self) -> Result<Arc<Pool>, LayerError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*pool {
            return Ok(Arc::clone(pool));
        }
        let started = Arc::new(Pool::start(self.threads)?);
        *pool = Some(Arc::clone(&started));
        Ok(started)
    }
}

fn missing(what: &str) -> LayerError {
    LayerError::Format {
        block: 0,
        what: what.to_owned(),
    }
}

#[derive(Debug)]
struct Produced {
    diff_id: DiffId,
    summary: LayerSummary,
}

#[derive(Debug)]
struct Sealed {
    digest: Digest,
    size: u64,
}

/// The producer's part, and whether it was stopped by a failure elsewhere.
///
/// All senders but those of waiting jobs are gone afterwards, so that the sequencer ends.
fn write_entries(
    blocks: Blocks<'_>,
    produce: impl FnOnce(&mut LayerWriter<'_>) -> Result<(), LayerError>,
) -> (Result<Produced, LayerError>, bool) {
    let mut writer = LayerWriter::new(blocks);
    let result = produce(&mut writer).and_then(|()| writer.end());
    let stopped = writer.stopped();
    let produced = result.and_then(|()| {
        let (diff_id, summary) = writer.finish()?;
        Ok(Produced { diff_id, summary })
    });
    (produced, stopped)
}

/// Writes the blocks in order. None when the producer gave up: its error is reported.
fn sequence<W: Write>(
    out: W,
    engine: Engine,
    finished: Receiver<Done>,
) -> Result<Option<(W, Sealed)>, LayerError> {
    let mut sink = Sink::new(out, engine);
    sink.put(sink.header())?;
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for done in finished {
        waiting.insert(done.index, done);
        while let Some(done) = waiting.remove(&next) {
            sink.append(&done.result?)?;
            if done.end == End::Last {
                return sink.seal().map(Some);
            }
            next += 1;
        }
    }
    Ok(None)
}

struct Sink<W> {
    out: Hashing<W>,
    engine: Engine,
    crc: crc32fast::Hasher,
    length: u64,
}

impl<W: Write> Sink<W> {
    fn new(out: W, engine: Engine) -> Self {
        Self {
            out: Hashing::new(out),
            engine,
            crc: crc32fast::Hasher::new(),
            length: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.out.write_all(bytes).map_err(unwritten)
    }

    /// RFC 1952: deflate, no flags, mtime 0, XFL 0, OS 255 (unknown).
    fn header(&self) -> &'static [u8] {
        if self.engine == Engine::Zstd {
            &[]
        } else {
            &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]
        }
    }

    fn append(&mut self, block: &Compressed) -> Result<(), LayerError> {
        self.crc.combine(&block.crc);
        self.length += block.length;
        self.put(&block.output.bytes)
    }

    fn seal(mut self) -> Result<(W, Sealed), LayerError> {
        if self.engine != Engine::Zstd {
            let crc = self.crc.clone().finalize();
            self.put(&crc.to_le_bytes())?;
            // RFC 1952: ISIZE is the length modulo 2^32.
            let [a, b, c, d, ..] = self.length.to_le_bytes();
            self.put(&[a, b, c, d])?;
        }
        self.out.flush().map_err(unwritten)?;
        let (out, digest, size) = self.out.finish();
        Ok((out, Sealed { digest, size }))
    }
}

fn unwritten(source: io::Error) -> LayerError {
    LayerError::Write { source }
}

#[cfg(test)]
mod tests;
