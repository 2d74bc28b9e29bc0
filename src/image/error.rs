//! The errors of images, layouts and archives.

use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::MediaType;

use super::verify::Mismatch;
use crate::digest::Digest;
use crate::error::{AnyError, Coded, Exit, Problems};
use crate::layer::entry::escape;

/// Why an image can't be made, written or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum ImageError {
    #[error("can't encode {what}")]
    Encode {
        what: &'static str,
        source: serde_json::Error,
    },
    #[error("{seconds} seconds since 1970 is not a time of the years 1 to 9999")]
    Created { seconds: i64 },
    #[error("{count} images have no root: several of them need an index")]
    NoRoot { count: usize },
    #[error("the config of base {base}: {problem}")]
    BaseConfig { base: String, problem: String },
    #[error("{image}: {problem}")]
    Layout { image: String, problem: String },
    #[error("{image} has no tag {}; it has {}", escape(wanted.as_bytes()), listed(present))]
    Tag {
        image: String,
        wanted: String,
        present: Vec<String>,
    },
    #[error("{image} holds {} images; say which one", present.len())]
    Ambiguous { image: String, present: Vec<String> },
    #[error("{image} has no image for {wanted}; it has {}", listed(present))]
    Platform {
        image: String,
        wanted: String,
        present: Vec<String>,
    },
    #[error("{what}: {problem}")]
    Archive { what: String, problem: String },
    #[error("{what} has {size} bytes; at most {limit} are read")]
    TooLarge { what: String, size: u64, limit: u64 },
    #[error("{what} is not what its name says: {found} found, {expected} expected")]
    Digest {
        what: String,
        expected: String,
        found: String,
    },
    #[error("{what} is no valid JSON of its kind")]
    Json {
        what: String,
        source: serde_json::Error,
    },
    #[error("{what} has media type {media_type}, which is no OCI image")]
    Media { what: String, media_type: MediaType },
    #[error("blob {digest} is missing in {image}")]
    Missing { image: String, digest: Digest },
    #[error("no space left while writing {path}")]
    Full { path: PathBuf, source: io::Error },
    #[error("can't write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("can't read {what}")]
    Read { what: String, source: io::Error },
    #[error(transparent)]
    Verify(Problems<Mismatch>),
    /// The error of whoever opens blobs: a registry, a store.
    #[error(transparent)]
    Blob(AnyError),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(20)
        .map(|name| escape(name.as_bytes()))
        .collect();
    match names.len().checked_sub(20) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

impl ImageError {
    /// The error of writing `path`; a full disk has a code of its own.
    pub(crate) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Write { path, source },
        }
    }

    /// Names the file behind a stream whose writer did not know it.
    pub(super) fn named(self, path: &Path) -> Self {
        match self {
            Self::Full { source, .. } | Self::Write { source, .. } => Self::write(path, source),
            other => other,
        }
    }
}

impl Coded for ImageError {
    fn code(&self) -> &'static str {
        match self {
            Self::Encode { .. } => "IMAGE-ENCODE",
            Self::NoRoot { .. } => "IMAGE-ROOT",
            Self::Created { .. } => "IMAGE-CREATED",
            Self::BaseConfig { .. } => "BASE-CONFIG",
            Self::Layout { .. } => "IMAGE-LAYOUT",
            Self::Tag { .. } | Self::Ambiguous { .. } => "IMAGE-TAG",
            Self::Platform { .. } => "IMAGE-PLATFORM",
            Self::Archive { .. } => "IMAGE-ARCHIVE",
            Self::TooLarge { .. } => "IMAGE-TOO-LARGE",
            Self::Digest { .. } => "IMAGE-DIGEST",
            Self::Json { .. } => "IMAGE-JSON",
            Self::Media { .. } => "IMAGE-MEDIA",
            Self::Missing { .. } => "IMAGE-MISSING",
            Self::Full { .. } => "IMAGE-FULL",
            Self::Write { .. } => "IMAGE-WRITE",
            Self::Read { .. } => "IMAGE-READ",
            Self::Verify(_) => "IMAGE-VERIFY",
            Self::Blob(source) => source.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Encode { .. } | Self::NoRoot { .. } => Exit::Bug,
            Self::Created { .. } | Self::Ambiguous { .. } => Exit::Usage,
            Self::Blob(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Encode { .. } | Self::NoRoot { .. } => {
                "this is a bug in karisimbi; please report it with the command"
            }
            Self::Created { .. } => "set SOURCE_DATE_EPOCH to seconds since 1970",
            Self::BaseConfig { .. } => "use another base, or have its publisher repair it",
            Self::Layout { .. } => "name a folder that holds an OCI layout, or an empty one",
            Self::Tag { .. } => "name one of its tags: oci:DIR:TAG",
            Self::Ambiguous { present, .. } => {
                return Some(format!("name one of its tags: {}", listed(present)));
            }
            Self::Platform { .. } => "ask for a platform that it has, or use another image",
            Self::Archive { .. } => "write it again, or use an OCI layout: oci:DIR",
            Self::TooLarge { .. } | Self::Json { .. } | Self::Media { .. } => {
                "name an OCI image; artifacts and other documents are not read"
            }
            Self::Digest { .. } | Self::Missing { .. } => {
                "the image is damaged; copy or build it again"
            }
            Self::Full { .. } => "free space, or write to another disk",
            Self::Verify(_) => "build it again; if it was published, find out who changed it",
            Self::Write { .. } | Self::Read { .. } => return None,
            Self::Blob(source) => return source.hint(),
        };
        Some(hint.to_owned())
    }
}
