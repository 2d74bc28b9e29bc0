//! Names of images: registry references and skopeo's transports.

mod image_name;

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Coded, Exit};

pub use image_name::ImageName;

/// A registry host with its port, as typed: `harbor.example`, `127.0.0.1:5000`, `[::1]:5000`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

/// A repository in a registry: `HOST/PROJECT/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// The registry.
    pub host: Host,
    /// The path below it, such as `project/name`.
    pub path: String,
}

/// A tag: at most 128 characters of `[A-Za-z0-9_][A-Za-z0-9._-]*` (distribution-spec, "Pulling manifests").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// `HOST/REPOSITORY[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The repository.
    pub repository: Repository,
    /// The tag, if one was written.
    pub tag: Option<Tag>,
    /// The digest, if one was written; it wins over the tag.
    pub digest: Option<Digest>,
}

/// A name that breaks a rule.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an image name: {rule}")]
pub struct InvalidName {
    text: String,
    rule: String,
}

impl Coded for InvalidName {
    fn code(&self) -> &'static str {
        "NAME-INVALID"
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("write oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or HOST/PROJECT/NAME[:TAG|@DIGEST]".to_owned())
    }
}

fn invalid(text: &str, rule: impl Into<String>) -> InvalidName {
    InvalidName {
        text: without_login(text).chars().take(300).collect(),
        rule: rule.into(),
    }
}

/// Names are sometimes typed as addresses, with a login: no message may show its password.
pub(crate) fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, name)) if login.contains(':') && !name.starts_with("sha256:") => {
            let scheme = login.find("//").map_or(0, |at| at + 2);
            format!("{}…@{name}", &login[..scheme])
        }
        _ => text.to_owned(),
    }
}

impl Host {
    /// The text as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port and brackets.
    pub fn name(&self) -> &str {
        match self.0.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
            None => self
                .0
                .split_once(':')
                .map_or(self.0.as_str(), |(name, _)| name),
        }
    }

    /// True for `localhost`, 127.0.0.0/8 and `[::1]`: plain HTTP is spoken there, and nowhere else.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        name == "localhost"
            || name
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest
            .iter()
            .try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Tag {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        let mut bytes = text.bytes();
        let valid = text.len() <= 128
            && bytes.next().is_some_and(word)
            && bytes.all(|c| word(c) || c == b'.' || c == b'-');
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(invalid(
            text,
            "a tag has 1 to 128 characters A-Z a-z 0-9 _ . - and starts with a letter, digit or _",
        ))
    }
}

impl FromStr for Host {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest
                    .split_once(']')
                    .ok_or_else(|| invalid(text, "the [ is never closed"))?;
                name.parse::<std::net::Ipv6Addr>()
                    .map_err(|error| invalid(text, format!("{name}: {error}")))?;
                (name, port.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let label = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b':' | b'_');
        if name.is_empty() || !name.bytes().all(label) || name.starts_with(['-', '.']) {
            return Err(invalid(
                text,
                "the registry host has characters that no host name has",
            ));
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
            return Err(invalid(text, "the port is not a number below 65536"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_path(text: &str, path: &str) -> Result<(), InvalidName> {
    if path.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(invalid(
            text,
            format!(
                "repository names are lower case: write {}",
                path.to_lowercase()
            ),
        ));
    }
    let component = |part: &str| {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = part.as_bytes();
        let ends = bytes.first().copied().is_some_and(alphanumeric)
            && bytes.last().copied().is_some_and(alphanumeric);
        // Between alphanumerics: one '.', one or two '_', any number of '-' (distribution-spec).
        let separators = part.split(|c: char| c.is_ascii_alphanumeric()).all(|run| {
            run.is_empty()
                || run == "."
                || run == "_"
                || run == "__"
                || run.bytes().all(|c| c == b'-')
        });
        ends && separators
    };
    if !path.split('/').all(component) {
        return Err(invalid(
            text,
            "each part of a repository name is a-z 0-9, joined by single . _ or -",
        ));
    }
    Ok(())
}

impl FromStr for Repository {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (host, path) = text
            .split_once('/')
            .ok_or_else(|| invalid(text, "it names no registry; write HOST/PROJECT/NAME"))?;
        let is_host = host == "localhost" || host.contains(['.', ':', '[']);
        if !is_host {
            return Err(invalid(
                text,
                format!("{host:?} is not a registry host; write HOST/{text}"),
            ));
        }
        let host: Host = host.parse()?;
        check_path(text, path)?;
        if text.len() > 255 {
            return Err(invalid(
                text,
                "host and name together are longer than 255 characters",
            ));
        }
        Ok(Self {
            host,
            path: path.to_owned(),
        })
    }
}

/// `HOST/PROJECT[/…]`, behind which names of images are put, without slashes at its end.
///
/// # Errors
/// When no name behind it makes a repository.
pub fn project(text: &str) -> Result<String, InvalidName> {
    let project = text.trim_end_matches('/');
    // Only HOST/PROJECT/NAME is a name: a project alone is checked with one.
    format!("{project}/name").parse::<Repository>()?;
    Ok(project.to_owned())
}

impl FromStr for Reference {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (rest, digest) = match text.split_once('@') {
            Some((login, name)) if login.contains(':') && name.contains('/') => {
                return Err(invalid(
                    text,
                    "a user and password don't belong in it; log in with docker login HOST",
                ));
            }
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|error| invalid(text, format!("{error}")))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            // A ':' before the last '/' belongs to the port.
            Some((name, tag)) if !tag.contains('/') && name.contains('/') => {
                (name, Some(tag.parse()?))
            }
            _ => (rest, None),
        };
        Ok(Self {
            repository: name.parse()?,
            tag,
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_prints_back() {
        let digest = Digest::of(b"");
        for text in [
            "harbor.example/p/app:v1",
            "127.0.0.1:5000/a/b-c__d.e",
            "[::1]:5000/x:t",
            "localhost/x",
            &format!("localhost:5000/x:t@{digest}"),
            "oci:out/dir:v1",
            "oci:/abs",
            "oci-archive:a.tar:v1",
            "docker-archive:-",
            "docker-archive:x.tar:app:1",
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), text);
        }
        let name: ImageName = "docker://h.example/x".parse().unwrap();
        assert_eq!(name.to_string(), "h.example/x");
    }

    #[test]
    fn refuses_with_the_rule() {
        for (text, part) in [
            ("alpine", "names no registry"),
            ("library/alpine", "is not a registry host"),
            ("h.example/App", "write app"),
            ("h.example/a//b", "each part"),
            ("h.example/a..b", "each part"),
            ("h.example/a:", "a tag has"),
            ("h.example:99999/a", "the port"),
            ("h.example/a@sha256:00", "not a digest"),
            ("oci:", "path is missing"),
            ("me:secret@h.example/a:v1", "\"…@h.example/a:v1\""),
            ("https://me:secret@h.example/a:v1", "docker login"),
            ("me:secret@h.example", "\"…@h.example\""),
            ("oci-archive:-", "only a docker-archive"),
            (&format!("oci:x@{}", Digest::of(b"")), "have tags"),
        ] {
            let error = text.parse::<ImageName>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for (host, loopback) in [
            ("localhost:5000", true),
            ("127.9.0.1", true),
            ("[::1]:5000", true),
            ("harbor.example", false),
            ("localhost.example", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(
                host.parse::<Host>().unwrap().is_loopback(),
                loopback,
                "{host}"
            );
        }
    }
}
