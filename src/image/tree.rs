//! The tree that a container will see: the base's entries with our layers on top.

use std::collections::{BTreeMap, BTreeSet};

use super::links::LINK_LIMIT;
use crate::layer::{EntryKind, EntrySummary, LayerSummary};

/// The merged tree. Nothing is copied: bases have a hundred thousand entries.
pub(super) struct Tree<'a> {
    base: &'a BTreeMap<String, EntrySummary>,
    ours: BTreeMap<&'a str, &'a EntrySummary>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(
        base: &'a BTreeMap<String, EntrySummary>,
        layers: &[&'a LayerSummary],
    ) -> Self {
        let entries = layers.iter().flat_map(|layer| &layer.entries);
        Self {
            base,
            ours: entries.map(|entry| (entry.path.as_str(), entry)).collect(),
        }
    }

    fn entry(&self, path: &str) -> Option<&'a EntrySummary> {
        self.ours.get(path).copied().or_else(|| self.base.get(path))
    }

    fn has_children(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        let first_ours = self.ours.range(prefix.as_str()..).next();
        let first_base = self.base.range(prefix.clone()..).next();
        first_ours.is_some_and(|(path, _)| path.starts_with(&prefix))
            || first_base.is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    /// The file at an absolute or relative path (both from the root), links followed; none when
    /// nothing is there. Directories that only their children show have no entry and are none.
    pub(super) fn find(&self, path: &str) -> Option<&'a EntrySummary> {
        let mut done: Vec<&str> = Vec::new();
        let mut todo: Vec<&str> = path.rsplit('/').collect();
        let mut links = 0;
        let mut found = None;
        while let Some(part) = todo.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    found = None;
                    continue;
                }
                _ => done.push(part),
            }
            let here = done.join("/");
            found = self.entry(&here);
            match found {
                Some(entry) if entry.kind == EntryKind::Symlink => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return None;
                    }
                    let target = entry.target.as_deref().unwrap_or_default();
                    done.pop();
                    if target.starts_with('/') {
                        done.clear();
                    }
                    found = None;
                    todo.extend(target.rsplit('/'));
                }
                Some(entry)
                    if entry.kind != EntryKind::Directory
                        && todo.iter().any(|part| !part.is_empty()) =>
                {
                    return None;
                }
                None if !self.has_children(&here) => return None,
                _ => {}
            }
        }
        found
    }

    /// The first link of the base, or of a layer of ours, that a path of ours leads through.
    pub(super) fn crossed(&self, path: &str) -> Option<&'a EntrySummary> {
        let slashes = path.match_indices('/').map(|(index, _)| index);
        slashes
            .filter_map(|end| self.entry(&path[..end]))
            .find(|entry| entry.kind == EntryKind::Symlink)
    }

    /// The base's link that a directory of ours would replace.
    pub(super) fn replaced_link(&self, entry: &EntrySummary) -> Option<&'a EntrySummary> {
        if entry.kind != EntryKind::Directory {
            return None;
        }
        let below = self.base.get(&entry.path)?;
        (below.kind == EntryKind::Symlink).then_some(below)
    }

    /// Whether the base has nothing in a folder, and neither a link nor a file on the way to it:
    /// entries of ours there can't meet anything of the base.
    pub(super) fn is_new(&self, folder: &str) -> bool {
        let slashes = folder.match_indices('/').map(|(index, _)| index);
        let mut ways = slashes.chain([folder.len()]).map(|end| &folder[..end]);
        let directory = |entry: &EntrySummary| entry.kind == EntryKind::Directory;
        !folder.is_empty()
            && ways.all(|path| self.base.get(path).is_none_or(directory))
            && !self.alone().has_children(folder)
    }

    /// The base without our layers.
    fn alone(&self) -> Self {
        Self {
            base: self.base,
            ours: BTreeMap::new(),
        }
    }

    /// What of the base an entry of ours would remove: a folder with all that is in it, maybe
    /// reached by a link, under a file of ours, or a file that becomes a folder of ours.
    pub(super) fn removed(&self, entry: &EntrySummary) -> Option<String> {
        let is_file = |kind| matches!(kind, EntryKind::File | EntryKind::Executable);
        let file = |path: &&str| {
            let below = self.base.get(*path);
            below.is_some_and(|below| is_file(below.kind))
        };
        let slashes = entry.path.match_indices('/').map(|(index, _)| index);
        if let Some(path) = slashes.map(|end| &entry.path[..end]).find(file) {
            return Some(path.to_owned());
        }
        if entry.kind == EntryKind::Directory {
            return file(&entry.path.as_str()).then(|| entry.path.clone());
        }
        let alone = self.alone();
        let folder = alone.has_children(&entry.path)
            // A link of ours in place of a link is another way to the same, as on merged /usr.
            || (is_file(entry.kind)
                && alone
                    .find(&entry.path)
                    .is_some_and(|found| found.kind == EntryKind::Directory));
        folder.then(|| entry.path.clone())
    }

    /// The last components of all paths, for names that a loader searches in many folders.
    pub(super) fn names(&self) -> BTreeSet<&'a str> {
        let ours = self.ours.keys().copied();
        let base = self.base.keys().map(String::as_str);
        ours.chain(base)
            .map(|path| path.rsplit('/').next().unwrap_or(path))
            .collect()
    }
}
