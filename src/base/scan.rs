//! Foreign layers → the merged tree of a base.

use std::io::Read;

use super::capture::{Captured, capture};
use super::detect::detect;
use super::tree::Tree;
use super::{BaseError, BaseFacts, BaseLayer};
use crate::error::AnyError;
use crate::image::BlobReader;
use crate::layer::read::{Expected, ForeignEntry, ForeignKind, read_layer};
use crate::layer::{EntryKind, EntrySummary, LayerError};

/// Members of all layers; the largest images in use have a few hundred thousand.
const ENTRY_LIMIT: usize = 2_000_000;
/// Bytes of all paths and link targets together.
const PATH_LIMIT: usize = 256 << 20;
/// The tree while layers are put on it.
#[derive(Default)]
pub(super) struct Scan {
    tree: Tree,
    count: usize,
    path_bytes: usize,
}

/// One member of a layer that is being read.
enum Change {
    Entry(EntrySummary, Captured),
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
                let path = self.tree.canonical(path);
                self.remove_below(&path);
                self.tree.entries.remove(&path);
                self.tree.captured.remove(&path);
            }
            Removed::Below(path) => {
                let path = self.tree.canonical(&format!("{path}/x"));
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
            .tree
            .entries
            .range(prefix.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&prefix))
            .cloned()
            .collect();
        for path in below {
            self.tree.entries.remove(&path);
            self.tree.captured.remove(&path);
        }
    }

    fn apply(&mut self, change: Change) {
        let (mut entry, captured) = match change {
            Change::Entry(entry, captured) => (entry, captured),
            Change::HardLink { path, target } => {
                let target = self.tree.canonical(&target);
                // A link to nothing makes extractors fail; the audit then misses the file, too.
                let Some(linked) = self.tree.entries.get(&target) else {
                    return;
                };
                let entry = EntrySummary {
                    path,
                    ..linked.clone()
                };
                let captured = self.tree.captured.get(&target).cloned();
                (entry, captured.unwrap_or_default())
            }
        };
        entry.path = self.tree.canonical(&entry.path);
        if entry.kind != EntryKind::Directory {
            self.remove_below(&entry.path);
        }
        self.tree.captured.remove(&entry.path);
        if captured != Captured::default() {
            self.tree.captured.insert(entry.path.clone(), captured);
        }
        self.tree.entries.insert(entry.path.clone(), entry);
    }

    /// The facts of the finished tree.
    pub(super) fn finish(self) -> BaseFacts {
        detect(self.tree)
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
        _ => Ok(Captured::default()),
    };
    let captured = captured.map_err(|source| LayerError::Tar {
        what: source.to_string(),
        source: Some(source),
    })?;
    Ok(Change::Entry(summary, captured))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
