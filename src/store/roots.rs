//! Unpacked images: `roots/<hex>/root` holds the files, `roots/<hex>/record` how many they are.

use fs_err as fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sealed::{self, Broken};
use super::{Store, StoreError, files};
use crate::digest::Digest;

/// What an unpacked image was when it was whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RootRecord {
    #[serde(flatten)]
    found: Found,
    /// The boot of this machine that it was last known to be whole in. A power cut can leave files
    /// without their contents under a final name, and writing everything out at once costs more
    /// than counting once after the next start.
    boot: String,
}

/// What is counted of a folder.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    entries: u64,
    bytes: u64,
}

impl Store {
    /// The files of an image that was unpacked before; they count as used.
    pub fn unpacked(&self, key: &Digest) -> Option<PathBuf> {
        let folder = self.root_folder(key);
        match self.whole(&folder) {
            Ok(()) => {
                files::touch(&folder);
                Some(folder.join("root"))
            }
            Err(Broken::Missing) => None,
            Err(Broken::Damaged(why)) => {
                self.corrupt(&folder, &why);
                None
            }
        }
    }

    fn whole(&self, folder: &Path) -> Result<(), Broken> {
        let record = record(folder)?;
        let boot = boot();
        if record.boot == boot && !boot.is_empty() {
            return Ok(());
        }
        check(folder).map_err(Broken::Damaged)?;
        let write = || -> io::Result<()> {
            let found = record.found;
            let json = serde_json::to_vec(&RootRecord { found, boot })?;
            sealed::write(&self.scratch_path(), &folder.join("record"), &json)
        };
        // Counted again next time otherwise.
        let _counted_again = write();
        Ok(())
    }

    /// Keeps the files in `folder/root`, a temporary folder of this store, as those of an image.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn keep_unpacked(&self, key: &Digest, folder: &Path) -> Result<PathBuf, StoreError> {
        let place = self.root_folder(key);
        let keep = || -> io::Result<()> {
            let found = count(&folder.join("root"))?;
            let boot = boot();
            let json = serde_json::to_vec(&RootRecord { found, boot })?;
            sealed::write(&self.scratch_path(), &folder.join("record"), &json)?;
            // What is there was damaged, or another process's.
            files::remove(&place)?;
            fs::rename(folder, &place)
        };
        self.folder("roots")?;
        keep().map_err(|source| StoreError::explain(&place, 0, source))?;
        Ok(place.join("root"))
    }

    fn root_folder(&self, key: &Digest) -> PathBuf {
        self.root().join("roots").join(key.hex())
    }

    /// Lets a process that replaces this one keep what this store holds: its lock, and the lock
    /// of its temporary files.
    ///
    /// # Errors
    /// Those of the descriptors.
    pub fn outlive_exec(&self) -> io::Result<()> {
        self.gate.outlive_exec()?;
        self.scratch.outlive_exec()
    }
}

/// Whether a folder of `roots/` is what it was when it was whole.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let damaged = |broken| match broken {
        Broken::Missing => "it was never whole".to_owned(),
        Broken::Damaged(why) => why,
    };
    let record = record(folder).map_err(damaged)?.found;
    let found = count(&folder.join("root")).map_err(|error| error.to_string())?;
    if found == record {
        return Ok(());
    }
    Err(format!(
        "it has {} files of {} bytes, not {} of {}",
        found.entries, found.bytes, record.entries, record.bytes
    ))
}

fn record(folder: &Path) -> Result<RootRecord, Broken> {
    let json = sealed::read(&folder.join("record"))?;
    serde_json::from_slice(&json)
        .map_err(|error| Broken::Damaged(format!("its record is none: {error}")))
}

/// Names the time since this machine was started; empty where the kernel does not say.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn count(root: &Path) -> io::Result<Found> {
    let mut record = Found {
        entries: 0,
        bytes: 0,
    };
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let stat = fs::symlink_metadata(entry.path())?;
            record.entries += 1;
            if stat.is_dir() {
                folders.push(entry.path());
            } else {
                record.bytes += stat.len();
            }
        }
    }
    Ok(record)
}
