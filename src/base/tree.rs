//! The merged tree of a base, and what its files said.

use std::collections::BTreeMap;

use super::capture::{Captured, Said};
use crate::image::links::follow;
use crate::layer::{EntryKind, EntrySummary};

/// Entries by path, without a leading `/`.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) entries: BTreeMap<String, EntrySummary>,
    pub(super) captured: BTreeMap<String, Captured>,
}

impl Tree {
    fn link(&self, path: &str) -> Option<&str> {
        self.entries.get(path)?.target.as_deref()
    }

    /// The path after the links of its parents, as extractors put it; a loop stays as written.
    pub(super) fn canonical(&self, path: &str) -> String {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match follow(parent, |path| self.link(path)) {
            Some(parent) if parent.is_empty() => name.to_owned(),
            Some(parent) => format!("{parent}/{name}"),
            None => path.to_owned(),
        }
    }

    /// Where a path leads once every link on it is followed, the last one too; none when nothing
    /// is there.
    pub(super) fn real(&self, path: &str) -> Option<&str> {
        let path = follow(path, |path| self.link(path))?;
        let (path, entry) = self.entries.get_key_value(&path)?;
        // A link that could not be followed.
        (entry.kind != EntryKind::Symlink).then_some(path)
    }

    /// Whether a program can be started by this path.
    pub(super) fn is_program(&self, path: &str) -> bool {
        let entry = self.real(path).and_then(|path| self.entries.get(path));
        entry.is_some_and(|entry| entry.kind == EntryKind::Executable)
    }

    /// Whether something lies in a folder; layers need not have entries for folders.
    pub(super) fn has_below(&self, folder: &str) -> bool {
        let Some(folder) = follow(folder, |path| self.link(path)) else {
            return false;
        };
        let prefix = format!("{folder}/");
        let next = self.entries.range(prefix.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    /// What the file at a path said, links followed.
    pub(super) fn said(&self, path: &str) -> Option<&Said> {
        self.captured.get(self.real(path)?)?.said.as_ref()
    }

    /// The machine of the native file at a path, links followed.
    pub(super) fn machine(&self, path: &str) -> Option<&str> {
        self.captured.get(self.real(path)?)?.machine.as_deref()
    }
}
