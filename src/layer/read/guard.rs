//! Limits on what is read of a foreign layer.

use std::cell::Cell;
use std::io::{self, Read};

use crate::digest::Hashing;

/// Bytes of an unpacked layer: 64 GiB.
const MAX_UNPACKED: u64 = 64 << 30;

/// Remembers that the blob itself could not be read.
pub(super) struct Watched<'a, R> {
    pub(super) inner: R,
    pub(super) failed: &'a Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.failed.set(true);
        }
        result
    }
}

/// What may be read of the unpacked stream.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Where the current entry's contents end; up to there anything goes.
    pub(super) contents_end: Cell<u64>,
    /// Bytes of headers that may follow. The archive collects them in memory.
    pub(super) headers: Cell<u64>,
}

pub(super) struct Guarded<'a, R> {
    pub(super) inner: Hashing<R>,
    pub(super) guard: &'a Guard,
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let position = self.inner.length();
        if position > MAX_UNPACKED {
            return Err(io::Error::other("it unpacks to more than 64 GiB"));
        }
        let contents = self.guard.contents_end.get().saturating_sub(position);
        let headers = self.guard.headers.get();
        let allowed = if contents > 0 { contents } else { headers };
        let room = usize::try_from(allowed).map_or(buffer.len(), |room| room.min(buffer.len()));
        if room == 0 && !buffer.is_empty() {
            return Err(io::Error::other("an entry has more than 1 MiB of headers"));
        }
        let count = self.inner.read(&mut buffer[..room])?;
        if contents == 0 {
            self.guard.headers.set(headers - count as u64);
        }
        Ok(count)
    }
}
