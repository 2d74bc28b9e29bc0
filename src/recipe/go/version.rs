//! Versions of Go, ordered as go orders them (<https://go.dev/doc/toolchain#version>).

use std::fmt;
use std::str::FromStr;

/// `1.26`, `1.26.3`, `1.27rc1`: a language version sorts before its release candidates,
/// these before its first release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GoVersion {
    major: u32,
    minor: u32,
    stage: Stage,
    suffix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Language,
    Beta(u32),
    Candidate(u32),
    Release(u32),
}

/// A text that is no version of Go.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a version of Go, such as 1.26.0")]
pub(super) struct InvalidVersion {
    text: String,
}

impl GoVersion {
    /// A toolchain's own version: `go1.20` names a release there, not a language.
    pub(super) fn of_toolchain(text: &str) -> Result<Self, InvalidVersion> {
        // Builds with experiments say `go1.26.8 X:name`, vendors `go1.26.8-vendor`.
        let text = text.split_ascii_whitespace().next().unwrap_or_default();
        let mut version: Self = text.parse()?;
        if version.stage == Stage::Language {
            version.stage = Stage::Release(0);
        }
        Ok(version)
    }
}

impl FromStr for GoVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion {
            text: text.chars().take(50).collect(),
        };
        let plain = text.strip_prefix("go").unwrap_or(text);
        let (plain, suffix) = plain.split_once('-').unwrap_or((plain, ""));
        let suffix_valid = suffix
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b".-_+".contains(&c));
        let (major, rest) = plain.split_once('.').ok_or_else(invalid)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (minor, rest) = rest.split_at(digits);
        let stage = if rest.is_empty() {
            Some(Stage::Language)
        } else if let Some(patch) = rest.strip_prefix('.') {
            number(patch).map(Stage::Release)
        } else if let Some(candidate) = rest.strip_prefix("rc") {
            number(candidate).map(Stage::Candidate)
        } else {
            rest.strip_prefix("beta").and_then(number).map(Stage::Beta)
        };
        match (number(major), number(minor), stage) {
            (Some(major), Some(minor), Some(stage)) if suffix_valid => Ok(Self {
                major,
                minor,
                stage,
                suffix: suffix.to_owned(),
            }),
            _ => Err(invalid()),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.stage {
            Stage::Language => Ok(()),
            Stage::Beta(number) => write!(f, "beta{number}"),
            Stage::Candidate(number) => write!(f, "rc{number}"),
            Stage::Release(number) => write!(f, ".{number}"),
        }?;
        if self.suffix.is_empty() {
            Ok(())
        } else {
            write!(f, "-{}", self.suffix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_go_does() {
        let ordered = [
            "1.21",
            "1.21beta1",
            "1.21rc2",
            "1.21.0",
            "1.21.9",
            "1.21.10",
            "1.22",
            "1.100",
        ];
        for pair in ordered.windows(2) {
            let versions: Vec<GoVersion> = pair.iter().map(|text| text.parse().unwrap()).collect();
            assert!(versions[0] < versions[1], "{pair:?}");
            assert_eq!(versions[0].to_string(), pair[0]);
        }
        let host = GoVersion::of_toolchain("go1.26.8 X:jsonv2").unwrap();
        assert_eq!(host.to_string(), "1.26.8");
        assert!(GoVersion::of_toolchain("go1.20").unwrap() >= "1.20.0".parse().unwrap());
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "go",
            "1",
            "1.",
            "1.x",
            "1.2.3.4",
            "1.2rc",
            "1.99999999999",
            "1.2-\n",
            "+1.2",
        ] {
            assert!(text.parse::<GoVersion>().is_err(), "{text:?}");
        }
    }
}
