//! Files that appear whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

use super::ImageError;

/// How the names of files begin that are being written.
pub(super) const UNFINISHED: &str = ".karisimbi-";

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Whether a path is a device, a pipe or an open file of the process such as `/dev/stdout`: these
/// are written to, never replaced.
pub(crate) fn is_special(path: &Path) -> bool {
    let kept = path.starts_with("/dev") || path.starts_with("/proc");
    // A link is followed: `/dev/stdout` is one, and may lead to a file.
    fs_err::metadata(path).is_ok_and(|found| !found.is_dir() && (kept || !found.is_file()))
}

/// Opens a special file for writing; a file behind `/dev/stdout` keeps what it holds.
///
/// # Errors
/// The system's.
pub(super) fn open_special(path: &Path) -> io::Result<fs_err::File> {
    fs_err::OpenOptions::new().append(true).open(path)
}

/// Writes a file in `folder`, syncs it and renames it to `path` on the same file system. A failure
/// leaves nothing; what a killed process leaves is removed by [`sweep`].
///
/// # Errors
/// The producer's, IMAGE-FULL, IMAGE-WRITE.
pub(super) fn place(
    folder: &Path,
    path: &Path,
    produce: impl FnOnce(&mut std::fs::File) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    finished(folder, path, produce)?
        .persist(path)
        .map_err(|error| ImageError::write(path, error.error))?;
    Ok(())
}

/// As [`place`], for bytes in memory.
pub(super) fn place_bytes(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    place(folder, path, |file| all(file, path, bytes))
}

/// As [`place_bytes`], but a file that is there already stays: whoever locked it keeps the lock
/// that all others wait for.
pub(super) fn place_new(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let file = finished(folder, path, |file| all(file, path, bytes))?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
            Err(ImageError::write(path, error.error))
        }
        _ => Ok(()),
    }
}

fn all(file: &mut std::fs::File, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    file.write_all(bytes)
        .map_err(|source| ImageError::write(path, source))
}

fn finished(
    folder: &Path,
    path: &Path,
    produce: impl FnOnce(&mut std::fs::File) -> Result<(), ImageError>,
) -> Result<NamedTempFile, ImageError> {
    let failed = |source| ImageError::write(path, source);
    let mut file = unfinished(folder).map_err(failed)?;
    produce(file.as_file_mut())?;
    file.as_file_mut()
        .flush()
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    Ok(file)
}

/// A new file that is locked as long as it is open, which keeps [`sweep`] away from it.
fn unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            // The umask still applies: the file is as readable as any other of the user.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        file.as_file().lock()?;
        // Swept between its creation and its lock.
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Removes what killed processes left in a folder of ours: unfinished files that nobody locks.
///
/// # Errors
/// When the folder can't be listed; a file that can't be removed stays.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = super::regular::open_file(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            // Another sweeper may have been faster.
            let _gone = fs_err::remove_file(&path);
        }
    }
    Ok(())
}
