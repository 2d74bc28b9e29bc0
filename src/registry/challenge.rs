//! `WWW-Authenticate`: what a registry asks for (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        error: Option<String>,
    },
    /// User and password with each request.
    Basic,
    /// A scheme that is not spoken here.
    Other(String),
}

/// All challenges of an answer; Harbor sends an empty header for a project that does not exist.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect()
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for item in items(text) {
        // A new scheme begins an item (`Bearer realm="…"`); other items continue the last one.
        let (scheme, parameter) = match item.split_once([' ', '\t']) {
            Some((scheme, rest)) if !scheme.contains('=') && !rest.trim().starts_with('=') => {
                (Some(scheme), rest.trim())
            }
            None if !item.contains('=') => (Some(item), ""),
            _ => (None, item),
        };
        if let Some(scheme) = scheme {
            found.push((scheme.to_ascii_lowercase(), BTreeMap::new()));
        }
        if let (Some((_, parameters)), Some((name, value))) =
            (found.last_mut(), parameter.split_once('='))
        {
            parameters.insert(name.trim().to_ascii_lowercase(), unquoted(value.trim()));
        }
    }
    found.into_iter().map(challenge).collect()
}

fn challenge((scheme, mut parameters): (String, BTreeMap<String, String>)) -> Challenge {
    match (scheme.as_str(), parameters.remove("realm")) {
        ("bearer", Some(realm)) => Challenge::Bearer {
            realm,
            service: parameters.remove("service"),
            error: parameters.remove("error"),
        },
        ("basic", _) => Challenge::Basic,
        _ => Challenge::Other(scheme),
    }
}

/// Splits at commas outside quotes.
fn items(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(|c: char| {
        let end = c == ',' && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        end
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
    .collect()
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(match c {
            '\\' => characters.next(),
            other => Some(other),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, error: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn every_form_of_challenge() {
        let other = |name: &str| Challenge::Other(name.to_owned());
        for (text, expected) in [
            (
                r#"Bearer realm="https://h/service/token",service="harbor-registry",scope="repository:a/b:pull,push",error="insufficient_scope""#,
                vec![bearer(
                    "https://h/service/token",
                    Some("harbor-registry"),
                    Some("insufficient_scope"),
                )],
            ),
            (r#"Basic realm="harbor""#, vec![Challenge::Basic]),
            (
                r#"Negotiate, Basic realm="a, \"b\"", bearer Realm=x , service = "y""#,
                vec![
                    other("negotiate"),
                    Challenge::Basic,
                    bearer("x", Some("y"), None),
                ],
            ),
            ("", vec![]),
            ("Bearer", vec![other("bearer")]),
            (",,=\"", vec![]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
