//! Repositories, through the `git` program: clones, and the commit of a local source.
//!
//! Whatever a repository's own configuration says, nothing of it runs: hooks, fsmonitor,
//! filters, textconv, ssh commands, remote helpers, lazy fetches (docs/concepts/caching.md
//! says what is kept).

mod clone;
mod lfs;
mod program;
mod resolve;
mod revision;
mod watch;

pub use clone::{Checkout, Reach, clone};
pub use revision::revision;

use crate::error::{Coded, Exit};

/// A commit and what names it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Revision {
    /// 40 hex digits (64 in a SHA-256 repository).
    pub commit: String,
    /// Committer time, seconds since 1970.
    pub time: i64,
    /// The tag at this commit, if any; of several the last in byte order.
    pub tag: Option<String>,
    /// The branch, if any.
    pub branch: Option<String>,
    /// Whether the work tree differs from the commit: a tracked file that is changed or gone,
    /// or a file that is neither tracked nor ignored. No filter runs, so a file that a filter
    /// or a line-ending conversion changes at checkout counts as changed.
    pub dirty: bool,
}

impl Revision {
    /// The commit's first 12 digits.
    pub fn short(&self) -> String {
        self.commit.chars().take(12).collect()
    }

    /// What names this tree: the tag, unless the tree was changed since, else the short commit.
    pub fn version(&self) -> String {
        let tag = self.tag.clone().filter(|_| !self.dirty);
        tag.unwrap_or_else(|| self.short())
    }
}

/// Why git did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum GitError {
    #[error("the program `git` is not on PATH")]
    Missing,
    #[error("can't run {program}")]
    Run {
        program: String,
        source: std::io::Error,
    },
    #[error("can't clone {url}: {said}")]
    Clone { url: String, said: String, why: Why },
    #[error("can't clone {url}: it wants a login: {said}")]
    Auth { url: String, said: String },
    #[error("{url} has no branch, tag or commit {reference:?}{}", near_names(near))]
    Ref {
        url: String,
        reference: String,
        near: Vec<String>,
    },
    #[error("{url} at {reference} has no folder {directory:?}")]
    Directory {
        url: String,
        reference: String,
        directory: String,
    },
    #[error("{url} at {reference} was never cloned here, and --offline forbids to fetch it")]
    Offline { url: String, reference: String },
    #[error("git can't read the repository {root}: {said}")]
    Read { root: String, said: String },
}

/// What stood in the way of a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The network.
    Network,
    /// Something else; git's words say it.
    Other,
}

fn near_names(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    format!("; near: {}", near.join(", "))
}

impl Coded for GitError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Run { .. } => "SRC-GIT-NONE",
            Self::Clone { .. } => "SRC-GIT-CLONE",
            Self::Auth { .. } => "SRC-GIT-AUTH",
            Self::Ref { .. } => "SRC-GIT-REF",
            Self::Directory { .. } => "SRC-DIRECTORY",
            Self::Offline { .. } => "SRC-OFFLINE",
            Self::Read { .. } => "SRC-GIT-READ",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Auth { .. } => Exit::Authentication,
            Self::Clone {
                why: Why::Network, ..
            } => Exit::Network,
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing | Self::Run { .. } => "install git (Debian: apt-get install git)",
            Self::Clone { url, .. } => return Some(format!("try: git ls-remote {url}")),
            Self::Auth { .. } => {
                "give git a credential helper, an ssh key, or write https://TOKEN@HOST/…"
            }
            Self::Ref { url, .. } => {
                return Some(format!("list them: git ls-remote --heads --tags {url}"));
            }
            Self::Directory { .. } => "correct the part behind #, or --directory",
            Self::Offline { .. } => "run once without --offline",
            Self::Read { .. } => "repair the repository, or build a copy without .git",
        };
        Some(hint.to_owned())
    }
}
