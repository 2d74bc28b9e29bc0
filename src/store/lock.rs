//! Locks across processes: `flock`, so the kernel releases them at any death of the holder.

use fs_err as fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd, retry_on_intr};

use super::error::StoreError;
use crate::progress::Reporter;

/// An exclusive lock across processes and threads, released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: fs::File,
}

fn open(path: &Path) -> Result<fs::File, StoreError> {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| StoreError::explain(path, 0, source))
}

fn take(file: &fs::File, path: &Path, operation: FlockOperation) -> Result<bool, StoreError> {
    match retry_on_intr(|| flock(file.file(), operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(StoreError::Io {
            path: path.to_owned(),
            source: errno.into(),
        }),
    }
}

impl Lock {
    /// Waits for the lock; `waiting` is called once when another holds it.
    pub(super) fn wait(path: &Path, waiting: impl FnOnce()) -> Result<Self, StoreError> {
        let file = open(path)?;
        if !take(&file, path, FlockOperation::NonBlockingLockExclusive)? {
            waiting();
            take(&file, path, FlockOperation::LockExclusive)?;
        }
        Ok(Self { file })
    }
}

impl Lock {
    /// The locked file (which is empty) under a second descriptor. A child process that gets it
    /// keeps the lock for as long as it lives, even when this process is killed.
    ///
    /// # Errors
    /// No free descriptor.
    pub fn share(&self) -> io::Result<std::fs::File> {
        self.file.file().try_clone()
    }
}

/// Everybody who uses a store holds its gate shared; who removes things holds it alone.
#[derive(Debug)]
pub(super) struct Gate {
    file: fs::File,
    path: PathBuf,
}

/// The gate held alone; shared again when dropped.
#[derive(Debug)]
pub(super) struct Alone<'a>(&'a Gate);

impl Gate {
    /// Keeps the lock when another program takes this process over.
    pub(super) fn outlive_exec(&self) -> io::Result<()> {
        keep_open(&self.file)
    }

    /// Opens the gate, waiting for a process that is removing things.
    pub(super) fn enter(root: &Path, reporter: &dyn Reporter) -> Result<Self, StoreError> {
        let path = root.join("lock");
        let file = open(&path)?;
        if !take(&file, &path, FlockOperation::NonBlockingLockShared)? {
            busy(reporter, root, "another process cleans it up");
            take(&file, &path, FlockOperation::LockShared)?;
        }
        Ok(Self { file, path })
    }

    /// Waits until no other process uses the store.
    pub(super) fn alone(&self, reporter: &dyn Reporter) -> Result<Alone<'_>, StoreError> {
        let nonblocking = FlockOperation::NonBlockingLockExclusive;
        if !take(&self.file, &self.path, nonblocking)? {
            // A refused conversion has lost the shared lock (flock(2)); nothing is held now.
            let root = self.path.parent().unwrap_or(&self.path);
            busy(reporter, root, "another process uses it");
            take(&self.file, &self.path, FlockOperation::LockExclusive)?;
        }
        Ok(Alone(self))
    }
}

fn keep_open(file: &fs::File) -> io::Result<()> {
    let flags = fcntl_getfd(file.file())?;
    Ok(fcntl_setfd(file.file(), flags - FdFlags::CLOEXEC)?)
}

fn busy(reporter: &dyn Reporter, root: &Path, why: &str) {
    let text = format!("waiting for the cache {}: {why}", root.display());
    reporter.warn("STORE-BUSY", text);
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Going back from exclusive to shared can't block; were it to fail, the exclusive lock
        // would stay until the store is dropped, which is safe.
        let _shared = flock(self.0.file.file(), FlockOperation::LockShared);
    }
}

/// A folder for what this process is writing. Its lock tells the folders of dead processes.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    next: AtomicU64,
    alive: Lock,
}

impl Scratch {
    /// Sweeps the folders of dead processes, then makes one for this process.
    pub(super) fn create(root: &Path) -> Result<Self, StoreError> {
        let tmp = root.join("tmp");
        // Held for all of this, so that no folder is seen between its creation and its lock.
        let _sweeping = Lock::wait(&root.join("locks/tmp"), || {})?;
        sweep(&tmp).map_err(|source| StoreError::explain(&tmp, 0, source))?;
        let mut number = 0_u32;
        while tmp.join(number.to_string()).exists() {
            number += 1;
        }
        let folder = tmp.join(number.to_string());
        fs::create_dir(&folder).map_err(|source| StoreError::explain(&folder, 0, source))?;
        let alive = Lock::wait(&folder.join("lock"), || {})?;
        Ok(Self {
            folder,
            next: AtomicU64::new(0),
            alive,
        })
    }

    /// Keeps the folder when another program takes this process over.
    pub(super) fn outlive_exec(&self) -> io::Result<()> {
        keep_open(&self.alive.file)
    }

    /// A path for one file that no one else uses.
    pub(super) fn path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{number}.part"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is swept by the next process.
        let _swept_later = fs::remove_dir_all(&self.folder);
    }
}

fn sweep(tmp: &Path) -> io::Result<()> {
    for entry in fs::read_dir(tmp)? {
        let folder = entry?.path();
        let lock = folder.join("lock");
        let held = match fs::File::open(&lock) {
            Ok(file) => {
                let nonblocking = FlockOperation::NonBlockingLockExclusive;
                retry_on_intr(|| flock(file.file(), nonblocking)).is_err()
            }
            // Killed between making the folder and its lock, or not a folder of ours at all.
            Err(_unlocked) => false,
        };
        if !held {
            super::files::remove(&folder)?;
        }
    }
    Ok(())
}
