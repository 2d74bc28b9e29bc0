//! Errors of usage and configuration.

use std::io;
use std::num::ParseIntError;
use std::path::PathBuf;

use crate::error::{Coded, Exit};
use crate::reference::InvalidName;

/// Why settings can't be decided, or data can't be given back.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SettingsError {
    #[error("there is no place for the cache: HOME is not set")]
    NoCacheDir,
    #[error("{name} is \"{value}\", which is no valid number")]
    Number {
        name: &'static str,
        value: String,
        source: ParseIntError,
    },
    #[error("--set {text}: write PATH=VALUE")]
    Set { text: String },
    #[error("--entrypoint {text}: is no JSON array of strings")]
    Words {
        text: String,
        source: serde_json::Error,
    },
    #[error("{path}: there is no such folder")]
    NoFolder { path: PathBuf },
    #[error("{path}: is no folder")]
    NotFolder { path: PathBuf },
    #[error("--ref {reference}: {path} is a folder, which is built as it is")]
    RefOfFolder { reference: String, path: PathBuf },
    #[error("{path}: is a {flag} that leaves the source")]
    Outside { path: String, flag: &'static str },
    #[error("the current folder can't be read")]
    CurrentDir { source: io::Error },
    #[error("--push: no registry is named")]
    PushWhere,
    #[error("--digest-file and --record hold one build, but several were asked for")]
    OneFileManyBuilds,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("can't write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("can't write to stdout")]
    Stdout { source: io::Error },
    #[error("can't encode the result")]
    Json { source: serde_json::Error },
}

impl SettingsError {
    /// The current folder can't be read.
    pub fn current_dir(source: io::Error) -> Self {
        Self::CurrentDir { source }
    }

    /// Stdout failed.
    pub fn stdout(source: io::Error) -> Self {
        Self::Stdout { source }
    }

    /// A result that is no JSON.
    pub fn json(source: serde_json::Error) -> Self {
        Self::Json { source }
    }
}

impl Coded for SettingsError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCacheDir => "CFG-CACHE-DIR",
            Self::Number { .. } => "CFG-NUMBER",
            Self::Set { .. } => "USE-SET",
            Self::Words { .. } => "USE-ENTRYPOINT",
            Self::NoFolder { .. } | Self::NotFolder { .. } => "SRC-NONE",
            Self::RefOfFolder { .. } => "USE-REF",
            Self::Outside { .. } => "SRC-OUTSIDE",
            Self::CurrentDir { .. } => "SRC-CURRENT",
            Self::PushWhere => "USE-PUSH",
            Self::OneFileManyBuilds => "USE-RECORD",
            Self::Name(error) => error.code(),
            Self::Write { .. } | Self::Stdout { .. } => "OUT-WRITE",
            Self::Json { .. } => "OUT-JSON",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. } | Self::Stdout { .. } => Exit::Failed,
            Self::Json { .. } => Exit::Bug,
            _ => Exit::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCacheDir => "pass --cache-dir DIR, or set KARISIMBI_CACHE_DIR",
            Self::NoFolder { .. } => "name a folder, or a Git URL such as https://HOST/OWNER/REPO",
            Self::RefOfFolder { .. } => "check the reference out there, or name a Git URL",
            Self::PushWhere => {
                "pass -t HOST/PROJECT/NAME:TAG, set KARISIMBI_REPO=HOST/PROJECT, or set container.image"
            }
            Self::OneFileManyBuilds => "build one source at a time",
            Self::Name(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
