//! Who logs in where: the files that `docker login`, `podman login` and `skopeo login` write.

mod file;
mod helper;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::error::{Coded, Exit};
use crate::progress::Reporter;
use crate::reference::{Host, Repository};

use file::{AuthFile, Dialect};

/// A password or token. It has no `Debug` and no `Display`, so that what holds one can't be printed
/// by accident.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the request that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// A login given by flags or variables; it is for one host alone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct ExplicitLogin {
    /// The registry.
    pub host: Host,
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Where it was given: `--username` or `REGISTRY_USERNAME`.
    pub origin: String,
}

/// Where credentials are looked for, in this order; nothing is read from the environment here.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct CredentialPlaces {
    /// Flags or `REGISTRY_USERNAME`/`REGISTRY_PASSWORD`.
    pub explicit: Option<ExplicitLogin>,
    /// `--authfile`; it must be readable.
    pub authfile: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`; it must be readable.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: `containers/auth.json` in it.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`: `containers/auth.json` in it.
    pub xdg_config_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `HOME`: for `.config` and `.docker` where the variables above are not set.
    pub home: Option<PathBuf>,
    /// `PATH`: where credential helpers are looked for.
    pub path: Option<OsString>,
}

/// A login that was found.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) kind: LoginKind,
    /// The file, helper or flag, for messages.
    pub(crate) origin: String,
}

/// What the login's secret is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum LoginKind {
    /// A password, sent as HTTP Basic.
    Password(Secret),
    /// A refresh token of an `OAuth2` token server (`identitytoken`).
    IdentityToken(Secret),
}

/// Credentials of all registries.
#[derive(Default)]
pub struct Credentials {
    explicit: Option<ExplicitLogin>,
    files: Vec<AuthFile>,
    /// Every place that was looked at, found or not.
    places: Vec<PathBuf>,
    path: OsString,
    /// Helpers are asked once per host: some ask the user.
    helped: Mutex<BTreeMap<(String, String), Option<Login>>>,
}

/// Credentials that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file that the user named can't be read.
    #[error("the credentials file {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that the user named is malformed.
    #[error("the credentials file {} is malformed: {rule}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong; never quotes the file.
        rule: String,
    },
    /// A credential helper failed.
    #[error("the credential helper {helper} (named in {}) failed for {host}: {why}", path.display())]
    Helper {
        /// Its program.
        helper: String,
        /// The file that names it.
        path: PathBuf,
        /// The registry.
        host: String,
        /// What happened; never its output.
        why: String,
    },
}

impl Coded for CredentialsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::Malformed { .. } => "REG-CREDENTIALS",
            Self::Helper { .. } => "REG-CREDENTIAL-HELPER",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } | Self::Malformed { .. } => Exit::Usage,
            Self::Helper { .. } => Exit::Authentication,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Helper { helper, host, .. } => Some(format!(
                "try it by hand: echo {host} | {helper} get; or log in with: docker login {host}"
            )),
            _ => Some("docker login, podman login and skopeo login write such files".to_owned()),
        }
    }
}

impl Credentials {
    /// No credentials at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the files of all places. A malformed file is an error if the user named it, else a
    /// warning; an absent one is neither, unless it was named.
    pub fn load(
        places: CredentialPlaces,
        reporter: &dyn Reporter,
    ) -> Result<Self, CredentialsError> {
        let mut credentials = Self {
            path: places.path.clone().unwrap_or_default(),
            ..Self::default()
        };
        for place in list(&places) {
            let read = AuthFile::read(&place.path, place.dialect);
            credentials.places.push(place.path);
            match (read, place.named) {
                (Ok(Some(file)), _) => credentials.files.push(file),
                (Ok(None), Named::ByDefault) => {}
                (Ok(None), Named::ByUser) => {
                    let path = credentials.places.pop().unwrap_or_default();
                    let source = std::io::ErrorKind::NotFound.into();
                    return Err(CredentialsError::Unreadable { path, source });
                }
                (Err(error), Named::ByUser) => return Err(error),
                (Err(error), Named::ByDefault) => reporter.warn(error.code(), error.to_string()),
            }
        }
        credentials.explicit = places.explicit;
        Ok(credentials)
    }

    /// The login for a repository; none if no place has one.
    ///
    /// # Errors
    /// REG-CREDENTIAL-HELPER for one that is named for this host; the helper of all hosts is a
    /// warning.
    pub(crate) fn find(
        &self,
        repository: &Repository,
        reporter: &dyn Reporter,
    ) -> Result<Option<Login>, CredentialsError> {
        if let Some(explicit) = &self.explicit
            && explicit.host == repository.host
        {
            return Ok(Some(Login {
                user: explicit.user.clone(),
                kind: LoginKind::Password(explicit.password.clone()),
                origin: explicit.origin.clone(),
            }));
        }
        for file in &self.files {
            if let Some(helper) = file.helper_of(&repository.host)
                && let Some(login) = self.ask(helper, file, repository)?
            {
                return Ok(Some(login));
            }
            if let Some(login) = file.login_of(repository) {
                return Ok(Some(login));
            }
            if let Some(store) = file.store()
                // `credsStore: desktop` is left behind on machines without a desktop: no error.
                && helper::is_there(store, &self.path)
            {
                match self.ask(store, file, repository) {
                    Ok(None) => {}
                    Ok(login) => return Ok(login),
                    Err(error) => {
                        self.give_up(store, repository);
                        reporter.warn(error.code(), format!("{error}; going on without it"));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A helper that failed is not asked again: each answer may take its ten seconds.
    fn give_up(&self, helper: &str, repository: &Repository) {
        let key = (helper.to_owned(), file::server_name(&repository.host));
        let mut answers = self.helped.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(key, None);
    }

    fn ask(
        &self,
        helper: &str,
        file: &AuthFile,
        repository: &Repository,
    ) -> Result<Option<Login>, CredentialsError> {
        let server = file::server_name(&repository.host);
        let key = (helper.to_owned(), server.clone());
        let mut answers = self.helped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.get(&key) {
            return Ok(known.clone());
        }
        let answer =
            helper::get(helper, &server, &self.path).map_err(|why| CredentialsError::Helper {
                helper: format!("docker-credential-{helper}"),
                path: file.path().to_owned(),
                host: server,
                why,
            })?;
        let login = answer.map(|(user, kind)| Login {
            user,
            kind,
            origin: format!(
                "docker-credential-{helper}, named in {}",
                file.path().display()
            ),
        });
        answers.insert(key, login.clone());
        Ok(login)
    }

    /// The places that were looked at, for the message that nothing was found.
    pub(crate) fn places(&self) -> String {
        if self.places.is_empty() {
            "nowhere".to_owned()
        } else {
            self.places
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

struct Place {
    path: PathBuf,
    dialect: Dialect,
    named: Named,
}

#[derive(Clone, Copy)]
enum Named {
    ByUser,
    ByDefault,
}

/// The files in the order in which they are asked.
fn list(places: &CredentialPlaces) -> Vec<Place> {
    let place = |path: PathBuf, dialect, named| Place {
        path,
        dialect,
        named,
    };
    let containers = |dir: &PathBuf| {
        let path = dir.join("containers/auth.json");
        place(path, Dialect::Containers, Named::ByDefault)
    };
    let named = |path: &PathBuf| place(path.clone(), Dialect::Containers, Named::ByUser);
    let home = |below: &str| places.home.as_ref().map(|home| home.join(below));
    let config = places.xdg_config_home.clone().or_else(|| home(".config"));
    let docker = places.docker_config.clone().or_else(|| home(".docker"));
    [
        places.authfile.as_ref().map(named),
        places.registry_auth_file.as_ref().map(named),
        places.xdg_runtime_dir.as_ref().map(containers),
        config.as_ref().map(containers),
        docker.map(|dir| place(dir.join("config.json"), Dialect::Docker, Named::ByDefault)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
