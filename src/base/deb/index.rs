//! Packages files: read as a stream, kept as one compact text that is searched where it lies.
//!
//! ```text
//! karisimbi-deb-index 1
//! NAME \t VERSION \t ARCH \t SIZE \t SHA256 \t FILENAME \t SOURCE \t DEPENDS \t PROVIDES \n   by name
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::control::groups;
use super::stanzas::{bad, line_of, read_stanzas};
use super::version::{self, Constraint, Relation};
use crate::base::lock::LockedPackage;

const HEAD: &str = "karisimbi-deb-index 1\n";

/// The packages of one suite for one architecture.
pub(super) struct Index {
    text: String,
    /// Where the lines begin, by name.
    lines: Vec<usize>,
    /// Lines that provide a name which is not their own, by that name.
    provides: BTreeMap<String, Vec<usize>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("packages", &self.lines.len())
            .finish_non_exhaustive()
    }
}

/// One package of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) arch: &'a str,
    size: &'a str,
    sha256: &'a str,
    filename: &'a str,
    source: &'a str,
    pub(super) depends: &'a str,
    provides: &'a str,
}

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let entry = Self {
            name: next()?,
            version: next()?,
            arch: next()?,
            size: next()?,
            sha256: next()?,
            filename: next()?,
            source: next()?,
            depends: next()?,
            provides: next()?,
        };
        fields.next().is_none().then_some(entry)
    }

    /// Whether it stands for `name`, in a version that is asked for. A provided name without a
    /// version satisfies no constraint (Debian policy, 7.5).
    pub(super) fn provides(&self, name: &str, constraint: Option<Constraint<'_>>) -> bool {
        groups(self.provides)
            .flat_map(|(_, group)| group)
            .filter(|provided| provided.name == name)
            .any(|provided| match (constraint, provided.constraint) {
                (None, _) => true,
                (Some(wanted), Some(own)) if own.relation == Relation::Equal => {
                    wanted.accepts(own.version)
                }
                _ => false,
            })
    }

    /// As the lock keeps it; none when a field is not what it should be, which the reader refuses.
    pub(super) fn locked(&self, suite: &str, why: &str) -> Option<LockedPackage> {
        Some(LockedPackage {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            arch: self.arch.to_owned(),
            sha256: format!("sha256:{}", self.sha256).parse().ok()?,
            size: self.size.parse().ok()?,
            filename: self.filename.to_owned(),
            source: self.source.to_owned(),
            suite: suite.to_owned(),
            why: why.to_owned(),
        })
    }
}

impl Index {
    /// Reads a Packages file.
    ///
    /// # Errors
    /// The reader's; `InvalidData` for what no index holds.
    pub(super) fn read(packages: impl BufRead) -> io::Result<Self> {
        let mut text = HEAD.to_owned();
        let mut last = String::new();
        let mut sorted = true;
        read_stanzas(packages, &mut |stanza| {
            let line = line_of(stanza)?;
            let entry = Entry::of(&line).ok_or_else(|| "a tab in a field".to_owned())?;
            sorted &= *last < *entry.name;
            entry.name.clone_into(&mut last);
            text.push_str(&line);
            text.push('\n');
            Ok(())
        })?;
        // Debian sorts by the names of sources; sorted once, it is searched ever after.
        if !sorted {
            text = by_name(&text);
        }
        Self::from_text(text).ok_or_else(|| bad("it can't be searched"))
    }

    /// From what [`Index::text`] was; none for anything else.
    pub(super) fn from_text(text: String) -> Option<Self> {
        let body = text.strip_prefix(HEAD)?;
        let mut lines = Vec::new();
        let mut provides: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut start = HEAD.len();
        for line in body.split_terminator('\n') {
            let (_, names) = line.rsplit_once('\t')?;
            for (_, group) in groups(names) {
                for one in group {
                    let known = provides.entry(one.name.to_owned()).or_default();
                    if known.last() != Some(&start) {
                        known.push(start);
                    }
                }
            }
            lines.push(start);
            start += line.len() + 1;
        }
        Some(Self {
            text,
            lines,
            provides,
        })
    }

    /// The compact form.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn at(&self, start: usize) -> Option<Entry<'_>> {
        Entry::of(self.text.get(start..)?.lines().next()?)
    }

    /// The package of this name.
    pub(super) fn get(&self, name: &str) -> Option<Entry<'_>> {
        let own = |start: &usize| {
            let rest = &self.text[*start..];
            &rest[..rest.find('\t').unwrap_or(rest.len())]
        };
        let found = self
            .lines
            .binary_search_by(|start| own(start).cmp(name))
            .ok()?;
        self.at(self.lines[found])
    }

    /// Packages that stand for a name, by their own names.
    pub(super) fn providers(&self, name: &str) -> impl Iterator<Item = Entry<'_>> {
        self.provides
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|start| self.at(*start))
    }
}

/// The lines by name, and of each name the one with the highest version.
fn by_name(text: &str) -> String {
    let body = text.strip_prefix(HEAD).unwrap_or(text);
    let mut entries: Vec<(&str, &str, &str)> = body
        .split_terminator('\n')
        .filter_map(|line| Entry::of(line).map(|entry| (entry.name, entry.version, line)))
        .collect();
    entries.sort_by(|left, right| {
        let versions = || version::compare(right.1, left.1);
        left.0.cmp(right.0).then_with(versions)
    });
    entries.dedup_by_key(|(name, ..)| *name);
    let mut sorted = String::with_capacity(text.len());
    sorted.push_str(HEAD);
    for (_, _, line) in entries {
        sorted.push_str(line);
        sorted.push('\n');
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::stanzas::LINE_LIMIT;
    use super::*;

    fn stanza(name: &str, version: &str, more: &str) -> String {
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nDescription: x\n y\n\
             Filename: pool/main/x/{name}_{version}.deb\nSize: 7\nSHA256: {}\n{more}\n",
            "0".repeat(64)
        )
    }

    #[test]
    fn packages_are_found_by_name_and_by_what_they_provide() {
        let text = [
            stanza(
                "b",
                "2",
                "Provides: virtual (= 3),\n mail\nDepends: a\nPre-Depends: c\n",
            ),
            stanza("a", "1", ""),
            stanza("a", "1.1", "Source: s (9)\n"),
            stanza("a", "1.0", ""),
        ]
        .concat();
        let index = Index::read(text.as_bytes()).unwrap();
        let index = Index::from_text(index.text().to_owned()).unwrap();
        let a = index.get("a").unwrap().locked("trixie", "root").unwrap();
        assert_eq!(
            (a.version.as_str(), a.source.as_str(), a.size),
            ("1.1", "s", 7)
        );
        assert_eq!(index.get("b").unwrap().depends, "c, a");
        assert!(index.get("c").is_none());
        let names: Vec<&str> = index.providers("mail").map(|entry| entry.name).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn what_no_index_holds_is_refused() {
        for (text, wrong) in [
            (stanza("../x", "1", ""), "its name"),
            (stanza("a", "1", "").replace("pool/", "pool/../"), "no path"),
            (stanza("a", "1", "").replace("pool/", "/"), "no path"),
            (stanza("a", "1 2", ""), "no version"),
            (stanza("a", "1", "Size: 8\n"), "twice"),
            (stanza("a", "1", "").replace("000", "xyz"), "no SHA-256"),
            (stanza("a", "1", "Depends: b\tc\n"), "tab"),
            ("x".to_owned(), "no field"),
            (format!("Depends: {}", "x".repeat(LINE_LIMIT)), "endless"),
        ] {
            let error = Index::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wrong), "{wrong}: {error}");
        }
    }
}
