//! Files that appear whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::ImageError;

/// Writes a file beside `path`, syncs it and renames it to its place. A failure leaves nothing.
///
/// # Errors
/// The producer's, IMAGE-FULL, IMAGE-WRITE.
pub(super) fn place(
    path: &Path,
    produce: impl FnOnce(&mut std::fs::File) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    beside(path, produce)?
        .persist(path)
        .map_err(|error| ImageError::write(path, error.error))?;
    Ok(())
}

/// As [`place`], for bytes in memory.
pub(super) fn place_bytes(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    place(path, |file| all(file, path, bytes))
}

/// As [`place_bytes`], but a file that is there already stays: whoever locked it keeps the lock
/// that all others wait for.
pub(super) fn place_new(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let file = beside(path, |file| all(file, path, bytes))?;
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

fn beside(
    path: &Path,
    produce: impl FnOnce(&mut std::fs::File) -> Result<(), ImageError>,
) -> Result<NamedTempFile, ImageError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".karisimbi-")
        // The umask still applies: the file is as readable as any other that the user writes.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|source| ImageError::write(path, source))?;
    produce(file.as_file_mut())?;
    file.as_file_mut()
        .flush()
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| ImageError::write(path, source))?;
    Ok(file)
}
