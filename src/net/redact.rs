//! Text of the other side, made fit for messages.

use url::Url;

/// Query values that say what was asked and can hold no secret.
const SHOWN: [&str; 6] = ["digest", "mount", "from", "n", "scope", "service"];

/// A URL without user, password, fragment and query values: locations of uploads carry signed
/// state, redirects to object stores carry signatures.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    // Only addresses without a host refuse this, and they carry no user either.
    let _no_host = shown.set_username("").and(shown.set_password(None));
    shown.set_query(None);
    let query: Vec<String> = url
        .query_pairs()
        .map(|(name, value)| {
            if SHOWN.contains(&name.as_ref()) {
                format!("{name}={value}")
            } else {
                format!("{name}=…")
            }
        })
        .collect();
    if query.is_empty() {
        shown.to_string()
    } else {
        format!("{shown}?{}", query.join("&"))
    }
}

/// Whether a character moves, colours or reorders what a terminal shows: control characters, line
/// and paragraph separators, and marks of direction, which make text read as something else.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// At most 300 characters without any that steer a terminal.
pub(crate) fn plain_words(text: &str) -> String {
    let words: String = text
        .chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .take(300)
        .collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        for (url, shown) in [
            (
                "https://u:p@h.example/v2/x/blobs/uploads/1?_state=abc&digest=sha256:00",
                "https://h.example/v2/x/blobs/uploads/1?_state=…&digest=sha256:00",
            ),
            ("https://h.example:8443/a#b", "https://h.example:8443/a"),
        ] {
            assert_eq!(shown_url(&url.parse().unwrap()), shown);
        }
    }

    #[test]
    fn words_can_not_steer_a_terminal() {
        assert_eq!(plain_words("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(plain_words(&"x".repeat(1000)).len(), 300);
    }
}
