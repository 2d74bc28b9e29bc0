//! Sets of packages: what the short names of assembled bases are made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AssembleError;

/// Version of everything here that decides which files a base holds, and what they hold: the
/// sets, the filters, the generated files. Another one means other bytes.
pub const FILTER_VERSION: u32 = 1;

/// A set of packages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PackageSet {
    /// `static`: no C library; accounts, certificates, time zones.
    Static,
    /// `cc`: the C and C++ libraries, OpenSSL, zlib, Zstandard.
    Cc,
    /// `python3.13`: [`PackageSet::Cc`], the interpreter and its standard library.
    Python {
        /// The 13 of 3.13.
        minor: u16,
    },
    /// `node24`: the C and C++ libraries, and Node.js itself from npm.
    Node {
        /// The 24 of 24.1.0.
        major: u16,
    },
}

/// A text that names no set.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no set of packages; write static, cc, python3.13 or node24")]
pub struct InvalidSet {
    text: String,
}

impl fmt::Display for PackageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("static"),
            Self::Cc => f.write_str("cc"),
            Self::Python { minor } => write!(f, "python3.{minor}"),
            Self::Node { major } => write!(f, "node{major}"),
        }
    }
}

impl FromStr for PackageSet {
    type Err = InvalidSet;

    fn from_str(text: &str) -> Result<Self, InvalidSet> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            // `node024` would be a second name of the same base.
            (plain && !digits.starts_with('0'))
                .then(|| digits.parse::<u16>().ok())
                .flatten()
        };
        let set = match text {
            "static" => Some(Self::Static),
            "cc" => Some(Self::Cc),
            _ => {
                let python = text.strip_prefix("python3.").and_then(number);
                let node = text.strip_prefix("node").and_then(number);
                let python = python.map(|minor| Self::Python { minor });
                python.or(node.map(|major| Self::Node { major }))
            }
        };
        set.ok_or_else(|| InvalidSet {
            text: text.chars().take(100).collect(),
        })
    }
}

impl TryFrom<String> for PackageSet {
    type Error = InvalidSet;

    fn try_from(text: String) -> Result<Self, InvalidSet> {
        text.parse()
    }
}

impl From<PackageSet> for String {
    fn from(set: PackageSet) -> Self {
        set.to_string()
    }
}

/// A release of Debian that bases are assembled from.
struct Suite {
    name: &'static str,
    /// Minor versions of Python that it has.
    python: &'static [u16],
    openssl: &'static str,
    usr: Usr,
    /// Packages that are left out of bases besides [`EXCLUDED`] and [`NOT_IN_BASES`].
    excluded: &'static [&'static str],
}

/// Where a release keeps `/bin`, `/lib` and `/sbin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usr {
    /// They are links to folders of the same names in `/usr`.
    Merged,
    /// Packages bring files in both.
    Split,
}

const SUITES: [Suite; 3] = [
    Suite {
        name: "trixie",
        python: &[13],
        openssl: "libssl3t64",
        usr: Usr::Merged,
        excluded: &[],
    },
    Suite {
        name: "bookworm",
        python: &[11],
        openssl: "libssl3",
        usr: Usr::Split,
        excluded: &["libzstd1"],
    },
    Suite {
        name: "forky",
        python: &[13, 14],
        openssl: "libssl3t64",
        usr: Usr::Merged,
        excluded: &[],
    },
];

/// Majors of Node.js that are offered.
const NODE: [u16; 4] = [20, 22, 24, 26];

/// The first major of Node.js that needs libatomic.
const NODE_WITH_ATOMIC: u16 = 26;

/// Needed by maintainer scripts, which never run here, whatever is installed.
/// `awk` and `debconf-2.0` are names that several packages provide.
const EXCLUDED: [&str; 10] = [
    "awk",
    "debconf",
    "debconf-2.0",
    "dpkg",
    // Tables of iconv, which the filter drops.
    "libc-gconv-modules-extra",
    "libtirpc-common",
    "mawk",
    "openssl",
    "readline-common",
    "tar",
];

/// Needed in a base by programs that are left out; what comes on top may be linked with them.
const NOT_IN_BASES: [&str; 5] = [
    "libacl1",
    "libmd0",
    "libpcre2-8-0",
    "libselinux1",
    "perl-base",
];

const STATIC: [&str; 5] = [
    "base-files",
    "ca-certificates",
    "media-types",
    "netbase",
    "tzdata",
];

fn find(suite: &str) -> Result<&'static Suite, AssembleError> {
    let found = SUITES.iter().find(|known| known.name == suite);
    found.ok_or_else(|| AssembleError::Suite {
        suite: suite.to_owned(),
        known: SUITES.iter().map(|suite| suite.name).collect(),
    })
}

pub(super) fn usr(suite: &str) -> Result<Usr, AssembleError> {
    find(suite).map(|suite| suite.usr)
}

/// The packages that a set asks for; what they depend on comes on top.
///
/// # Errors
/// BASE-SET for a release that is not known, or one that lacks the set.
pub fn roots(suite: &str, set: &PackageSet) -> Result<Vec<String>, AssembleError> {
    let suite = find(suite)?;
    let mut names: Vec<String> = STATIC.map(str::to_owned).into();
    let mut add = |more: &[&str]| names.extend(more.iter().map(|name| (*name).to_owned()));
    match set {
        PackageSet::Static => {}
        PackageSet::Cc | PackageSet::Python { .. } => {
            add(&["libc6", "libstdc++6", suite.openssl, "zlib1g"]);
        }
        PackageSet::Node { .. } => add(&["libc6", "libstdc++6"]),
    }
    match set {
        PackageSet::Python { minor } if suite.python.contains(minor) => {
            // The interpreter alone lacks asyncio and http.
            names.push(format!("python3.{minor}-minimal"));
            names.push(format!("libpython3.{minor}-stdlib"));
        }
        PackageSet::Node { major } if NODE.contains(major) => {
            if *major >= NODE_WITH_ATOMIC {
                names.push("libatomic1".to_owned());
            }
        }
        PackageSet::Python { .. } | PackageSet::Node { .. } => return Err(lacks(suite, set)),
        PackageSet::Static | PackageSet::Cc => {}
    }
    names.sort_unstable();
    Ok(names)
}

fn lacks(suite: &Suite, set: &PackageSet) -> AssembleError {
    let mut offered = Vec::new();
    match set {
        PackageSet::Node { .. } => offered.extend(NODE.map(|major| format!("node{major}"))),
        _ => {
            for suite in &SUITES {
                let versions = suite.python.iter();
                offered.extend(versions.map(|minor| format!("deb:{}/python3.{minor}", suite.name)));
            }
        }
    }
    AssembleError::Set {
        suite: suite.name.to_owned(),
        set: set.to_string(),
        offered,
    }
}

/// Packages that are never chosen for a base; a dependency on one counts as satisfied.
pub fn exclude(suite: &str) -> Vec<String> {
    let own = SUITES.iter().find(|known| known.name == suite);
    let own = own.map_or(&[][..], |suite| suite.excluded);
    let names = EXCLUDED.iter().chain(&NOT_IN_BASES).chain(own);
    names.map(|name| (*name).to_owned()).collect()
}

/// As [`exclude`], for `os_packages`: what is asked for by its name is never left out.
pub fn exclude_on_top(os_packages: &[String]) -> Vec<String> {
    let names = EXCLUDED.iter().map(|name| (*name).to_owned());
    names.filter(|name| !os_packages.contains(name)).collect()
}

/// The releases that bases are assembled from, the default first.
pub fn suites() -> Vec<&'static str> {
    SUITES.iter().map(|suite| suite.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded as _;

    #[test]
    fn names_of_sets_round_trip() {
        for (text, set) in [
            ("static", PackageSet::Static),
            ("cc", PackageSet::Cc),
            ("python3.13", PackageSet::Python { minor: 13 }),
            ("python3.9", PackageSet::Python { minor: 9 }),
            ("node24", PackageSet::Node { major: 24 }),
        ] {
            assert_eq!(text.parse::<PackageSet>().unwrap(), set);
            assert_eq!(set.to_string(), text);
        }
        for bad in [
            "",
            "python",
            "python3",
            "python3.",
            "python3.013",
            "python2.7",
            "python3.13.1",
            "node",
            "node024",
            "node+4",
            "node24.1",
            "node99999",
            "Static",
        ] {
            assert!(bad.parse::<PackageSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sets_say_what_they_are_made_of() {
        let roots = |suite, set: &str| roots(suite, &set.parse().unwrap());
        assert_eq!(roots("trixie", "static").unwrap(), STATIC);
        let python = roots("trixie", "python3.13").unwrap();
        for name in ["libpython3.13-stdlib", "libssl3t64", "tzdata"] {
            assert!(python.contains(&name.to_owned()), "{python:?}");
        }
        let older = roots("bookworm", "cc").unwrap();
        assert!(older.contains(&"libssl3".to_owned()), "{older:?}");
        let node = |set| roots("trixie", set).unwrap();
        assert!(!node("node24").contains(&"libatomic1".to_owned()));
        assert!(node("node26").contains(&"libatomic1".to_owned()));
        assert!(!node("node26").contains(&"libssl3t64".to_owned()));
    }

    #[test]
    fn what_is_missing_is_named_with_what_exists() {
        for (suite, set, text) in [
            (
                "trixie",
                "python3.12",
                "Debian trixie has no python3.12; there are deb:trixie/python3.13, \
                 deb:bookworm/python3.11, deb:forky/python3.13, deb:forky/python3.14",
            ),
            (
                "bookworm",
                "node18",
                "Debian bookworm has no node18; there are node20, node22, node24, node26",
            ),
            (
                "sid",
                "cc",
                "no base is assembled from Debian \"sid\"; there are trixie, bookworm, forky",
            ),
        ] {
            let error = roots(suite, &set.parse().unwrap()).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.code()),
                (text, "BASE-SET")
            );
        }
        assert!(exclude("bookworm").contains(&"libzstd1".to_owned()));
        assert!(!exclude("trixie").contains(&"libzstd1".to_owned()));
        // Coreutils are linked with libselinux1, and openssl was asked for.
        let on_top = exclude_on_top(&["coreutils".to_owned(), "openssl".to_owned()]);
        assert!(on_top.contains(&"dpkg".to_owned()));
        for taken in ["libselinux1", "openssl", "perl-base"] {
            assert!(exclude("trixie").contains(&taken.to_owned()), "{taken}");
            assert!(!on_top.contains(&taken.to_owned()), "{taken}");
        }
    }
}
