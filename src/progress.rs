//! Events of a build: one stream that text, JSON lines, tests and benches all consume.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    Fetched,
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
    Noted,
    Asked,
    Next,
}

impl Verb {
    /// The word as printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cloned => "cloned",
            Self::Detected => "detected",
            Self::Fetched => "fetched",
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
            Self::Noted => "noted",
            Self::Asked => "asked",
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

/// How far a long activity is. It says nothing in the first half second, and afterwards little
/// enough to be read; when it goes out of scope, so does what it said.
pub struct Meter<'a> {
    reporter: &'a dyn Reporter,
    name: String,
    total: Option<AtomicU64>,
    started: Instant,
    done: AtomicU64,
    /// Milliseconds after the start from which the next event may be sent.
    next: AtomicU64,
}

impl<'a> Meter<'a> {
    /// Milliseconds before the first event, and between two.
    const SILENCE: u64 = 500;
    const PAUSE: u64 = 100;

    /// Begins an activity; `total` is in the unit of what is done, when it is known.
    pub fn new(reporter: &'a dyn Reporter, name: impl Into<String>, total: Option<u64>) -> Self {
        Self {
            reporter,
            name: name.into(),
            total: total.map(AtomicU64::new),
            started: Instant::now(),
            done: AtomicU64::new(0),
            next: AtomicU64::new(Self::SILENCE),
        }
    }

    /// So much more is to be done than was known before; nothing when the whole is not known.
    pub fn expect(&self, more: u64) {
        if let Some(total) = &self.total {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// So much more is done; any thread may say so.
    pub fn add(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.at(done);
    }

    /// So much is done in all.
    pub fn at(&self, done: u64) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(Self::PAUSE);
        let due = now >= next;
        // One of several threads sends the event.
        let order = Ordering::Relaxed;
        if due
            && self
                .next
                .compare_exchange(next, later, order, order)
                .is_ok()
        {
            let total = self.total.as_ref().map(|total| total.load(order));
            self.reporter.event(Event::Progress {
                name: self.name.clone(),
                // What is read twice counts twice.
                done: total.map_or(done, |total| done.min(total)),
                total,
            });
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if *self.next.get_mut() != Self::SILENCE {
            let name = self.name.clone();
            self.reporter.event(Event::Finished { name });
        }
    }
}

impl std::fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter")
            .field("name", &self.name)
            .field("done", &self.done)
            .field("total", &self.total)
            .finish_non_exhaustive()
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

/// A number of things with their name, which takes an s: `1 layer`, `2 layers`.
pub fn counted(count: impl TryInto<u64> + std::fmt::Display + Copy, one: &str) -> String {
    match count.try_into() {
        Ok(1) => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// A time as people read it: `41 ms` below a second, `12.4 s` from there.
pub fn human_time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    let tenths = time.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_450, "59.4 s"),
            (600_000, "600.0 s"),
        ] {
            assert_eq!(human_time(Duration::from_millis(milliseconds)), text);
        }
    }

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

    #[derive(Default)]
    struct Lines(std::sync::Mutex<Vec<String>>);

    impl Reporter for Lines {
        fn event(&self, event: Event) {
            let line = serde_json::to_string(&event).unwrap();
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn only_what_takes_long_is_told() {
        let lines = Lines::default();
        let short = Meter::new(&lines, "short", Some(7));
        short.add(7);
        drop(short);
        let long = Meter::new(&lines, "long", Some(7));
        long.add(1);
        std::thread::sleep(Duration::from_millis(Meter::SILENCE));
        long.add(2);
        long.add(3);
        drop(long);
        assert_eq!(
            *lines.0.lock().unwrap(),
            [
                r#"{"event":"progress","name":"long","done":3,"total":7}"#,
                r#"{"event":"finished","name":"long"}"#
            ]
        );
    }
}
