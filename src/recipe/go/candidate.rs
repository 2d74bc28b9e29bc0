//! Commands that could be the product, and why they are or are not.

use std::fmt;

use crate::recipe::spec::Aside;

/// A command of the module, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `./cmd/server`, or the import path of a tool.
    pub path: String,
    /// Whether it could be chosen.
    pub verdict: Verdict,
}

/// Why a command is kept or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A command outside the folders for tests, examples and tools.
    Kept,
    /// Dropped because of this component of its path.
    Dropped(String),
    /// Named by a `tool` line of go.mod.
    Tool,
    /// Left out by go: this file asks for build tags.
    Tags {
        /// Its path in the source.
        file: String,
        /// What stands after `//go:build`.
        constraint: String,
    },
    /// Left out by go: this file needs cgo, which is off.
    Cgo {
        /// Its path in the source.
        file: String,
    },
}

impl Verdict {
    /// Whether it could be chosen.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept | Self::Tool)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Dropped(part) => write!(f, "dropped: lies in a folder named {part}"),
            Self::Tool => f.write_str("a tool line of go.mod"),
            Self::Tags { file, constraint } => {
                write!(f, "left out: {file} says //go:build {constraint}")
            }
            Self::Cgo { file } => write!(f, "left out: {file} needs cgo, which is off"),
        }
    }
}

impl Candidate {
    /// A command by its path below the module.
    pub(super) fn new(path: &str, aside: &Aside) -> Self {
        Self::below(path, "", aside)
    }

    /// A command in a folder that was asked for: what lies above the folder says nothing then.
    pub(super) fn below(path: &str, scope: &str, aside: &Aside) -> Self {
        let inside = path.trim_start_matches("./");
        let inside = inside.strip_prefix(scope).unwrap_or(inside);
        let aside = inside.split('/').find(|part| aside.holds(part));
        Self {
            path: path.to_owned(),
            verdict: aside.map_or(Verdict::Kept, |part| Verdict::Dropped(part.to_owned())),
        }
    }
}
