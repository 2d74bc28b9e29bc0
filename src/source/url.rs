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

use std::path::PathBuf;

use super::address::{GitUrl, InvalidSource, invalid, parse_address};
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
        url: GitUrl::scp(format!("{}{}", &text[..start], parts.path)),
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
mod tests;
