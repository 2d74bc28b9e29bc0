//! Foreign layers → the merged tree of a base.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::{BaseError, BaseFacts, BaseLayer};
use crate::error::AnyError;
use crate::image::BlobReader;
use crate::image::links::follow;
use crate::layer::read::{Expected, ForeignEntry, ForeignKind, read_layer};
use crate::layer::{EntryKind, EntrySummary, LayerError};

/// Members of all layers; the largest images in use have a few hundred thousand.
const ENTRY_LIMIT: usize = 2_000_000;
/// Bytes of all paths and link targets together.
const PATH_LIMIT: usize = 256 << 20;
/// Bytes of a C library that are searched for its version.
const LIBRARY_LIMIT: u64 = 16 << 20;
/// Bytes of `etc/passwd`.
const PASSWD_LIMIT: u64 = 1 << 20;

/// Contents that facts come from.
#[derive(Clone, Debug)]
enum Captured {
    Passwd(Vec<u8>),
    Glibc(String),
    Musl(String),
}

/// The tree while layers are put on it.
#[derive(Default)]
pub(super) struct Scan {
    entries: BTreeMap<String, EntrySummary>,
    captured: BTreeMap<String, Captured>,
    count: usize,
    path_bytes: usize,
}

/// One member of a layer that is being read.
enum Change {
    Entry(EntrySummary, Option<Captured>),
    HardLink { path: String, target: String },
}

impl Scan {
    /// Puts a layer on the tree, checking digest and diff id on the way.
    pub(super) fn add(
        &mut self,
        base: &str,
        layer: &BaseLayer,
        open: &dyn Fn(&BaseLayer) -> Result<BlobReader, AnyError>,
    ) -> Result<(), BaseError> {
        let descriptor = &layer.descriptor;
        let blob = open(layer).map_err(BaseError::Source)?;
        // One byte more, so that a blob that is too long is seen.
        let blob = blob.take(descriptor.size.saturating_add(1));
        let expected = Expected {
            digest: Some(descriptor.digest),
            size: Some(descriptor.size),
            diff_id: Some(layer.diff_id),
        };
        let mut changes = Vec::new();
        let mut hidden = Vec::new();
        let read = read_layer(blob, &descriptor.media_type, &expected, &mut |entry| {
            self.count(entry)?;
            match &entry.kind {
                ForeignKind::Whiteout => hidden.push(Removed::Entry(entry.path.clone())),
                ForeignKind::Opaque => hidden.push(Removed::Below(entry.path.clone())),
                _ if entry.path.is_empty() => {}
                _ => changes.push(change(entry)?),
            }
            Ok(())
        });
        read.map_err(|source| BaseError::Layer {
            base: base.to_owned(),
            layer: descriptor.digest.to_string(),
            source,
        })?;
        // Whiteouts hide what lies below, wherever in the layer they stand.
        for removed in hidden {
            self.hide(&removed);
        }
        for change in changes {
            self.apply(change);
        }
        Ok(())
    }

    fn count(&mut self, entry: &ForeignEntry<'_>) -> Result<(), LayerError> {
        self.count += 1;
        self.path_bytes += entry.path.len();
        if let ForeignKind::HardLink(target) | ForeignKind::Symlink(target) = &entry.kind {
            self.path_bytes += target.len();
        }
        let what = if self.count > ENTRY_LIMIT {
            format!("the base has more than {ENTRY_LIMIT} entries")
        } else if self.path_bytes > PATH_LIMIT {
            "the base has more than 256 MiB of names".to_owned()
        } else {
            return Ok(());
        };
        Err(LayerError::Tar { what, source: None })
    }

    fn hide(&mut self, removed: &Removed) {
        match removed {
            Removed::Entry(path) => {
                let path = self.canonical(path);
                self.remove_below(&path);
                self.entries.remove(&path);
                self.captured.remove(&path);
            }
            Removed::Below(path) => {
                let path = self.canonical(&format!("{path}/x"));
                let folder = path.strip_suffix("/x").unwrap_or_default();
                self.remove_below(folder);
            }
        }
    }

    fn remove_below(&mut self, path: &str) {
        let prefix = match path {
            "" => String::new(),
            _ => format!("{path}/"),
        };
        let below: Vec<String> = self
            .entries
            .range(prefix.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&prefix))
            .cloned()
            .collect();
        for path in below {
            self.entries.remove(&path);
            self.captured.remove(&path);
        }
    }

    fn apply(&mut self, change: Change) {
        let (mut entry, captured) = match change {
            Change::Entry(entry, captured) => (entry, captured),
            Change::HardLink { path, target } => {
                let target = self.canonical(&target);
                // A link to nothing makes extractors fail; the audit then misses the file, too.
                let Some(linked) = self.entries.get(&target) else {
                    return;
                };
                let entry = EntrySummary {
                    path,
                    ..linked.clone()
                };
                (entry, self.captured.get(&target).cloned())
            }
        };
        entry.path = self.canonical(&entry.path);
        if entry.kind != EntryKind::Directory {
            self.remove_below(&entry.path);
        }
        self.captured.remove(&entry.path);
        if let Some(captured) = captured {
            self.captured.insert(entry.path.clone(), captured);
        }
        self.entries.insert(entry.path.clone(), entry);
    }

    /// The path after the links of its parents, as extractors put it; a loop stays as written.
    fn canonical(&self, path: &str) -> String {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let target = |path: &str| self.entries.get(path)?.target.as_deref();
        match follow(parent, target) {
            Some(parent) if parent.is_empty() => name.to_owned(),
            Some(parent) => format!("{parent}/{name}"),
            None => path.to_owned(),
        }
    }

    /// The facts of the finished tree.
    pub(super) fn finish(self) -> BaseFacts {
        let passwd = self.canonical("etc/passwd");
        let users = match self.captured.get(&passwd) {
            Some(Captured::Passwd(bytes)) => users(bytes),
            _ => BTreeMap::new(),
        };
        let libc = self.libc();
        BaseFacts {
            entries: self.entries,
            users,
            libc,
        }
    }

    fn libc(&self) -> Option<String> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let has = |wanted: &dyn Fn(&str) -> bool| self.entries.keys().any(|p| wanted(&name(p)));
        if has(&|name| name == "libc.so.6") {
            let version = self.captured.values().find_map(|captured| match captured {
                Captured::Glibc(version) => Some(format!("glibc {version}")),
                _ => None,
            });
            return Some(version.unwrap_or_else(|| "glibc".to_owned()));
        }
        if has(&|name| name.starts_with("ld-musl-")) {
            let version = self.captured.values().find_map(|captured| match captured {
                Captured::Musl(version) => Some(format!("musl {version}")),
                _ => None,
            });
            return Some(version.unwrap_or_else(|| "musl".to_owned()));
        }
        None
    }
}

/// What a whiteout hides.
enum Removed {
    Entry(String),
    Below(String),
}

fn change(entry: &mut ForeignEntry<'_>) -> Result<Change, LayerError> {
    let executable = entry.mode & 0o111 != 0;
    let (kind, target) = match &entry.kind {
        ForeignKind::HardLink(target) => {
            return Ok(Change::HardLink {
                path: entry.path.clone(),
                target: target.clone(),
            });
        }
        ForeignKind::Directory => (EntryKind::Directory, None),
        ForeignKind::Symlink(target) => (EntryKind::Symlink, Some(target.clone())),
        ForeignKind::File if executable => (EntryKind::Executable, None),
        _ => (EntryKind::File, None),
    };
    let mut summary = EntrySummary {
        path: entry.path.clone(),
        kind,
        size: match entry.kind {
            ForeignKind::File => entry.size,
            _ => 0,
        },
        target,
        script: None,
    };
    let captured = match entry.kind {
        ForeignKind::File => capture(&mut summary, entry.contents),
        _ => Ok(None),
    };
    let captured = captured.map_err(|source| LayerError::Tar {
        what: source.to_string(),
        source: Some(source),
    })?;
    Ok(Change::Entry(summary, captured))
}

fn content(reader: &mut dyn Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn capture(entry: &mut EntrySummary, contents: &mut dyn Read) -> io::Result<Option<Captured>> {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    // Up to glibc 2.33, `libc.so.6` was a link to `libc-2.33.so`.
    let old = name.strip_prefix("libc-2.");
    let glibc = name == "libc.so.6" || old.is_some_and(|rest| rest.ends_with("so"));
    if entry.path == "etc/passwd" {
        return Ok(Some(Captured::Passwd(content(contents, PASSWD_LIMIT)?)));
    }
    if glibc {
        let bytes = content(contents, LIBRARY_LIMIT)?;
        return Ok(glibc_version(&bytes).map(Captured::Glibc));
    }
    if name.starts_with("ld-musl-") || name == "libc.so" {
        let bytes = content(contents, LIBRARY_LIMIT)?;
        return Ok(musl_version(&bytes).map(Captured::Musl));
    }
    if entry.kind == EntryKind::Executable {
        // Linux reads 256 bytes of the first line.
        let start = content(contents, 256)?;
        if let Some(line) = start.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            entry.script = Some(String::from_utf8_lossy(line).trim().to_owned());
        }
    }
    Ok(None)
}

/// glibc says so itself: `GNU C Library (…) stable release version 2.41.`
fn glibc_version(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"stable release version ";
    let start = bytes.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = bytes[start..].iter().take(16);
    let version: String = digits
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .map(|byte| char::from(*byte))
        .collect();
    Some(version.trim_end_matches('.').to_owned()).filter(|version| !version.is_empty())
}

/// musl keeps its version as a text of its own: NUL, `1.2.5`, NUL.
fn musl_version(bytes: &[u8]) -> Option<String> {
    let is_version = |text: &&[u8]| {
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
        let number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        (5..12).contains(&text.len())
            && text.starts_with(b"1.")
            && parts.len() == 3
            && parts.iter().all(number)
    };
    let texts = bytes
        .starts_with(b"\x7fELF")
        .then(|| bytes.split(|byte| *byte == 0))?;
    let mut versions = texts.filter(is_version);
    versions
        .next()
        .map(|version| String::from_utf8_lossy(version).into_owned())
}

fn users(passwd: &[u8]) -> BTreeMap<u32, String> {
    let mut users = BTreeMap::new();
    for line in String::from_utf8_lossy(passwd).lines() {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        // Lines that getpwent() would skip name nobody.
        if let Some(Ok(uid)) = fields.nth(1).map(str::parse::<u32>) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
