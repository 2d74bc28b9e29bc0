//! Statistics, pruning, verification and clearing of a store.

use fs_err as fs;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use serde::Serialize;

use super::sealed::{self, Broken};
use super::{Store, StoreError, parse_record};
use crate::digest::Digest;

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Every kind of thing, sorted by name.
    pub kinds: Vec<KindStats>,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// One kind of thing: a folder of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindStats {
    /// `blobs`, `inputs` (blobs and memos that were fetched), `records`, `memos`, `roots`, `steps`, `stat`, `git`, `go`, …
    pub kind: String,
    /// How many things.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a prune or a clear removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Things removed: blobs, records, memos, slots, clones, tool caches.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that are left.
    pub left: u64,
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files checked.
    pub checked: u64,
    /// Damaged files; they have been removed.
    pub problems: Vec<Problem>,
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its path below the store's root.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// What [`Store::clear`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Blobs, records, memos, unpacked images, outputs of steps and stat caches; no inputs.
    Layers,
    /// Blobs and memos that are inputs, clones and the caches of tools: whatever was fetched.
    Inputs,
    /// Both.
    All,
}

/// Folders that hold the store's own results but for what is marked; every other folder holds inputs.
const RESULTS: [&str; 7] = [
    "blobs", "stamps", "records", "memos", "roots", "steps", "stat",
];

/// Folders that go with others or are neither.
const OWN: [&str; 4] = ["locks", "tmp", "stamps", "inputs"];

/// What a thing was kept for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Result,
    Input,
}

/// Something that goes or stays as a whole.
struct Unit {
    kind: String,
    purpose: Purpose,
    path: PathBuf,
    bytes: u64,
    /// Last use, in nanoseconds since 1970.
    used: i128,
}

impl Unit {
    /// As statistics name it.
    fn shown(&self) -> &str {
        match self.purpose {
            Purpose::Input if RESULTS.contains(&self.kind.as_str()) => "inputs",
            _ => &self.kind,
        }
    }
}

impl Store {
    /// Counts and bytes by kind.
    ///
    /// # Errors
    /// STORE-IO.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let units = self.units()?;
        let names: BTreeSet<&str> = units.iter().map(Unit::shown).collect();
        let kinds: Vec<KindStats> = names
            .into_iter()
            .map(|kind| {
                let of_kind = units.iter().filter(|unit| unit.shown() == kind);
                KindStats {
                    kind: kind.to_owned(),
                    count: of_kind.clone().count() as u64,
                    bytes: of_kind.map(|unit| unit.bytes).sum(),
                }
            })
            .collect();
        let bytes = kinds.iter().map(|kind| kind.bytes).sum();
        Ok(Stats { kinds, bytes })
    }

    /// Removes what was used longest ago until at most `max_size` bytes are left, then the
    /// records whose blobs went. Waits, with a STORE-BUSY warning, until no other process uses
    /// the store.
    ///
    /// # Errors
    /// STORE-IO, STORE-DENIED.
    pub fn prune(&self, max_size: u64) -> Result<Removed, StoreError> {
        let _alone = self.gate.alone(self.reporter.as_ref())?;
        let mut units = self.units()?;
        units.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut removed = Removed {
            left: units.iter().map(|unit| unit.bytes).sum(),
            ..Removed::default()
        };
        for unit in units {
            // A record goes with its blob: alone it is small and says nothing of its last use.
            if removed.left <= max_size || unit.kind == "records" {
                continue;
            }
            self.discard(&unit, &mut removed)?;
        }
        self.discard_orphans(&mut removed)?;
        Ok(removed)
    }

    /// Removes the records whose blobs went.
    fn discard_orphans(&self, removed: &mut Removed) -> Result<(), StoreError> {
        for unit in self.units()? {
            if unit.kind == "records" && !self.record_has_blob(&unit.path) {
                self.discard(&unit, removed)?;
            }
        }
        Ok(())
    }

    /// Removes everything of a kind. Waits as [`Store::prune`] does.
    ///
    /// # Errors
    /// STORE-IO, STORE-DENIED.
    pub fn clear(&self, what: What) -> Result<Removed, StoreError> {
        let _alone = self.gate.alone(self.reporter.as_ref())?;
        let mut removed = Removed::default();
        for unit in self.units()? {
            removed.left += unit.bytes;
            let goes = match what {
                What::All => true,
                What::Layers => unit.purpose == Purpose::Result,
                What::Inputs => unit.purpose == Purpose::Input,
            };
            if goes {
                self.discard(&unit, &mut removed)?;
            }
        }
        self.discard_orphans(&mut removed)?;
        Ok(removed)
    }

    /// Hashes every blob again and checks every record, memo and stat cache; removes what is
    /// damaged. Waits as [`Store::prune`] does.
    ///
    /// # Errors
    /// STORE-IO, STORE-DENIED.
    pub fn verify(&self) -> Result<Report, StoreError> {
        let _alone = self.gate.alone(self.reporter.as_ref())?;
        let mut report = Report::default();
        let units = self.units()?;
        // Blobs first: a record is judged by the blobs that are left.
        for kind in ["blobs", "records", "memos", "roots", "stat"] {
            for unit in units.iter().filter(|unit| unit.kind == kind) {
                report.checked += 1;
                let Err(why) = self.check(unit) else { continue };
                self.discard(unit, &mut Removed::default())?;
                report.problems.push(Problem {
                    path: self.below_root(&unit.path),
                    why,
                });
            }
        }
        Ok(report)
    }

    fn check(&self, unit: &Unit) -> Result<(), String> {
        let digest = named_digest(&unit.path).ok_or("its name is not a digest")?;
        if unit.kind == "blobs" {
            let found = super::blob::hash_file(&unit.path)
                .map_err(|error| format!("it can't be read: {error}"))?;
            return if found == digest {
                Ok(())
            } else {
                Err(format!("its contents have the digest {found}"))
            };
        }
        if unit.kind == "roots" {
            return super::roots::check(&unit.path);
        }
        let contents = sealed::read(&unit.path).map_err(reason)?;
        if unit.kind == "records" {
            let stored = parse_record(&contents).map_err(reason)?;
            if stored.key.digest() != digest {
                return Err("it was stored for another key".to_owned());
            }
            let blob = &stored.record.descriptor;
            if !self.has_blob(&blob.digest, blob.size) {
                return Err(format!("the blob {} is not there", blob.digest));
            }
        }
        Ok(())
    }

    fn record_has_blob(&self, path: &Path) -> bool {
        sealed::read(path)
            .and_then(|json| parse_record(&json))
            .is_ok_and(|stored| {
                let blob = &stored.record.descriptor;
                self.has_blob(&blob.digest, blob.size)
            })
    }

    fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        fs::symlink_metadata(self.blob_path(digest)).is_ok_and(|stat| stat.len() == size)
    }

    fn discard(&self, unit: &Unit, removed: &mut Removed) -> Result<(), StoreError> {
        let explain = |source| StoreError::explain(&unit.path, 0, source);
        remove(&unit.path).map_err(explain)?;
        if matches!(unit.kind.as_str(), "blobs" | "memos")
            && let Some(digest) = named_digest(&unit.path)
        {
            remove(&self.stamp_path(&digest)).map_err(explain)?;
            remove(&self.mark_path(&digest)).map_err(explain)?;
        }
        removed.count += 1;
        removed.bytes += unit.bytes;
        removed.left = removed.left.saturating_sub(unit.bytes);
        Ok(())
    }

    fn units(&self) -> Result<Vec<Unit>, StoreError> {
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

    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root()).unwrap_or(path).to_owned()
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

fn named_digest(path: &Path) -> Option<Digest> {
    let hex = path.file_name()?.to_str()?;
    format!("sha256:{hex}").parse().ok()
}

fn reason(broken: Broken) -> String {
    match broken {
        Broken::Missing => "it vanished".to_owned(),
        Broken::Damaged(why) => why,
    }
}

/// Sets the time of last use to now. A failure only makes a later prune less exact.
pub(crate) fn touch(path: &Path) {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    let _less_exact = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

/// Removes a file or a folder, also one with read-only folders in it (Go's module cache);
/// nothing there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let stat = match fs::symlink_metadata(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !stat.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn make_writable(path: &Path) -> io::Result<()> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}
