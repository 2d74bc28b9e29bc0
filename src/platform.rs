//! Operating system and processor that an image is built for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An OCI platform such as `linux/amd64` or `linux/arm64` (image-spec, image index, `platform`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Always `linux` today.
    pub os: String,
    /// GOARCH name: `amd64`, `arm64`, `arm`, …
    pub architecture: String,
    /// `v2`, `v3` for amd64, `v7` for arm; absent for the architecture's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that names no platform.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a platform; write OS/ARCHITECTURE[/VARIANT], for example linux/arm64")]
pub struct InvalidPlatform {
    text: String,
}

impl Platform {
    /// `linux/amd64`, the default on every host, so that equal commands give equal images.
    pub fn linux_amd64() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            variant: None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let valid = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| valid(part)) {
            return Err(InvalidPlatform {
                text: text.to_owned(),
            });
        }
        // `arm64/v8` and `amd64/v1` are the plain architecture under another name.
        let variant = parts
            .get(2)
            .filter(|v| !matches!((parts[1], **v), ("arm64", "v8") | ("amd64", "v1")))
            .map(|v| (*v).to_owned());
        Ok(Self {
            os: parts[0].to_owned(),
            architecture: parts[1].to_owned(),
            variant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_normalises() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm/v7", "linux/arm/v7"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "linux",
            "linux/",
            "linux/amd64/v1/x",
            "Linux/amd64",
            "linux/../x",
        ] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
