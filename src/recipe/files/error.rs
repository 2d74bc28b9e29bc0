//! The errors of the files recipe.

use std::path::PathBuf;

use super::canonical::LinkLoop;
use crate::error::{Coded, Exit};
use crate::layer::LayerError;
use crate::recipe::SpecError;
use crate::source::SourceError;

/// Why files can't be put into an image.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum FilesError {
    #[error("{path}: is a symbolic link out of {from} ({target})")]
    Link {
        path: String,
        from: String,
        target: String,
    },
    #[error("files: from {from}: there is no such file in the source")]
    Missing { from: String },
    #[error("{folder}: there is no file in it that an image could hold")]
    EmptyFolder { folder: PathBuf },
    #[error("files: from {from}: .dockerignore leaves nothing of it")]
    Empty { from: String },
    #[error("files: {key} {value:?}: {problem}")]
    Mapping {
        key: &'static str,
        value: String,
        problem: &'static str,
    },
    #[error("files: mode {mode:04o} is not 0644 or 0755")]
    Mode { mode: u32 },
    #[error("recipe.files.{key}: there is no such option; the files recipe reads `files`")]
    Option { key: String },
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Loop(#[from] LinkLoop),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Layer(#[from] LayerError),
}

impl Coded for FilesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Link { .. } => "FILES-LINK",
            Self::Missing { .. } => "FILES-MISSING",
            Self::Empty { .. } | Self::EmptyFolder { .. } => "FILES-EMPTY",
            Self::Mapping { .. } => "FILES-PATH",
            Self::Mode { .. } => "FILES-MODE",
            Self::Option { .. } => "FILES-OPTION",
            Self::Loop(_) => "FILES-BASE",
            Self::Spec(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::Layer(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Mapping { .. } | Self::Mode { .. } | Self::Option { .. } => Exit::Usage,
            Self::Spec(error) => error.exit(),
            Self::Source(error) => error.exit(),
            Self::Layer(error) => error.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Link { path, .. } => {
                format!(
                    "replace it by the file that it stands for, or add `{path}` to .dockerignore"
                )
            }
            Self::Missing { .. } => "paths count from the source's root".to_owned(),
            Self::EmptyFolder { .. } => "name the folder that the files are in".to_owned(),
            Self::Empty { .. } => "change .dockerignore, or drop this entry of files".to_owned(),
            Self::Spec(error) => return error.hint(),
            Self::Source(error) => return error.hint(),
            Self::Layer(error) => return error.hint(),
            Self::Mapping { .. } | Self::Mode { .. } | Self::Option { .. } | Self::Loop(_) => {
                return None;
            }
        })
    }
}
