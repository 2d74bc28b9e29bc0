//! Packages files: read as a stream, kept as one compact file that is searched where it lies, so
//! that neither an index nor a table of it is ever in memory.
//!
//! ```text
//! NAME \t VERSION \t ARCH \t SIZE \t SHA256 \t FILENAME \t SOURCE \t DEPENDS \t PROVIDES \n   by name
//! PROVIDED \t NAME \n                                                                 by both
//! ```

use std::io::{self, BufRead, BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::control::groups;
use super::lines::{Keys, Sorted};
use super::stanzas::{bad, line_of, read_stanzas};
use super::version::{self, Constraint, Relation};
use crate::base::lock::LockedPackage;

/// The fields of a line.
const FIELDS: usize = 9;

/// The packages of one suite for one architecture.
#[derive(Debug)]
pub(super) struct Index {
    packages: Sorted,
    provided: Sorted,
}

/// One package of an index.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) arch: String,
    size: String,
    sha256: String,
    filename: String,
    source: String,
    pub(super) depends: String,
    provides: String,
}

impl Entry {
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().map(str::to_owned);
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
        groups(&self.provides)
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
            name: self.name.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            sha256: format!("sha256:{}", self.sha256).parse().ok()?,
            size: self.size.parse().ok()?,
            filename: self.filename.clone(),
            source: self.source.clone(),
            suite: suite.to_owned(),
            why: why.to_owned(),
        })
    }
}

impl Index {
    /// An index in a file that [`Draft::write`] wrote; `middle` is what it returned.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn open(file: std::fs::File, middle: u64) -> io::Result<Self> {
        let end = file.metadata()?.len();
        let file = std::sync::Arc::new(file);
        Ok(Self {
            packages: Sorted::new(std::sync::Arc::clone(&file), 0..middle),
            provided: Sorted::new(file, middle..end),
        })
    }

    /// The package of this name.
    pub(super) fn get(&self, name: &str) -> io::Result<Option<Entry>> {
        match self.packages.of(name)?.first() {
            None => Ok(None),
            Some(line) => match Entry::of(line) {
                None => Err(bad("an index in the cache has a line that is none")),
                entry => Ok(entry),
            },
        }
    }

    /// The names of packages that stand for a name that is not their own.
    pub(super) fn providers(&self, name: &str) -> io::Result<Vec<String>> {
        let lines = self.provided.of(name)?;
        let own = |line: &String| line.split_once('\t').map(|(_, own)| own.to_owned());
        Ok(lines.iter().filter_map(own).collect())
    }
}

/// What was read of a Packages file, not yet sorted: its lines in a file, and in memory what they
/// are sorted by, 6 MB for Debian's main.
#[derive(Debug)]
pub(super) struct Draft {
    lines: std::fs::File,
    /// `NAME \t VERSION` of each line, with where it is.
    names: Keys,
    /// `PROVIDED \t NAME`
    provided: Keys,
}

impl Draft {
    /// Reads a Packages file; its lines go to a file that is empty.
    ///
    /// # Errors
    /// The reader's and the file's; `InvalidData` for what no index holds.
    pub(super) fn read(packages: impl BufRead, lines: std::fs::File) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 16, lines);
        let (mut names, mut provided) = (Keys::default(), Keys::default());
        let mut written = 0;
        let mut failure = None;
        let read = read_stanzas(packages, &mut |stanza| {
            let line = line_of(stanza)?;
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, version, .., others] = fields.as_slice() else {
                return Err("it has too few fields".to_owned());
            };
            if fields.len() != FIELDS {
                return Err("a tab in a field".to_owned());
            }
            names.push([name, version], written..written + line.len() as u64)?;
            for one in groups(others).flat_map(|(_, group)| group) {
                provided.push([one.name, name], 0..0)?;
            }
            written += line.len() as u64;
            out.write_all(line.as_bytes()).map_err(|error| {
                let shown = error.to_string();
                failure = Some(error);
                shown
            })
        });
        match failure {
            Some(error) => Err(error),
            None => read,
        }?;
        let lines = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self {
            lines,
            names,
            provided,
        })
    }

    /// Writes the index, of each name the line with the highest version; where its second half
    /// begins.
    ///
    /// # Errors
    /// The files'.
    pub(super) fn write(mut self, out: &mut impl Write) -> io::Result<u64> {
        // Debian sorts by the names of sources; sorted once, it is searched ever after.
        self.names.sort(|left, right| {
            let versions = || version::compare(right.1, left.1);
            left.0.cmp(right.0).then_with(versions)
        });
        let mut middle = 0;
        let mut last = "";
        let mut line = Vec::new();
        for ((name, _), place) in self.names.iter() {
            if name == last {
                continue;
            }
            last = name;
            line.resize(
                usize::try_from(place.end - place.start).map_err(io::Error::other)?,
                0,
            );
            self.lines.read_exact_at(&mut line, place.start)?;
            line.push(b'\n');
            out.write_all(&line)?;
            middle += line.len() as u64;
        }
        self.provided.sort(|left, right| left.cmp(&right));
        let mut last = ("", "");
        for (pair, _) in self.provided.iter() {
            if pair != last {
                writeln!(out, "{}\t{}", pair.0, pair.1)?;
            }
            last = pair;
        }
        Ok(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stanzas::LINE_LIMIT;
    use super::*;

    fn read(text: &str) -> io::Result<Index> {
        let draft = Draft::read(text.as_bytes(), tempfile::tempfile()?)?;
        let mut file = tempfile::tempfile()?;
        let middle = draft.write(&mut file)?;
        Index::open(file, middle)
    }

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
        let index = read(&text).unwrap();
        let a = index.get("a").unwrap().unwrap();
        let a = a.locked("trixie", "root").unwrap();
        assert_eq!(
            (a.version.as_str(), a.source.as_str(), a.size),
            ("1.1", "s", 7)
        );
        assert_eq!(index.get("b").unwrap().unwrap().depends, "c, a");
        assert!(index.get("c").unwrap().is_none());
        assert_eq!(index.providers("mail").unwrap(), ["b"]);
        assert_eq!(index.providers("mai").unwrap(), [""; 0]);
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
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(wrong), "{wrong}: {error}");
        }
    }
}
