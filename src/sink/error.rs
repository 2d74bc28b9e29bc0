//! What can go wrong while an image is written.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{AnyError, Coded, Exit};
use crate::image::ImageError;
use crate::registry::RegistryError;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SinkError {
    #[error("docker-archive holds one image, but several platforms were built")]
    OnePlatform,
    #[error("{name}: an archive can't be read from standard input")]
    WriteOnly { name: String },
    #[error("{name}: an index inside an index is not supported")]
    Nested { name: String },
    #[error("the cached bytes of {digest} are damaged; they were removed")]
    Corrupt { digest: Digest },
    #[error("can't read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("pushing {what} to {place}: {source}")]
    Push {
        what: String,
        place: String,
        source: Box<RegistryError>,
    },
    #[error(transparent)]
    Image(ImageError),
    /// An error of the store or the registry on the way.
    #[error(transparent)]
    Part(AnyError),
}

/// The code of [`SinkError::Corrupt`]: building again makes the bytes anew.
pub const CORRUPT: &str = "CACHE-CORRUPT";

impl Coded for SinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::OnePlatform => "OUT-PLATFORMS",
            Self::WriteOnly { .. } => "OUT-TRANSPORT",
            Self::Nested { .. } => "OUT-NESTED",
            Self::Corrupt { .. } => CORRUPT,
            Self::Read { .. } => "OUT-READ",
            Self::Push { source, .. } => source.code(),
            Self::Image(error) => error.code(),
            Self::Part(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::OnePlatform | Self::WriteOnly { .. } => Exit::Usage,
            Self::Corrupt { .. } => Exit::Temporary,
            Self::Read { .. } | Self::Nested { .. } => Exit::Failed,
            Self::Push { source, .. } => source.exit(),
            Self::Image(error) => error.exit(),
            Self::Part(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::OnePlatform => Some("use oci-archive:FILE, or build one --platform".to_owned()),
            Self::Corrupt { .. } => Some("run the command again".to_owned()),
            Self::WriteOnly { .. } => Some("write it to a file, and name that".to_owned()),
            Self::Read { .. } | Self::Nested { .. } => None,
            Self::Push { source, .. } => source.hint(),
            Self::Image(error) => error.hint(),
            Self::Part(error) => error.hint(),
        }
    }
}
