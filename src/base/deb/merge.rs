//! Many packages → one tree.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fs_err as fs;

use super::extract::{Extracted, Memory, extract};
use super::sets::Usr;
use super::{AssembleError, FetchedDeb};
use crate::digest::Digest;
use crate::layer::{Content, Entry, EntryPath, Executable, LayerError, Node, Owner};

/// More decoders than this would need too much memory for their dictionaries (8 MiB each).
const MAX_DECODERS: usize = 3;

/// Reads packages, each into a folder of its own below `scratch` as far as `memory` is used up;
/// the order is that of `debs`.
///
/// # Errors
/// That of the first package that has one.
pub(super) fn extract_all(
    debs: &[FetchedDeb],
    usr: Usr,
    scratch: &Path,
    memory: &Memory,
) -> Result<Vec<Extracted>, AssembleError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    // Large packages first, so that no thread is left with the largest alone.
    let mut order: Vec<usize> = (0..debs.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(debs[*index].package.size));
    let done = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let folder = scratch.join(index.to_string());
            let result = fs::create_dir(&folder)
                .map_err(AssembleError::disk)
                .and_then(|()| extract(&debs[*index], usr, &folder, memory));
            let failed = result.is_err();
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(*index, result);
            if failed {
                // The others end after what they are at.
                next.store(order.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(MAX_DECODERS).min(debs.len()) {
            // Without the thread the others do its work.
            let _handle = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_values().collect()
}

/// Entries by path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: BTreeMap<EntryPath, Entry>,
}

impl Tree {
    /// The entries of packages, in their order, and the database of packages.
    ///
    /// # Errors
    /// BASE-CONFLICT, BASE-PATH, BASE-DISK.
    pub(super) fn of(packages: Vec<Extracted>) -> Result<Self, AssembleError> {
        let mut tree = Self::default();
        for package in packages {
            for entry in database(&package)? {
                tree.add(entry)?;
            }
            for entry in package.entries {
                tree.add(entry)?;
            }
        }
        // Before anything is made of them: nothing may be written through a link.
        tree.missing_folders()?;
        Ok(tree)
    }

    /// Adds an entry of a package. Of folders the first wins; files must be equal.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), AssembleError> {
        let Some(present) = self.entries.get(&entry.path) else {
            self.entries.insert(entry.path.clone(), entry);
            return Ok(());
        };
        if same(&present.node, &entry.node).map_err(AssembleError::disk)? {
            return Ok(());
        }
        Err(AssembleError::Conflict {
            path: entry.path.to_string(),
            first: owner(present),
            second: owner(&entry),
        })
    }

    /// Sets an entry that is generated, whatever packages bring.
    pub(super) fn put(&mut self, path: &str, node: Node) -> Result<(), AssembleError> {
        let path = EntryPath::new(path)?;
        let entry = Entry {
            path: path.clone(),
            node,
            package: None,
        };
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Sets an entry unless there is one.
    pub(super) fn put_missing(&mut self, path: &str, node: Node) -> Result<(), AssembleError> {
        if self.get(path).is_none() {
            self.put(path, node)?;
        }
        Ok(())
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(&EntryPath::new(path).ok()?)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Removes every entry whose path begins so.
    pub(super) fn remove_starting(&mut self, start: &str) {
        self.entries
            .retain(|path, _| !path.as_str().starts_with(start));
    }

    /// Adds the folders above entries, and yields all.
    ///
    /// # Errors
    /// BASE-PATH for an entry below a file or a link.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>, AssembleError> {
        let missing = self.missing_folders()?;
        self.entries.extend(missing);
        Ok(self.entries.into_values().collect())
    }

    /// The folders above entries that nobody brings.
    fn missing_folders(&self) -> Result<BTreeMap<EntryPath, Entry>, AssembleError> {
        let mut missing: BTreeMap<EntryPath, Entry> = BTreeMap::new();
        for entry in self.entries.values() {
            let mut parent = entry.path.parent();
            while let Some(path) = parent {
                match self.entries.get(&path).map(|above| &above.node) {
                    Some(Node::Directory { .. }) => break,
                    Some(_) => {
                        return Err(AssembleError::Member {
                            package: owner(entry),
                            member: entry.path.to_string(),
                            rule: "a folder above it is a link or a file",
                        });
                    }
                    None if missing.contains_key(&path) => break,
                    None => {}
                }
                parent = path.parent();
                let folder = Entry {
                    path: path.clone(),
                    node: FOLDER,
                    package: None,
                };
                missing.insert(path, folder);
            }
        }
        Ok(missing)
    }
}

/// A folder that nothing is declared about.
pub(super) const FOLDER: Node = Node::Directory {
    mode: 0o755,
    owner: Owner::ROOT,
};

/// A generated file.
pub(super) fn file(bytes: impl Into<Vec<u8>>) -> Node {
    Node::File {
        executable: Executable::No,
        content: Content::Bytes(bytes.into().into()),
    }
}

/// A generated link.
pub(super) fn link(target: &str) -> Node {
    Node::Symlink {
        target: target.to_owned(),
    }
}

/// What scanners read: the control data of a package, verbatim.
pub(super) fn database(package: &Extracted) -> Result<Vec<Entry>, LayerError> {
    let path = EntryPath::new(format!("var/lib/dpkg/status.d/{}", package.package))?;
    let sums = EntryPath::new(format!("{}.md5sums", path.as_str()))?;
    let entry = |path, bytes: &[u8]| Entry {
        path,
        node: file(bytes),
        package: Some(Arc::clone(&package.package)),
    };
    let mut entries = vec![entry(path, &package.control.control)];
    if let Some(md5sums) = &package.control.md5sums {
        entries.push(entry(sums, md5sums));
    }
    Ok(entries)
}

fn owner(entry: &Entry) -> String {
    let package = entry.package.as_deref();
    package.unwrap_or("karisimbi").to_owned()
}

fn same(a: &Node, b: &Node) -> io::Result<bool> {
    Ok(match (a, b) {
        (Node::Directory { .. }, Node::Directory { .. }) => true,
        (Node::Symlink { target: a }, Node::Symlink { target: b }) => a == b,
        (
            Node::File {
                executable: x,
                content: a,
            },
            Node::File {
                executable: y,
                content: b,
            },
        ) => x == y && digest(a)? == digest(b)?,
        _ => false,
    })
}

/// The digest of a file's contents.
pub(super) fn digest(content: &Content) -> io::Result<Digest> {
    open(content, |reader| Digest::of_reader(reader))?
}

/// Hands a reader over a file's contents on.
pub(super) fn open<T>(content: &Content, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
    Ok(match content {
        Content::Bytes(bytes) => read(&mut &bytes[..]),
        Content::File { path, .. } => read(&mut fs::File::open(path)?),
        Content::Spool(spool) => read(&mut spool.reader()),
    })
}
