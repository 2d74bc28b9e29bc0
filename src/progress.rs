//! Events of a build: one stream that text, JSON lines, tests and benches all consume.

use serde::Serialize;

/// Something that happened; serialised as one JSON line by `--progress json`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// One past-tense line: `reused   dependencies, 12.4 MB: go.sum unchanged`.
    Line {
        /// What was done.
        verb: Verb,
        /// The rest of the line, with bytes and the reason.
        text: String,
    },
    /// A long activity moved on; a bar on a terminal, silence elsewhere.
    Progress {
        /// Identifies the activity; equal names move one bar.
        name: String,
        /// Bytes (or items) done so far.
        done: u64,
        /// All of them, when known.
        total: Option<u64>,
    },
    /// A long activity ended; its bar goes away.
    Finished {
        /// The name given to [`Event::Progress`].
        name: String,
    },
    /// Something that the user should know and that does not stop the build.
    Warning {
        /// A stable code such as `CACHE-CORRUPT`.
        code: &'static str,
        /// One sentence.
        text: String,
    },
    /// A detail that only `-v` shows, such as the output of a compiler.
    Detail {
        /// One line.
        text: String,
    },
}

/// The first word of an event's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each name is the word it prints")]
pub enum Verb {
    Cloned,
    Detected,
    Resolved,
    Reused,
    Ran,
    Built,
    Image,
    Size,
    Wrote,
    Pushed,
    Mounted,
    Explained,
    Next,
}

impl Verb {
    /// The word as printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cloned => "cloned",
            Self::Detected => "detected",
            Self::Resolved => "resolved",
            Self::Reused => "reused",
            Self::Ran => "ran",
            Self::Built => "built",
            Self::Image => "image",
            Self::Size => "size",
            Self::Wrote => "wrote",
            Self::Pushed => "pushed",
            Self::Mounted => "mounted",
            Self::Explained => "explained",
            Self::Next => "next",
        }
    }
}

/// Receives the events of a build, from any thread.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);

    /// Reports one past-tense line.
    fn line(&self, verb: Verb, text: String) {
        self.event(Event::Line { verb, text });
    }

    /// Reports a warning.
    fn warn(&self, code: &'static str, text: String) {
        self.event(Event::Warning { code, text });
    }
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: Event) {}
}

/// A byte count as people read it: decimal units, three digits at most (`12.4 MB`).
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 99.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_440_000, "12.4 MB"),
            (999_999, "1.0 MB"),
            (123_456_789, "123 MB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
