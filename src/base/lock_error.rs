//! The errors of bases.lock.

use std::io;
use std::path::PathBuf;

use crate::error::{Coded, Exit};

/// Why a lock can't be used, or does not allow a build.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum LockError {
    #[error("{path}: can't be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: there is no such file")]
    Missing { path: PathBuf },
    #[error("{path}: is no regular file")]
    NotAFile { path: PathBuf },
    #[error("{path}: has more than {limit} bytes")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{path}: is no bases.lock and no build record")]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{path}: has version {version}; this program reads version {known}")]
    Version {
        path: PathBuf,
        version: u64,
        known: u32,
    },
    #[error("{path}: {place}: {problem}")]
    Value {
        path: PathBuf,
        place: String,
        problem: String,
    },
    #[error("--locked: {name} is to be taken from a bases.lock, and {}", absent(.place.as_ref()))]
    Absent {
        name: String,
        place: Option<PathBuf>,
    },
    #[error("--locked: {path} does not fit: {reason}")]
    Stale { path: PathBuf, reason: String },
    #[error("{path} is a build record and does not fit: {reason}")]
    Record { path: PathBuf, reason: String },
    #[error("{path}: holds no base {name}; it has {}", listed(.present))]
    NoBase {
        path: PathBuf,
        name: String,
        present: Vec<String>,
    },
    #[error(
        "base {base}, layer {layer} ({platform}) was assembled with other bytes than bases.lock says\n  \
         locked    {locked}\n  assembled {found}"
    )]
    Drift {
        base: String,
        layer: String,
        platform: String,
        locked: String,
        found: String,
    },
    #[error("{path}: can't be written")]
    Write { path: PathBuf, source: io::Error },
    #[error("can't encode a bases.lock")]
    Encode { source: serde_json::Error },
}

fn absent(place: Option<&PathBuf>) -> String {
    match place {
        Some(path) => format!("{} is not there", path.display()),
        None => "there is none for this source".to_owned(),
    }
}

fn listed(present: &[String]) -> String {
    if present.is_empty() {
        return "none".to_owned();
    }
    present.join(", ")
}

impl Coded for LockError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Missing { .. } | Self::NotAFile { .. } => "BASE-LOCK-READ",
            Self::TooLarge { .. } | Self::Json { .. } | Self::Value { .. } => "BASE-LOCK-INVALID",
            Self::Version { .. } => "BASE-LOCK-VERSION",
            Self::Absent { .. } | Self::NoBase { .. } => "BASE-LOCK-ABSENT",
            Self::Stale { .. } | Self::Record { .. } => "BASE-LOCK-STALE",
            Self::Drift { .. } => "BASE-DRIFT",
            Self::Write { .. } => "BASE-LOCK-WRITE",
            Self::Encode { .. } => "OUT-JSON",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Stale { .. } | Self::Record { .. } | Self::Drift { .. } | Self::Write { .. } => {
                Exit::Failed
            }
            Self::Encode { .. } => Exit::Bug,
            _ => Exit::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } | Self::Absent { .. } => {
                "make one: karisimbi base lock [NAME] --lock FILE, or build once without --locked"
            }
            Self::NoBase { name, .. } => {
                return Some(format!("karisimbi base lock {name} --lock FILE adds it"));
            }
            Self::Read { .. } | Self::NotAFile { .. } => "check the file and its permissions",
            Self::TooLarge { .. } | Self::Json { .. } | Self::Value { .. } => {
                "restore it from version control, or remove it and run: karisimbi base lock"
            }
            Self::Version { .. } => "use the version of karisimbi that wrote it, or a newer one",
            Self::Stale { .. } => {
                "build without --locked, or run karisimbi base update, and commit the new bases.lock"
            }
            Self::Record { .. } => {
                "a build record is never rewritten: leave --lock out, or name a bases.lock"
            }
            Self::Drift { .. } => {
                "the same packages gave other files: a damaged cache (karisimbi cache verify), another \
                 version of the program, or a bug; karisimbi base update takes what is assembled now"
            }
            Self::Write { .. } => "check that its folder exists and may be written",
            Self::Encode { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
