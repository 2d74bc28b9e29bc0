//! Which folders of a tree are images that we wrote: they are no part of it, else each build would
//! change the source of the next one.
//!
//! A repository may hold such a folder too, and a tool that builds in place sees what the tree
//! leaves out. So the mark alone hides nothing: only a layout in which nothing else can lie is left
//! out, and only with the `go.mod` that keeps go from importing and embedding what is in it.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};

use super::walk::{names, open_beneath};
use crate::store::{CACHEDIR_TAG, GO_MOD};

/// The one folder of a layout's blobs that we write.
const BLOBS: &str = "sha256";

/// Whether a folder is a layout that we wrote, with nothing else in it.
pub(super) fn is_output(folder: &OwnedFd, names: &[Vec<u8>]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name == wanted.as_bytes());
    has("oci-layout")
        && holds(folder, "CACHEDIR.TAG", CACHEDIR_TAG)
        && holds(folder, "go.mod", GO_MOD)
        && names.iter().all(|name| match name.as_slice() {
            b"blobs" => only_blobs(folder),
            b"oci-layout" | b"index.json" | b"CACHEDIR.TAG" | b"go.mod" | b".gitignore" => {
                is(folder, name, FileType::RegularFile)
            }
            // What another build is writing now, or left when it was killed.
            _ => name.starts_with(b".karisimbi-") && is(folder, name, FileType::RegularFile),
        })
}

/// Whether `blobs` holds nothing but files named by their digest.
fn only_blobs(layout: &OwnedFd) -> bool {
    let listed = |above: &OwnedFd, name: &str| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let below = openat(above, name, flags, Mode::empty()).ok()?;
        let names = names(below.as_fd()).ok()?;
        Some((below, names))
    };
    let Some((blobs, folders)) = listed(layout, "blobs") else {
        return false;
    };
    if folders.iter().any(|name| name != BLOBS.as_bytes()) {
        return false;
    }
    let Some((blobs, files)) = listed(&blobs, BLOBS) else {
        return folders.is_empty();
    };
    let is_digest = |name: &[u8]| {
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        name.len() == 64 && name.iter().all(hex)
    };
    files
        .iter()
        .all(|name| is_digest(name) && is(&blobs, name, FileType::RegularFile))
}

fn is(folder: &OwnedFd, name: &[u8], kind: FileType) -> bool {
    statat(folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}

/// Whether a file holds just this text.
fn holds(folder: &OwnedFd, name: &str, text: &str) -> bool {
    let mut found = Vec::new();
    let limit = text.len() as u64 + 1;
    open_beneath(folder, name.as_bytes())
        .and_then(|file| file.take(limit).read_to_end(&mut found))
        .is_ok()
        && found == text.as_bytes()
}
