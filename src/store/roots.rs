//! Unpacked images: `roots/<hex>/root` holds the files, `roots/<hex>/record` how many they are.

use fs_err as fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sealed::{self, Broken};
use super::{Store, StoreError, upkeep};
use crate::digest::Digest;

/// What an unpacked image was when it was whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RootRecord {
    entries: u64,
    bytes: u64,
}

impl Store {
    /// The files of an image that was unpacked before; they count as used.
    pub fn unpacked(&self, key: &Digest) -> Option<PathBuf> {
        let folder = self.root_folder(key);
        match sealed::read(&folder.join("record")) {
            Ok(_) => {
                upkeep::touch(&folder);
                Some(folder.join("root"))
            }
            Err(Broken::Missing) => None,
            Err(Broken::Damaged(why)) => {
                self.corrupt(&folder, &why);
                None
            }
        }
    }

    /// Keeps the files in `folder/root`, a temporary folder of this store, as those of an image.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn keep_unpacked(&self, key: &Digest, folder: &Path) -> Result<PathBuf, StoreError> {
        let place = self.root_folder(key);
        let keep = || -> io::Result<()> {
            let json = serde_json::to_vec(&count(&folder.join("root"))?)?;
            sealed::write(&self.scratch_path(), &folder.join("record"), &json)?;
            // A power cut must not leave files without their contents under a name that is final.
            rustix::fs::syncfs(fs::File::open(folder)?.file())?;
            // What is there was damaged, or another process's.
            upkeep::remove(&place)?;
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
    let json = sealed::read(&folder.join("record")).map_err(damaged)?;
    let record: RootRecord = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let found = count(&folder.join("root")).map_err(|error| error.to_string())?;
    if found == record {
        return Ok(());
    }
    Err(format!(
        "it has {} files of {} bytes, not {} of {}",
        found.entries, found.bytes, record.entries, record.bytes
    ))
}

fn count(root: &Path) -> io::Result<RootRecord> {
    let mut record = RootRecord {
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
