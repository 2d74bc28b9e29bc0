//! A folder that hostile layers are unpacked into, through descriptors of its own directories.
//!
//! Every step opens or makes one component with `O_NOFOLLOW`; symbolic links are followed by hand
//! and end at the folder's root, as they would inside the container. Nothing needs `openat2`,
//! which seccomp profiles often deny.

mod walk;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self as sys, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::layer::Owner;

pub(crate) use walk::names;
use walk::{FOLDER, Folder, MAX_DEPTH, Missing, absent, kind_of, split, too_deep};

/// Bytes of the names that one layer wrote, links followed.
const MAX_NAMES: usize = 128 << 20;

/// Whose files the unpacked ones are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// As the layer says; only root can.
    Kept,
    /// All ours, and we can read and write them.
    Ours,
}

/// What an entry is besides its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Permission bits; set-id bits are dropped.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
}

impl Facts {
    /// Of a place that no layer has: root's, from 1970.
    pub(crate) fn of_place(mode: u32) -> Self {
        Self {
            mode,
            owner: Owner::ROOT,
            mtime: 0,
        }
    }
}

/// The folder.
pub(crate) struct Tree {
    root: OwnedFd,
    ownership: Ownership,
    /// The folder of the entry before: entries come folder by folder.
    last: Option<(String, Folder)>,
    /// Paths of the current layer, which its own whiteouts do not delete.
    written: BTreeSet<String>,
    names: usize,
}

impl Tree {
    /// Opens a folder that is there; links in `path` itself are the caller's.
    pub(crate) fn open(path: &Path, ownership: Ownership) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        Ok(Self {
            root: sys::open(path, flags, Mode::empty())?,
            ownership,
            last: None,
            written: BTreeSet::new(),
            names: 0,
        })
    }

    /// A new layer begins.
    pub(crate) fn next_layer(&mut self) {
        self.written.clear();
        self.names = 0;
    }

    /// Makes a directory, or gives the present one these facts.
    pub(crate) fn add_folder(&mut self, path: &str, facts: Facts) -> io::Result<()> {
        if path.is_empty() {
            let root = sys::openat(&self.root, ".", FOLDER, Mode::empty())?;
            return self.finish_folder(&root, facts);
        }
        let (folder, name) = self.place(path)?;
        if folder.path.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        match sys::mkdirat(&folder.fd, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) if kind_of(&folder.fd, name)? == Some(FileType::Directory) => {}
            Err(Errno::EXIST) => {
                self.clear(&folder, name)?;
                sys::mkdirat(&folder.fd, name, Mode::RWXU)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        let made = sys::openat(&folder.fd, name, FOLDER, Mode::empty())?;
        self.finish_folder(&made, facts)?;
        self.remember(folder, path)
    }

    /// Writes a regular file of exactly `size` bytes.
    pub(crate) fn add_file(
        &mut self,
        path: &str,
        facts: Facts,
        content: (&mut dyn Read, u64),
    ) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.clear(&folder, name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::openat(&folder.fd, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = std::fs::File::from(fd);
        let (reader, size) = content;
        copy_exactly(reader, &mut file, size)?;
        if self.ownership == Ownership::Kept {
            sys::fchown(&file, Some(uid(facts.owner)), Some(gid(facts.owner)))?;
        }
        let floor = self.floor(0o600);
        sys::fchmod(&file, Mode::from_raw_mode(facts.mode & 0o777 | floor))?;
        sys::futimens(&file, &times(facts.mtime))?;
        self.remember(folder, path)
    }

    /// Makes a symbolic link with this target, whatever it is.
    pub(crate) fn add_link(&mut self, path: &str, target: &str, facts: Facts) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.clear(&folder, name)?;
        sys::symlinkat(target, &folder.fd, name)?;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if self.ownership == Ownership::Kept {
            let (user, group) = (uid(facts.owner), gid(facts.owner));
            sys::chownat(&folder.fd, name, Some(user), Some(group), nofollow)?;
        }
        sys::utimensat(&folder.fd, name, &times(facts.mtime), nofollow)?;
        self.remember(folder, path)
    }

    /// Gives the file or link at `target` another name.
    pub(crate) fn add_hard_link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let (parent, target_name) = split(target);
        let from = self.walk(parent, Missing::Refuse)?;
        match kind_of(&from.fd, target_name)? {
            Some(FileType::RegularFile | FileType::Symlink) => {}
            Some(_) => return Err(io::Error::other("it is a hard link to no file")),
            None => return Err(Errno::NOENT.into()),
        }
        let (folder, name) = self.place(path)?;
        if folder.child(name) == from.child(target_name) {
            // A link to itself, which tar writers make of nothing.
            self.last = Some((split(path).0.to_owned(), folder));
            return Ok(());
        }
        self.clear(&folder, name)?;
        // Not followed: a link is linked, never what it points to.
        sys::linkat(&from.fd, target_name, &folder.fd, name, AtFlags::empty())?;
        self.remember(folder, path)
    }

    /// Deletes what layers below have at a path.
    pub(crate) fn whiteout(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        if matches!(name, "" | "." | "..") {
            return Err(io::Error::other("it deletes a folder above"));
        }
        match self.walk(parent, Missing::Refuse) {
            Ok(folder) => self.delete_lower(&folder.fd, name, &folder.child(name)),
            // There is nothing to delete below what is not there.
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes what layers below have in a directory.
    pub(crate) fn opaque(&mut self, path: &str) -> io::Result<()> {
        let folder = match self.walk(path, Missing::Refuse) {
            Ok(folder) => folder,
            Err(error) if absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in names(&folder.fd)? {
            self.delete_lower(&folder.fd, &name, &folder.child(&name))?;
        }
        Ok(())
    }

    fn delete_lower(&mut self, folder: &OwnedFd, name: &str, path: &str) -> io::Result<()> {
        self.last = None;
        let below = format!("{path}/");
        let keeps_below = self
            .written
            .range(below.clone()..)
            .next()
            .is_some_and(|written| written.starts_with(&below));
        let is_folder = kind_of(folder, name)? == Some(FileType::Directory);
        if is_folder && (keeps_below || self.written.contains(path)) {
            let inner = sys::openat(folder, name, FOLDER, Mode::empty())?;
            for child in names(&inner)? {
                self.delete_lower(&inner, &child, &format!("{path}/{child}"))?;
            }
            return Ok(());
        }
        if self.written.contains(path) {
            return Ok(());
        }
        remove(folder, name)
    }

    /// The folder that an entry lies in, made where it is missing, and the entry's last name.
    fn place<'p>(&mut self, path: &'p str) -> io::Result<(Folder, &'p str)> {
        let (parent, name) = split(path);
        if matches!(name, "" | "." | "..") {
            return Err(io::Error::other("it has no name of its own"));
        }
        match self.last.take() {
            Some((known, folder)) if known == parent => Ok((folder, name)),
            _ => Ok((self.walk(parent, Missing::Create)?, name)),
        }
    }

    fn remember(&mut self, folder: Folder, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        let written = folder.child(name);
        self.names += written.len();
        if self.names > MAX_NAMES {
            return Err(io::Error::other("its names are too many"));
        }
        self.written.insert(written);
        self.last = Some((parent.to_owned(), folder));
        Ok(())
    }

    /// Removes what is at the place of an entry that is no directory.
    fn clear(&mut self, folder: &Folder, name: &str) -> io::Result<()> {
        self.last = None;
        remove(&folder.fd, name)
    }

    fn finish_folder(&self, folder: &OwnedFd, facts: Facts) -> io::Result<()> {
        if self.ownership == Ownership::Kept {
            sys::fchown(folder, Some(uid(facts.owner)), Some(gid(facts.owner)))?;
        }
        let mode = facts.mode & 0o1777 | self.floor(0o700);
        Ok(sys::fchmod(folder, Mode::from_raw_mode(mode))?)
    }

    /// Bits that we need where the files are ours.
    fn floor(&self, bits: u32) -> u32 {
        match self.ownership {
            Ownership::Kept => 0,
            Ownership::Ours => bits,
        }
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree")
            .field("ownership", &self.ownership)
            .finish_non_exhaustive()
    }
}

/// Removes a name and all below it; nothing there is fine.
fn remove(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match sys::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    let inner = sys::openat(folder, name, FOLDER, Mode::empty())?;
    for child in names(&inner)? {
        remove(&inner, &child)?;
    }
    Ok(sys::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// Copies exactly `size` bytes. Sparse files show none of theirs.
fn copy_exactly(reader: &mut dyn Read, out: &mut dyn Write, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut reader.take(size), out)?;
    if copied == size {
        return Ok(());
    }
    Err(io::Error::other(
        "it is a sparse file, which images must not hold",
    ))
}

fn times(mtime: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn uid(owner: Owner) -> Uid {
    Uid::from_raw(owner.uid)
}

fn gid(owner: Owner) -> Gid {
    Gid::from_raw(owner.gid)
}
