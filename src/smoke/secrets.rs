//! Text of a server, made fit for people: without the values that it was given in confidence, and
//! without anything that steers a terminal.

use std::collections::BTreeMap;

use url::Url;

use crate::net::steers;

/// Values of this length are hidden whatever their variable is called.
const LONG: usize = 8;
/// Parts of names whose values are hidden at any length.
const NAMES: [&str; 8] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "AUTH",
    "DSN",
];
/// Most characters of a line.
const LINE: usize = 300;

/// Values that reach no message.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Longest first: a value may be part of another.
    values: Vec<(String, String)>,
}

impl Secrets {
    /// The values of variables that a server is given: all long ones, and those whose names say
    /// that they are secret. Logs show lines of a key and the password of an address on their own.
    pub fn of(variables: &BTreeMap<String, String>) -> Self {
        let secret = |name: &str, value: &str| {
            let name = name.to_ascii_uppercase();
            value.len() >= LONG || NAMES.iter().any(|part| name.contains(part))
        };
        let mut values: Vec<(String, String)> = variables
            .iter()
            .filter(|(name, value)| secret(name, value))
            .flat_map(|(name, value)| {
                let hidden = parts(value);
                hidden.map(move |part| (part, format!("${name}")))
            })
            .filter(|(value, _)| !value.is_empty())
            .collect();
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// The text with each of them replaced by the name of its variable.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), name);
            }
        }
        self.hide_edges(&mut text);
        text
    }

    /// Text is cut before it gets here: its first and last characters may be part of a value.
    fn hide_edges(&self, text: &mut String) {
        for (value, name) in &self.values {
            let cuts = |from: usize| (from..value.len()).filter(|at| value.is_char_boundary(*at));
            let end = cuts(LONG).rev().find(|at| text.ends_with(&value[..*at]));
            if let Some(length) = end {
                text.truncate(text.len() - length);
                text.push_str(name);
            }
            let last = value.len().saturating_sub(LONG);
            let start = cuts(1).find(|at| *at <= last && text.starts_with(&value[*at..]));
            if let Some(at) = start {
                text.replace_range(..value.len() - at, name);
            }
        }
    }

    /// One line of at most 300 characters.
    pub fn line(&self, text: &str) -> String {
        let plain: String = self
            .hide(text)
            .chars()
            .map(|c| if steers(c) { ' ' } else { c })
            .collect();
        cut(plain.trim())
    }

    /// The last lines of a log, each fit to be shown.
    pub(super) fn last_lines(&self, log: &str, count: usize) -> Vec<String> {
        let lines: Vec<String> = self
            .hide(log)
            .lines()
            .map(|line| line.replace('\t', "  ").replace(steers, " "))
            .map(|line| cut(line.trim_end()))
            .filter(|line| !line.is_empty())
            .collect();
        let skip = lines.len().saturating_sub(count);
        lines.into_iter().skip(skip).collect()
    }
}

/// A value and what of it may stand alone: its lines, and the password of an address.
fn parts(value: &str) -> impl Iterator<Item = String> {
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= LONG).map(str::to_owned);
    let url = value.trim().parse::<Url>().ok();
    let password = url.and_then(|url| url.password().map(str::to_owned));
    let parts: Vec<String> = lines.chain(password).collect();
    [value.to_owned(), value.trim().to_owned()]
        .into_iter()
        .chain(parts)
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LINE {
        return line.to_owned();
    }
    let start: String = line.chars().take(LINE).collect();
    format!("{start}…")
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.values.iter().map(|(_, name)| name.as_str()).collect();
        f.debug_struct("Secrets").field("values", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_given_in_confidence_are_hidden() {
        let variables = [
            ("API_KEY", "abc"),
            ("LONGER", "abcdefgh"),
            ("MODE", "http"),
            ("EMPTY_TOKEN", ""),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Secrets::of(&BTreeMap::from(variables));
        assert_eq!(
            secrets.line("abcdefgh abc http \u{1b}[2J\n"),
            "$LONGER $API_KEY http  [2J"
        );
        assert_eq!(
            secrets.last_lines("a\n\n b\nc abc\n", 2),
            [" b", "c $API_KEY"]
        );
        assert!(!format!("{secrets:?}").contains("abc"));
        // Marks of direction make text read as something else.
        assert_eq!(secrets.line("a\u{202e}b\u{2066}"), "a b");
        let long = "y".repeat(1000);
        assert_eq!(secrets.line(&long).chars().count(), LINE + 1);
    }

    #[test]
    fn parts_of_values_are_hidden() {
        let variables = [
            ("PEM", "-----BEGIN-----\nMIIabcdefghijk\nqq\n"),
            ("DATABASE_URL", "postgres://app:hunter2hunter@db/x"),
            ("API_KEY", "sk-0123456789abcdefé\n"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Secrets::of(&BTreeMap::from(variables));
        for (text, shown) in [
            ("MIIabcdefghijk", "$PEM"),
            (
                "password hunter2hunter is wrong",
                "password $DATABASE_URL is wrong",
            ),
            ("key sk-0123456789abcdefé.", "key $API_KEY."),
            // Cut off at the end, or at the start.
            ("key sk-01234567", "key $API_KEY"),
            ("456789abcdefé is wrong", "$API_KEY is wrong"),
            ("bcdefé, and sk-01", "bcdefé, and sk-01"),
        ] {
            assert_eq!(secrets.line(text), shown, "{text}");
        }
    }
}
