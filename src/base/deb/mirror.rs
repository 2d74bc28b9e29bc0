//! Where suites are: a configured mirror, or what the machine's apt uses.

use std::path::{Path, PathBuf};

use url::Url;

use super::Mirrors;
use super::error::DebError;
use crate::net::{Login, plain_words, shown_url};

/// The suites of Debian, by code name and by state: others' sources are none of ours.
const SUITES: [&str; 13] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "stable",
    "testing",
    "unstable",
    "oldstable",
    "oldoldstable",
    "rc-buggy",
];
/// A longer file of apt is not looked at.
const FILE_LIMIT: u64 = 1 << 20;

/// What a suite is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The release itself.
    Main,
    /// Changes between point releases.
    Updates,
    /// Security fixes.
    Security,
}

impl Part {
    /// `trixie-security`
    pub(super) fn suite(self, suite: &str) -> String {
        match self {
            Self::Main => suite.to_owned(),
            Self::Updates => format!("{suite}-updates"),
            Self::Security => format!("{suite}-security"),
        }
    }
}

/// A mirror's address: without user and password, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    url: Url,
    login: Option<Login>,
}

impl Mirror {
    /// # Errors
    /// BASE-MIRROR.
    pub(super) fn parse(text: &str) -> Result<Self, DebError> {
        // `file:/srv/mirror` is how apt writes it; the parser reads both.
        let bad = |why: &str| DebError::Mirror {
            text: hidden(text),
            why: why.to_owned(),
        };
        let mut url: Url = text
            .trim()
            .parse()
            .map_err(|error: url::ParseError| bad(&error.to_string()))?;
        match url.scheme() {
            "https" | "http" if url.has_host() => {}
            "file" => {}
            _ => return Err(bad("its scheme is not https, http or file")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a query or a fragment"));
        }
        let login = (!url.username().is_empty()).then(|| Login {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        });
        // Addresses without a host refuse this, and they carry no user.
        let _no_host = url.set_username("").and(url.set_password(None));
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url, login })
    }

    /// The address of a file below; its path has been checked by [`safe_path`].
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Whether it is a folder of this machine.
    pub(super) fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// `http://deb.debian.org/debian-security` for `http://deb.debian.org/debian`.
    fn security(&self) -> Self {
        let mut url = self.url.clone();
        url.set_path(&format!(
            "{}-security",
            self.url.path().trim_end_matches('/')
        ));
        Self {
            url,
            login: self.login.clone(),
        }
    }
}

impl std::fmt::Display for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(shown_url(&self.url).trim_end_matches('/'))
    }
}

/// One suite and the mirrors that may have it, in the order in which they are asked.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) part: Part,
    pub(super) suite: String,
    pub(super) mirrors: Vec<Mirror>,
    /// Keyrings that the machine's apt trusts for it, besides Debian's own keys.
    pub(super) keyrings: Vec<PathBuf>,
    /// Whether its absence is worth a word.
    pub(super) expected: Expected,
}

/// Whether a part of a suite is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Every mirror of Debian has it: a warning when it is missing.
    Yes,
    /// The machine's sources leave it out as well.
    No,
}

/// A source of the machine's apt.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) uris: Vec<String>,
    pub(super) suites: Vec<String>,
    pub(super) keyrings: Vec<PathBuf>,
}

/// Where the parts of a suite are.
///
/// # Errors
/// BASE-NOMIRROR, BASE-MIRROR, BASE-SUITE.
pub(super) fn origins(mirrors: &Mirrors, suite: &str) -> Result<Vec<Origin>, DebError> {
    let named = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if suite.is_empty() || !suite.bytes().all(named) {
        return Err(DebError::NoSuite {
            suite: format!("{suite:.80?}"),
            tried: vec!["no suite has such a name".to_owned()],
        });
    }
    match &mirrors.mirror {
        Some(mirror) => Ok(configured(&Mirror::parse(mirror)?, suite)),
        None => machine(mirrors.apt_folder.as_deref(), suite),
    }
}

fn configured(mirror: &Mirror, suite: &str) -> Vec<Origin> {
    let origin = |part: Part, mirrors| Origin {
        part,
        suite: part.suite(suite),
        mirrors,
        keyrings: Vec::new(),
        expected: Expected::Yes,
    };
    let mut origins = vec![origin(Part::Main, vec![mirror.clone()])];
    // Unstable has neither: it is where updates and fixes arrive.
    if !matches!(suite, "sid" | "unstable") {
        origins.push(origin(Part::Updates, vec![mirror.clone()]));
        origins.push(origin(
            Part::Security,
            vec![mirror.security(), mirror.clone()],
        ));
    }
    origins
}

fn machine(apt: Option<&Path>, suite: &str) -> Result<Vec<Origin>, DebError> {
    let Some(apt) = apt else {
        return Err(DebError::NoMirror {
            looked: String::new(),
        });
    };
    let sources = super::sources::read(apt)?;
    let mut origins = Vec::new();
    for part in [Part::Main, Part::Updates, Part::Security] {
        let mut origin = Origin {
            part,
            suite: part.suite(suite),
            mirrors: Vec::new(),
            keyrings: Vec::new(),
            expected: Expected::No,
        };
        let own = |source: &&Source| source.suites.iter().any(|s| part_of(s) == Some(part));
        for source in sources.iter().filter(own) {
            for uri in &source.uris {
                // What this program can't speak (cdrom, tor), another source may offer.
                if let Ok(mirror) = Mirror::parse(uri)
                    && !origin.mirrors.contains(&mirror)
                {
                    origin.mirrors.push(mirror);
                    origin.expected = Expected::Yes;
                }
            }
            origin.keyrings.extend(source.keyrings.iter().cloned());
        }
        if part == Part::Main || !origin.mirrors.is_empty() {
            origins.push(origin);
        }
    }
    if origins.iter().all(|origin| origin.mirrors.is_empty()) {
        return Err(DebError::NoMirror {
            looked: format!(" in {}", apt.display()),
        });
    }
    Ok(origins)
}

/// What a suite of a source is for; none when it is not Debian's or no base for images.
fn part_of(suite: &str) -> Option<Part> {
    let suite = suite.trim_end_matches('/');
    if SUITES.contains(&suite) {
        return Some(Part::Main);
    }
    let (name, part) = suite.split_once(['-', '/'])?;
    if !SUITES.contains(&name) {
        return None;
    }
    match part {
        "updates" if suite.contains('/') => Some(Part::Security),
        "updates" => Some(Part::Updates),
        "security" => Some(Part::Security),
        _ => None,
    }
}

/// Whether a source may hold packages of Debian's suites.
pub(super) fn is_debian(suite: &str) -> bool {
    part_of(suite).is_some()
}

/// A file of apt's configuration; none when it is not there.
///
/// # Errors
/// BASE-READ.
pub(super) fn small_file(path: &Path) -> Result<Option<String>, DebError> {
    let failed = |source| DebError::Read {
        path: path.to_owned(),
        source,
    };
    match fs_err::metadata(path) {
        Ok(stat) if stat.len() > FILE_LIMIT => Ok(None),
        Ok(_) => fs_err::read(path)
            .map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
            .map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The path when it is safe to append to an address or a folder: relative, plain, no `..`.
pub(super) fn safe_path(path: &str) -> Option<&str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"+-._~:@".contains(&c);
    let sound = path
        .split('/')
        .all(|name| !matches!(name, "" | "." | "..") && name.bytes().all(plain));
    (sound && path.len() < 1000).then_some(path)
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(
        format!("x={}", text.replace('+', "%2B").replace('&', "%26")).as_bytes(),
    )
    .next()
    .map(|(_, value)| value.into_owned())
    .unwrap_or_default()
}

/// An address that could not be parsed, without what might be a password.
pub(in crate::base) fn hidden(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{}", plain_words(rest)),
        None => plain_words(text),
    }
}
