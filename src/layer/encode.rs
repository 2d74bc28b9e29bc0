//! tar → diff id → compression → digest, in one pass. (skeleton)

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::{Descriptor, LayerError, LayerSummary, LayerWriter};
use crate::digest::DiffId;

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One gzip member of independent 1 MiB blocks, level 4: read by every client.
    #[default]
    Gzip,
    /// Zstandard frames; smaller and faster, refused by some clients.
    Zstd,
}

/// What one pass over a layer yields.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Media type, digest and size; no annotations yet.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// What lies in it.
    pub summary: LayerSummary,
}

/// Compressor threads and their buffers, shared by all layers of a process.
#[derive(Debug)]
pub struct Encoder {
    threads: usize,
}

impl Encoder {
    /// An encoder with this many compressor threads (at least one).
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
        }
    }

    /// Runs `produce` against a [`LayerWriter`] and writes the compressed layer to `out`.
    ///
    /// # Errors
    /// The first of: the producer's, the compressors', the sink's. What was written to `out`
    /// is then garbage; the caller deletes it.
    pub fn encode<W: Write + Send>(
        &self,
        _out: W,
        _compression: Compression,
        _produce: impl FnOnce(&mut LayerWriter<'_>) -> Result<(), LayerError>,
    ) -> Result<(W, Encoded), LayerError> {
        let _unused = self.threads;
        unimplemented!()
    }
}
