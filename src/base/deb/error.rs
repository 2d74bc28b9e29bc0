//! What can be wrong with a mirror, its indices and packages.

use std::io;
use std::path::PathBuf;

use crate::error::{Coded, Exit};
use crate::net::DownloadError;
use crate::store::StoreError;

/// Why packages can't be resolved or fetched.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum DebError {
    #[error("no Debian mirror is known{looked}")]
    NoMirror { looked: String },
    #[error("{what} would have to be fetched, but --offline is set")]
    Offline { what: String },
    #[error("{text} can't be a Debian mirror: {why}")]
    Mirror { text: String, why: String },
    #[error("the keyring {} can't be used: {why}", path.display())]
    Keyring { path: PathBuf, why: String },
    #[error("{url}: {why}{seen}")]
    Signature {
        url: String,
        why: String,
        seen: String,
    },
    #[error("{url} is the index of {found}, not of {wanted}")]
    WrongSuite {
        url: String,
        wanted: String,
        found: String,
    },
    #[error("no mirror has the suite {suite}: {}", tried.join("; "))]
    NoSuite { suite: String, tried: Vec<String> },
    #[error("{url} was valid until {until}, and it is {now}")]
    Expired {
        url: String,
        until: String,
        now: String,
    },
    #[error("{url} is of {date}, which is to come: it is {now}")]
    NotYet {
        url: String,
        date: String,
        now: String,
    },
    #[error("{url} is of {date}, but one of {earlier} {seen}")]
    Rollback {
        url: String,
        date: String,
        earlier: String,
        seen: &'static str,
    },
    #[error("{url} is not what was signed for: it should be {expected}, and is {found}")]
    Hash {
        url: String,
        expected: String,
        found: String,
    },
    #[error("{suite} has no packages for {wanted}; it has {}", present.join(", "))]
    Architecture {
        suite: String,
        wanted: String,
        present: Vec<String>,
    },
    #[error("{package} is on no mirror any more ({tried}){newer}{more}")]
    Vanished {
        package: String,
        tried: String,
        newer: String,
        more: String,
    },
    #[error("{wanted} can't be installed: {why}; it is needed by {}", chain.join(" → "))]
    Dependency {
        wanted: String,
        why: String,
        chain: Vec<String>,
    },
    #[error("{suite} offers the index for {architecture} only as {}", present.join(", "))]
    Compression {
        suite: String,
        architecture: String,
        present: Vec<String>,
    },
    #[error("{url}: {problem}")]
    Index { url: String, problem: String },
    #[error("{what}: {problem}")]
    Npm { what: String, problem: String },
    #[error("{name} {version} is not in the npm registry; it has {}", present.join(", "))]
    NpmVersion {
        name: String,
        version: String,
        present: Vec<String>,
    },
    #[error("apt-helper can't fetch {url}: {words}")]
    Apt { url: String, words: String },
    #[error("{} can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{what}")]
    Download {
        what: String,
        source: Box<DownloadError>,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for DebError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoMirror { .. } => "BASE-NOMIRROR",
            Self::Offline { .. } => "BASE-OFFLINE",
            Self::Mirror { .. } | Self::Apt { .. } => "BASE-MIRROR",
            Self::Keyring { .. } => "BASE-KEYRING",
            Self::Signature { .. } => "BASE-SIG",
            Self::WrongSuite { .. } | Self::NoSuite { .. } => "BASE-SUITE",
            Self::Expired { .. } | Self::NotYet { .. } => "BASE-EXPIRED",
            Self::Rollback { .. } => "BASE-ROLLBACK",
            Self::Hash { .. } => "BASE-HASH",
            Self::Architecture { .. } => "BASE-ARCH",
            Self::Vanished { .. } => "BASE-404",
            Self::Dependency { .. } => "BASE-DEP",
            Self::Compression { .. } => "BASE-COMPR",
            Self::Index { .. } => "BASE-INDEX",
            Self::Npm { .. } | Self::NpmVersion { .. } => "BASE-NPM",
            Self::Read { .. } => "BASE-READ",
            Self::Download { source, .. } => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoMirror { .. }
            | Self::Offline { .. }
            | Self::Mirror { .. }
            | Self::Keyring { .. } => Exit::Usage,
            Self::Download { source, .. } => source.exit(),
            Self::Store(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoMirror { .. } => {
                "name one: --mirror http://deb.debian.org/debian (key mirror), or give the machine \
                 Debian sources in /etc/apt/sources.list.d"
            }
            Self::Offline { .. } => "run once without --offline; what it fetches is kept",
            Self::Mirror { .. } => "write https://HOST/PATH, http://HOST/PATH or file:///PATH",
            Self::Keyring { .. } => "export the public keys: gpg --export FINGERPRINT > FILE.gpg",
            Self::Signature { .. } => {
                "is the mirror Debian's? keys of others are given with --keyring FILE"
            }
            Self::WrongSuite { .. } => "the mirror mixes its suites up; use another one",
            Self::NoSuite { .. } => "check the suite's name and the mirror: --mirror URL",
            Self::Expired { .. } | Self::NotYet { .. } => {
                "is this machine's clock right? else the mirror is stale: use another one"
            }
            Self::Rollback { .. } => {
                "the mirror lags behind, or somebody replays an old state; use another one, or wait"
            }
            Self::Hash { .. } => {
                "the mirror may be half updated: try again later, or use another one; nothing was kept"
            }
            Self::Architecture { .. } => "build for a platform that the suite has",
            Self::Vanished { .. } => {
                "karisimbi base update locks what the mirror has now; a mirror that keeps old \
                 packages, or a base in a registry, keeps old locks working"
            }
            Self::Dependency { .. } => {
                "check the name; the packages of a suite are closed in themselves"
            }
            Self::Compression { .. } => "use a mirror that serves Packages.xz or Packages.gz",
            Self::Index { .. } => "the mirror is damaged; use another one",
            Self::Npm { .. } | Self::NpmVersion { .. } => "check the version",
            Self::Apt { .. } => "try it by hand: apt-get update",
            Self::Read { .. } => "check the file and its permissions",
            Self::Download { source, .. } => return source.hint(),
            Self::Store(source) => return source.hint(),
        };
        Some(hint.to_owned())
    }
}
