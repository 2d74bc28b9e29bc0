//! The address of a repository, and what messages may show of it.

use std::fmt;

use ::url::Url;

use crate::error::{Coded, Exit};

/// The URL of a repository. Printing it never shows credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct GitUrl {
    /// Without credentials: what git gets.
    address: String,
    /// User and password, decoded.
    credentials: Option<(String, String)>,
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
#[error("\"{shown}\" names no source: {rule}")]
pub struct InvalidSource {
    shown: String,
    rule: String,
}

impl Coded for InvalidSource {
    fn code(&self) -> &'static str {
        "SRC-URL"
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("write a folder, URL[@REF][#DIRECTORY], or URL#REF:DIRECTORY".to_owned())
    }
}

/// Refuses `text`.
pub(super) fn invalid(text: &str, rule: impl Into<String>) -> InvalidSource {
    InvalidSource {
        shown: scrub(text),
        rule: rule.into(),
    }
}

impl GitUrl {
    /// Without credentials.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The last path element without `.git`: a hint for names.
    pub fn repository(&self) -> &str {
        let path = self.address.trim_end_matches('/');
        let name = path.rsplit(['/', ':']).next().unwrap_or(path);
        name.strip_suffix(".git").unwrap_or(name)
    }

    /// An scp-like address, which holds no credentials.
    pub(super) fn scp(address: String) -> Self {
        Self {
            address,
            credentials: None,
        }
    }

    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        let (user, password) = self.credentials.as_ref()?;
        Some((user, password))
    }

    /// The scheme as git's protocol lists name it.
    pub(super) fn protocol(&self) -> &str {
        self.address
            .split_once("://")
            .map_or("ssh", |(scheme, _)| scheme)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scrub(&self.address))
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text without the credentials of any URL in it and without control characters but line ends and
/// tabs, as messages may show it. `git@` and other users without a password stay for ssh.
pub(crate) fn scrub(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let (authority, behind) = after.split_at(authority_end(after));
        shown.push_str(before);
        shown.push_str("://");
        match authority.rsplit_once('@') {
            Some((user, host)) if before.ends_with("ssh") && !user.contains(':') => {
                shown.push_str(user);
                shown.push('@');
                shown.push_str(host);
            }
            Some((_, host)) => {
                shown.push_str("***@");
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown.retain(|c| matches!(c, '\n' | '\t') || !c.is_control());
    shown
}

/// Where the authority ends that a text begins with.
fn authority_end(text: &str) -> usize {
    let is_end = |c: char| c.is_whitespace() || "/'\"`<>?#".contains(c);
    let end = text.find(is_end).unwrap_or(text.len());
    // `a,https://b`: the next URL of a list. A comma alone may belong to a password.
    match text[..end].strip_suffix(':') {
        Some(list) if text[end..].starts_with("//") => {
            let scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
            list.trim_end_matches(scheme).len()
        }
        _ => end,
    }
}

/// Checks the address in `text`, and takes the credentials out of it.
pub(super) fn parse_address(text: &str, address: &str) -> Result<GitUrl, InvalidSource> {
    let mut url = Url::parse(address).map_err(|error| invalid(text, error.to_string()))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    match url.scheme() {
        "https" | "ssh" | "file" => {}
        "http" if loopback => {}
        scheme @ ("http" | "git") => {
            let rule = format!("{scheme}:// is not protected against changes; write https://");
            return Err(invalid(text, rule));
        }
        other => {
            return Err(invalid(
                text,
                format!("{other}:// is not a scheme for sources"),
            ));
        }
    }
    if host.starts_with('-') || url.username().starts_with('-') {
        return Err(invalid(text, "a host can't begin with -"));
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(invalid(text, "the path of the repository is missing"));
    }
    let credentials = match url.scheme() {
        "ssh" if url.password().is_some() => {
            return Err(invalid(text, "ssh takes no password from a URL"));
        }
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            Some((decode(url.username()), decode(url.password().unwrap_or(""))))
        }
        _ => None,
    };
    if credentials.is_some() {
        let removed = url.set_username("").and_then(|()| url.set_password(None));
        removed.map_err(|()| invalid(text, "its user can't be removed"))?;
    }
    url.set_query(None);
    Ok(GitUrl {
        address: url.to_string(),
        credentials,
    })
}

fn decode(text: &str) -> String {
    // A percent sign that begins no escape stays as it is.
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
