//! Source trees: sorted walk, filters, content hashes with a stat cache, git clones.

mod address;
mod dockerignore;
mod error;
pub mod git;
mod gitignore;
mod hash;
pub mod listing;
mod outputs;
mod stat;
pub mod url;
mod walk;

pub(crate) use address::scrub;
pub use address::{GitUrl, InvalidSource};
pub use error::{Refused, SourceError};
pub use git::Revision;
pub use url::{GitSource, SourceName};
pub use walk::{MAX_DEPTH, MAX_FILES, MAX_PATH};

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::error::Problems;
use crate::layer::entry::escape;
use crate::layer::{EntryPath, Stamp, TreeDigest};
use crate::progress::{Meter, Reporter, Silent};
use crate::store::Store;
use dockerignore::DockerRules;
use gitignore::GitRules;
use hash::Hashed;
use stat::{ScanClock, StatCache};
use walk::{Found, FoundKind};

/// Bytes of a `.gitignore` or `.dockerignore`, at most.
pub const IGNORE_LIMIT: u64 = 1 << 20;

/// Size from which a file is not read at all: a layer can't hold it.
pub const FILE_LIMIT: u64 = 8 << 30;

/// Problems that one error lists, at most.
const SHOWN_PROBLEMS: usize = 20;

/// How often a tree that differs is scanned again, and how long that waits each time: another
/// build may just be making its output folder in the source.
const RECHECKS: usize = 3;
const RECHECK_PAUSE: Duration = Duration::from_millis(50);

/// Every file of a folder but `.git`, the layouts that we wrote and the cache.
///
/// Members that no image can hold (named pipes, sockets, devices, names that are not UTF-8 or
/// begin with `.wh.`, unreadable files) are not among [`SourceTree::files`]; selecting one is
/// an error, ignoring it is fine.
#[derive(Clone, Debug)]
pub struct SourceTree {
    root: PathBuf,
    /// What was left out when it was opened.
    exclude: Vec<PathBuf>,
    files: Vec<TreeFile>,
    refused: Vec<(Vec<u8>, Refused)>,
}

/// One member of a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Path below the root.
    pub path: EntryPath,
    /// What it is.
    pub kind: TreeKind,
    /// SHA-256 of a file's bytes or of a link's target.
    pub digest: Digest,
    /// What a file was when its digest was taken, if its times were older than the scan: as
    /// long as it is still so, its bytes are those of the digest.
    pub stamp: Option<Stamp>,
}

/// Kinds of members of a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// A file of this many bytes, without any x bit.
    File(u64),
    /// A file of this many bytes, with an x bit.
    Executable(u64),
    /// A symbolic link with this target, verbatim: it may dangle or point outside.
    Symlink(String),
}

/// Which ignore files apply to one use of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Nothing is left out.
    All,
    /// `.gitignore` files inside the tree (git's semantics).
    GitIgnore,
    /// `.dockerignore` at the root (Docker's semantics).
    DockerIgnore,
}

enum Rules {
    All,
    Git(GitRules),
    Docker(DockerRules),
}

impl Rules {
    fn keeps(&mut self, path: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Git(rules) => rules.keeps(path),
            Self::Docker(rules) => rules.keeps(path),
        }
    }
}

impl SourceTree {
    /// Walks and hashes a folder. Left out are `.git` at any level, layouts that we wrote (see
    /// docs/concepts/caching.md), and the paths of `exclude` (the cache). With a store, the
    /// digests of unchanged files come from its stat cache.
    ///
    /// # Errors
    /// SRC-READ (the root), SRC-DEPTH, SRC-COUNT, SRC-CHANGED.
    pub fn open(
        root: &Path,
        exclude: &[PathBuf],
        store: Option<&Store>,
    ) -> Result<Self, SourceError> {
        let folder = walk::open_root(root)?;
        let cache = store.and_then(|store| StatCache::start(store, root));
        let clock = cache.as_ref().map(StatCache::clock);
        let scanned = scan(
            &folder,
            &walk::excluded_below(root, exclude),
            cache.as_ref(),
        )?;
        if let Some(cache) = cache {
            let new = scanned.iter().filter(|(found, _)| found.is_new());
            let learnt = new.filter(|(_, hashed)| hashed.is_some()).count();
            let sound = scanned.iter().filter_map(|(found, hashed)| {
                let (stat, digest) = hashed.as_ref()?.as_ref().ok()?;
                Some((found.path.as_slice(), stat, digest))
            });
            cache.finish(sound, learnt);
        }
        let mut tree = Self {
            root: root.to_owned(),
            exclude: exclude.to_vec(),
            files: Vec::with_capacity(scanned.len()),
            refused: Vec::new(),
        };
        for (Found { path, kind }, hashed) in scanned {
            let stamp = clock
                .as_ref()
                .and_then(|clock| stamp(clock, &kind, hashed.as_ref()));
            match member(&path, &kind, hashed) {
                Ok(file) => tree.files.push(TreeFile { stamp, ..file }),
                Err(refused) => tree.refused.push((path, refused)),
            }
        }
        Ok(tree)
    }

    /// Scans the folder again, and fails when its files are no longer those of this tree: for
    /// tools that read it after it was hashed.
    ///
    /// # Errors
    /// SRC-CHANGED with the files that differ; those of [`SourceTree::open`].
    pub fn recheck(&self, store: Option<&Store>) -> Result<(), SourceError> {
        let mut tries = RECHECKS;
        loop {
            let now = Self::open(&self.root, &self.exclude, store)?;
            let same = |a: &TreeFile, b: &TreeFile| {
                (&a.path, &a.kind, a.digest) == (&b.path, &b.kind, b.digest)
            };
            if now.files.len() == self.files.len()
                && now.files.iter().zip(&self.files).all(|(a, b)| same(a, b))
            {
                return Ok(());
            }
            tries -= 1;
            if tries == 0 {
                let listed = |tree: &Self| listing::listing(&Vec::from_iter(&tree.files));
                let changes = listing::changes(&listed(self), &listed(&now));
                return Err(SourceError::Moved { changes });
            }
            std::thread::sleep(RECHECK_PAUSE);
        }
    }

    /// The paths below the root of what was asked to be left out.
    pub(crate) fn left_out(&self) -> BTreeSet<Vec<u8>> {
        walk::excluded_below(&self.root, &self.exclude)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All members, sorted by path bytes.
    pub fn files(&self) -> &[TreeFile] {
        &self.files
    }

    /// One member.
    pub fn file(&self, path: &str) -> Option<&TreeFile> {
        let found = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        found.ok().and_then(|index| self.files.get(index))
    }

    /// The bytes of a file, at most `limit`; none when there is no such file.
    ///
    /// # Errors
    /// SRC-SYMLINK for a link, which is never followed; SRC-LIMIT; SRC-CHANGED when the bytes
    /// are no longer those that were hashed; SRC-READ; and those of [`SourceTree::select`].
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(file) = self.file(path) else {
            let refused = |(name, _): &&(Vec<u8>, Refused)| name == path.as_bytes();
            return match self.refused.iter().find(refused) {
                Some((_, why)) => Err(SourceError::Refused(Problems(vec![why.clone()]))),
                None => Ok(None),
            };
        };
        let shown = || file.path.to_string();
        match &file.kind {
            TreeKind::Symlink(target) => {
                return Err(SourceError::Link {
                    path: shown(),
                    target: escape(target.as_bytes()),
                });
            }
            TreeKind::File(size) | TreeKind::Executable(size) if *size > limit => {
                return Err(SourceError::Limit {
                    path: shown(),
                    size: *size,
                    limit,
                });
            }
            TreeKind::File(_) | TreeKind::Executable(_) => {}
        }
        let mut bytes = Vec::new();
        walk::open_beneath(&walk::open_root(&self.root)?, path.as_bytes())
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|source| SourceError::Read {
                path: shown(),
                source,
            })?;
        if Digest::of(&bytes) != file.digest {
            return Err(SourceError::Changed { path: shown() });
        }
        Ok(Some(bytes))
    }

    /// The members that a filter keeps and that are `under`, or lie under it (empty: all).
    ///
    /// # Errors
    /// Every member so selected that no image can hold, at once: SRC-SPECIAL, LAYER-PATH,
    /// LAYER-WHITEOUT, LAYER-TOO-LARGE, SRC-READ. SRC-IGNORE for a wrong `.dockerignore`.
    pub fn select(&self, under: &str, filter: Filter) -> Result<Vec<&TreeFile>, SourceError> {
        let mut rules = match filter {
            Filter::All => Rules::All,
            Filter::GitIgnore => Rules::Git(GitRules::of(self)?),
            Filter::DockerIgnore => Rules::Docker(DockerRules::of(self)?),
        };
        let under = under.trim_start_matches("./").trim_end_matches('/');
        let under = if under == "." { "" } else { under }.as_bytes();
        let mut wanted = |path: &[u8]| is_under(path, under) && rules.keeps(path);
        let mut problems: Vec<Refused> = self
            .refused
            .iter()
            .filter(|(path, _)| wanted(path))
            .map(|(_, why)| why.clone())
            .collect();
        if problems.len() > SHOWN_PROBLEMS {
            let more = problems.len() - SHOWN_PROBLEMS;
            problems.truncate(SHOWN_PROBLEMS);
            problems.push(Refused::More { more });
        }
        if !problems.is_empty() {
            return Err(SourceError::Refused(Problems(problems)));
        }
        let path = |file: &&TreeFile| wanted(file.path.as_str().as_bytes());
        Ok(self.files.iter().filter(path).collect())
    }

    /// The digest of a selection's canonical [`listing`](listing::listing).
    pub fn digest(&self, members: &[&TreeFile]) -> TreeDigest {
        TreeDigest(Digest::of(&listing::listing(members)))
    }
}

/// Whether a path is a folder of the tree or lies below it; an empty folder is the root.
pub(crate) fn is_under(path: &[u8], under: &[u8]) -> bool {
    under.is_empty()
        || path
            .strip_prefix(under)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Everything below a folder, sorted by path; files below [`FILE_LIMIT`] with their digests, from
/// the stat cache or from their bytes.
fn scan(
    folder: &OwnedFd,
    excluded: &BTreeSet<Vec<u8>>,
    cache: Option<&StatCache<'_>>,
) -> Result<Vec<(Found, Option<Hashed>)>, SourceError> {
    let reporter: &dyn Reporter = match &cache {
        Some(cache) => cache.reporter(),
        None => &Silent,
    };
    let meter = Meter::new(reporter, "hash the source", Some(0));
    let (found, hashed) = hash::while_finding(folder, &meter, |name| {
        walk::walk(folder, excluded, &mut |path, stat, device| {
            let known = cache.and_then(|cache| cache.digest(path, stat, device));
            if known.is_none() && stat.size < FILE_LIMIT {
                meter.expect(stat.size);
                name(path);
            }
            known
        })
    })?;
    let mut hashed = hashed.into_iter().peekable();
    let with_digest = found.into_iter().map(|found| {
        let fresh = hashed.next_if(|(path, _)| *path == found.path);
        let outcome = match (&found.kind, fresh) {
            (_, Some((_, outcome))) => Some(outcome),
            (FoundKind::File { stat, known, .. }, None) => known.map(|known| Ok((*stat, known))),
            _ => None,
        };
        (found, outcome)
    });
    Ok(with_digest.collect())
}

/// The stamp of a file whose times were older than the scan when it was hashed.
fn stamp(clock: &ScanClock, kind: &FoundKind, hashed: Option<&Hashed>) -> Option<Stamp> {
    let (FoundKind::File { device, .. }, Some(Ok((stat, _)))) = (kind, hashed) else {
        return None;
    };
    clock.settled(stat, *device).then_some(Stamp {
        mtime: (stat.mtime.0, stat.mtime.1),
        ctime: (stat.ctime.0, stat.ctime.1),
        inode: stat.inode,
    })
}

fn member(path: &[u8], kind: &FoundKind, hashed: Option<Hashed>) -> Result<TreeFile, Refused> {
    let shown = || escape(path);
    let unreadable = |source| Refused::Unreadable {
        path: shown(),
        source,
    };
    let name = EntryPath::from_bytes(path).map_err(|error| Refused::Name(Arc::new(error)))?;
    let (kind, digest) = match (kind, hashed) {
        (FoundKind::File { .. }, Some(Ok((stat, digest)))) => {
            let kind = if stat.executable() {
                TreeKind::Executable(stat.size)
            } else {
                TreeKind::File(stat.size)
            };
            (kind, digest)
        }
        (FoundKind::File { .. }, Some(Err(error))) => return Err(unreadable(Arc::new(error))),
        (FoundKind::File { stat, .. }, None) => {
            return Err(Refused::TooLarge {
                path: shown(),
                size: stat.size,
            });
        }
        (FoundKind::Symlink(target), _) => match std::str::from_utf8(target) {
            Ok(text) => (TreeKind::Symlink(text.to_owned()), Digest::of(target)),
            Err(_not_utf8) => return Err(Refused::Target { path: shown() }),
        },
        (FoundKind::Special(kind), _) => {
            return Err(Refused::Special {
                path: shown(),
                kind,
            });
        }
        (FoundKind::Unreadable(error), _) => return Err(unreadable(Arc::clone(error))),
    };
    Ok(TreeFile {
        path: name,
        kind,
        digest,
        stamp: None,
    })
}
