//! The things in a store that go or stay as a whole.

use fs_err as fs;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::digest::Digest;

/// Folders that hold the store's own results but for what is marked; every other folder holds inputs.
const RESULTS: [&str; 7] = [
    "blobs", "stamps", "records", "memos", "roots", "steps", "stat",
];

/// Folders that go with others or are neither.
const OWN: [&str; 4] = ["locks", "tmp", "stamps", "inputs"];

/// What a thing was kept for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Result,
    Input,
}

/// Something that goes or stays as a whole.
pub(super) struct Unit {
    pub(super) kind: String,
    pub(super) purpose: Purpose,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Last use, in nanoseconds since 1970.
    pub(super) used: i128,
}

impl Unit {
    /// As statistics name it.
    pub(super) fn shown(&self) -> &str {
        match self.purpose {
            Purpose::Input if RESULTS.contains(&self.kind.as_str()) => "inputs",
            _ => &self.kind,
        }
    }
}

impl Store {
    pub(super) fn units(&self) -> Result<Vec<Unit>, StoreError> {
        let walk = || -> io::Result<Vec<Unit>> {
            let mut units = Vec::new();
            for name in names(self.root())? {
                let folder = self.root().join(&name);
                let kind = name.to_string_lossy().into_owned();
                if OWN.contains(&kind.as_str()) || !folder.is_dir() {
                    continue;
                }
                for path in places(&kind, &folder)? {
                    let purpose = self.purpose(&kind, &path);
                    let used = if kind == "blobs" {
                        named_digest(&path).map(|digest| self.stamp_path(&digest))
                    } else {
                        None
                    };
                    units.push(Unit {
                        bytes: size_of(&path)?,
                        used: last_use(used.as_deref().unwrap_or(&path), &path)?,
                        kind: kind.clone(),
                        purpose,
                        path,
                    });
                }
            }
            Ok(units)
        };
        walk().map_err(|source| StoreError::explain(self.root(), 0, source))
    }

    fn purpose(&self, kind: &str, path: &Path) -> Purpose {
        let marked = match kind {
            "blobs" | "memos" => {
                named_digest(path).is_some_and(|name| self.mark_path(&name).exists())
            }
            _ => !RESULTS.contains(&kind),
        };
        if marked {
            Purpose::Input
        } else {
            Purpose::Result
        }
    }
}

/// The things in a folder of the store: blobs lie one level down, clones below their URL, and a
/// tool's cache is one thing.
fn places(kind: &str, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let below = |folder: &Path| -> io::Result<Vec<PathBuf>> {
        let names = names(folder)?;
        Ok(names.into_iter().map(|name| folder.join(name)).collect())
    };
    match kind {
        "blobs" => below(&folder.join("sha256")),
        "git" => {
            let mut clones = Vec::new();
            for url in below(folder)? {
                clones.extend(below(&url)?);
            }
            Ok(clones)
        }
        "records" | "memos" | "roots" | "steps" | "stat" => below(folder),
        _ if names(folder)?.is_empty() => Ok(Vec::new()),
        _ => Ok(vec![folder.to_owned()]),
    }
}

fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn size_of(path: &Path) -> io::Result<u64> {
    let stat = fs::symlink_metadata(path)?;
    if !stat.is_dir() {
        return Ok(stat.len());
    }
    let mut bytes = 0;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let stat = fs::symlink_metadata(entry.path())?;
            if stat.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += stat.len();
            }
        }
    }
    Ok(bytes)
}

fn last_use(mark: &Path, path: &Path) -> io::Result<i128> {
    // A blob whose stamp was lost counts from its own time.
    let stat = fs::symlink_metadata(mark).or_else(|_no_stamp| fs::symlink_metadata(path))?;
    Ok(i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec()))
}

pub(super) fn named_digest(path: &Path) -> Option<Digest> {
    let hex = path.file_name()?.to_str()?;
    format!("sha256:{hex}").parse().ok()
}
