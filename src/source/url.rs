//! Names of sources: a folder, or a repository with a reference and a directory.
//!
//! | form | example |
//! |---|---|
//! | folder | `.`, `deployments/mcp-grafana` |
//! | `URL[@REF][#DIRECTORY]` | `https://host/owner/repo@v1.2#cmd/server` |
//! | `URL#REF:DIRECTORY` (as Docker) | `https://host/owner/repo.git#main:cmd/server` |
//! | a pasted page | `https://github.com/owner/repo/tree/main/cmd`, GitLab's `/-/tree/main/cmd` |
//! | scp-like | `git@host:owner/repo.git@v1` |
//!
//! Schemes: https, ssh, file; http for this machine alone, since anybody on the way could
//! change the source; `git://` is refused for the same reason. A text behind `#` without a
//! colon is a directory. The first `@` in the path begins the reference; write `%40` for an
//! `@` that belongs to the path.

use std::fmt;
use std::path::PathBuf;

use ::url::Url;

use crate::error::{Coded, Exit};
use crate::layer::EntryPath;

/// What to build: the argument of most commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceName {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A repository to clone.
    Git(GitSource),
}

/// A repository, what to take of it, and where to look in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// Where it is.
    pub url: GitUrl,
    /// Branch, tag, commit or `refs/…`; none is the remote's HEAD.
    pub reference: Option<String>,
    /// Folder below the root; empty is the root.
    pub directory: String,
    /// Whether the reference may go on in the directory (`/tree/feature/x/cmd`).
    pub split: Split,
}

/// Where a reference ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// As written.
    Certain,
    /// At one of the slashes; only the remote's list of references tells which.
    AtSomeSlash,
}

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

fn invalid(text: &str, rule: impl Into<String>) -> InvalidSource {
    InvalidSource {
        shown: scrub(text),
        rule: rule.into(),
    }
}

impl SourceName {
    /// Tells repositories from folders; does no I/O.
    ///
    /// # Errors
    /// SRC-URL.
    pub fn parse(text: &str) -> Result<Self, InvalidSource> {
        if text.contains("://") {
            return Ok(Self::Git(parse_url(text)?));
        }
        match scp_path_start(text) {
            Some(start) => Ok(Self::Git(parse_scp(text, start)?)),
            None => Ok(Self::Folder(PathBuf::from(text))),
        }
    }
}

impl GitSource {
    /// The same with `--ref` and `--directory`.
    ///
    /// # Errors
    /// SRC-URL, also when the text named another one already.
    pub fn with(
        mut self,
        reference: Option<&str>,
        directory: Option<&str>,
    ) -> Result<Self, InvalidSource> {
        let twice = |what: &str, one: &str, two: &str| {
            let rule = format!("the {what} is given twice, as {one} and as {two}");
            invalid(&self.url.to_string(), rule)
        };
        if let Some(given) = reference {
            match &self.reference {
                Some(written) if written != given => {
                    return Err(twice("reference", written, given));
                }
                _ => self.reference = Some(check_reference(given, given)?),
            }
            self.split = Split::Certain;
        }
        if let Some(given) = directory {
            let given = check_directory(given, given)?;
            if !self.directory.is_empty() && self.directory != given {
                return Err(twice("directory", &self.directory, &given));
            }
            self.directory = given;
        }
        Ok(self)
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

/// Text without the credentials of any URL in it and without control characters, as messages
/// may show it. `git@` and other users without a password stay for ssh.
pub(super) fn scrub(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
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
    shown.retain(|c| c == '\n' || !c.is_control());
    shown
}

/// Where the path of `user@host:path` begins.
fn scp_path_start(text: &str) -> Option<usize> {
    let (before, _) = text.split_once(':')?;
    let (user, host) = before.split_once('@')?;
    let plain = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && !part.starts_with('-') && part.chars().all(allowed)
    };
    (plain(user) && plain(host)).then_some(before.len() + 1)
}

fn parse_scp(text: &str, start: usize) -> Result<GitSource, InvalidSource> {
    let parts = Parts::of(text, start)?;
    if parts.path.is_empty() || parts.path.starts_with('-') {
        return Err(invalid(text, "the path of the repository is missing"));
    }
    Ok(GitSource {
        url: GitUrl {
            address: format!("{}{}", &text[..start], parts.path),
            credentials: None,
        },
        reference: parts.reference,
        directory: parts.directory,
        split: Split::Certain,
    })
}

fn parse_url(text: &str) -> Result<GitSource, InvalidSource> {
    let plain = text.strip_prefix("git+").unwrap_or(text);
    let authority = plain.find("://").map_or(0, |at| at + 3);
    let start = plain[authority..]
        .find(['/', '#'])
        .map_or(plain.len(), |slash| authority + slash);
    let mut parts = Parts::of(plain, start)?;
    let mut split = Split::Certain;
    let page = |path: &str| {
        let (repository, rest) = path.split_once("/-/tree/").or_else(|| {
            let (repository, rest) = path.split_once("/tree/")?;
            // host/owner/repo/tree/…, not a repository that has a folder `tree` above it
            (repository.trim_matches('/').split('/').count() == 2).then_some((repository, rest))
        })?;
        Some((repository.to_owned(), rest.trim_matches('/').to_owned()))
    };
    let is_web = plain.starts_with("http");
    if is_web
        && parts.reference.is_none()
        && let Some((repository, rest)) = page(&parts.path)
    {
        let (reference, directory) = rest.split_once('/').unwrap_or((&rest, ""));
        if !directory.is_empty() {
            split = Split::AtSomeSlash;
        }
        parts = Parts {
            path: repository,
            reference: Some(check_reference(text, reference)?),
            directory: check_directory(text, &format!("{directory}/{}", parts.directory))?,
        };
    }
    let address = format!("{}{}", &plain[..start], parts.path.trim_end_matches('/'));
    Ok(GitSource {
        url: parse_address(text, &address)?,
        reference: parts.reference,
        directory: parts.directory,
        split,
    })
}

fn parse_address(text: &str, address: &str) -> Result<GitUrl, InvalidSource> {
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

/// What is written behind the host.
struct Parts {
    path: String,
    reference: Option<String>,
    directory: String,
}

impl Parts {
    fn of(text: &str, start: usize) -> Result<Self, InvalidSource> {
        let (before, fragment) = match text[start..].split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (&text[start..], None),
        };
        let (path, at) = match before.split_once('@') {
            Some((path, reference)) => (path, Some(reference)),
            None => (before, None),
        };
        let path = path.split('?').next().unwrap_or(path);
        let (behind, directory) = match fragment.map(|fragment| fragment.split_once(':')) {
            Some(Some(("", directory))) => (None, directory),
            Some(Some((reference, directory))) => (Some(reference), directory),
            Some(None) => (None, fragment.unwrap_or("")),
            None => (None, ""),
        };
        if at.is_some() && behind.is_some() {
            return Err(invalid(
                text,
                "the reference is given twice, behind @ and behind #",
            ));
        }
        let reference = at.or(behind);
        Ok(Self {
            path: path.to_owned(),
            reference: reference
                .map(|reference| check_reference(text, reference))
                .transpose()?,
            directory: check_directory(text, directory)?,
        })
    }
}

/// git-check-ref-format(1), without what would be an option or a revision expression.
fn check_reference(text: &str, reference: &str) -> Result<String, InvalidSource> {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let broken = reference.is_empty()
        || reference.len() > 255
        || reference.starts_with(['-', '/', '.'])
        || reference.ends_with(['/', '.'])
        || reference.contains("..")
        || reference.contains("//")
        || reference.contains("@{")
        || reference.chars().any(forbidden);
    if broken {
        let rule = format!("{reference:?} can't be a branch, a tag or a commit");
        return Err(invalid(text, rule));
    }
    Ok(reference.to_owned())
}

fn check_directory(text: &str, directory: &str) -> Result<String, InvalidSource> {
    let kept: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let joined = kept.join("/");
    if joined.is_empty() {
        return Ok(joined);
    }
    match EntryPath::new(joined.as_str()) {
        Ok(path) => Ok(path.into()),
        Err(error) => Err(invalid(text, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> GitSource {
        match SourceName::parse(text).unwrap() {
            SourceName::Git(source) => source,
            SourceName::Folder(folder) => panic!("{text} is the folder {}", folder.display()),
        }
    }

    #[test]
    fn every_form_is_read() {
        for (text, address, reference, directory) in [
            ("https://h.io/o/r", "https://h.io/o/r", None, ""),
            ("https://h.io/o/r.git/", "https://h.io/o/r.git", None, ""),
            (
                "https://h.io/o/r@v1#a/b/",
                "https://h.io/o/r",
                Some("v1"),
                "a/b",
            ),
            (
                "https://h.io/o/r@feature/x",
                "https://h.io/o/r",
                Some("feature/x"),
                "",
            ),
            (
                "https://h.io/o/r@pkg@1.0",
                "https://h.io/o/r",
                Some("pkg@1.0"),
                "",
            ),
            ("https://h.io/o/r#./a", "https://h.io/o/r", None, "a"),
            (
                "https://h.io/o/r.git#v1:a",
                "https://h.io/o/r.git",
                Some("v1"),
                "a",
            ),
            ("https://h.io/o/r.git#:a", "https://h.io/o/r.git", None, "a"),
            (
                "https://h.io/o/r.git#v1:",
                "https://h.io/o/r.git",
                Some("v1"),
                "",
            ),
            (
                "https://github.com/o/r/tree/main",
                "https://github.com/o/r",
                Some("main"),
                "",
            ),
            (
                "https://github.com/o/r/tree/v1/a/b?tab=x",
                "https://github.com/o/r",
                Some("v1"),
                "a/b",
            ),
            (
                "https://gl.io/g/s/r/-/tree/v1/a?ref_type=tags",
                "https://gl.io/g/s/r",
                Some("v1"),
                "a",
            ),
            ("https://h.io/o/r?tab=readme", "https://h.io/o/r", None, ""),
            ("git@h.io:o/r.git", "git@h.io:o/r.git", None, ""),
            ("git@h.io:o/r@v1#a", "git@h.io:o/r", Some("v1"), "a"),
            (
                "ssh://git@h.io:22/o/r@v1",
                "ssh://git@h.io:22/o/r",
                Some("v1"),
                "",
            ),
            ("git+ssh://git@h.io/o/r", "ssh://git@h.io/o/r", None, ""),
            (
                "file:///srv/r.git@v1#a",
                "file:///srv/r.git",
                Some("v1"),
                "a",
            ),
            (
                "http://127.0.0.1:3000/o/r",
                "http://127.0.0.1:3000/o/r",
                None,
                "",
            ),
            (
                "https://u:p@h.io/o/r@v1",
                "https://h.io/o/r",
                Some("v1"),
                "",
            ),
        ] {
            let source = git(text);
            assert_eq!(source.url.address(), address, "{text}");
            assert_eq!(source.reference.as_deref(), reference, "{text}");
            assert_eq!(source.directory, directory, "{text}");
            assert!(["r", "o"].contains(&source.url.repository()), "{text}");
        }
        for text in [".", "a/b", "/abs", "c:d", "a@b/c:d", "deployments/x@y"] {
            let folder = SourceName::Folder(PathBuf::from(text));
            assert_eq!(SourceName::parse(text).unwrap(), folder);
        }
        let page = git("https://github.com/o/r/tree/feature/x/cmd");
        assert_eq!(page.split, Split::AtSomeSlash);
    }

    #[test]
    fn what_is_unsafe_or_unclear_is_refused_with_the_rule() {
        for (text, part) in [
            ("git://h.io/o/r", "write https://"),
            ("http://h.io/o/r", "write https://"),
            ("ext::sh -c evil://x/y", "not a scheme"),
            ("ftp://h.io/o/r", "ftp:// is not a scheme"),
            ("ssh://-oProxyCommand=evil/x", "can't begin with -"),
            ("ssh://git:secret@h.io/o/r", "no password"),
            ("https://h.io/", "path of the repository is missing"),
            ("https://h.io/o/r@-x", "can't be a branch"),
            ("https://h.io/o/r@--upload-pack=evil", "can't be a branch"),
            ("https://h.io/o/r@a..b", "can't be a branch"),
            ("https://h.io/o/r@", "can't be a branch"),
            ("https://h.io/o/r#../x", "a . or .. component"),
            ("https://h.io/o/r@v1#v2:a", "given twice"),
            ("git@h.io:-x", "is missing"),
        ] {
            let error = SourceName::parse(text).unwrap_err();
            assert_eq!((error.code(), error.exit()), ("SRC-URL", Exit::Usage));
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn flags_add_and_never_contradict() {
        let source = git("https://h.io/o/r")
            .with(Some("v1"), Some("/a/"))
            .unwrap();
        assert_eq!(
            (source.reference.as_deref(), source.directory.as_str()),
            (Some("v1"), "a")
        );
        let error = source.clone().with(Some("v2"), None).unwrap_err();
        assert!(
            error.to_string().contains("given twice, as v1 and as v2"),
            "{error}"
        );
        assert!(source.clone().with(None, Some("b")).is_err());
        assert_eq!(source.clone().with(Some("v1"), Some("a")).unwrap(), source);
    }

    #[test]
    fn credentials_never_show() {
        let source = git("https://us%40er:s%2Fcret@h.io/o/r");
        assert_eq!(source.url.credentials(), Some(("us@er", "s/cret")));
        assert!(!format!("{source:?} {}", source.url).contains("cret"));
        let error = SourceName::parse("ftp://user:secret@h.io/o")
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains("secret") && error.contains("***@h.io"),
            "{error}"
        );
        for (text, shown) in [
            (
                "fatal: https://u:p@h/x and 'https://t@h/y'",
                "fatal: https://***@h/x and 'https://***@h/y'",
            ),
            (
                "ssh://git@h/x ssh://git:p@h/x",
                "ssh://git@h/x ssh://***@h/x",
            ),
            ("a\x1b[31m\nb", "a[31m\nb"),
        ] {
            assert_eq!(scrub(text), shown);
        }
    }
}
