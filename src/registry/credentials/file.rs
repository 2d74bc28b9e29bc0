//! `config.json` and `auth.json`.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::{CredentialsError, Login, LoginKind, Secret};
use crate::reference::{Host, Repository};

const LARGEST: u64 = 1 << 20;

/// Other tools write the padding or leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whose rules a file's keys follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// containers-auth.json(5): `host/project/repo` is a key, the longest prefix wins.
    Containers,
    /// Docker: keys are hosts.
    Docker,
}

/// One parsed file.
pub(super) struct AuthFile {
    path: PathBuf,
    dialect: Dialect,
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The name that helpers and old files know a registry by.
pub(super) fn server_name(host: &Host) -> String {
    match host.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            "https://index.docker.io/v1/".to_owned()
        }
        other => other.to_owned(),
    }
}

impl AuthFile {
    /// Reads a file; none if it does not exist.
    pub(super) fn read(path: &Path, dialect: Dialect) -> Result<Option<Self>, CredentialsError> {
        let unreadable = |source| CredentialsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let malformed = |rule: String| CredentialsError::Malformed {
            path: path.to_owned(),
            rule,
        };
        let file = match fs_err::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut text = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > LARGEST {
            return Err(malformed("it is larger than 1 MiB".to_owned()));
        }
        // serde's message may quote a value of the file: only the place is passed on.
        let content: Content = serde_json::from_slice(&text).map_err(|error| {
            malformed(format!("line {}, column {}", error.line(), error.column()))
        })?;
        for (key, entry) in &content.auths {
            if entry
                .auth
                .as_deref()
                .is_some_and(|auth| decode(auth).is_none())
            {
                return Err(malformed(format!(
                    "auths.{key:?}.auth is not base64 of USER:PASSWORD"
                )));
            }
        }
        Ok(Some(Self {
            path: path.to_owned(),
            dialect,
            content,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The helper of this very host.
    pub(super) fn helper_of(&self, host: &Host) -> Option<&str> {
        self.content
            .cred_helpers
            .iter()
            .find(|(key, _)| names_host(key, host))
            .map(|(_, helper)| helper.as_str())
    }

    /// The helper of all other hosts.
    pub(super) fn store(&self) -> Option<&str> {
        self.content
            .creds_store
            .as_deref()
            .filter(|store| !store.is_empty())
    }

    /// The entry for a repository.
    pub(super) fn login_of(&self, repository: &Repository) -> Option<Login> {
        let named = self.by_prefix(repository);
        let by_host = || {
            self.content
                .auths
                .iter()
                .filter(|(key, _)| names_host(key, &repository.host))
                .find_map(|(_, entry)| self.login(entry))
        };
        named.or_else(by_host)
    }

    fn by_prefix(&self, repository: &Repository) -> Option<Login> {
        if self.dialect == Dialect::Docker {
            return None;
        }
        let name = repository.to_string();
        // From the whole name up, one `/` at a time: the longest prefix wins.
        std::iter::successors(Some(name.as_str()), |prefix| {
            prefix.rsplit_once('/').map(|(parent, _)| parent)
        })
        .filter_map(|prefix| self.content.auths.get(prefix))
        .find_map(|entry| self.login(entry))
    }

    fn login(&self, entry: &Entry) -> Option<Login> {
        let pair = match (&entry.auth, &entry.username, &entry.password) {
            (Some(auth), ..) if !auth.is_empty() => decode(auth),
            (_, Some(user), Some(password)) => Some((user.clone(), Secret::new(password.clone()))),
            _ => None,
        };
        let token = entry
            .identitytoken
            .as_ref()
            .filter(|token| !token.is_empty());
        let (user, kind) = match (pair, token) {
            (pair, Some(token)) => (
                pair.map_or_else(String::new, |(user, _)| user),
                LoginKind::IdentityToken(Secret::new(token.clone())),
            ),
            (Some((user, password)), None) => (user, LoginKind::Password(password)),
            // `{}`: docker writes it when a helper holds the secret.
            (None, None) => return None,
        };
        Some(Login {
            user,
            kind,
            origin: self.path.display().to_string(),
        })
    }
}

/// `USER:PASSWORD`; the password may hold colons.
fn decode(auth: &str) -> Option<(String, Secret)> {
    if auth.is_empty() {
        return Some((String::new(), Secret::new("")));
    }
    let bytes = BASE64.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker pads with NUL.
    Some((
        user.to_owned(),
        Secret::new(password.trim_end_matches('\0')),
    ))
}

/// Keys may be `host`, `https://host`, `https://host/v1/`.
fn names_host(key: &str, host: &Host) -> bool {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let server = server_name(host);
    if key == server {
        return true;
    }
    let authority = match bare {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key.strip_suffix('/').unwrap_or(key),
    };
    let known_as_hub = server.contains("index.docker.io")
        && matches!(
            authority,
            "docker.io" | "index.docker.io" | "registry-1.docker.io"
        );
    authority == host.as_str() || known_as_hub
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dialect: Dialect, json: &str) -> AuthFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        fs_err::write(&path, json).unwrap();
        AuthFile::read(&path, dialect).unwrap().unwrap()
    }

    fn encoded(pair: &str) -> String {
        BASE64.encode(pair).trim_end_matches('=').to_owned()
    }

    fn found(file: &AuthFile, repository: &str) -> Option<String> {
        let login = file.login_of(&repository.parse().unwrap())?;
        let secret = match &login.kind {
            LoginKind::Password(secret) => secret.reveal().to_owned(),
            LoginKind::IdentityToken(secret) => format!("token {}", secret.reveal()),
        };
        Some(format!("{} {secret}", login.user))
    }

    #[test]
    fn keys_of_every_shape_are_found() {
        let json = format!(
            r#"{{"auths": {{
                "h.example": {{"auth": "{}"}},
                "h.example/p": {{"auth": "{}"}},
                "https://old.example/v1/": {{"username": "u", "password": "old"}},
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "empty.example": {{}},
                "id.example": {{"auth": "{}", "identitytoken": "refresh"}}
            }}, "unknown": [1]}}"#,
            encoded("robot$x+ci:a:b"),
            encoded("p:project"),
            encoded("hub:h"),
            encoded("00000000-0000-0000-0000-000000000000:"),
        );
        let containers = file(Dialect::Containers, &json);
        let docker = file(Dialect::Docker, &json);
        for (repository, in_containers, in_docker) in [
            (
                "h.example/x/y",
                Some("robot$x+ci a:b"),
                Some("robot$x+ci a:b"),
            ),
            ("h.example/p/y", Some("p project"), Some("robot$x+ci a:b")),
            (
                "h.example/pp/y",
                Some("robot$x+ci a:b"),
                Some("robot$x+ci a:b"),
            ),
            ("old.example/a", Some("u old"), Some("u old")),
            ("docker.io/a", Some("hub h"), Some("hub h")),
            ("empty.example/a", None, None),
            ("h.example:444/a", None, None),
        ] {
            assert_eq!(
                found(&containers, repository).as_deref(),
                in_containers,
                "{repository}"
            );
            assert_eq!(
                found(&docker, repository).as_deref(),
                in_docker,
                "{repository}"
            );
        }
        let token = found(&docker, "id.example/a").unwrap();
        assert!(token.ends_with("token refresh"), "{token}");
    }

    #[test]
    fn malformed_files_are_named_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        for json in [
            "{\"auths\": \"s3cret\"}",
            "s3cret",
            "{\"auths\": {\"h\": {\"auth\": \"s3cret!\"}}}",
        ] {
            fs_err::write(&path, json).unwrap();
            let error = AuthFile::read(&path, Dialect::Docker)
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains("auth.json") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }
}
