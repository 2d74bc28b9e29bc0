//! The layer of mapped files.

use std::collections::{BTreeMap, BTreeSet};

use super::canonical::{self, LinkLoop};
use super::error::FilesError;
use crate::base::Target;
use crate::digest::Digest;
use crate::layer::entry::escape;
use crate::layer::{
    Content, Entry, EntryKind, EntryPath, EntrySummary, Executable, Expected, InlineLayer,
    LayerDescription, LayerError, LayerKey, Node, Owner,
};
use crate::recipe::paths::{join, lexical};
use crate::recipe::{Context, FileMapping};
use crate::source::{Filter, SourceTree, TreeFile, TreeKind};

/// Raised when the same files would give other entries.
const RULES: u32 = 1;

type Base = BTreeMap<String, EntrySummary>;

/// Entries of the image, each with the source path that it comes from.
#[derive(Default)]
struct Collected<'a> {
    entries: Vec<(Entry, &'a EntryPath)>,
    /// Paths that the base's links turned into others: `lib` → `usr/lib`.
    moved: BTreeMap<String, String>,
    /// The last entry's folder, and where it lies once the base's links are followed: members
    /// come sorted, so that neighbours share it.
    folder: (String, String),
}

/// A checked mapping.
struct Mapped<'a> {
    /// Path of the source; empty is all of it.
    from: String,
    /// Path in the image without `/` at either end; empty is the root.
    to: String,
    mapping: &'a FileMapping,
}

/// The layer of these mappings on a target's base; `directory` is where `from` counts from.
pub(in crate::recipe) fn layer(
    tree: &SourceTree,
    directory: &str,
    mappings: &[FileMapping],
    target: &Target,
    context: &Context<'_>,
) -> Result<InlineLayer, FilesError> {
    let base = &target.facts.entries;
    let mut collected = Collected::default();
    let mut members: Vec<&TreeFile> = Vec::new();
    for mapping in mappings {
        let mapped = Mapped::new(tree, directory, mapping)?;
        let selected = tree.select(&mapped.from, Filter::DockerIgnore)?;
        if selected.is_empty() {
            return Err(FilesError::Empty {
                from: mapping.from.clone(),
            });
        }
        for member in &selected {
            collected.add(tree, &mapped, member, base)?;
        }
        members.extend(selected);
    }
    collected.sort()?;
    let owned = collected.directories(base)?;
    members.sort_by(|a, b| a.path.cmp(&b.path));
    members.dedup_by(|a, b| a.path == b.path);
    let size = members.iter().map(|member| size(&member.kind)).sum();
    let shown: Vec<String> = mappings.iter().map(shown).collect();
    let moved: Vec<String> = collected
        .moved
        .iter()
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    let key = LayerKey::new("files", RULES)
        .with("source", &context.tree_digest(&members).0)
        .with("files", &shown.join(", "))
        .with("base-links", &moved.join(", "))
        .with("directories", &digest(&owned));
    let description = LayerDescription {
        name: "files".to_owned(),
        kind: "files".to_owned(),
        contents: format!(
            "{}, {}, {}",
            crate::progress::counted(members.len(), "file"),
            crate::progress::human_bytes(size),
            shown.join(", ")
        ),
    };
    let entries = collected.entries.into_iter().map(|(entry, _)| entry);
    let entries = entries.chain(owned).collect();
    Ok(InlineLayer::new(key, description, entries))
}

/// The digest of the paths of these directories.
fn digest(directories: &[Entry]) -> Digest {
    let paths: Vec<&str> = directories
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    Digest::of(paths.join("\n").as_bytes())
}

fn shown(mapping: &FileMapping) -> String {
    match mapping.mode {
        None => format!("{} to {}", mapping.from, mapping.to),
        Some(mode) => format!("{} to {} ({mode:04o})", mapping.from, mapping.to),
    }
}

fn size(kind: &TreeKind) -> u64 {
    match kind {
        TreeKind::File(size) | TreeKind::Executable(size) => *size,
        TreeKind::Symlink(_) => 0,
    }
}

impl<'a> Mapped<'a> {
    fn new(
        tree: &SourceTree,
        directory: &str,
        mapping: &'a FileMapping,
    ) -> Result<Self, FilesError> {
        let wrong = |key, value: &str, problem| FilesError::Mapping {
            key,
            value: value.to_owned(),
            problem,
        };
        if !matches!(mapping.mode, None | Some(0o644 | 0o755)) {
            return Err(FilesError::Mode {
                mode: mapping.mode.unwrap_or_default(),
            });
        }
        let from = lexical(&format!("{directory}/{}", mapping.from))
            .filter(|_| !mapping.from.starts_with('/'))
            .ok_or_else(|| wrong("from", &mapping.from, "must lie in the source"))?;
        let to = mapping
            .to
            .strip_prefix('/')
            .and_then(lexical)
            .ok_or_else(|| wrong("to", &mapping.to, "must be an absolute path without .."))?;
        let to = match tree.file(&from).map(|file| &file.kind) {
            Some(TreeKind::Symlink(target)) => {
                return Err(FilesError::Link {
                    path: from,
                    from: mapping.from.clone(),
                    target: escape(target.as_bytes()),
                });
            }
            // A file goes into a folder that is written with a `/` at its end.
            Some(_) if mapping.to.ends_with('/') => {
                join(&to, from.rsplit('/').next().unwrap_or(&from))
            }
            Some(_) => to,
            None => {
                let below = format!("{from}/");
                let inside =
                    |file: &TreeFile| from.is_empty() || file.path.as_str().starts_with(&below);
                if tree.files().iter().any(inside) {
                    to
                } else if from.is_empty() {
                    let folder = tree.root().to_owned();
                    return Err(FilesError::EmptyFolder { folder });
                } else {
                    let from = mapping.from.clone();
                    return Err(FilesError::Missing { from });
                }
            }
        };
        Ok(Self { from, to, mapping })
    }

    /// Where a member goes, and its path below the mapped folder.
    fn place<'m>(&self, member: &'m TreeFile) -> (String, &'m str) {
        let below = member
            .path
            .as_str()
            .strip_prefix(self.from.as_str())
            .unwrap_or_default();
        let below = below.trim_start_matches('/');
        let place = if below.is_empty() {
            self.to.clone()
        } else {
            join(&self.to, below)
        };
        (place, below)
    }
}

impl<'a> Collected<'a> {
    fn add(
        &mut self,
        tree: &SourceTree,
        mapped: &Mapped<'_>,
        member: &'a TreeFile,
        base: &Base,
    ) -> Result<(), FilesError> {
        let (place, below) = mapped.place(member);
        let node = match &member.kind {
            TreeKind::Symlink(target) => {
                confine(mapped, member, below, target)?;
                Node::Symlink {
                    target: target.clone(),
                }
            }
            TreeKind::File(size) | TreeKind::Executable(size) => {
                let executable = match (mapped.mapping.mode, &member.kind) {
                    (Some(0o755), _) | (None, TreeKind::Executable(_)) => Executable::Yes,
                    _ => Executable::No,
                };
                let content = Content::File {
                    path: tree.root().join(member.path.as_str()),
                    size: *size,
                    expected: Some(Expected {
                        digest: member.digest,
                        stamp: member.stamp,
                    }),
                };
                Node::File {
                    executable,
                    content,
                }
            }
        };
        let entry = Entry {
            path: EntryPath::new(self.canonical(place, base)?)?,
            node,
            package: None,
        };
        self.entries.push((entry, &member.path));
        Ok(())
    }

    /// The path that a member gets: the base's links above it are followed.
    fn canonical(&mut self, place: String, base: &Base) -> Result<String, LinkLoop> {
        let Some((parent, name)) = place.rsplit_once('/') else {
            return Ok(place);
        };
        if self.folder.0 != parent {
            self.folder = (parent.to_owned(), canonical::directory(base, parent)?);
        }
        let (_, folder) = &self.folder;
        if folder == parent {
            return Ok(place);
        }
        if !folder.is_empty() {
            self.moved.insert(parent.to_owned(), folder.clone());
        }
        Ok(join(folder, name))
    }

    /// Sorts the entries by their paths, of which no two may be equal.
    fn sort(&mut self) -> Result<(), LayerError> {
        self.entries.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let mut pairs = self.entries.iter().zip(self.entries.iter().skip(1));
        match pairs.find(|((a, _), (b, _))| a.path == b.path) {
            Some(((entry, first), (_, second))) => Err(LayerError::Duplicate {
                path: entry.path.as_str().to_owned(),
                first: first.to_string(),
                second: second.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The directories of the sorted entries that the base lacks: those that it has keep their
    /// mode and owner.
    fn directories(&self, base: &Base) -> Result<Vec<Entry>, LayerError> {
        let mut owned: BTreeSet<&str> = BTreeSet::new();
        let mut last = "";
        for (entry, _) in &self.entries {
            let mut path = entry.path.as_str();
            while let Some((parent, _)) = path.rsplit_once('/') {
                if parent == last || !owned.insert(parent) {
                    break;
                }
                path = parent;
            }
            last = entry
                .path
                .as_str()
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
        }
        owned.retain(|path| {
            base.get(*path)
                .is_none_or(|entry| entry.kind != EntryKind::Directory)
        });
        owned.into_iter().map(|path| self.directory(path)).collect()
    }

    fn directory(&self, path: &str) -> Result<Entry, LayerError> {
        let same = |(entry, _): &(Entry, _)| entry.path.as_str().cmp(path);
        if let Ok(index) = self.entries.binary_search_by(same) {
            return Err(LayerError::Duplicate {
                path: path.to_owned(),
                first: self.entries[index].1.to_string(),
                second: "a folder of that name".to_owned(),
            });
        }
        let node = Node::Directory {
            mode: 0o755,
            owner: Owner::ROOT,
        };
        Ok(Entry {
            path: EntryPath::new(path)?,
            node,
            package: None,
        })
    }
}

/// Refuses a link that leads out of the mapped folder: it would name a file of the machine that
/// runs the image, not of the source.
fn confine(
    mapped: &Mapped<'_>,
    member: &TreeFile,
    below: &str,
    target: &str,
) -> Result<(), FilesError> {
    let folder = below.rsplit_once('/').map_or("", |(folder, _)| folder);
    let stays = !target.starts_with('/') && lexical(&format!("{folder}/{target}")).is_some();
    if stays {
        return Ok(());
    }
    Err(FilesError::Link {
        path: member.path.to_string(),
        from: mapped.mapping.from.clone(),
        target: escape(target.as_bytes()),
    })
}
