//! Statistics, pruning, verification and clearing of a store.

use fs_err as fs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files::remove;
use super::sealed::{self, Broken};
use super::units::{Purpose, Unit, named_digest};
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

    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root()).unwrap_or(path).to_owned()
    }
}

fn reason(broken: Broken) -> String {
    match broken {
        Broken::Missing => "it vanished".to_owned(),
        Broken::Damaged(why) => why,
    }
}
