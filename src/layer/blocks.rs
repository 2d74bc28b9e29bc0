//! The tar as a run of 1 MiB blocks in recycled buffers, hashed and handed to the compressors.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest as _, Sha256};

use super::LayerError;
use super::compress::{Done, End, Engine, Job};
use crate::digest::{DiffId, Digest};

/// Bytes of tar in every block but the last.
pub(crate) const BLOCK: usize = 1 << 20;

/// A fixed number of buffers that all layers of a process share.
#[derive(Debug)]
pub(crate) struct Shelf {
    home: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    capacity: usize,
}

/// Both shelves of an encoder: blocks of tar, and compressed blocks.
#[derive(Debug)]
pub(crate) struct Shelves {
    pub(crate) inputs: Shelf,
    pub(crate) outputs: Shelf,
}

/// A buffer that goes back to its shelf when dropped, on errors and panics too.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Shelf {
    /// Room for `count` buffers of `capacity` bytes; each is allocated when it is first taken.
    pub(crate) fn new(count: usize, capacity: usize) -> Self {
        let (home, free) = bounded(count);
        for _ in 0..count {
            // The channel has exactly this much room.
            let _never_full = home.try_send(Vec::new());
        }
        Self {
            home,
            free,
            capacity,
        }
    }

    /// Waits for a buffer of the shelf's capacity; what its last user left is still in it.
    pub(crate) fn take(&self) -> Lease {
        // The shelf holds a sender itself, so that `recv` can't fail.
        let mut bytes = self.free.recv().unwrap_or_default();
        let room = self.capacity.saturating_sub(bytes.len());
        bytes.reserve_exact(room);
        Lease {
            bytes,
            home: self.home.clone(),
        }
    }

    /// Buffers that nobody holds.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Never more buffers than room; a shelf that is gone needs none back.
        let _never_full = self.home.try_send(std::mem::take(&mut self.bytes));
    }
}

/// Where one layer's blocks go.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    pub(crate) inputs: &'a Shelf,
    pub(crate) jobs: &'a Sender<Job>,
    pub(crate) done: Sender<Done>,
    pub(crate) engine: Engine,
    /// Set by the sequencer when it failed: more blocks are pointless.
    pub(crate) stop: &'a AtomicBool,
}

/// Cuts the tar of one layer into blocks.
pub(crate) struct Blocks<'a> {
    outlet: Outlet<'a>,
    current: Option<Lease>,
    filled: usize,
    index: u64,
    total: u64,
    hasher: Sha256,
    stopped: bool,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(outlet: Outlet<'a>) -> Self {
        Self {
            outlet,
            current: None,
            filled: 0,
            index: 0,
            total: 0,
            hasher: Sha256::new(),
            stopped: false,
        }
    }

    /// Room for the next bytes of the tar, at least one.
    ///
    /// A full block is handed on here, when its successor begins, and never earlier: a tar of
    /// exactly k MiB must not end in an empty block.
    pub(crate) fn spare(&mut self) -> Result<&mut [u8], LayerError> {
        if self.filled == BLOCK {
            self.hand_on(End::More)?;
        }
        let lease = self.current.get_or_insert_with(|| {
            let mut lease = self.outlet.inputs.take();
            // Zeros for a new buffer only: of a used one, what is not overwritten is cut off.
            lease.bytes.resize(BLOCK, 0);
            lease
        });
        Ok(&mut lease.bytes[self.filled..])
    }

    /// Counts the first `count` bytes of [`Blocks::spare`] as written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.filled += count;
        self.total += count as u64;
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), LayerError> {
        while !bytes.is_empty() {
            let spare = self.spare()?;
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            self.advance(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Bytes of tar so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// True when a write was refused because the sequencer had failed before.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Hands the last block on.
    pub(crate) fn finish(mut self) -> Result<DiffId, LayerError> {
        self.hand_on(End::Last)?;
        Ok(DiffId(Digest::from_bytes(self.hasher.finalize().into())))
    }

    fn hand_on(&mut self, end: End) -> Result<(), LayerError> {
        if self.outlet.stop.load(Ordering::Acquire) {
            return Err(self.refuse());
        }
        let Some(mut input) = self.current.take() else {
            return Err(LayerError::Format {
                block: self.index,
                what: "a block without bytes".to_owned(),
            });
        };
        input.bytes.truncate(self.filled);
        self.hasher.update(&input.bytes);
        let job = Job {
            index: self.index,
            input,
            end,
            engine: self.outlet.engine,
            done: self.outlet.done.clone(),
        };
        if self.outlet.jobs.send(job).is_err() {
            return Err(self.refuse());
        }
        self.index += 1;
        self.filled = 0;
        Ok(())
    }

    /// What a producer sees after another part failed; that part's own error is reported instead.
    fn refuse(&mut self) -> LayerError {
        self.stopped = true;
        LayerError::Write {
            source: std::io::Error::other("the layer's output has failed"),
        }
    }
}

impl std::fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("index", &self.index)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
