//! Files that appear whole or not at all.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::ImageError;

/// Writes a file beside `path`, syncs it and renames it to its place. A failure leaves nothing.
///
/// # Errors
/// The producer's, IMAGE-FULL, IMAGE-WRITE.
pub(super) fn place(
    path: &Path,
    produce: impl FnOnce(&mut std::fs::File) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut beside = tempfile::Builder::new()
        .prefix(".karisimbi-")
        // The umask still applies: the file is as readable as any other that the user writes.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|source| ImageError::write(path, source))?;
    produce(beside.as_file_mut())?;
    beside
        .as_file_mut()
        .flush()
        .and_then(|()| beside.as_file().sync_all())
        .map_err(|source| ImageError::write(path, source))?;
    beside
        .persist(path)
        .map_err(|error| ImageError::write(path, error.error))?;
    Ok(())
}

/// As [`place`], for bytes in memory.
pub(super) fn place_bytes(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    place(path, |file| {
        file.write_all(bytes)
            .map_err(|source| ImageError::write(path, source))
    })
}
