//! Names of bases.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::BaseError;
use crate::reference::{ImageName, Reference, Tag, without_login};

/// What `--base` and `base:` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseName {
    /// `static`, `cc`, `python3.13`, `node24-alpine`: what it stands for depends on where the
    /// build runs, and is pinned by bases.lock.
    Short(ShortName),
    /// `deb:SUITE/SET[@LOCKFILE]`: assembled from Debian packages.
    Deb {
        /// `trixie`
        suite: String,
        /// The set of packages: `static`, `cc`, `python3.13`, `node24`.
        set: String,
        /// A bases.lock for this base alone.
        lock: Option<PathBuf>,
    },
    /// `embedded:static`: generated without any download.
    Embedded,
    /// `scratch`: no layer at all.
    Scratch,
    /// `oci:DIR[:TAG]`
    Layout {
        /// Folder that holds `oci-layout`.
        dir: PathBuf,
        /// Its tag; none when the layout holds one image.
        tag: Option<Tag>,
    },
    /// `HOST/REPOSITORY[:TAG][@DIGEST]`
    Registry(Reference),
}

/// A name without a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortName {
    /// `static`, `cc`, `python3.13`, `node24`.
    runtime: String,
    flavour: Flavour,
}

/// Whose C library and packages a short name has (`--flavour`, `base_flavour`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// Debian's packages without a shell and a package manager.
    #[default]
    Distroless,
    /// Alpine's images, which have a shell and musl; from a registry.
    Alpine,
}

/// How the names of the Alpine flavour end, as the tags of its images do.
const ALPINE: &str = "-alpine";

impl ShortName {
    /// `static`, `cc`, `python3.13`, `node24`: without the flavour.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// The flavour.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// `3.13` of `python3.13`.
    pub fn python(&self) -> Option<&str> {
        self.runtime.strip_prefix("python")
    }

    /// `24` of `node24`.
    pub fn node(&self) -> Option<&str> {
        self.runtime.strip_prefix("node")
    }

    /// The name with another flavour.
    #[must_use]
    pub fn with(&self, flavour: Flavour) -> Self {
        Self {
            runtime: self.runtime.clone(),
            flavour,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (runtime, flavour) = match text.strip_suffix(ALPINE) {
            Some(runtime) => (runtime, Flavour::Alpine),
            None => (text, Flavour::Distroless),
        };
        is_runtime(runtime).then(|| Self {
            runtime: runtime.to_owned(),
            flavour,
        })
    }
}

/// `static`, `cc`, `python3.N` or `nodeN`.
pub(super) fn is_runtime(text: &str) -> bool {
    // `node024` would be a second name of the same base.
    let number = |text: &str| {
        (1..=3).contains(&text.len()) && text.bytes().all(is_digit) && !text.starts_with('0')
    };
    text == "static"
        || text == "cc"
        || text.strip_prefix("python3.").is_some_and(number)
        || text.strip_prefix("node").is_some_and(number)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// The name of a Debian suite: `trixie`, `bookworm-backports`.
pub(super) fn is_suite(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || is_digit(byte) || byte == b'-';
    text.len() <= 40
        && text.bytes().all(plain)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

impl BaseName {
    /// The name as bases.lock lists it; none for those that no lock pins: they are pinned by
    /// their digest, by this program or by nothing but their folder.
    pub fn lock_key(&self) -> Option<String> {
        match self {
            Self::Short(name) => Some(name.to_string()),
            Self::Deb { suite, set, .. } => Some(format!("deb:{suite}/{set}")),
            Self::Registry(reference) if reference.digest.is_none() => Some(reference.to_string()),
            Self::Registry(_) | Self::Embedded | Self::Scratch | Self::Layout { .. } => None,
        }
    }

    /// The same name in another flavour, where it is no name of one place: a recipe's default.
    #[must_use]
    pub fn flavoured(self, flavour: Flavour) -> Self {
        match (self, flavour) {
            (Self::Short(name), Flavour::Alpine) => Self::Short(name.with(flavour)),
            (Self::Embedded, Flavour::Alpine) => Self::Short(ShortName {
                runtime: "static".to_owned(),
                flavour,
            }),
            (name, _) => name,
        }
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.runtime)?;
        match self.flavour {
            Flavour::Distroless => Ok(()),
            Flavour::Alpine => f.write_str(ALPINE),
        }
    }
}

impl FromStr for Flavour {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "distroless" => Ok(Self::Distroless),
            "alpine" => Ok(Self::Alpine),
            _ => Err("write distroless or alpine"),
        }
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(name) => name.fmt(f),
            Self::Deb { suite, set, lock } => {
                write!(f, "deb:{suite}/{set}")?;
                lock.iter()
                    .try_for_each(|lock| write!(f, "@{}", lock.display()))
            }
            Self::Embedded => f.write_str("embedded:static"),
            Self::Scratch => f.write_str("scratch"),
            Self::Layout { dir, tag } => {
                let name = ImageName::Layout {
                    dir: dir.clone(),
                    tag: tag.clone(),
                };
                name.fmt(f)
            }
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl FromStr for BaseName {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        match text {
            "embedded:static" => return Ok(Self::Embedded),
            "scratch" => return Ok(Self::Scratch),
            _ => {}
        }
        if let Some(name) = ShortName::parse(text) {
            return Ok(Self::Short(name));
        }
        if let Some(rest) = text.strip_prefix("deb:") {
            return deb(rest).ok_or_else(|| BaseError::DebName {
                name: text.chars().take(300).collect(),
            });
        }
        match text.parse::<ImageName>() {
            Ok(ImageName::Layout { dir, tag }) => Ok(Self::Layout { dir, tag }),
            Ok(ImageName::Registry(reference)) => Ok(Self::Registry(reference)),
            Ok(other) => Err(BaseError::Transport {
                name: other.to_string(),
            }),
            Err(source) => Err(BaseError::Unknown {
                name: without_login(text).chars().take(300).collect(),
                source,
            }),
        }
    }
}

/// `SUITE/SET[@LOCKFILE]`
fn deb(text: &str) -> Option<BaseName> {
    let (name, lock) = match text.split_once('@') {
        Some((_, "")) => return None,
        Some((name, lock)) => (name, Some(PathBuf::from(lock))),
        None => (text, None),
    };
    let (suite, set) = name.split_once('/')?;
    (is_suite(suite) && is_runtime(set)).then(|| BaseName::Deb {
        suite: suite.to_owned(),
        set: set.to_owned(),
        lock,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;

    #[test]
    fn parses_what_exists_and_says_what_does_not() {
        for (text, shown, key) in [
            ("static", "static", Some("static")),
            ("python3.13", "python3.13", Some("python3.13")),
            ("node24-alpine", "node24-alpine", Some("node24-alpine")),
            ("deb:trixie/cc", "deb:trixie/cc", Some("deb:trixie/cc")),
            (
                "deb:trixie/cc@a/b.lock",
                "deb:trixie/cc@a/b.lock",
                Some("deb:trixie/cc"),
            ),
            ("embedded:static", "embedded:static", None),
            ("scratch", "scratch", None),
            ("oci:base", "oci:base", None),
            ("oci:/a/b:v1", "oci:/a/b:v1", None),
            (
                "h.example/x/y:1",
                "h.example/x/y:1",
                Some("h.example/x/y:1"),
            ),
            ("docker://h.example/x", "h.example/x", Some("h.example/x")),
        ] {
            let name = text.parse::<BaseName>().unwrap();
            assert_eq!(name.to_string(), shown);
            assert_eq!(name.lock_key().as_deref(), key, "{text}");
        }
        for (text, part) in [
            ("python", "python"),
            ("python3.x", "python3.x"),
            ("python2.7", "python2.7"),
            ("python3.013", "python3.013"),
            ("node", "node"),
            ("deb:trixie", "deb:SUITE/NAME"),
            ("deb:../cc", "deb:SUITE/NAME"),
            ("deb:trixie/x", "deb:SUITE/NAME"),
            ("deb:trixie/cc@", "deb:SUITE/NAME"),
            ("alpine", "alpine"),
            ("oci-archive:x.tar", "oci-archive:x.tar"),
            ("", "is no base"),
        ] {
            let error = text.parse::<BaseName>().unwrap_err();
            assert_eq!(error.code(), "BASE-UNKNOWN");
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_flavour_changes_short_names_alone() {
        for (text, alpine) in [
            ("python3.13", "python3.13-alpine"),
            ("node24-alpine", "node24-alpine"),
            ("embedded:static", "static-alpine"),
            ("deb:trixie/cc", "deb:trixie/cc"),
            ("scratch", "scratch"),
        ] {
            let name: BaseName = text.parse().unwrap();
            assert_eq!(name.clone().flavoured(Flavour::Alpine).to_string(), alpine);
            assert_eq!(name.flavoured(Flavour::Distroless).to_string(), text);
        }
    }
}
