//! Limits on what is read of a foreign layer.

use std::cell::Cell;
use std::io::{self, Read};

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

/// A stream that fails beyond [`MAX_UNPACKED`] bytes.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            left: MAX_UNPACKED,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more than 64 GiB"))?;
        Ok(count)
    }
}
