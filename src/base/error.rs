//! The errors of bases.

use oci_spec::image::MediaType;

use crate::digest::Digest;
use crate::error::{AnyError, Coded, Exit};
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::reference::InvalidName;

/// Why a base can't be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum BaseError {
    #[error("{name:?} is no base")]
    Unknown { name: String, source: InvalidName },
    #[error("{name:?} is no base: bases from packages are named deb:SUITE/NAME[@LOCKFILE]")]
    DebName { name: String },
    #[error("base {name} has to be pinned before it is used")]
    NotPinned { name: String },
    #[error("base {name} can't be resolved here:{}", listed(.tried))]
    NoWay { name: String, tried: Vec<String> },
    #[error("base {name} is not assembled here")]
    NotAssembled { name: String },
    #[error("bases: {name} = {target}: a short name can't stand for another one")]
    Alias { name: String, target: String },
    #[error("there is no Node {major} that all of {} have", packages.join(", "))]
    NoNode { major: u16, packages: Vec<String> },
    #[error("os_packages need a base that is assembled from Debian packages, and {name} is none")]
    OsPackages { name: String },
    #[error("{name} can't be a base; a base comes from a registry or an OCI layout")]
    Transport { name: String },
    #[error("base {base} is in a registry, and no registry may be asked")]
    NoRegistry { base: String },
    #[error("base {base} has no image for {wanted}; it has {}", present.join(", "))]
    Platform {
        base: String,
        wanted: String,
        present: Vec<String>,
    },
    #[error("base {base}: {what} has media type {media_type}, which can't be used")]
    Media {
        base: String,
        what: String,
        media_type: MediaType,
    },
    #[error("base {base}: {problem}")]
    Config { base: String, problem: String },
    #[error("base {base}, layer {layer}")]
    Layer {
        base: String,
        layer: String,
        source: LayerError,
    },
    #[error("base {base}: the registry sent {size} bytes with digest {found} for {digest}")]
    Digest {
        base: String,
        digest: Digest,
        found: Digest,
        size: u64,
    },
    #[error("base {base} says that it is for {promised}, but its programs are for {machine}")]
    Machine {
        base: String,
        machine: String,
        promised: String,
    },
    #[error("base {base}, layer {layer}: can't be read")]
    Read {
        base: String,
        layer: String,
        source: std::io::Error,
    },
    /// A layout's error.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The error of a bases.lock.
    #[error(transparent)]
    Lock(Box<super::LockError>),
    /// The error of the store, the layer engine or a registry.
    #[error(transparent)]
    Source(AnyError),
}

impl From<super::LockError> for BaseError {
    fn from(error: super::LockError) -> Self {
        Self::Lock(Box::new(error))
    }
}

fn listed(tried: &[String]) -> String {
    tried.iter().flat_map(|reason| ["\n  ", reason]).collect()
}

impl Coded for BaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. }
            | Self::DebName { .. }
            | Self::Transport { .. }
            | Self::NotAssembled { .. } => "BASE-UNKNOWN",
            Self::NotPinned { .. } => "BASE-BUG",
            Self::NoWay { .. } => "BASE-NOWHERE",
            Self::NoNode { .. } => "BASE-NODE",
            Self::Alias { .. } => "BASE-ALIAS",
            Self::OsPackages { .. } => "BASE-OS-PACKAGES",
            Self::Lock(source) => source.code(),
            Self::NoRegistry { .. } => "BASE-OFFLINE",
            Self::Platform { .. } => "BASE-PLATFORM",
            Self::Media { .. } => "BASE-MEDIA",
            Self::Config { .. } => "BASE-CONFIG",
            Self::Machine { .. } => "BASE-ARCH",
            Self::Layer { .. } | Self::Digest { .. } => "BASE-LAYER",
            Self::Read { .. } => "BASE-READ",
            Self::Image(source) => source.code(),
            Self::Source(source) => source.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. }
            | Self::DebName { .. }
            | Self::Transport { .. }
            | Self::Alias { .. }
            | Self::OsPackages { .. }
            | Self::NotAssembled { .. } => Exit::Usage,
            Self::NotPinned { .. } => Exit::Bug,
            Self::Lock(source) => source.exit(),
            Self::Image(source) => source.exit(),
            Self::Source(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unknown { .. } | Self::Transport { .. } => {
                "write static, cc, python3.13, node24, deb:SUITE/NAME, embedded:static, scratch, \
                 oci:DIR[:TAG] or HOST/PROJECT/NAME[:TAG|@DIGEST]"
            }
            Self::DebName { .. } => {
                "for example deb:trixie/python3.13; names are static, cc, pythonX.Y and nodeN"
            }
            Self::NotPinned { .. } => "report it with the command",
            Self::NoWay { .. } => {
                "pass --lock FILE, --mirror https://HOST/debian or --base-registry HOST/PROJECT, or name \
                 an image: --base HOST/PROJECT/NAME@DIGEST"
            }
            Self::NoNode { .. } => "use another major, such as node24",
            Self::NotAssembled { .. } => {
                "karisimbi copy takes an image from one registry to another"
            }
            Self::Alias { .. } => {
                "write HOST/PROJECT/NAME[:TAG], deb:SUITE/NAME, embedded:static or oci:DIR behind it"
            }
            Self::OsPackages { .. } => {
                "use --base cc, python3.13, node24 or deb:SUITE/NAME, or leave os_packages out"
            }
            Self::Lock(source) => return source.hint(),
            Self::NoRegistry { .. } => "run once without --offline, or use a layout: oci:DIR",
            Self::Platform { .. } => "use another base, or build for a platform that it has",
            Self::Media { .. } | Self::Config { .. } | Self::Machine { .. } => {
                "use another base, or have its publisher repair it"
            }
            Self::Layer { .. } | Self::Digest { .. } | Self::Read { .. } => {
                "the base is damaged or hostile; fetch it again or use another one"
            }
            Self::Image(source) => return source.hint(),
            Self::Source(source) => return source.hint(),
        };
        Some(hint.to_owned())
    }
}
