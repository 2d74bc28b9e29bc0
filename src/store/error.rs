//! The errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{AnyError, Coded, Exit};
use crate::layer::LayerError;
use crate::progress::human_bytes;

/// Why the store can't be used. Damage inside it is never one of these: it is a CACHE-CORRUPT
/// warning and a miss.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum StoreError {
    #[error("no space left in {}: {} needed so far, {} free", path.display(), human_bytes(*needed), human_bytes(*free))]
    Full {
        path: PathBuf,
        needed: u64,
        free: u64,
        source: io::Error,
    },
    #[error("the cache folder {} can't be written", path.display())]
    Denied { path: PathBuf, source: io::Error },
    #[error("can't use {} in the cache folder", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds {name:?} and is not a cache of karisimbi", path.display())]
    Foreign { path: PathBuf, name: String },
    #[error("{name:?} can't name a folder of the cache")]
    Name { name: String },
}

impl StoreError {
    /// Tells full disks and refused writes from other failures. `needed` is the number of
    /// bytes that were to be written so far.
    pub(super) fn explain(path: &Path, needed: u64, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            _ if is_full(&source) => Self::Full {
                free: free_bytes(&path),
                path,
                needed,
                source,
            },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// Whether a disk or a quota is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Bytes that an unprivileged process may still write below `path`; 0 when nobody can say.
fn free_bytes(path: &Path) -> u64 {
    path.ancestors()
        .find_map(|existing| rustix::fs::statvfs(existing).ok())
        .map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "STORE-FULL",
            Self::Denied { .. } => "STORE-DENIED",
            Self::Io { .. } => "STORE-IO",
            Self::Foreign { .. } => "STORE-FOREIGN",
            Self::Name { .. } => "STORE-USE",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Foreign { .. } => Exit::Usage,
            Self::Name { .. } => Exit::Bug,
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Full { .. } => "free space, or run: karisimbi cache prune --max-size 1GB",
            Self::Denied { .. } => "name a folder that you may write: --cache-dir DIR",
            Self::Io { .. } => "check the file system, or use another folder: --cache-dir DIR",
            Self::Foreign { .. } => {
                "name a folder of its own, which may be absent or empty: --cache-dir DIR"
            }
            Self::Name { .. } => "this is a bug in karisimbi; please report it with the command",
        };
        Some(hint.to_owned())
    }
}

impl From<StoreError> for LayerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full {
                path,
                needed,
                free,
                source,
            } => Self::StoreFull {
                path,
                needed,
                free,
                source,
            },
            other => Self::Source(AnyError::from(other)),
        }
    }
}
