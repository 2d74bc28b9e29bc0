//! The errors of source trees.

use std::io;
use std::sync::Arc;

use crate::error::{Coded, Exit, Problems};
use crate::layer::LayerError;
use crate::layer::entry::escape;
use crate::progress::human_bytes;
use crate::store::StoreError;

use super::address::InvalidSource;
use super::git::GitError;
use super::listing::TreeChange;

/// Changed files that one error names, at most.
const SHOWN_CHANGES: usize = 5;

/// Why a source can't be read. Paths are escaped: they come from a stranger's repository.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SourceError {
    #[error("can't read {path} of the source")]
    Read { path: String, source: io::Error },
    #[error(
        "the source is nested too deeply: \"{path}\" (limit: {} folders, {} bytes)",
        super::walk::MAX_DEPTH,
        super::walk::MAX_PATH
    )]
    Depth { path: String },
    #[error("the source has more than {} files", super::walk::MAX_FILES)]
    Count,
    #[error("{path}: changed while it was read")]
    Changed { path: String },
    #[error("the source changed during the build: {}", moved(changes))]
    Moved { changes: Vec<TreeChange> },
    #[error("{path}: is a symbolic link to \"{target}\"; it is not followed here")]
    Link { path: String, target: String },
    #[error("{path}: has {}; at most {} are read", human_bytes(*size), human_bytes(*limit))]
    Limit { path: String, size: u64, limit: u64 },
    #[error("{file}:{line}: {why}")]
    Ignore {
        file: String,
        line: usize,
        why: String,
    },
    /// Members that can't be in an image, all of them at once.
    #[error(transparent)]
    Refused(Problems<Refused>),
    #[error(transparent)]
    Name(#[from] InvalidSource),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A member of a tree that is harmless while it is ignored, and an error when it is selected.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum Refused {
    #[error("{path}: is a {kind}, which an image can't hold")]
    Special { path: String, kind: &'static str },
    #[error(transparent)]
    Name(Arc<LayerError>),
    #[error("{path}: the target of this symbolic link is not UTF-8")]
    Target { path: String },
    #[error("{path}: has {}; a layer holds files below 8 GiB", human_bytes(*size))]
    TooLarge { path: String, size: u64 },
    #[error("{path}: can't be read: {source}")]
    Unreadable {
        path: String,
        source: Arc<io::Error>,
    },
    #[error("and {more} more")]
    More { more: usize },
}

impl Coded for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Special { .. } => "SRC-SPECIAL",
            Self::Name(error) => error.code(),
            Self::Target { .. } => "LAYER-PATH",
            Self::TooLarge { .. } => "LAYER-TOO-LARGE",
            Self::Unreadable { .. } | Self::More { .. } => "SRC-READ",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Special { path, .. } => Some(format!(
                "remove it, or add `{path}` to .dockerignore or .gitignore"
            )),
            Self::Name(error) => error.hint(),
            Self::Target { .. } => Some("make the link anew, with a target in UTF-8".to_owned()),
            Self::TooLarge { .. } => Some("mount such data into the container instead".to_owned()),
            Self::Unreadable { .. } => Some("make it readable for the user that builds".to_owned()),
            Self::More { .. } => None,
        }
    }
}

impl Coded for SourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "SRC-READ",
            Self::Depth { .. } => "SRC-DEPTH",
            Self::Count => "SRC-COUNT",
            Self::Changed { .. } | Self::Moved { .. } => "SRC-CHANGED",
            Self::Link { .. } => "SRC-SYMLINK",
            Self::Limit { .. } => "SRC-LIMIT",
            Self::Ignore { .. } => "SRC-IGNORE",
            Self::Refused(problems) => problems.0.first().map_or("SRC-READ", Coded::code),
            Self::Name(error) => error.code(),
            Self::Git(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Changed { .. } | Self::Moved { .. } => Exit::Temporary,
            Self::Name(error) => error.exit(),
            Self::Git(error) => error.exit(),
            Self::Store(error) => error.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Read { .. } => "make it readable for the user that builds",
            Self::Depth { .. } => "remove that folder, or name the folder to build",
            Self::Count => "name the folder to build, or move data out of the source",
            Self::Changed { .. } => "another process writes here; build from a quiet checkout",
            Self::Moved { .. } => "run again; nothing of this build was recorded",
            Self::Link { .. } => "replace the link by the file itself",
            Self::Limit { .. } => "a file of this name is expected to be small; check it",
            Self::Ignore { .. } => "correct the pattern, or remove the line",
            Self::Refused(problems) => return problems.0.first().and_then(Coded::hint),
            Self::Name(error) => return error.hint(),
            Self::Git(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

fn moved(changes: &[TreeChange]) -> String {
    let shown: Vec<String> = changes
        .iter()
        .take(SHOWN_CHANGES)
        .map(|change| format!("{} {}", escape(change.path.as_bytes()), change.kind.word()))
        .collect();
    let more = changes.len() - shown.len();
    match more {
        0 => shown.join(", "),
        _ => format!("{}, and {more} more", shown.join(", ")),
    }
}
