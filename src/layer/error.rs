//! The errors of the layer engine, with the codes of docs/reference/errors.md.

use std::io;
use std::path::PathBuf;

use crate::error::{AnyError, Coded, Exit};
use crate::progress::human_bytes;

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum LayerError {
    #[error("{path}: changed while it was read ({expected} bytes expected, {found})")]
    Changed {
        path: String,
        expected: u64,
        found: String,
    },
    #[error("{path}: is a {kind}, which an image can't hold")]
    Special { path: String, kind: &'static str },
    #[error("{path}: has mode {mode:04o}; set-user-id and set-group-id bits are refused")]
    SetId { path: String, mode: u32 },
    #[error("path \"{path}\" can't be in a layer: {rule}")]
    Path { path: String, rule: &'static str },
    #[error("{path}: a name that starts with .wh. would delete files of the base")]
    Whiteout { path: String },
    #[error("{path}: comes from two sources, {first} and {second}")]
    Duplicate {
        path: String,
        first: String,
        second: String,
    },
    #[error("{path}: has {size} bytes; a layer holds files below 8 GiB")]
    TooLarge { path: String, size: u64 },
    #[error("{path}: can't be read (as uid {uid})")]
    Read {
        path: String,
        uid: u32,
        source: io::Error,
    },
    #[error("internal check failed in block {block}: {what}")]
    Format { block: u64, what: String },
    #[error("no space left in {path}: {} needed so far, {} free", human_bytes(*needed), human_bytes(*free))]
    StoreFull {
        path: PathBuf,
        needed: u64,
        free: u64,
        source: io::Error,
    },
    #[error("can't write the layer")]
    Write { source: io::Error },
    #[error("can't start a compressor thread")]
    Threads { source: io::Error },
    #[error("a layer is not a readable tar archive: {what}")]
    Tar {
        what: String,
        source: Option<io::Error>,
    },
    #[error("a layer has {what} {found}, but {expected} was expected")]
    Digest {
        what: &'static str,
        expected: String,
        found: String,
    },
    /// A layer source's own error, such as one of a recipe.
    #[error(transparent)]
    Source(AnyError),
}

impl Coded for LayerError {
    fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "LAYER-CHANGED",
            Self::Special { .. } => "LAYER-SPECIAL",
            Self::SetId { .. } => "LAYER-SETID",
            Self::Path { .. } => "LAYER-PATH",
            Self::Whiteout { .. } => "LAYER-WHITEOUT",
            Self::Duplicate { .. } => "LAYER-DUPLICATE",
            Self::TooLarge { .. } => "LAYER-TOO-LARGE",
            Self::Read { .. } => "LAYER-READ",
            Self::Format { .. } => "LAYER-FORMAT",
            Self::StoreFull { .. } => "STORE-FULL",
            Self::Write { .. } => "LAYER-WRITE",
            Self::Threads { .. } => "LAYER-THREADS",
            Self::Tar { .. } => "LAYER-TAR",
            Self::Digest { .. } => "LAYER-DIGEST",
            Self::Source(source) => source.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Format { .. } => Exit::Bug,
            Self::Changed { .. } | Self::Threads { .. } => Exit::Temporary,
            Self::Source(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Changed { .. } => {
                "another process writes here; build from a quiet checkout".to_owned()
            }
            Self::Special { path, .. } => format!("remove it, or add `{path}` to .dockerignore"),
            Self::SetId { path, .. } => format!("run: chmod ug-s '{path}'"),
            Self::Path { .. } => "rename it, or exclude it in .dockerignore".to_owned(),
            Self::Whiteout { path } => format!("rename it, or add `{path}` to .dockerignore"),
            Self::Duplicate { .. } => "remove one of the two".to_owned(),
            Self::TooLarge { .. } => "mount such data into the container instead".to_owned(),
            Self::Read { .. } => "make it readable for the user that builds".to_owned(),
            Self::Format { .. } => {
                "this is a bug in karisimbi; please report it with the command".to_owned()
            }
            Self::StoreFull { .. } => {
                "free space, or run: karisimbi cache prune --max-size 1GB".to_owned()
            }
            Self::Threads { .. } => {
                "raise the limit of processes and threads, or end some of them".to_owned()
            }
            Self::Tar { .. } => {
                "the image that it belongs to is damaged; fetch or build it again".to_owned()
            }
            Self::Digest { .. } => {
                "the bytes were damaged or replaced; fetch the image again".to_owned()
            }
            Self::Write { .. } => return None,
            Self::Source(source) => return source.hint(),
        };
        Some(hint)
    }
}
