//! An error on its way to the place that decides about another try.

use std::time::Duration;

use super::credentials::CredentialsError;
use super::error::RegistryError;
use crate::net::NetError;

/// An error, and whether the same thing may be tried again.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: RegistryError,
    pub(super) again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The same request would fail the same way.
    Never,
    /// Once per transfer: an expired token, a body damaged on the way.
    Once,
    /// Until the attempts are used up, after the pause that the registry asked for, if any.
    After(Option<Duration>),
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let again = match &error {
            RegistryError::Net(error) if error.is_transient() => Again::After(None),
            _ => Again::Never,
        };
        Self { error, again }
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        RegistryError::Net(error).into()
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        RegistryError::Credentials(error).into()
    }
}
