//! One block of tar → its compressed bytes, on the threads that all layers share.

use crossbeam_channel::{Receiver, Sender};
use flate2::{Compress, FlushCompress, Status};

use super::blocks::{BLOCK, Lease, Shelf};
use super::{Compression, LayerError};

/// Level of deflate in layer format 1.
const DEFLATE_LEVEL: u32 = 4;

/// Level of Zstandard.
const ZSTD_LEVEL: i32 = 3;

/// Room for a compressed block: more than the worst case of either compressor, so that a full
/// buffer means that a flush was not finished.
pub(crate) const OUTPUT: usize = BLOCK + BLOCK / 8 + 1024;

/// Whether more blocks follow in the same layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    More,
    Last,
}

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Raw deflate, ended by a sync flush or by the end of the stream.
    Deflate,
    /// One Zstandard frame with its content's size and checksum.
    Zstd,
    /// As `Deflate`, but this block fails.
    #[cfg(test)]
    Broken(u64),
}

impl From<Compression> for Engine {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::Deflate,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// A block to compress.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) index: u64,
    pub(crate) input: Lease,
    pub(crate) end: End,
    pub(crate) engine: Engine,
    pub(crate) done: Sender<Done>,
}

/// A block that is compressed, or why it is not.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) index: u64,
    pub(crate) end: End,
    pub(crate) result: Result<Compressed, LayerError>,
}

/// The bytes of a compressed block, and the checksum and length of what is in it.
#[derive(Debug)]
pub(crate) struct Compressed {
    pub(crate) output: Lease,
    pub(crate) crc: crc32fast::Hasher,
    pub(crate) length: u64,
}

/// What a compressor thread does until the encoder is dropped.
///
/// The output buffer is taken *before* the job. The other way round, every output buffer can end
/// up in the sequencer's hands, waiting for the one block whose compressor waits for a buffer.
pub(crate) fn work(jobs: &Receiver<Job>, outputs: &Shelf) {
    loop {
        let mut output = outputs.take();
        output.bytes.clear();
        let Ok(job) = jobs.recv() else { return };
        let Job {
            index,
            input,
            end,
            engine,
            done,
        } = job;
        let result = compress(engine, index, end, &input.bytes, output);
        drop(input);
        // Nobody listens once the layer has failed; the buffer then goes back to its shelf.
        let _abandoned = done.send(Done { index, end, result });
    }
}

fn compress(
    engine: Engine,
    index: u64,
    end: End,
    input: &[u8],
    mut output: Lease,
) -> Result<Compressed, LayerError> {
    let format = |what: String| LayerError::Format { block: index, what };
    let mut crc = crc32fast::Hasher::new();
    match engine {
        Engine::Deflate => {
            crc.update(input);
            deflate(input, end, &mut output.bytes).map_err(format)?;
        }
        Engine::Zstd => zstd_frame(input, &mut output.bytes).map_err(format)?,
        #[cfg(test)]
        Engine::Broken(broken) => {
            if broken == index {
                return Err(format("broken for a test".to_owned()));
            }
            deflate(input, end, &mut output.bytes).map_err(format)?;
        }
    }
    Ok(Compressed {
        output,
        crc,
        length: input.len() as u64,
    })
}

/// One call of a fresh compressor: reuse with a dictionary, and output cut at write sizes, were
/// both measured to give other bytes from run to run.
fn deflate(input: &[u8], end: End, output: &mut Vec<u8>) -> Result<(), String> {
    let (flush, expected) = match end {
        End::More => (FlushCompress::Sync, Status::Ok),
        End::Last => (FlushCompress::Finish, Status::StreamEnd),
    };
    let mut compressor = Compress::new(flate2::Compression::new(DEFLATE_LEVEL), false);
    let status = compressor
        .compress_vec(input, output, flush)
        .map_err(|error| error.to_string())?;
    if status != expected {
        return Err(format!("deflate ended with {status:?}"));
    }
    if compressor.total_in() != input.len() as u64 {
        return Err(format!(
            "deflate took {} of {} bytes",
            compressor.total_in(),
            input.len()
        ));
    }
    // A second call would be needed to finish the flush, and would write a second marker.
    if output.len() >= OUTPUT {
        return Err("the compressed block fills its buffer".to_owned());
    }
    Ok(())
}

fn zstd_frame(input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
    use zstd::zstd_safe::CParameter;

    let text = |error: std::io::Error| error.to_string();
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(text)?;
    compressor
        .set_parameter(CParameter::ChecksumFlag(true))
        .map_err(text)?;
    compressor.compress_to_buffer(input, output).map_err(text)?;
    Ok(())
}
