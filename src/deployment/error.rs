//! What can be wrong with a deployment.yaml, with the codes of docs/reference/errors.md.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Coded, Exit, Problems};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a file.
    File {
        /// The file's name as given to the parser.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// In an argument `--set PATH=VALUE`.
    Set {
        /// The dotted path.
        path: Arc<str>,
    },
}

impl Origin {
    /// The file's name, or `--set`.
    pub fn file(&self) -> &str {
        match self {
            Self::File { file, .. } => file,
            Self::Set { .. } => "--set",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Set { path } => write!(f, "--set {path}"),
        }
    }
}

/// One problem of a configuration.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum ConfigError {
    /// Not YAML, or YAML beyond what a configuration needs.
    #[error("{origin}: {problem}")]
    Yaml { origin: Origin, problem: String },
    /// A key that nobody reads.
    #[error("{origin}: unknown key {key:?}{}", advice.text())]
    Key {
        origin: Origin,
        key: String,
        advice: Advice,
    },
    #[error("{origin}: {path}: expected {expected}, found {found}")]
    Type {
        origin: Origin,
        path: String,
        expected: &'static str,
        found: &'static str,
    },
    /// A value that breaks a rule; `value` is shortened, and empty where it may hold a secret.
    #[error("{origin}: {path}{value}: {rule}")]
    Value {
        origin: Origin,
        path: String,
        value: Shown,
        rule: String,
    },
    #[error("{origin}: {path} looks like a secret and is written out")]
    Secret { origin: Origin, path: String },
    #[error("{file}: {count} more problems", file = origin.file())]
    More { origin: Origin, count: usize },
    #[error("{first} and {second} both configure this folder")]
    Both { first: PathBuf, second: PathBuf },
    #[error("{path}: is not a regular file")]
    NotAFile { path: PathBuf },
    #[error("can't read {path}")]
    Read { path: PathBuf, source: io::Error },
}

/// What to write instead of an unknown key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// A known key, near in spelling or of the same name elsewhere.
    DidYouMean(String),
    /// A key of a later version, or of another place; a sentence says so.
    Says(&'static str),
    /// The key above, which has no keys below it.
    Whole(String),
    /// All keys that may stand here.
    OneOf(Vec<&'static str>),
}

impl Advice {
    fn text(&self) -> String {
        match self {
            Self::DidYouMean(key) => format!("; did you mean {key:?}?"),
            Self::Says(sentence) => format!(": {sentence}"),
            Self::Whole(key) => format!("; {key} is set as a whole: --set {key}=VALUE"),
            Self::OneOf(keys) => format!("; known here: {}", keys.join(", ")),
        }
    }
}

/// A value in a message: shortened, control characters escaped, or withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Printed after the path, in quotes.
    Text(String),
    /// Not printed: it may hold a secret, or there is nothing to show.
    Withheld,
}

impl Shown {
    /// The first characters of a text.
    pub(super) fn new(text: &str) -> Self {
        Self::Text(shortened(text, 100))
    }
}

/// At most `limit` characters of a text: a message must not fill a terminal.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let mut short: String = text.chars().take(limit).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A dotted path for messages: it holds keys of the file, which a terminal must not obey.
pub(super) fn printable_path(path: &str) -> String {
    shortened(&path.escape_debug().to_string(), 100)
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, " {text:?}"),
            Self::Withheld => Ok(()),
        }
    }
}

impl ConfigError {
    /// Where the problem is, if it has a place in a file or an argument.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Yaml { origin, .. }
            | Self::Key { origin, .. }
            | Self::Type { origin, .. }
            | Self::Value { origin, .. }
            | Self::Secret { origin, .. }
            | Self::More { origin, .. } => Some(origin),
            Self::Both { .. } | Self::NotAFile { .. } | Self::Read { .. } => None,
        }
    }
}

impl Coded for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Yaml { .. } => "CFG-YAML",
            Self::Key { .. } => "CFG-KEY",
            Self::Type { .. } => "CFG-TYPE",
            Self::Value { .. } => "CFG-VALUE",
            Self::Secret { .. } => "CFG-SECRET",
            Self::More { .. } => "CFG-MORE",
            Self::Both { .. } => "CFG-BOTH",
            Self::NotAFile { .. } | Self::Read { .. } => "CFG-READ",
        }
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Key { .. } | Self::Type { .. } | Self::Value { .. } => {
                "docs/reference/deployment-yaml.md lists every key with its type and rule"
            }
            Self::Secret { .. } => {
                "take the value out of the file; give it to the container from a Kubernetes Secret"
            }
            Self::Yaml { .. } => {
                "the file is plain YAML 1.2: one document, no anchors, no tags, at most 1 MiB"
            }
            Self::Both { .. } => "keep one of the two",
            Self::More { .. } | Self::NotAFile { .. } | Self::Read { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// All problems of one configuration, in the order of their lines.
pub type ConfigErrors = Problems<ConfigError>;

impl Coded for Problems<ConfigError> {
    fn code(&self) -> &'static str {
        self.0.first().map_or("CFG-VALUE", Coded::code)
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        self.0.iter().find_map(Coded::hint)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Sorts problems by place and bounds their number: a hostile file must not fill a terminal.
pub(super) fn collected(mut problems: Vec<ConfigError>) -> ConfigErrors {
    const LIMIT: usize = 50;
    problems.sort_by(|a, b| a.origin().cmp(&b.origin()));
    let count = problems.len().saturating_sub(LIMIT);
    if count > 0 {
        problems.truncate(LIMIT);
        if let Some(origin) = problems.last().and_then(ConfigError::origin).cloned() {
            problems.push(ConfigError::More { origin, count });
        }
    }
    Problems(problems)
}
