//! Text of a server, made fit for people: without the values that it was given in confidence, and
//! without anything that steers a terminal.

use std::collections::BTreeMap;

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
    /// that they are secret.
    pub fn of(variables: &BTreeMap<String, String>) -> Self {
        let secret = |name: &str, value: &str| {
            let name = name.to_ascii_uppercase();
            value.len() >= LONG || NAMES.iter().any(|part| name.contains(part))
        };
        let mut values: Vec<(String, String)> = variables
            .iter()
            .filter(|(name, value)| !value.is_empty() && secret(name, value))
            .map(|(name, value)| (value.clone(), format!("${name}")))
            .collect();
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
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
        text
    }

    /// One line of at most 300 characters.
    pub fn line(&self, text: &str) -> String {
        let plain: String = self
            .hide(text)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        cut(plain.trim())
    }

    /// The last lines of a log, each fit to be shown.
    pub(super) fn last_lines(&self, log: &str, count: usize) -> Vec<String> {
        let lines: Vec<String> = self
            .hide(log)
            .lines()
            .map(|line| line.replace('\t', "  ").replace(char::is_control, " "))
            .map(|line| cut(line.trim_end()))
            .filter(|line| !line.is_empty())
            .collect();
        let skip = lines.len().saturating_sub(count);
        lines.into_iter().skip(skip).collect()
    }
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
        let long = "x".repeat(1000);
        assert_eq!(secrets.line(&long).chars().count(), LINE + 1);
    }
}
