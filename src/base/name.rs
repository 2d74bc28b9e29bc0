//! Names of bases.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::BaseError;
use crate::reference::{ImageName, Reference, Tag, without_login};

/// What `--base` and `base:` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseName {
    /// `static` or `embedded:static`: generated without any download.
    Static,
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

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("static"),
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

/// Whether a name is one of the short names of bases that are assembled from packages.
fn is_assembled(name: &str) -> bool {
    let runtime = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|version| version.bytes().all(|c| c.is_ascii_digit() || c == b'.'))
    };
    name == "cc" || runtime("python") || runtime("node") || name.starts_with("deb:")
}

impl FromStr for BaseName {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        match text {
            "static" | "embedded:static" => return Ok(Self::Static),
            "scratch" => return Ok(Self::Scratch),
            _ if is_assembled(text) => {
                return Err(BaseError::Assembled {
                    name: text.to_owned(),
                });
            }
            _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;

    #[test]
    fn parses_what_exists_and_says_what_does_not() {
        for (text, shown) in [
            ("static", "static"),
            ("embedded:static", "static"),
            ("scratch", "scratch"),
            ("oci:base", "oci:base"),
            ("oci:/a/b:v1", "oci:/a/b:v1"),
            ("h.example/x/y:1", "h.example/x/y:1"),
            ("docker://h.example/x", "h.example/x"),
        ] {
            assert_eq!(text.parse::<BaseName>().unwrap().to_string(), shown);
        }
        for (text, part) in [
            ("python3.13", "assembled"),
            ("node24", "assembled"),
            ("cc", "assembled"),
            ("deb:trixie/cc", "assembled"),
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
}
