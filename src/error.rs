//! What every error of the crate can say: a stable code, an exit code, a next step.

use std::error::Error as StdError;

/// The exit code of the process (docs/reference/exit-codes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The build or a check failed and the user can fix it.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Smoke: the server asks for configuration.
    NeedsConfig = 3,
    /// The registry wants a login, or refused it.
    Authentication = 10,
    /// Logged in, but not allowed.
    Denied = 11,
    /// A registry policy: immutable tag, quota, read-only mode.
    Policy = 12,
    /// The network failed and every retry was used up.
    Network = 13,
    /// The registry broke the protocol.
    Registry = 14,
    /// TLS: unknown authority, expired, wrong name.
    Tls = 15,
    /// A bug of ours.
    Bug = 70,
    /// Temporary; running the same command again may succeed.
    Temporary = 75,
    /// `run` could not run the image; nothing of the program's own.
    NotRun = 125,
    /// The program of an image can't be executed.
    NotExecutable = 126,
    /// The program is not in the image.
    NotFound = 127,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// An error that a user can act on.
pub trait Coded: StdError + Send + Sync + 'static {
    /// A stable code such as `LAYER-SETID`: scripts and searches rely on it.
    fn code(&self) -> &'static str;
    /// The exit code that this error ends the process with.
    fn exit(&self) -> Exit {
        Exit::Failed
    }
    /// The next step, as a sentence or a command; printed after the error.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Several problems of one kind, collected so that the user sees them all at once.
#[derive(Debug)]
pub struct Problems<E>(pub Vec<E>);

impl<E: std::fmt::Display> std::fmt::Display for Problems<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl<E: StdError> StdError for Problems<E> {}

/// Any error of the crate, where one enum can't name them all (a recipe's error inside a layer's).
pub struct AnyError(Box<dyn Coded>);

impl AnyError {
    /// Its code.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        self.0.exit()
    }

    /// Its next step.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

impl<E: Coded> From<E> for AnyError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl std::fmt::Debug for AnyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

impl std::fmt::Display for AnyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for AnyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
