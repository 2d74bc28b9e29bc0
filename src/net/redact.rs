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

/// At most 300 characters without control characters: a server's words must not steer a terminal.
pub(crate) fn plain_words(text: &str) -> String {
    let words: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
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
