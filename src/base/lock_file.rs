//! bases.lock on disk: read as hostile, written whole or not at all.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::NamedTempFile;

use super::lock::{BasesLock, LOCK_VERSION, LockedBase};
use super::lock_check;
use super::lock_error::LockError;

/// The file's name.
pub const BASES_LOCK: &str = "bases.lock";

/// Locks of a dozen bases have 200 kB; what is larger is something else.
const LIMIT: u64 = 4 << 20;

/// Where the lock of a build is, and whether it is made when it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LockPlace {
    /// Nowhere: a clone whose files decide nothing.
    #[default]
    Nowhere,
    /// `--lock FILE`, or the one that a name carries: a bases.lock, which is made, or a build
    /// record, which is only read.
    Named(PathBuf),
    /// Beside a deployment.yaml: made when it is not there.
    Beside(PathBuf),
    /// At the root of a source without a deployment.yaml: never made, but kept up to date.
    Root(PathBuf),
    /// In a clone that is trusted: only read.
    Clone(PathBuf),
}

impl LockPlace {
    /// The file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Nowhere => None,
            Self::Named(path) | Self::Beside(path) | Self::Root(path) | Self::Clone(path) => {
                Some(path)
            }
        }
    }
}

/// A lock and the kind of file that held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub lock: BasesLock,
    /// Whether it may be rewritten.
    pub kind: Kind,
}

/// What kind of file holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bases.lock.
    Lock,
    /// A build record (`build --record`).
    Record,
}

/// The lock of one build.
#[derive(Clone, Debug, Default)]
pub struct LockUse {
    place: LockPlace,
    opened: Option<Opened>,
    access: Access,
}

/// Whether a build may change its lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Access {
    #[default]
    Write,
    Read,
}

impl LockUse {
    /// Reads what is at a place.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(place: LockPlace) -> Result<Self, LockError> {
        let opened = match place.path() {
            Some(path) => read(path)?,
            None => None,
        };
        Ok(Self {
            place,
            opened,
            access: Access::Write,
        })
    }

    /// The same lock, which is never written: `--locked`.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.access = Access::Read;
        self
    }

    /// Its place.
    pub fn place(&self) -> &LockPlace {
        &self.place
    }

    /// Whether there is a file.
    pub fn exists(&self) -> bool {
        self.opened.is_some()
    }

    /// The kind of the file, when there is one.
    pub fn kind(&self) -> Option<Kind> {
        self.opened.as_ref().map(|opened| opened.kind)
    }

    /// What a name stands for.
    pub fn entry(&self, name: &str) -> Option<&LockedBase> {
        self.opened.as_ref()?.lock.bases.get(name)
    }

    /// The names that it has.
    pub fn names(&self) -> Vec<String> {
        let opened = self.opened.iter();
        opened
            .flat_map(|opened| opened.lock.bases.keys().cloned())
            .collect()
    }

    /// Puts an entry into the file, where it may be written; yields the file that changed.
    ///
    /// # Errors
    /// BASE-LOCK-WRITE; what [`read`] says of a file that another process just wrote.
    pub fn keep(&self, name: &str, base: &LockedBase) -> Result<Option<PathBuf>, LockError> {
        let path = match &self.place {
            _ if self.access == Access::Read => return Ok(None),
            LockPlace::Named(path) if self.kind() != Some(Kind::Record) => path,
            LockPlace::Beside(path) => path,
            LockPlace::Root(path) if self.exists() => path,
            _ => return Ok(None),
        };
        if self.entry(name) == Some(base) {
            return Ok(None);
        }
        // Another build may have added its own base meanwhile, or be about to.
        let _alone = alone(path);
        let mut lock = read(path)?.map(|opened| opened.lock).unwrap_or_default();
        lock.bases.insert(name.to_owned(), base.clone());
        write(path, &lock)?;
        Ok(Some(path.clone()))
    }
}

/// What both kinds are told apart by.
#[derive(Deserialize)]
struct Head {
    version: u64,
    evidence: Option<serde::de::IgnoredAny>,
}

/// The part of a build record that is a lock.
#[derive(Deserialize)]
struct Record {
    bases: Option<BasesLock>,
}

/// Reads a lock or a build record; none when the file is not there.
///
/// # Errors
/// BASE-LOCK-READ, BASE-LOCK-INVALID, BASE-LOCK-VERSION.
pub fn read(path: &Path) -> Result<Option<Opened>, LockError> {
    let Some(text) = contents(path)? else {
        return Ok(None);
    };
    let invalid = |source| LockError::Json {
        path: path.to_owned(),
        source,
    };
    let head: Head = serde_json::from_slice(&text).map_err(invalid)?;
    if head.version != u64::from(LOCK_VERSION) {
        return Err(LockError::Version {
            path: path.to_owned(),
            version: head.version,
            known: LOCK_VERSION,
        });
    }
    let opened = if head.evidence.is_some() {
        let record: Record = serde_json::from_slice(&text).map_err(invalid)?;
        Opened {
            lock: record.bases.unwrap_or_default(),
            kind: Kind::Record,
        }
    } else {
        Opened {
            lock: serde_json::from_slice(&text).map_err(invalid)?,
            kind: Kind::Lock,
        }
    };
    lock_check::check(&opened.lock).map_err(|(place, problem)| LockError::Value {
        path: path.to_owned(),
        place,
        problem,
    })?;
    Ok(Some(opened))
}

fn contents(path: &Path) -> Result<Option<Vec<u8>>, LockError> {
    let failed = |source| LockError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Opening a fifo would wait for ever.
    if !metadata.is_file() {
        return Err(LockError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut text = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text))
        .map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(LockError::TooLarge {
            path: path.to_owned(),
            limit: LIMIT,
        });
    }
    Ok(Some(text))
}

/// The text of a lock: sorted keys, indented, one newline at its end.
///
/// # Errors
/// OUT-JSON: a bug of ours.
pub fn text(lock: &BasesLock) -> Result<String, LockError> {
    let encode = |source| LockError::Encode { source };
    // By way of a value, whose maps are sorted: the order of fields in a type is no promise.
    let value = serde_json::to_value(lock).map_err(encode)?;
    let text = serde_json::to_string_pretty(&value).map_err(encode)?;
    Ok(text + "\n")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The lock's folder, locked against other processes until it is dropped: that leaves no file
/// behind. None where the file system has no locks; what is wrong with the folder, writing tells.
fn alone(path: &Path) -> Option<std::fs::File> {
    let folder = fs_err::File::open(folder_of(path)).ok()?.into_file();
    folder.lock().ok()?;
    Some(folder)
}

/// Writes a lock beside its name and renames it; a file that says the same is left alone.
///
/// # Errors
/// BASE-LOCK-WRITE
pub fn write(path: &Path, lock: &BasesLock) -> Result<(), LockError> {
    let text = text(lock)?;
    let failed = |source| LockError::Write {
        path: path.to_owned(),
        source,
    };
    if let Ok(Some(found)) = contents(path)
        && found == text.as_bytes()
    {
        return Ok(());
    }
    let folder = folder_of(path);
    let place = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix(".karisimbi-")
            // The umask still applies: the file is as readable as any other of the user.
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = place().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
