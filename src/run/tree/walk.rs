//! Finding places in a tree: links are followed by hand, and end at the root.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Tree;
use crate::image::links::LINK_LIMIT;

/// Folders inside folders; deeper ones only fill descriptors.
pub(super) const MAX_DEPTH: usize = 200;
pub(super) const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What happens when a folder on the way is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made.
    Create,
    /// It is an error.
    Refuse,
}

/// An open folder, and where it really is.
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) path: Vec<String>,
}

impl Folder {
    pub(super) fn child(&self, name: &str) -> String {
        let mut path = self.path.join("/");
        if !path.is_empty() {
            path.push('/');
        }
        path + name
    }
}

impl Tree {
    /// The folder at a path, links followed inside the root.
    pub(crate) fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        Ok(self.walk(path, Missing::Refuse)?.fd)
    }

    /// A handle of what is at a path, links followed inside the root; none when nothing is.
    pub(crate) fn handle(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        match self.walk(path, Missing::Refuse) {
            Ok(folder) => return Ok(Some(folder.fd)),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.last_link(path, |folder, name| {
            sys::openat(folder, name, flags, Mode::empty())
        })
    }

    /// Follows links until `open` is called for something that is none.
    fn last_link(
        &self,
        path: &str,
        open: impl Fn(&OwnedFd, &str) -> Result<OwnedFd, Errno>,
    ) -> io::Result<Option<OwnedFd>> {
        let mut path = path.trim_end_matches('/').to_owned();
        for _ in 0..LINK_LIMIT {
            let (parent, name) = split(&path);
            let folder = match self.walk(parent, Missing::Refuse) {
                Ok(folder) => folder,
                Err(error) if absent(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            match kind_of(&folder.fd, name)? {
                None => return Ok(None),
                Some(FileType::Symlink) => {
                    let target = link(&folder.fd, name)?;
                    path = match target.strip_prefix('/') {
                        Some(absolute) => absolute.to_owned(),
                        None => folder.child(&target),
                    };
                }
                Some(_) => return Ok(Some(open(&folder.fd, name)?)),
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Opens a file for reading, links followed inside the root; none when there is no regular
    /// file.
    pub(crate) fn read(&self, path: &str) -> io::Result<Option<std::fs::File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = self.last_link(path, |folder, name| {
            sys::openat(folder, name, flags, Mode::empty())
        })?;
        let Some(fd) = opened else { return Ok(None) };
        let file = std::fs::File::from(fd);
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// What is at a path, the last component not followed.
    pub(crate) fn kind(&self, path: &str) -> io::Result<Option<FileType>> {
        let (parent, name) = split(path);
        let folder = match self.walk(parent, Missing::Refuse) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        kind_of(&folder.fd, name)
    }

    pub(super) fn walk(&self, path: &str, missing: Missing) -> io::Result<Folder> {
        let mut pending: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut at = self.start()?;
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at.path.pop();
                    at = self.reopen(at.path)?;
                    continue;
                }
                _ => {}
            }
            match sys::openat(&at.fd, &name, FOLDER | OFlags::PATH, Mode::empty()) {
                Ok(fd) => at.enter(fd, name)?,
                Err(Errno::NOENT) if missing == Missing::Create => {
                    let mode = Mode::from_raw_mode(0o755);
                    sys::mkdirat(&at.fd, &name, mode)?;
                    let fd = sys::openat(&at.fd, &name, FOLDER, Mode::empty())?;
                    // Whatever the umask is.
                    sys::fchmod(&fd, mode)?;
                    at.enter(fd, name)?;
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(Errno::LOOP.into());
                    }
                    let target = link(&at.fd, &name)?;
                    if target.starts_with('/') {
                        at = self.start()?;
                    }
                    for part in target.rsplit('/') {
                        pending.push_front(part.to_owned());
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(at)
    }

    fn start(&self) -> io::Result<Folder> {
        Ok(Folder {
            fd: self.root.try_clone()?,
            path: Vec::new(),
        })
    }

    fn reopen(&self, path: Vec<String>) -> io::Result<Folder> {
        let mut at = self.start()?;
        for name in path {
            let fd = sys::openat(&at.fd, &name, FOLDER | OFlags::PATH, Mode::empty())?;
            at.enter(fd, name)?;
        }
        Ok(at)
    }
}

impl Folder {
    pub(super) fn enter(&mut self, fd: OwnedFd, name: String) -> io::Result<()> {
        if self.path.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.fd = fd;
        self.path.push(name);
        Ok(())
    }
}

pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn too_deep() -> io::Error {
    io::Error::other(format!("its folders are nested more than {MAX_DEPTH} deep"))
}

pub(super) fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The target of a link; what is none is no folder on a path either.
fn link(folder: &OwnedFd, name: &str) -> io::Result<String> {
    match sys::readlinkat(folder, name, Vec::new()) {
        Ok(target) => Ok(target.to_string_lossy().into_owned()),
        Err(Errno::INVAL) => Err(Errno::NOTDIR.into()),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) fn kind_of(folder: &OwnedFd, name: &str) -> io::Result<Option<FileType>> {
    match sys::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(crate) fn names(folder: impl AsFd) -> io::Result<Vec<String>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    // A handle by O_PATH alone lists nothing.
    let listed = sys::openat(folder, ".", FOLDER, Mode::empty())?;
    for entry in sys::Dir::new(listed)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
