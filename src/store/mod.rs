//! Content-addressed blobs, layer records and inputs on this disk. (skeleton)
//!
//! ```text
//! DIR/CACHEDIR.TAG
//! DIR/blobs/sha256/<hex>      layers and configs
//! DIR/records/<hex of key>    LayerRecord as JSON
//! DIR/memos/<hex>             small results of tools (tool versions, go list), tree listings
//! DIR/steps/<hex of slot>/    outputs of steps, kept for the compilers' own up-to-date tests
//! DIR/stat/<hex>              stat caches of source trees
//! DIR/git/<hex>/              clones
//! DIR/go/                     GOCACHE, GOMODCACHE, … of the Go recipe
//! DIR/tmp/                    what is being written
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Coded, Exit};
use crate::layer::{LayerKey, LayerRecord};

/// A store on this disk; safe under concurrent processes and kill -9.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum StoreError {
    #[error("no space left in {path}")]
    Full {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("can't use the cache folder {path}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        "STORE-FULL"
    }
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// A blob that is being written beside its place; dropped without commit, it is gone.
#[derive(Debug)]
pub struct BlobWriter {
    path: PathBuf,
}

impl Write for BlobWriter {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        unimplemented!()
    }
    fn flush(&mut self) -> std::io::Result<()> {
        unimplemented!()
    }
}

/// An exclusive lock across processes, released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

impl Store {
    /// Opens a store, creating its folders.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            root: root.to_owned(),
        })
    }
    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Starts a blob.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter {
            path: self.root.join("tmp"),
        })
    }
    /// Moves a finished blob to its place (fsync, rename). Keeps the present one if it is there.
    pub fn commit_blob(&self, writer: BlobWriter, digest: &Digest) -> Result<PathBuf, StoreError> {
        let _unused = (writer.path, digest);
        unimplemented!()
    }
    /// Stores bytes as a blob.
    pub fn put_blob(&self, _bytes: &[u8]) -> Result<Digest, StoreError> {
        unimplemented!()
    }
    /// The path of a blob that is here with this size; a wrong size is a CACHE-CORRUPT
    /// warning and a miss (the reporter is given at `open` or here: the owner's choice).
    pub fn blob(&self, _digest: &Digest, _size: u64) -> Option<PathBuf> {
        unimplemented!()
    }
    /// The record of a layer.
    pub fn record(&self, _key: &LayerKey) -> Option<LayerRecord> {
        unimplemented!()
    }
    /// Keeps a record; its blob must be committed before.
    pub fn put_record(&self, _key: &LayerKey, _record: &LayerRecord) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// A small result of a tool or a tree listing.
    pub fn memo(&self, _key: &Digest) -> Option<Vec<u8>> {
        unimplemented!()
    }
    /// Keeps a small result.
    pub fn put_memo(&self, _key: &Digest, _value: &[u8]) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// A folder of the store, created: `go`, `git`, `stat`, …
    pub fn folder(&self, _name: &str) -> Result<PathBuf, StoreError> {
        unimplemented!()
    }
    /// The output folder of a step's slot, created.
    pub fn step_slot(&self, _slot: &Digest) -> Result<PathBuf, StoreError> {
        unimplemented!()
    }
    /// Waits for an exclusive lock on `name` across processes.
    pub fn lock(&self, _name: &str) -> Result<Lock, StoreError> {
        unimplemented!()
    }
}
