//! A file's bytes → the tar, read exactly to their length.

use std::io::{self, Read};

use super::LayerError;
use super::blocks::Blocks;
use super::header::RECORD;
use super::probe::Probe;

/// How a copy of `size` bytes ended.
pub(crate) enum Copied {
    Whole,
    /// The stream ended after this many bytes.
    Short(u64),
    Longer,
}

/// Why a copy failed.
pub(crate) enum CopyError {
    Source(io::Error),
    Layer(LayerError),
}

impl From<LayerError> for CopyError {
    fn from(error: LayerError) -> Self {
        Self::Layer(error)
    }
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

/// Copies exactly `size` bytes straight into the blocks, pads them, and asks for one more.
pub(crate) fn copy(
    blocks: &mut Blocks<'_>,
    reader: &mut dyn Read,
    size: u64,
    probe: &mut Probe,
) -> Result<Copied, CopyError> {
    let mut left = size;
    while left > 0 {
        let spare = blocks.spare()?;
        let room = usize::try_from(left).map_or(spare.len(), |left| left.min(spare.len()));
        let count = read(reader, &mut spare[..room])?;
        if count == 0 {
            return Ok(Copied::Short(size - left));
        }
        probe
            .see(&spare[..count])
            .map_err(|source| LayerError::Write { source })?;
        blocks.advance(count);
        left -= count as u64;
    }
    if read(reader, &mut [0])? > 0 {
        return Ok(Copied::Longer);
    }
    let over = usize::try_from(size % RECORD as u64).unwrap_or_default();
    if over > 0 {
        blocks.write(&[0; RECORD][over..])?;
    }
    Ok(Copied::Whole)
}

fn read(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
