//! Mounting inside the container's root: at places that the image has, and at others.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
use rustix::fs::{self as sys, FileType};

use crate::run::tree::{Facts, Ownership, Tree, names};

/// More things than this are not mounted again to make room for one that is missing.
const MAX_BESIDE: usize = 4096;

/// No path.
pub(super) const NOTHING: Option<&Path> = None;

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Folder,
    File,
}

/// The root while it is put together.
pub(super) struct Root {
    path: PathBuf,
    pub(super) tree: Tree,
    /// Folders that got a small file system of their own, which is written only now.
    made: Vec<String>,
    /// The devices of these, and of those that stay writable: what is missing there is just made.
    fresh: Vec<u64>,
}

impl Root {
    /// The image's files, mounted over themselves so that they can't be written.
    pub(super) fn mount(path: &Path) -> io::Result<Self> {
        mount(Some(path), path, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        restrict(path, MsFlags::MS_RDONLY)?;
        Ok(Self {
            path: path.to_owned(),
            tree: Tree::open(path, Ownership::Ours)?,
            made: Vec::new(),
            fresh: Vec::new(),
        })
    }

    /// Where the root is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on places are made in the file system at a path, which the container writes, too.
    pub(super) fn add_writable(&mut self, path: &str) -> io::Result<()> {
        let handle = self.tree.handle(path)?.ok_or(io::ErrorKind::NotFound)?;
        self.fresh.push(sys::fstat(&handle)?.st_dev);
        Ok(())
    }

    /// A handle of a place for something of this shape, made when it is missing.
    pub(super) fn place(&mut self, path: &str, shape: Shape) -> io::Result<OwnedFd> {
        let path = path.trim_matches('/');
        if let Some(handle) = self.tree.handle(path)? {
            return of_shape(handle, shape);
        }
        let mut above = path;
        let mut existing = loop {
            above = above.rsplit_once('/').map_or("", |(above, _)| above);
            if let Some(handle) = self.tree.handle(above)? {
                break handle;
            }
        };
        existing = of_shape(existing, Shape::Folder)?;
        if !self.fresh.contains(&sys::fstat(&existing)?.st_dev) {
            self.make_room(above, &existing)?;
        }
        let facts = Facts::of_place(0o755);
        match shape {
            Shape::Folder => self.tree.add_folder(path, facts)?,
            Shape::File => self.tree.add_file(path, facts, (&mut io::empty(), 0))?,
        }
        let handle = self.tree.handle(path)?;
        handle.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Covers a folder with one that can be written and has all that it had.
    fn make_room(&mut self, path: &str, old: &OwnedFd) -> io::Result<()> {
        let beside = names(old)?;
        if beside.len() > MAX_BESIDE {
            return Err(io::Error::other(
                "the image has no such place, and too much lies beside it",
            ));
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_tmpfs(&link_of(old), flags, "mode=0755,size=4m")?;
        if path.is_empty() {
            self.tree = Tree::open(&self.path, Ownership::Ours)?;
        }
        let new = self.tree.handle(path)?;
        let new = new.ok_or(io::ErrorKind::NotFound)?;
        for name in beside {
            let stat = sys::statat(old, &name, sys::AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    sys::symlinkat(sys::readlinkat(old, &name, Vec::new())?, &new, &name)?;
                    continue;
                }
                FileType::Directory => sys::mkdirat(&new, &name, sys::Mode::RWXU)?,
                _ => drop(sys::openat(
                    &new,
                    &name,
                    sys::OFlags::CREATE | sys::OFlags::WRONLY | sys::OFlags::CLOEXEC,
                    sys::Mode::RUSR,
                )?),
            }
            bind(&link_of(old).join(&name), &link_of(&new).join(&name))?;
        }
        self.fresh.push(sys::fstat(&new)?.st_dev);
        self.made.push(path.to_owned());
        Ok(())
    }

    /// Nothing more is made.
    pub(super) fn seal(&self) -> io::Result<()> {
        for path in &self.made {
            let handle = self.tree.handle(path)?.ok_or(io::ErrorKind::NotFound)?;
            restrict(&link_of(&handle), MsFlags::MS_RDONLY)?;
        }
        Ok(())
    }
}

fn of_shape(handle: OwnedFd, shape: Shape) -> io::Result<OwnedFd> {
    let is_folder = FileType::from_raw_mode(sys::fstat(&handle)?.st_mode) == FileType::Directory;
    match (shape, is_folder) {
        (Shape::Folder, true) | (Shape::File, false) => Ok(handle),
        (Shape::Folder, false) => Err(io::ErrorKind::NotADirectory.into()),
        (Shape::File, true) => Err(io::ErrorKind::IsADirectory.into()),
    }
}

/// A path of what a handle is open on, whatever its name.
pub(super) fn link_of(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Mounts what is at a path, and what is mounted below it, at another.
pub(super) fn bind(source: &Path, place: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), place, NOTHING, flags, NOTHING)?)
}

/// Mounts an empty file system of the memory.
pub(super) fn mount_tmpfs(place: &Path, flags: MsFlags, options: &str) -> io::Result<()> {
    let kind = Some("tmpfs");
    Ok(mount(kind, place, kind, flags, Some(options))?)
}

/// Takes rights from a mount. Those that it lacks already are locked in a user namespace, and
/// must be named again.
pub(super) fn restrict(path: &Path, more: MsFlags) -> io::Result<()> {
    let mut flags =
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | more;
    let present = statvfs(path)?.flags();
    if present.contains(FsFlags::ST_RDONLY) {
        flags |= MsFlags::MS_RDONLY;
    }
    if present.contains(FsFlags::ST_NOEXEC) {
        flags |= MsFlags::MS_NOEXEC;
    }
    Ok(mount(NOTHING, path, NOTHING, flags, NOTHING)?)
}
