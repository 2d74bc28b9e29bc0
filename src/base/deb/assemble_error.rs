//! Why packages can't become a base.

use crate::error::{AnyError, Coded, Exit};
use crate::layer::LayerError;
use crate::sandbox::SandboxError;
use crate::store::StoreError;

/// Why packages can't become a base.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum AssembleError {
    #[error("no base is assembled from Debian {suite:?}; there are {}", known.join(", "))]
    Suite {
        suite: String,
        known: Vec<&'static str>,
    },
    #[error("Debian {suite} has no {set}; there are {}", offered.join(", "))]
    Set {
        suite: String,
        set: String,
        offered: Vec<String>,
    },
    #[error("package {package}: its file is damaged: {what}")]
    Damaged {
        package: String,
        what: String,
        source: Option<std::io::Error>,
    },
    #[error("package {package}: {member} is compressed in a way that is not known")]
    Compression { package: String, member: String },
    #[error("package {package}: {member} is refused: {rule}")]
    Member {
        package: String,
        member: String,
        rule: &'static str,
    },
    #[error("packages {first} and {second} both bring /{path}, and not the same")]
    Conflict {
        path: String,
        first: String,
        second: String,
    },
    #[error("package {package}: its file says that it is {found}, not {expected}")]
    Identity {
        package: String,
        expected: String,
        found: String,
    },
    #[error("the packages of {set} bring no /{path}")]
    Incomplete { set: String, path: String },
    #[error("the standard library of Python can't be compiled: {what}")]
    Interpreter {
        what: String,
        source: Option<std::io::Error>,
    },
    #[error("/{path} of the packages is a program for {machine}, not for {wanted}")]
    Machine {
        path: String,
        machine: String,
        wanted: String,
    },
    #[error("{file}: {problem}")]
    Certificate { file: String, problem: String },
    #[error("{file} holds a private key, which an image must never hold")]
    PrivateKey { file: String },
    #[error("a file of a package can't be read or written")]
    Disk { source: std::io::Error },
    /// The layer engine's error.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store's error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox's error.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Coded for AssembleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Suite { .. } | Self::Set { .. } => "BASE-SET",
            Self::Damaged { .. } | Self::Identity { .. } | Self::Incomplete { .. } => "BASE-DEB",
            Self::Machine { .. } => "BASE-ARCH",
            Self::Compression { .. } => "BASE-COMPR",
            Self::Member { .. } => "BASE-PATH",
            Self::Conflict { .. } => "BASE-CONFLICT",
            Self::Interpreter { .. } => "BASE-PYC",
            Self::Certificate { .. } | Self::PrivateKey { .. } => "BASE-CERT",
            Self::Disk { .. } => "BASE-DISK",
            Self::Layer(source) => source.code(),
            Self::Store(source) => source.code(),
            Self::Sandbox(source) => source.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Suite { .. } | Self::Set { .. } => Exit::Usage,
            Self::Layer(source) => source.exit(),
            Self::Store(source) => source.exit(),
            Self::Sandbox(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Suite { .. } | Self::Set { .. } => "choose one of these",
            Self::Damaged { .. } | Self::Compression { .. } | Self::Identity { .. } => {
                "if the mirror is your own, look at what it serves; else please report the package"
            }
            Self::Member { .. } | Self::Conflict { .. } => {
                "leave the package out, or use a base from a registry"
            }
            Self::Incomplete { .. } => {
                "packages have changed since this version; karisimbi base update takes newer ones, \
                 or use a base from a registry"
            }
            Self::Interpreter { .. } => {
                "assemble on linux/amd64 or linux/arm64, or use a base from a registry"
            }
            Self::Machine { .. } => "the mirror or the registry mixes platforms; use another one",
            Self::Certificate { .. } => "give a file of certificates in PEM form",
            Self::PrivateKey { .. } => "give the certificates alone, in a file of their own",
            Self::Disk { .. } => "look for free space in the cache folder",
            Self::Layer(source) => return source.hint(),
            Self::Store(source) => return source.hint(),
            Self::Sandbox(source) => return source.hint(),
        };
        Some(hint.to_owned())
    }
}

impl AssembleError {
    pub(super) fn damaged(package: &str, what: impl Into<String>) -> Self {
        Self::Damaged {
            package: package.to_owned(),
            what: what.into(),
            source: None,
        }
    }

    pub(super) fn broken(package: &str, source: std::io::Error) -> Self {
        Self::Damaged {
            package: package.to_owned(),
            what: source.to_string(),
            source: Some(source),
        }
    }

    pub(super) fn disk(source: std::io::Error) -> Self {
        Self::Disk { source }
    }
}

/// As a layer source hands it on.
impl From<AssembleError> for LayerError {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Layer(error) => error,
            other => Self::Source(AnyError::from(other)),
        }
    }
}
