//! Source files, opened so that nothing but a regular file is ever read.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::LayerError;
use super::entry::{Stamp, escape};
use super::header::TOO_LARGE;

/// An open file and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) file: File,
    shown: String,
    size: u64,
    before: Stat,
}

impl SourceFile {
    /// Opens a file of `size` bytes.
    pub(crate) fn open(path: &Path, size: u64) -> Result<Self, LayerError> {
        let shown = escape(path.as_os_str().as_bytes());
        // NONBLOCK: else opening a fifo waits for its writer.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(errno) => return Err(refused(path, shown, size, errno)),
        };
        let before = rustix::fs::fstat(&file).map_err(|errno| unreadable(&shown, errno.into()))?;
        match FileType::from_raw_mode(before.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(unreadable(&shown, Errno::ISDIR.into())),
            kind => {
                return Err(LayerError::Special {
                    path: shown,
                    kind: name(kind),
                });
            }
        }
        if before.st_mode & 0o6000 != 0 {
            return Err(LayerError::SetId {
                path: shown,
                mode: before.st_mode & 0o7777,
            });
        }
        let found = u64::try_from(before.st_size).unwrap_or(0);
        let largest = found.max(size);
        if largest >= TOO_LARGE {
            return Err(LayerError::TooLarge {
                path: shown,
                size: largest,
            });
        }
        let file = Self {
            file,
            shown,
            size,
            before,
        };
        if found != size {
            return Err(file.changed(format!("{found} found")));
        }
        Ok(file)
    }

    /// What it was when it was opened.
    pub(crate) fn stamp(&self) -> Stamp {
        let moment =
            |seconds, nanoseconds| (seconds, u32::try_from(nanoseconds).unwrap_or(u32::MAX));
        Stamp {
            mtime: moment(self.before.st_mtime, self.before.st_mtime_nsec),
            ctime: moment(self.before.st_ctime, self.before.st_ctime_nsec),
            inode: self.before.st_ino,
        }
    }

    /// Fails when the file's size or times have moved since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), LayerError> {
        let after = rustix::fs::fstat(&self.file).map_err(|errno| self.unreadable(errno.into()))?;
        let moved = |stat: &Stat| {
            (
                stat.st_size,
                (stat.st_mtime, stat.st_mtime_nsec),
                (stat.st_ctime, stat.st_ctime_nsec),
            )
        };
        if moved(&self.before) == moved(&after) {
            Ok(())
        } else {
            Err(self.changed(format!("{} now, with other times", after.st_size)))
        }
    }

    pub(crate) fn changed(&self, found: String) -> LayerError {
        LayerError::Changed {
            path: self.shown.clone(),
            expected: self.size,
            found,
        }
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> LayerError {
        unreadable(&self.shown, source)
    }
}

/// LAYER-READ with the uid of this process, since that decides what it may read.
pub(crate) fn unreadable(path: &str, source: io::Error) -> LayerError {
    LayerError::Read {
        path: path.to_owned(),
        uid: rustix::process::geteuid().as_raw(),
        source,
    }
}

fn refused(path: &Path, shown: String, size: u64, errno: Errno) -> LayerError {
    // The kernel's answers for a link (ELOOP) and for a socket or a device without driver (ENXIO).
    if matches!(errno, Errno::LOOP | Errno::NXIO | Errno::NODEV)
        && let Ok(stat) = rustix::fs::lstat(path)
    {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return LayerError::Changed {
                path: shown,
                expected: size,
                found: "a symbolic link found".to_owned(),
            };
        }
        return LayerError::Special {
            path: shown,
            kind: name(kind),
        };
    }
    unreadable(&shown, errno.into())
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}
