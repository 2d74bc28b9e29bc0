//! What a registry can answer, in words that lead to the next step.

use std::io;

use super::credentials::CredentialsError;
use super::policy::Policy;
use crate::digest::Digest;
use crate::error::{Coded, Exit};
use crate::net::NetError;

/// A failure of a push or pull.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The network, TLS or their set-up.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A login is needed and there is none.
    #[error("{host} needs a login and none was found (looked in: {places})")]
    LoginNeeded {
        /// The registry.
        host: String,
        /// The files that were looked at.
        places: String,
    },
    /// User or password is wrong.
    #[error("login refused by {host} for user {user:?} (credentials from {origin})")]
    LoginRefused {
        /// The registry.
        host: String,
        /// The user.
        user: String,
        /// The file, helper or flag.
        origin: String,
    },
    /// A token that was just issued is not accepted.
    #[error("{repository}: the registry kept refusing a fresh token: {words}")]
    TokenRefused {
        /// What the token was for.
        repository: String,
        /// The registry's words.
        words: String,
    },
    /// The user may not do this.
    #[error("{user} may not {action} {repository}: {words}")]
    Denied {
        /// `user "x"` or `an anonymous user`.
        user: String,
        /// "push to", "pull from".
        action: &'static str,
        /// The repository.
        repository: String,
        /// The registry's words.
        words: String,
    },
    /// Harbor knows no such project, or does not show it.
    #[error("the project of {repository} does not exist or is not visible to {user}: {words}")]
    NoProject {
        /// The repository.
        repository: String,
        /// `user "x"` or `an anonymous user`.
        user: String,
        /// The registry's words.
        words: String,
    },
    /// A login scheme that is not spoken here.
    #[error("{host} asks for a login of kind {scheme:?}; basic and bearer are supported")]
    Scheme {
        /// The registry.
        host: String,
        /// Its scheme.
        scheme: String,
    },
    /// The address of the token server can't be used.
    #[error(
        "{host} names the token server {realm}, which is {why}; refusing to send a password there"
    )]
    Realm {
        /// The registry.
        host: String,
        /// The address.
        realm: String,
        /// "not encrypted", "no address".
        why: &'static str,
    },
    /// A redirect or upload address can't be followed.
    #[error("{host} sends on to {location}, which is {why}")]
    Location {
        /// The registry.
        host: String,
        /// The address, without query values.
        location: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A rule of the registry forbids it.
    #[error("{repository}: {}: {words}", policy.sentence())]
    Policy {
        /// Which rule.
        policy: Policy,
        /// Repository, with the tag if one was pushed.
        repository: String,
        /// The registry's words.
        words: String,
    },
    /// There is no such thing.
    #[error("{what} does not exist: {words}")]
    NotFound {
        /// Reference or blob.
        what: String,
        /// The registry's words.
        words: String,
    },
    /// Too many requests.
    #[error(
        "{host} limits the rate of requests; gave up {doing} after {attempts} attempts: {words}"
    )]
    RateLimited {
        /// The registry.
        host: String,
        /// What was being done.
        doing: String,
        /// How often it was tried.
        attempts: u32,
        /// The registry's words.
        words: String,
    },
    /// A status that says "later", each time.
    #[error("{host} answered {status} {attempts} times (last: {words}) while {doing}")]
    Unavailable {
        /// The registry.
        host: String,
        /// The last status.
        status: u16,
        /// What was being done.
        doing: String,
        /// How often it was tried.
        attempts: u32,
        /// The last answer's words.
        words: String,
    },
    /// The body of an answer ended early.
    #[error("{host} ended the transfer after {got} of {size} bytes while {doing}")]
    CutShort {
        /// The registry.
        host: String,
        /// What was being done.
        doing: String,
        /// Bytes received.
        got: u64,
        /// Bytes announced.
        size: u64,
    },
    /// Upload sessions vanish.
    #[error("{host} lost the upload session {attempts} times while {doing}: {words}")]
    SessionLost {
        /// The registry.
        host: String,
        /// What was being done.
        doing: String,
        /// How often it was tried.
        attempts: u32,
        /// The registry's words.
        words: String,
    },
    /// A proxy refuses bodies of this size.
    #[error("a proxy before {host} limits request bodies (HTTP 413 {words}) while {doing}")]
    BodyLimit {
        /// The registry.
        host: String,
        /// What was being done.
        doing: String,
        /// Who answered.
        words: String,
    },
    /// Bytes that are not the ones asked for.
    #[error("{what}: got different bytes ({got}); nothing was kept")]
    Digest {
        /// The reference or blob asked for.
        what: String,
        /// Digest or size of what came.
        got: String,
    },
    /// The registry received other bytes than were sent.
    #[error("{host} says that {digest} does not match what arrived, twice: {words}")]
    Altered {
        /// The registry.
        host: String,
        /// The blob.
        digest: Digest,
        /// The registry's words.
        words: String,
    },
    /// The registry does not take this manifest.
    #[error("{host} rejected the manifest of {repository}: {words}")]
    ManifestRejected {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The registry's words.
        words: String,
    },
    /// A manifest, list or token that is larger than any honest one.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was read or is to be sent.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// There is no registry at this address.
    #[error("{host} is not a registry at this address (no /v2/)")]
    NotARegistry {
        /// The server.
        host: String,
    },
    /// An answer that the protocol does not allow here.
    #[error("unexpected answer {status} from {host} while {doing}: {words}")]
    Protocol {
        /// The registry.
        host: String,
        /// The status.
        status: u16,
        /// What was being done.
        doing: String,
        /// The answer's words.
        words: String,
    },
    /// The bytes to push can't be read, or are not those of the descriptor.
    #[error("the bytes of {digest} can't be read for the push")]
    Source {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// What was pulled can't be written.
    #[error("{digest} can't be written while it is pulled")]
    Output {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
}

impl RegistryError {
    /// The same error, with the number of attempts that were made.
    pub(super) fn after(mut self, made: u32) -> Self {
        match &mut self {
            Self::RateLimited { attempts, .. }
            | Self::Unavailable { attempts, .. }
            | Self::SessionLost { attempts, .. } => *attempts = made,
            _ => {}
        }
        self
    }
}

impl Coded for RegistryError {
    fn code(&self) -> &'static str {
        match self {
            Self::Net(NetError::NotEncrypted { .. } | NetError::SpeaksHttp { .. }) => "REG-HTTP",
            Self::Net(error) => error.code(),
            Self::Credentials(error) => error.code(),
            Self::LoginNeeded { .. } => "REG-LOGIN",
            Self::LoginRefused { .. } => "REG-LOGIN-REFUSED",
            Self::TokenRefused { .. } => "REG-TOKEN",
            Self::Denied { .. } => "REG-DENIED",
            Self::NoProject { .. } => "REG-PROJECT",
            Self::Scheme { .. } => "REG-SCHEME",
            Self::Realm { .. } => "REG-REALM",
            Self::Location { .. } => "REG-LOCATION",
            Self::Policy { policy, .. } => policy.code(),
            Self::NotFound { .. } => "REG-NOT-FOUND",
            Self::RateLimited { .. } => "REG-RATE",
            Self::Unavailable { .. } => "REG-UNAVAILABLE",
            Self::CutShort { .. } => "REG-CUT-SHORT",
            Self::SessionLost { .. } => "REG-SESSION-LOST",
            Self::BodyLimit { .. } => "REG-BODY-LIMIT",
            Self::Digest { .. } => "REG-DIGEST",
            Self::Altered { .. } => "REG-ALTERED",
            Self::ManifestRejected { .. } => "REG-MANIFEST",
            Self::TooLarge { .. } => "REG-TOO-LARGE",
            Self::NotARegistry { .. } => "REG-NOT-A-REGISTRY",
            Self::Protocol { .. } => "REG-PROTOCOL",
            Self::Source { .. } => "REG-SOURCE",
            Self::Output { .. } => "REG-OUTPUT",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Net(error) => error.exit(),
            Self::Credentials(error) => error.exit(),
            Self::LoginNeeded { .. }
            | Self::LoginRefused { .. }
            | Self::TokenRefused { .. }
            | Self::Scheme { .. } => Exit::Authentication,
            Self::Denied { .. } | Self::NoProject { .. } => Exit::Denied,
            Self::Policy { .. } => Exit::Policy,
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::CutShort { .. } => {
                Exit::Network
            }
            Self::NotFound { .. } | Self::Source { .. } | Self::Output { .. } => Exit::Failed,
            _ => Exit::Registry,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Net(error) => return error.hint(),
            Self::Credentials(error) => return error.hint(),
            Self::Policy { policy, .. } => policy.hint().to_owned(),
            Self::LoginNeeded { host, .. } => format!("docker login {host}"),
            Self::LoginRefused { user, .. } => refused_hint(user),
            Self::Denied { action, .. } => format!("ask for the permission to {action} it"),
            Self::NoProject { .. } => {
                "create it first (a push creates repositories, not projects), or log in".to_owned()
            }
            Self::Realm { .. } | Self::Location { .. } => {
                "the registry's own address is misconfigured (external_url, X-Forwarded-Proto)"
                    .to_owned()
            }
            Self::RateLimited { .. } => "log in, or use a mirror or proxy cache".to_owned(),
            Self::SessionLost { .. } => "several replicas without shared storage, with different \
                 http.secret, or without session affinity?"
                .to_owned(),
            Self::BodyLimit { .. } => {
                "set client_max_body_size 0 (nginx) or proxy-body-size \"0\" (ingress)".to_owned()
            }
            Self::Digest { .. } | Self::Altered { .. } => {
                "a proxy may alter data, or the registry's storage is damaged".to_owned()
            }
            Self::ManifestRejected { .. } => {
                "an old registry may not know its media types".to_owned()
            }
            Self::NotARegistry { .. } => "a path prefix, or the wrong host?".to_owned(),
            _ => return None,
        })
    }
}

fn refused_hint(user: &str) -> String {
    let word = user.trim_start_matches("robot");
    let bare = user.starts_with("robot") && word.chars().count() <= 1;
    if bare || (user.contains('+') && !user.contains(['$', '@'])) {
        // `robot$project+name` inside double quotes loses what a shell takes for a variable.
        "the name lost its \"$…\": quote it in single quotes".to_owned()
    } else {
        "is the password or robot secret wrong, expired or disabled?".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_that_lost_its_project_is_recognised() {
        for (user, lost) in [
            ("robot", true),
            ("robot+ci", true),
            ("robot$shop+ci", false),
            ("robotics", false),
            ("someone+work@h.example", false),
        ] {
            let hint = refused_hint(user);
            assert_eq!(hint.contains("single quotes"), lost, "{user}: {hint}");
        }
    }
}
