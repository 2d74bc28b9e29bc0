//! Revisions of the protocol: which are known, and how each era writes a request.

use serde_json::{Value, json};

/// The revision that is asked for first, and the first of the modern era.
pub(super) const MODERN: &str = "2026-07-28";
/// What `initialize` asks for.
pub(super) const LEGACY: &str = "2025-11-25";
/// Revisions of the legacy era, oldest first.
pub(super) const LEGACY_KNOWN: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

/// `-32020`: a header is missing, malformed or different from the body.
pub(super) const HEADER_MISMATCH: i64 = -32020;
/// `-32021`: `data.requiredCapabilities`.
pub(super) const MISSING_CAPABILITY: i64 = -32021;
/// `-32022`: `data.supported`.
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;

/// How a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// Every request carries the version; there is no session.
    Modern,
    /// `initialize` first.
    Legacy,
}

impl Era {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

/// What is said of us with every modern request.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    pub(super) version: String,
    /// Only what a server insisted on: we can do none of it.
    pub(super) capabilities: Value,
}

impl Introduction {
    pub(super) fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            capabilities: json!({}),
        }
    }

    /// `params` with the `_meta` of the modern era.
    pub(super) fn params(&self, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": self.version,
            "io.modelcontextprotocol/clientInfo": client(),
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        params
    }
}

/// Our name and version.
pub(super) fn client() -> Value {
    json!({"name": "karisimbi", "version": env!("CARGO_PKG_VERSION")})
}

/// What a server's list of versions means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Best {
    /// Speak this one, with `_meta`.
    Modern(String),
    /// Only revisions that begin with `initialize`.
    Legacy(String),
}

/// The version to speak: ours, else the newest. Anything that is no date is passed over.
pub(super) fn best(supported: &Value) -> Option<Best> {
    let versions = supported.as_array()?.iter().filter_map(Value::as_str);
    let versions: Vec<&str> = versions.filter(|version| is_date(version)).collect();
    if versions.contains(&MODERN) {
        return Some(Best::Modern(MODERN.to_owned()));
    }
    let newest = *versions.iter().max()?;
    Some(if newest > MODERN {
        Best::Modern(newest.to_owned())
    } else {
        Best::Legacy(newest.to_owned())
    })
}

/// `YYYY-MM-DD`, so that versions compare as text and may stand in a header.
pub(super) fn is_date(version: &str) -> bool {
    version.len() == 10
        && version
            .bytes()
            .enumerate()
            .all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_version_is_ours_or_the_newest() {
        let modern = |version: &str| Some(Best::Modern(version.to_owned()));
        let legacy = |version: &str| Some(Best::Legacy(version.to_owned()));
        for (supported, expected) in [
            (json!(["2025-11-25", "2026-07-28"]), modern("2026-07-28")),
            (json!(["2027-01-01", "2026-07-28"]), modern("2026-07-28")),
            (json!(["2027-01-01", "2026-12-01"]), modern("2027-01-01")),
            (json!(["2025-03-26", "2025-11-25"]), legacy("2025-11-25")),
            (json!(["draft", 7, "2025-11-25\r\nX: y"]), None),
            (json!([]), None),
            (json!("2026-07-28"), None),
        ] {
            assert_eq!(best(&supported), expected, "{supported}");
        }
    }
}
