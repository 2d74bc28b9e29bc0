//! Walks a folder through file descriptors: no link is followed, nothing outside is reached,
//! and paths longer than the system allows are no problem.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::SourceError;
use super::outputs::is_output;
use crate::digest::Digest;
use crate::layer::entry::escape;

/// Folders above a file, at most. Real trees stay below 40; each level holds one descriptor.
pub const MAX_DEPTH: usize = 200;
/// Bytes of a path below the root, at most (Linux's `PATH_MAX`).
pub const MAX_PATH: usize = 4096;
/// Members of a tree, at most: bounds the memory for a hostile or mistaken root.
pub const MAX_FILES: usize = 2_000_000;

/// What the kernel says of a file: all that decides whether it may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStat {
    pub(super) size: u64,
    pub(super) mtime: Moment,
    pub(super) ctime: Moment,
    pub(super) inode: u64,
    pub(super) mode: u32,
}

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64, pub(super) u32);

impl FileStat {
    pub(super) fn executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "sizes are not negative, nanoseconds stay below 10^9"
)]
impl From<&Stat> for FileStat {
    fn from(stat: &Stat) -> Self {
        Self {
            size: stat.st_size as u64,
            mtime: Moment(stat.st_mtime, stat.st_mtime_nsec as u32),
            ctime: Moment(stat.st_ctime, stat.st_ctime_nsec as u32),
            inode: stat.st_ino,
            mode: stat.st_mode,
        }
    }
}

/// One thing that was met.
#[derive(Debug)]
pub(super) struct Found {
    /// Path below the root: any bytes but NUL.
    pub(super) path: Vec<u8>,
    pub(super) kind: FoundKind,
}

#[derive(Debug)]
pub(super) enum FoundKind {
    File {
        stat: FileStat,
        device: u64,
        /// The digest that was known of it when it was met.
        known: Option<Digest>,
    },
    Symlink(Vec<u8>),
    Special(&'static str),
    Unreadable(Arc<io::Error>),
}

impl Found {
    /// Whether it is a file of which nothing was known.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.kind, FoundKind::File { known: None, .. })
    }
}

impl FoundKind {
    fn unreadable(error: impl Into<io::Error>) -> Self {
        Self::Unreadable(Arc::new(error.into()))
    }
}

/// Hears of each file as it is met: its path, its stat, its device. Says what digest is known of it.
pub(super) type Meet<'a> = dyn FnMut(&[u8], &FileStat, u64) -> Option<Digest> + 'a;

struct Walk<'a, 'm> {
    excluded: &'a BTreeSet<Vec<u8>>,
    meet: &'a mut Meet<'m>,
    found: Vec<Found>,
}

/// The root of a tree, opened.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd, SourceError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty()).map_err(|errno| SourceError::Read {
        path: root.display().to_string(),
        source: errno.into(),
    })
}

/// Everything below the root but `.git`, our own outputs and `excluded`, sorted by path bytes.
pub(super) fn walk(
    root: &OwnedFd,
    excluded: &BTreeSet<Vec<u8>>,
    meet: &mut Meet<'_>,
) -> Result<Vec<Found>, SourceError> {
    let mut walk = Walk {
        excluded,
        meet,
        found: Vec::new(),
    };
    let mut path = Vec::new();
    let names = names(root.as_fd()).map_err(|source| SourceError::Read {
        path: ".".to_owned(),
        source,
    })?;
    walk.folder(root, &names, &mut path, 0)?;
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.found)
}

impl Walk<'_, '_> {
    fn folder(
        &mut self,
        folder: &OwnedFd,
        names: &[Vec<u8>],
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), SourceError> {
        let length = path.len();
        for name in names {
            if name == b".git" {
                continue;
            }
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            if path.len() > MAX_PATH || depth > MAX_DEPTH {
                return Err(SourceError::Depth { path: escape(path) });
            }
            if !self.excluded.contains(path.as_slice()) {
                self.member(folder, name, path, depth)?;
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn member(
        &mut self,
        folder: &OwnedFd,
        name: &[u8],
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), SourceError> {
        let name = OsStr::from_bytes(name);
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Removed since the folder was listed.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return self.keep(path, FoundKind::unreadable(errno)),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.enter(folder, name, path, depth),
            FileType::RegularFile => {
                let (device, stat) = (stat.st_dev, FileStat::from(&stat));
                let known = (self.meet)(path, &stat, device);
                FoundKind::File {
                    stat,
                    device,
                    known,
                }
            }
            FileType::Symlink => match readlinkat(folder, name, Vec::new()) {
                Ok(target) => FoundKind::Symlink(target.into_bytes()),
                Err(errno) => FoundKind::unreadable(errno),
            },
            FileType::Fifo => FoundKind::Special("named pipe"),
            FileType::Socket => FoundKind::Special("socket"),
            FileType::CharacterDevice => FoundKind::Special("character device"),
            FileType::BlockDevice => FoundKind::Special("block device"),
            FileType::Unknown => FoundKind::Special("file of an unknown kind"),
        };
        self.keep(path, kind)
    }

    fn enter(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), SourceError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(folder, name, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|below| names(below.as_fd()).map(|names| (below, names)));
        match opened {
            Ok((below, names)) if is_output(&below, &names) => Ok(()),
            Ok((below, names)) => self.folder(&below, &names, path, depth + 1),
            Err(error) => self.keep(path, FoundKind::unreadable(error)),
        }
    }

    fn keep(&mut self, path: &[u8], kind: FoundKind) -> Result<(), SourceError> {
        if self.found.len() >= MAX_FILES {
            return Err(SourceError::Count);
        }
        self.found.push(Found {
            path: path.to_owned(),
            kind,
        });
        Ok(())
    }
}

/// The names in a folder, sorted.
pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_bytes().to_owned());
        }
    }
    // So that the first problem named is the same everywhere.
    names.sort();
    Ok(names)
}

/// Opens a file below `root` for reading. No component may be a link; a named pipe that took
/// the file's place does not block.
pub(super) fn open_beneath(root: &OwnedFd, path: &[u8]) -> io::Result<File> {
    let last = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    open_each(root, path, last).map(File::from)
}

/// Opens a folder below `root` for opening what is in it; no component may be a link.
pub(super) fn open_folder_beneath(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    open_each(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

fn open_each(root: &OwnedFd, path: &[u8], last: OFlags) -> io::Result<OwnedFd> {
    let mut components = path.split(|byte| *byte == b'/').peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(name) = components.next() {
        let flags = match components.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY,
            None => last,
        };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let above = folder.as_ref().unwrap_or(root);
        folder = Some(openat(
            above,
            OsStr::from_bytes(name),
            flags,
            Mode::empty(),
        )?);
    }
    folder.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The paths below `root` of those `excluded` that lie there.
pub(super) fn excluded_below(root: &Path, excluded: &[PathBuf]) -> BTreeSet<Vec<u8>> {
    let Ok(root) = fs_err::canonicalize(root) else {
        return BTreeSet::new(); // Opening the root says why.
    };
    excluded
        .iter()
        // What does not exist needs no exclusion.
        .filter_map(|path| fs_err::canonicalize(path).ok())
        .filter_map(|path| {
            Some(
                path.strip_prefix(&root)
                    .ok()?
                    .as_os_str()
                    .as_bytes()
                    .to_owned(),
            )
        })
        .filter(|below| !below.is_empty())
        .collect()
}
