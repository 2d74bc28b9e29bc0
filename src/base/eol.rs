//! Until when suites and runtimes get fixes: a small dated table, looked at when a base is chosen.
//!
//! Sources, read in November 2026: Debian's LTS page, the version tables of Python and Node, the
//! release page of Alpine, and the support table of the distroless images.

use jiff::civil::{Date, date};

use super::BaseName;
use super::name::{Flavour, ShortName};

/// Something whose support ends.
struct Support {
    /// Name for people.
    what: &'static str,
    /// The last day with fixes.
    until: Date,
    /// What to use instead.
    successor: &'static str,
}

const fn row(what: &'static str, until: Date, successor: &'static str) -> Support {
    Support {
        what,
        until,
        successor,
    }
}

const TABLE: &[Support] = &[
    row("Debian buster", date(2024, 6, 30), "trixie"),
    row("Debian bullseye", date(2026, 8, 31), "trixie"),
    row("Debian bookworm", date(2028, 6, 30), "trixie"),
    row("Debian trixie", date(2030, 6, 30), "forky"),
    row("distroless debian11", date(2024, 8, 31), "debian13"),
    row("distroless debian12", date(2026, 9, 30), "debian13"),
    row("Python 3.9", date(2025, 10, 31), "python3.13"),
    row("Python 3.10", date(2026, 10, 31), "python3.13"),
    row("Python 3.11", date(2027, 10, 31), "python3.13"),
    row("Python 3.12", date(2028, 10, 31), "python3.13"),
    row("Python 3.13", date(2029, 10, 31), "python3.14"),
    row("Python 3.14", date(2030, 10, 31), "python3.15"),
    row("Node 18", date(2025, 4, 30), "node24"),
    row("Node 20", date(2026, 4, 30), "node24"),
    row("Node 21", date(2024, 6, 1), "node24"),
    row("Node 22", date(2027, 4, 30), "node24"),
    row("Node 23", date(2025, 6, 1), "node24"),
    row("Node 24", date(2028, 4, 30), "node26"),
    row("Node 25", date(2026, 6, 1), "node26"),
    row("Node 26", date(2029, 4, 30), "node28"),
    row("Alpine 3.19", date(2025, 11, 1), "3.24"),
    row("Alpine 3.20", date(2026, 4, 1), "3.24"),
    row("Alpine 3.21", date(2026, 11, 1), "3.24"),
    row("Alpine 3.22", date(2027, 5, 1), "3.24"),
    row("Alpine 3.23", date(2027, 11, 1), "3.24"),
    row("Alpine 3.24", date(2028, 5, 1), "3.25"),
];

/// The code of a warning about support that has ended.
pub const CODE: &str = "BASE-EOL";

/// One sentence for each part of a base whose support had ended at `now` (seconds since 1970).
pub fn ended(name: &BaseName, now: i64) -> Vec<String> {
    let Ok(now) = jiff::Timestamp::from_second(now) else {
        return Vec::new();
    };
    let today = jiff::tz::Offset::UTC.to_datetime(now).date();
    supports(name)
        .filter(|support| support.until < today)
        .map(|support| {
            format!(
                "{name}: {} has no security fixes since {}; its successor is {}",
                support.what, support.until, support.successor
            )
        })
        .collect()
}

/// The first day on which a part of a base loses its support; none when nothing is known.
pub fn until(name: &BaseName) -> Option<Date> {
    supports(name).map(|support| support.until).min()
}

fn supports(name: &BaseName) -> impl Iterator<Item = &'static Support> {
    let parts = parts(name);
    TABLE
        .iter()
        .filter(move |support| parts.iter().any(|part| part == support.what))
}

/// What a name says about its contents.
fn parts(name: &BaseName) -> Vec<String> {
    match name {
        BaseName::Short(name) => {
            let mut parts: Vec<String> = runtime(name.runtime()).into_iter().collect();
            parts.push(match name.flavour() {
                Flavour::Distroless => format!("Debian {}", suite_of(name)),
                Flavour::Alpine => return parts,
            });
            parts
        }
        BaseName::Deb { suite, set, .. } => {
            let suite = format!("Debian {suite}");
            runtime(set).into_iter().chain([suite]).collect()
        }
        BaseName::Registry(reference) => {
            let repository = reference.repository.path.rsplit('/').next();
            let tag = reference.tag.as_ref().map(crate::reference::Tag::as_str);
            of_image(repository.unwrap_or_default(), tag.unwrap_or_default())
        }
        BaseName::Embedded | BaseName::Scratch | BaseName::Layout { .. } => Vec::new(),
    }
}

/// The suite of Debian that has a runtime: the stable one, unless only another has it.
pub fn suite_of(name: &ShortName) -> &'static str {
    match name.python() {
        Some("3.11") => "bookworm",
        Some("3.14") => "forky",
        _ => "trixie",
    }
}

fn runtime(text: &str) -> Option<String> {
    let python = text.strip_prefix("python").filter(|v| !v.is_empty());
    let node = text.strip_prefix("node").filter(|v| !v.is_empty());
    python
        .map(|version| format!("Python {version}"))
        .or_else(|| node.map(|version| format!("Node {version}")))
}

/// What the names of well-known images say: `python:3.9-slim-bookworm`, `node:18`, `alpine:3.19`,
/// `static-debian12`.
fn of_image(repository: &str, tag: &str) -> Vec<String> {
    let words = || tag.split('-').chain(repository.split('-').skip(1));
    let version = tag.split('-').next().unwrap_or_default();
    let numbers = |count: usize| {
        let numbers: Vec<&str> = version.split('.').take(count).collect();
        numbers.join(".")
    };
    let mut parts = match repository {
        "python" => vec![format!("Python {}", numbers(2))],
        "node" => vec![format!("Node {}", numbers(1))],
        "alpine" => vec![format!("Alpine {}", numbers(2))],
        other => runtime(other).into_iter().collect(),
    };
    for word in words() {
        parts.push(format!("Debian {word}"));
        parts.push(format!("distroless {word}"));
        if let Some(version) = word.strip_prefix("alpine") {
            parts.push(format!("Alpine {version}"));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> i64 {
        let time = format!("{day}T12:00:00Z");
        time.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    #[test]
    fn warns_after_the_day_and_names_the_successor() {
        for (name, day, said) in [
            ("node20", "2026-04-30", ""),
            (
                "node20",
                "2026-05-01",
                "Node 20 has no security fixes since 2026-04-30; its successor is node24",
            ),
            ("python3.13", "2026-11-22", ""),
            ("python3.11", "2028-07-01", "bookworm"),
            ("deb:bullseye/cc", "2026-11-22", "Debian bullseye"),
            (
                "gcr.example/distroless/static-debian12:nonroot",
                "2026-11-22",
                "distroless debian12",
            ),
            (
                "gcr.example/distroless/static-debian13:nonroot",
                "2026-11-22",
                "",
            ),
            (
                "docker.io/library/python:3.9-slim-bookworm",
                "2026-11-22",
                "Python 3.9",
            ),
            (
                "docker.io/library/python:3.12-slim-bookworm",
                "2026-11-22",
                "",
            ),
            (
                "docker.io/library/node:18.20.1-alpine3.19",
                "2026-11-22",
                "Alpine 3.19",
            ),
            ("docker.io/library/alpine:3.24", "2026-11-22", ""),
            ("node20-alpine", "2026-11-22", "Node 20"),
            ("embedded:static", "2040-01-01", ""),
            ("h.example/own/image:1", "2040-01-01", ""),
        ] {
            let found = ended(&name.parse().unwrap(), at(day)).join("\n");
            assert_eq!(found.is_empty(), said.is_empty(), "{name}: {found}");
            assert!(found.contains(said), "{name}: {found}");
        }
    }
}
