//! Files that a command writes beside its images: each by one flag alone.

use std::path::{Path, PathBuf};

use super::SettingsError;
use crate::image::is_special;

/// A file that is written, and the flag that says so.
#[derive(Clone, Debug)]
pub struct Written {
    /// `--digest-file`, `--record` or `--output`
    pub flag: &'static str,
    /// As typed.
    pub path: PathBuf,
}

/// Refuses two flags that write the same file: the last one would win.
///
/// # Errors
/// USE-OUTPUT
pub fn apart(all: &[Written]) -> Result<(), SettingsError> {
    let mut seen: Vec<(PathBuf, &'static str)> = Vec::new();
    // Terminals, pipes and devices take one text after the other.
    for written in all.iter().filter(|written| !is_special(&written.path)) {
        let place = place(&written.path);
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == place) {
            return Err(SettingsError::OneFileTwice {
                path: written.path.clone(),
                first,
                second: written.flag,
            });
        }
        seen.push((place, written.flag));
    }
    Ok(())
}

/// The file itself, by whatever way it is named; a folder that is not there is refused later.
fn place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match (fs_err::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
