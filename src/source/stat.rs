//! The stat cache: content digests of files whose stat has not moved since they were hashed.
//!
//! It saves hashing and nothing else; deleting it never changes a digest. As in git's index, an
//! entry is believed only when size, mtime, ctime, inode and mode are what they were, and when
//! the file is not *racy*. A file that was written within the clock tick in which it was hashed
//! can change again without its times moving, so an entry whose mtime or ctime is not older
//! than the beginning of the scan is hashed again. That beginning is the mtime of a file that
//! the scan creates, so it comes from a file system's clock and granularity, not from ours.

use fs_err as fs;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::walk::{FileStat, Moment};
use crate::digest::Digest;
use crate::progress::Reporter;
use crate::store::{Store, sealed};

/// First bytes of a stat cache; a cache of another version is made anew.
const MAGIC: &[u8] = b"karisimbi stat cache 1\n";

/// A source on another file system than the cache may have coarser times: FAT keeps 2 s.
const COARSEST_SECONDS: i64 = 2;

/// What was known before this scan, and where to keep what is known after it.
pub(super) struct StatCache<'a> {
    store: &'a Store,
    place: PathBuf,
    /// A path beside `place`.
    beside: PathBuf,
    device: u64,
    started: Moment,
    known: Known,
}

#[derive(Default)]
struct Known {
    started: Option<Moment>,
    entries: BTreeMap<Vec<u8>, (FileStat, Digest)>,
}

/// Whether the file lies on the file system that the scan's beginning was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Same,
    Other,
}

/// When a scan began, on which file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanClock {
    started: Moment,
    device: u64,
}

impl ScanClock {
    /// Whether a file's times are older than the scan: a later write moves them.
    pub(super) fn settled(&self, stat: &FileStat, device: u64) -> bool {
        let clock = if device == self.device {
            Clock::Same
        } else {
            Clock::Other
        };
        !racy(stat, self.started, clock)
    }
}

/// Whether a file may have changed since `limit` without its times moving.
fn racy(stat: &FileStat, mut limit: Moment, clock: Clock) -> bool {
    if clock == Clock::Other {
        limit.0 = limit.0.saturating_sub(COARSEST_SECONDS);
    }
    stat.mtime >= limit || stat.ctime >= limit
}

impl Known {
    fn digest(&self, path: &[u8], stat: &FileStat, clock: Clock) -> Option<Digest> {
        let (known, digest) = self.entries.get(path)?;
        let racy = racy(stat, self.started?, clock);
        (known == stat && !racy).then_some(*digest)
    }
}

impl<'a> StatCache<'a> {
    /// When this scan began.
    pub(super) fn clock(&self) -> ScanClock {
        ScanClock {
            started: self.started,
            device: self.device,
        }
    }

    /// Loads what is known of `root` and takes the time; must precede the walk. None, with a
    /// warning, when the store can't be written.
    pub(super) fn start(store: &'a Store, root: &Path) -> Option<Self> {
        let beside = store.scratch_path();
        let begin = || -> io::Result<std::fs::Metadata> {
            fs::File::create(&beside)?;
            fs::metadata(&beside)
        };
        let mark = match begin() {
            Ok(mark) => mark,
            Err(error) => {
                warn_unkept(store, &error);
                return None;
            }
        };
        // Two roots with one path would only share, and overwrite, a cache of stats.
        let path = fs::canonicalize(root).unwrap_or_else(|_unreadable| root.to_owned());
        let name = Digest::of(path.as_os_str().as_bytes());
        let place = store.root().join("stat").join(name.hex());
        let known = match store.sealed(&place).map(|contents| parse(&contents)) {
            None => Known::default(),
            Some(Some(known)) => known,
            Some(None) => {
                let text = "a stat cache of another version was ignored; files are hashed again";
                store.warn("CACHE-CORRUPT", text.to_owned());
                Known::default()
            }
        };
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "below 10^9"
        )]
        let started = Moment(mark.mtime(), mark.mtime_nsec() as u32);
        Some(Self {
            store,
            place,
            beside,
            device: mark.dev(),
            started,
            known,
        })
    }

    /// Where the events of its store go.
    pub(super) fn reporter(&self) -> &dyn Reporter {
        self.store.reporter()
    }

    /// The digest of a file that can't have changed since it was hashed.
    pub(super) fn digest(&self, path: &[u8], stat: &FileStat, device: u64) -> Option<Digest> {
        let clock = if device == self.device {
            Clock::Same
        } else {
            Clock::Other
        };
        self.known.digest(path, stat, clock)
    }

    /// Keeps what is known now, unless nothing was learnt. A failure is a warning.
    pub(super) fn finish<'f>(
        self,
        files: impl Iterator<Item = (&'f [u8], &'f FileStat, &'f Digest)>,
        hashed: usize,
    ) {
        let mut count = 0;
        let mut contents = MAGIC.to_vec();
        put_moment(&mut contents, self.started);
        for (path, stat, digest) in files {
            count += 1;
            put_bytes(&mut contents, path);
            contents.extend_from_slice(&stat.size.to_le_bytes());
            put_moment(&mut contents, stat.mtime);
            put_moment(&mut contents, stat.ctime);
            contents.extend_from_slice(&stat.inode.to_le_bytes());
            contents.extend_from_slice(&stat.mode.to_le_bytes());
            contents.extend_from_slice(digest.as_bytes());
        }
        let written = if hashed == 0 && count == self.known.entries.len() {
            fs::remove_file(&self.beside)
        } else {
            sealed::write(&self.beside, &self.place, &contents)
        };
        if let Err(error) = written {
            warn_unkept(self.store, &error);
        }
    }
}

fn warn_unkept(store: &Store, error: &io::Error) {
    let text = format!("the stat cache was not kept; files will be hashed again: {error}");
    store.warn("CACHE-WRITE", text);
}

fn put_moment(out: &mut Vec<u8>, moment: Moment) {
    out.extend_from_slice(&moment.0.to_le_bytes());
    out.extend_from_slice(&moment.1.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Takes fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn moment(&mut self) -> Option<Moment> {
        Some(Moment(
            i64::from_le_bytes(self.take()?),
            u32::from_le_bytes(self.take()?),
        ))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u64::from_le_bytes(self.take()?)).ok()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }
}

fn parse(contents: &[u8]) -> Option<Known> {
    let mut fields = Fields(contents.strip_prefix(MAGIC)?);
    let mut known = Known {
        started: Some(fields.moment()?),
        ..Known::default()
    };
    while !fields.0.is_empty() {
        let path = fields.bytes()?.to_owned();
        let stat = FileStat {
            size: u64::from_le_bytes(fields.take()?),
            mtime: fields.moment()?,
            ctime: fields.moment()?,
            inode: u64::from_le_bytes(fields.take()?),
            mode: u32::from_le_bytes(fields.take()?),
        };
        let digest = Digest::from_bytes(fields.take()?);
        known.entries.insert(path, (stat, digest));
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: FileStat = FileStat {
        size: 3,
        mtime: Moment(90, 5),
        ctime: Moment(91, 5),
        inode: 7,
        mode: 0o100_644,
    };

    #[test]
    fn only_an_unmoved_stat_from_before_the_scan_is_believed() {
        let is = |change: fn(&mut FileStat)| {
            let mut stat = OLD;
            change(&mut stat);
            stat
        };
        let same = |change: fn(&mut FileStat)| (is(change), is(change));
        for (name, (then, now), clock, believed) in [
            ("unmoved", (OLD, OLD), Clock::Same, true),
            ("unmoved elsewhere", (OLD, OLD), Clock::Other, true),
            ("size", (OLD, is(|s| s.size = 4)), Clock::Same, false),
            ("mtime", (OLD, is(|s| s.mtime.1 = 6)), Clock::Same, false),
            ("ctime", (OLD, is(|s| s.ctime.1 = 6)), Clock::Same, false),
            ("inode", (OLD, is(|s| s.inode = 8)), Clock::Same, false),
            (
                "mode",
                (OLD, is(|s| s.mode = 0o100_755)),
                Clock::Same,
                false,
            ),
            (
                "mtime in the scan's tick",
                same(|s| s.mtime = Moment(100, 1)),
                Clock::Same,
                false,
            ),
            (
                "ctime in the scan's tick",
                same(|s| s.ctime = Moment(100, 1)),
                Clock::Same,
                false,
            ),
            (
                "ctime just before",
                same(|s| s.ctime = Moment(100, 0)),
                Clock::Same,
                true,
            ),
            (
                "mtime in the future",
                same(|s| s.mtime = Moment(999, 0)),
                Clock::Same,
                false,
            ),
            (
                "coarse times elsewhere",
                same(|s| s.ctime = Moment(99, 0)),
                Clock::Other,
                false,
            ),
        ] {
            let digest = Digest::of(b"one");
            let known = Known {
                started: Some(Moment(100, 1)),
                entries: [(b"a".to_vec(), (then, digest))].into(),
            };
            let found = known.digest(b"a", &now, clock);
            assert_eq!(found, believed.then_some(digest), "{name}");
        }
    }
}
