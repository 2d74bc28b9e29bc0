//! InRelease files: what a suite holds, signed and dated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::cleartext::{self, Verified};
use super::control;
use super::error::DebError;
use super::keys::Keyring;
use super::mirror::safe_path;
use crate::digest::Digest;

/// Seconds by which a mirror's clock may be ahead of this machine's.
const SKEW: i64 = 24 * 3600;
/// No index of one component is larger; Debian's largest has 60 MB.
const INDEX_LIMIT: u64 = 1 << 30;

/// A verified InRelease file.
#[derive(Debug)]
pub(super) struct Release {
    /// Its address, for messages.
    pub(super) url: String,
    pub(super) digest: Digest,
    pub(super) signed_by: Vec<String>,
    /// Seconds since 1970.
    pub(super) date: i64,
    pub(super) valid_until: Option<i64>,
    pub(super) by_hash: bool,
    /// Digest and size by path below the suite: the indices of `main` alone.
    files: BTreeMap<String, (Digest, u64)>,
}

impl Release {
    /// Checks signatures and reads what was signed.
    ///
    /// # Errors
    /// BASE-SIG, BASE-INDEX, BASE-SUITE.
    pub(super) fn read(
        bytes: &[u8],
        (url, suite): (&str, &str),
        ring: &Keyring,
        now: i64,
    ) -> Result<Self, DebError> {
        let verified = cleartext::verify(bytes, ring, now).map_err(|no| DebError::Signature {
            url: url.to_owned(),
            why: no.why,
            seen: match no.seen.as_slice() {
                [] => String::new(),
                seen => format!("; its signatures are of {}", seen.join(", ")),
            },
        })?;
        let release = Self::parse(&verified, url, suite);
        release.map(|release| Self {
            digest: Digest::of(bytes),
            ..release
        })
    }

    fn parse(verified: &Verified, url: &str, suite: &str) -> Result<Self, DebError> {
        let bad = |problem: String| DebError::Index {
            url: url.to_owned(),
            problem,
        };
        let fields = control::stanza(&verified.text).map_err(bad)?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let (codename, name) = (field("codename"), field("suite"));
        if suite != codename && suite != name {
            return Err(DebError::WrongSuite {
                url: url.to_owned(),
                wanted: suite.to_owned(),
                found: format!("{codename} ({name})"),
            });
        }
        let moment = |name: &str| -> Result<Option<i64>, DebError> {
            match field(name) {
                "" => Ok(None),
                text => seconds(text)
                    .map(Some)
                    .ok_or_else(|| bad(format!("{text:.60?} in {name} is no time"))),
            }
        };
        Ok(Self {
            url: url.to_owned(),
            digest: Digest::of(b""),
            signed_by: verified.signed_by.clone(),
            date: moment("date")?.ok_or_else(|| bad("it has no Date".to_owned()))?,
            valid_until: moment("valid-until")?,
            by_hash: field("acquire-by-hash") == "yes",
            files: files(field("sha256")).map_err(bad)?,
        })
    }

    /// Digest and size of a file of the suite.
    pub(super) fn file(&self, path: &str) -> Option<(Digest, u64)> {
        self.files.get(path).copied()
    }

    /// The architectures that have an index.
    pub(super) fn architectures(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix("main/binary-")?.strip_suffix("/Packages"))
            .map(str::to_owned)
            .collect();
        found.dedup();
        found
    }

    /// The forms in which an architecture's index is listed: `Packages.xz`, …
    pub(super) fn forms(&self, architecture: &str) -> Vec<String> {
        let folder = format!("main/binary-{architecture}/");
        self.files
            .keys()
            .filter_map(|path| path.strip_prefix(&folder))
            .map(str::to_owned)
            .collect()
    }

    /// BASE-EXPIRED for a file that is not valid at `now`.
    pub(super) fn check_time(&self, now: i64) -> Result<(), DebError> {
        if self.date > now.saturating_add(SKEW) {
            return Err(DebError::NotYet {
                url: self.url.clone(),
                date: shown(self.date),
                now: shown(now),
            });
        }
        match self.valid_until {
            Some(until) if until < now => Err(DebError::Expired {
                url: self.url.clone(),
                until: shown(until),
                now: shown(now),
            }),
            _ => Ok(()),
        }
    }

    /// BASE-ROLLBACK for a file that is older than one that is known already.
    pub(super) fn check_order(&self, earlier: i64, seen: &'static str) -> Result<(), DebError> {
        if self.date >= earlier {
            return Ok(());
        }
        Err(DebError::Rollback {
            url: self.url.clone(),
            date: shown(self.date),
            earlier: shown(earlier),
            seen,
        })
    }
}

/// A time as the lock and messages write it: RFC 3339 in UTC.
pub(super) fn shown(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_far| seconds.to_string(), |t| t.to_string())
}

/// `Sat, 21 Nov 2026 09:15:44 UTC`
fn seconds(text: &str) -> Option<i64> {
    let text = match text.strip_suffix("UTC").or_else(|| text.strip_suffix("Z")) {
        Some(rest) => format!("{rest}+0000"),
        None => text.to_owned(),
    };
    rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text.trim())
        .ok()
        .map(Timestamp::as_second)
}

/// ` DIGEST SIZE PATH`; the security suite says `updates/main` elsewhere, but its paths begin
/// with `main/` like all others.
fn files(field: &str) -> Result<BTreeMap<String, (Digest, u64)>, String> {
    let mut files = BTreeMap::new();
    for line in field.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let (Some(hex), Some(size), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("{line:.100?} is no line of SHA256"));
        };
        if !path.starts_with("main/binary-") || safe_path(path).is_none() {
            continue;
        }
        let digest = format!("sha256:{hex}")
            .parse()
            .map_err(|error: crate::digest::InvalidDigest| error.to_string())?;
        let size = size
            .parse()
            .ok()
            .filter(|size| *size <= INDEX_LIMIT)
            .ok_or_else(|| format!("{size:.30?} is no size of {path:.100}"))?;
        if files.insert(path.to_owned(), (digest, size)).is_some() {
            return Err(format!("it lists {path:.100} twice"));
        }
    }
    Ok(files)
}
