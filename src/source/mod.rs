//! Source trees: sorted walk, filters, content hashes with a stat cache, git clones. (skeleton)

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::Coded;
use crate::layer::{EntryPath, TreeDigest};

/// Every file of a folder but `.git` and our own outputs, cache and clones.
#[derive(Clone, Debug)]
pub struct SourceTree {
    root: PathBuf,
    files: Vec<TreeFile>,
}

/// One member of a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Path below the root.
    pub path: EntryPath,
    /// What it is.
    pub kind: TreeKind,
    /// SHA-256 of a file's bytes or of a link's target.
    pub digest: Digest,
}

/// Kinds of members of a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// A file of this many bytes, without any x bit.
    File(u64),
    /// A file of this many bytes, with an x bit.
    Executable(u64),
    /// A symbolic link with this target.
    Symlink(String),
}

/// Which ignore files apply to one use of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Nothing is left out.
    All,
    /// `.gitignore` files inside the tree (git's semantics).
    GitIgnore,
    /// `.dockerignore` at the root (Docker's semantics).
    DockerIgnore,
}

/// Why a source can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(String);

impl Coded for SourceError {
    fn code(&self) -> &'static str {
        "SRC-READ"
    }
}

impl SourceTree {
    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// All members, sorted by path bytes.
    pub fn files(&self) -> &[TreeFile] {
        &self.files
    }
    /// One member.
    pub fn file(&self, _path: &str) -> Option<&TreeFile> {
        unimplemented!()
    }
    /// The bytes of a file, at most `limit`; none when there is no such file.
    pub fn read(&self, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        unimplemented!()
    }
    /// The members that a filter keeps and that lie under `under` (empty: all).
    pub fn select(&self, _under: &str, _filter: Filter) -> Result<Vec<&TreeFile>, SourceError> {
        unimplemented!()
    }
    /// The digest of a selection's canonical listing.
    pub fn digest(&self, _members: &[&TreeFile]) -> TreeDigest {
        unimplemented!()
    }
}
