//! Names of images by transport, as skopeo writes them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{InvalidName, Reference, Tag, invalid};

/// An image by transport (the names are skopeo's).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageName {
    /// `oci:DIR[:TAG]`
    Layout {
        /// Folder that holds `oci-layout`.
        dir: PathBuf,
        /// `org.opencontainers.image.ref.name`.
        tag: Option<Tag>,
    },
    /// `oci-archive:FILE[:TAG]`
    OciArchive {
        /// A tar file that holds a layout.
        file: PathBuf,
        /// `org.opencontainers.image.ref.name`.
        tag: Option<Tag>,
    },
    /// `docker-archive:FILE[:NAME:TAG]`; `-` is stdout.
    DockerArchive {
        /// The tar file; none is stdout.
        file: Option<PathBuf>,
        /// The name that `docker load` gives to the image.
        name: Option<String>,
    },
    /// `docker://HOST/REPOSITORY[:TAG][@DIGEST]`, or the bare reference.
    Registry(Reference),
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tagged = |f: &mut fmt::Formatter<'_>, tag: &Option<Tag>| {
            tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
        };
        match self {
            Self::Layout { dir, tag } => {
                write!(f, "oci:{}", dir.display())?;
                tagged(f, tag)
            }
            Self::OciArchive { file, tag } => {
                write!(f, "oci-archive:{}", file.display())?;
                tagged(f, tag)
            }
            Self::DockerArchive { file, name } => {
                match file {
                    Some(file) => write!(f, "docker-archive:{}", file.display())?,
                    None => f.write_str("docker-archive:-")?,
                }
                name.iter().try_for_each(|name| write!(f, ":{name}"))
            }
            Self::Registry(reference) => write!(f, "{reference}"),
        }
    }
}

impl FromStr for ImageName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, tag) = split_file(text, rest)?;
            return Ok(Self::Layout { dir, tag });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, tag) = split_file(text, rest)?;
            if file.as_os_str() == "-" {
                return Err(invalid(
                    text,
                    "only a docker-archive goes to standard output",
                ));
            }
            return Ok(Self::OciArchive { file, tag });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (file, name) = match rest.split_once(':') {
                Some((file, name)) => (file, Some(name.to_owned())),
                None => (rest, None),
            };
            if file.is_empty() {
                return Err(invalid(text, "the file is missing"));
            }
            let file = (file != "-").then(|| PathBuf::from(file));
            return Ok(Self::DockerArchive { file, name });
        }
        let reference = text.strip_prefix("docker://").unwrap_or(text);
        Ok(Self::Registry(reference.parse()?))
    }
}

fn split_file(text: &str, rest: &str) -> Result<(PathBuf, Option<Tag>), InvalidName> {
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.parse()?)),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err(invalid(text, "the path is missing"));
    }
    if path.ends_with("@sha256") {
        return Err(invalid(
            text,
            "images in layouts and archives have tags; a digest can't name one",
        ));
    }
    Ok((PathBuf::from(path), tag))
}
