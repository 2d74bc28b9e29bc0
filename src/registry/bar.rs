//! The progress of one transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::progress::{Event, Reporter};

/// Small steps would drown the other events.
const STEP: u64 = 1 << 20;

/// Reports how far a transfer is, and its end when it goes out of scope.
pub(super) struct Bar {
    reporter: Arc<dyn Reporter>,
    name: String,
    total: u64,
    shown: AtomicU64,
}

impl Bar {
    pub(super) fn new(
        reporter: &Arc<dyn Reporter>,
        verb: &str,
        digest: &Digest,
        total: u64,
    ) -> Self {
        let bar = Self {
            reporter: Arc::clone(reporter),
            name: format!("{verb} {}", &digest.hex()[..12]),
            total,
            shown: AtomicU64::new(0),
        };
        bar.event(0);
        bar
    }

    /// The transfer is at byte `done`.
    pub(super) fn at(&self, done: u64) {
        let shown = self.shown.load(Ordering::Relaxed);
        // A transfer that starts again goes back.
        if done == self.total || done < shown || done - shown >= STEP {
            self.event(done);
        }
    }

    fn event(&self, done: u64) {
        self.shown.store(done, Ordering::Relaxed);
        self.reporter.event(Event::Progress {
            name: self.name.clone(),
            done,
            total: Some(self.total),
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let name = self.name.clone();
        self.reporter.event(Event::Finished { name });
    }
}
