//! Content-addressed blobs, layer records and inputs on this disk.
//!
//! ```text
//! DIR/CACHEDIR.TAG
//! DIR/lock                    shared by all users, exclusive while things are removed
//! DIR/blobs/sha256/<hex>      layers and configs
//! DIR/stamps/<hex>            stat of each blob when its digest was known; mtime = last use
//! DIR/records/<hex of key>    the key's fields and the LayerRecord as JSON, sealed
//! DIR/memos/<hex>             small results of tools (tool versions, go list), tree listings, sealed
//! DIR/inputs/<hex>            marks the blobs and memos that were fetched; empty
//! DIR/steps/<hex of slot>/    outputs of steps, kept for the compilers' own up-to-date tests
//! DIR/roots/<hex>/            unpacked images, for `run`
//! DIR/stat/<hex>              stat caches of source trees, sealed
//! DIR/git/<hex>/<commit>/     clones
//! DIR/go/                     GOCACHE, GOMODCACHE, … of the Go recipe
//! DIR/locks/<name>            locks across processes
//! DIR/tmp/<n>/                what one process is writing; swept when that process is dead
//! ```
//!
//! A file appears under its name only when it is whole; a blob before the record that names it.
//! Damage is a CACHE-CORRUPT warning and a miss, never an error (docs/concepts/caching.md).

mod blob;
mod error;
pub(crate) mod files;
mod lock;
mod roots;
pub(crate) mod sealed;
mod units;
pub mod upkeep;

pub use blob::BlobWriter;
pub use error::StoreError;
pub use lock::Lock;

use fs_err as fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::layer::{LayerKey, LayerRecord};
use crate::progress::Reporter;
use lock::{Gate, Scratch};
use sealed::Broken;

/// Contents of the `CACHEDIR.TAG` in each of our folders (bford.info/cachedir): backup programs
/// skip such folders.
pub const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # karisimbi\n\
    # Made by karisimbi; it can be deleted.\n";

/// Contents of the `go.mod` in each layout that we write: go takes the folder for another module,
/// so that a module around it can neither import nor embed what our source trees leave out.
pub const GO_MOD: &str = "// Keeps go from looking into this folder.\nmodule output\n";

/// The folders that every store has.
const FOLDERS: [&str; 10] = [
    "blobs/sha256",
    "stamps",
    "records",
    "memos",
    "inputs",
    "steps",
    "stat",
    "git",
    "locks",
    "tmp",
];

/// A store on this disk; safe under concurrent processes and kill -9.
pub struct Store {
    root: PathBuf,
    reporter: Arc<dyn Reporter>,
    // Before the gate: its folder is removed while the gate is still held.
    scratch: Scratch,
    gate: Gate,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// A record with the key that it was stored under: a foreign or misplaced file is noticed.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    key: LayerKey,
    record: LayerRecord,
}

impl Store {
    /// Opens a store, creating its folders with mode 0700. Waits, with a STORE-BUSY warning,
    /// while another process removes things. Warnings about damage go to `reporter`.
    ///
    /// # Errors
    /// STORE-FOREIGN for a folder of somebody else, STORE-DENIED, STORE-FULL, STORE-IO.
    pub fn open(root: &Path, reporter: Arc<dyn Reporter>) -> Result<Self, StoreError> {
        make_folder(root)?;
        claim(root)?;
        let gate = Gate::enter(root, reporter.as_ref())?;
        for folder in FOLDERS {
            make_folder(&root.join(folder))?;
        }
        Ok(Self {
            root: root.to_owned(),
            scratch: Scratch::create(root)?,
            reporter,
            gate,
        })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where its warnings go.
    pub fn reporter(&self) -> &dyn Reporter {
        self.reporter.as_ref()
    }

    /// The record of a layer whose bytes are here. Anything wrong with the record or the bytes
    /// is reported as CACHE-CORRUPT, removed, and a miss.
    pub fn record(&self, key: &LayerKey) -> Option<LayerRecord> {
        let place = self.record_path(&key.digest());
        match self.read_record(&place, key) {
            Ok(record) => Some(record),
            Err(Broken::Missing) => None,
            Err(Broken::Damaged(why)) => {
                self.corrupt(&place, &why);
                None
            }
        }
    }

    fn read_record(&self, place: &Path, key: &LayerKey) -> Result<LayerRecord, Broken> {
        let stored = parse_record(&sealed::read(place)?)?;
        if stored.key != *key {
            return Err(Broken::Damaged("it was stored for another key".to_owned()));
        }
        let descriptor = &stored.record.descriptor;
        if self.blob(&descriptor.digest, descriptor.size).is_none() {
            let why = format!("the blob {} is not there", descriptor.digest);
            return Err(Broken::Damaged(why));
        }
        Ok(stored.record)
    }

    /// Keeps a record; its blob must be committed before.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn put_record(&self, key: &LayerKey, record: &LayerRecord) -> Result<(), StoreError> {
        let place = self.record_path(&key.digest());
        let stored = StoredRecord {
            key: key.clone(),
            record: record.clone(),
        };
        let write = || -> io::Result<()> {
            let json = serde_json::to_vec(&stored)?;
            sealed::write(&self.scratch.path(), &place, &json)
        };
        write().map_err(|source| StoreError::explain(&place, 0, source))
    }

    /// Keeps a record that saves time and nothing else, since its blob is in the store: a failure
    /// is a CACHE-WRITE warning.
    pub fn remember_record(&self, key: &LayerKey, record: &LayerRecord) {
        if let Err(error) = self.put_record(key, record) {
            let text =
                format!("the record of a layer is not kept and it will be built again: {error}");
            self.warn("CACHE-WRITE", text);
        }
    }

    /// A small result of a tool or a tree listing. Damage is reported as CACHE-CORRUPT,
    /// removed, and a miss.
    pub fn memo(&self, key: &Digest) -> Option<Vec<u8>> {
        self.sealed(&self.root.join("memos").join(key.hex()))
    }

    /// Keeps a small result.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn put_memo(&self, key: &Digest, value: &[u8]) -> Result<(), StoreError> {
        let place = self.root.join("memos").join(key.hex());
        sealed::write(&self.scratch.path(), &place, value)
            .map_err(|source| StoreError::explain(&place, value.len() as u64, source))
    }

    /// Keeps a small result that saves time and nothing else: a failure is a CACHE-WRITE warning.
    pub fn remember(&self, what: &str, key: &Digest, value: &[u8]) {
        if let Err(error) = self.put_memo(key, value) {
            let text = format!("{what} is not kept and will be found out again: {error}");
            self.warn("CACHE-WRITE", text);
        }
    }

    /// Keeps what is needed to find a fetched blob again, and marks it as an input: as
    /// [`Store::remember`] otherwise.
    pub fn remember_input(&self, what: &str, key: &Digest, value: &[u8]) {
        self.remember(what, key, value);
        if let Err(error) = self.mark_input(key) {
            let text = format!("{what} goes with the layers when they are cleared: {error}");
            self.warn("CACHE-WRITE", text);
        }
    }

    fn mark_input(&self, name: &Digest) -> Result<(), StoreError> {
        let mark = self.mark_path(name);
        if mark.exists() {
            return Ok(());
        }
        let marked = fs::File::create(&mark).map(drop);
        marked.map_err(|source| StoreError::explain(&mark, 0, source))
    }

    fn mark_path(&self, name: &Digest) -> PathBuf {
        self.root.join("inputs").join(name.hex())
    }

    /// A folder of the store, created: `go`, `git`, … Its mtime becomes the time of last use.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO; STORE-USE for a name that is not `[a-z0-9-]+`.
    pub fn folder(&self, name: &str) -> Result<PathBuf, StoreError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(StoreError::Name {
                name: name.to_owned(),
            });
        }
        used_folder(self.root.join(name))
    }

    /// The output folder of a step's slot, created.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn step_slot(&self, slot: &Digest) -> Result<PathBuf, StoreError> {
        used_folder(self.root.join("steps").join(slot.hex()))
    }

    /// A folder for what this process is writing, on the store's file system; removed with the
    /// store, and swept by the next process if this one is killed.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn temporary_folder(&self) -> Result<PathBuf, StoreError> {
        let folder = self.scratch.path().with_extension("d");
        make_folder(&folder)?;
        Ok(folder)
    }

    /// Waits for an exclusive lock on `name` across processes and threads.
    ///
    /// # Errors
    /// STORE-DENIED, STORE-IO.
    pub fn lock(&self, name: &str) -> Result<Lock, StoreError> {
        // Any text may name a lock; the prefix keeps ours apart from the store's own.
        let file = format!("named-{}", Digest::of(name.as_bytes()).hex());
        Lock::wait(&self.root.join("locks").join(file), || {
            let text = format!("waiting for another process: {name}");
            self.reporter.event(crate::progress::Event::Detail { text });
        })
    }

    /// The contents of a sealed file of the store; touched, so that it counts as used.
    pub(crate) fn sealed(&self, place: &Path) -> Option<Vec<u8>> {
        match sealed::read(place) {
            Ok(contents) => {
                files::touch(place);
                Some(contents)
            }
            Err(Broken::Missing) => None,
            Err(Broken::Damaged(why)) => {
                self.corrupt(place, &why);
                None
            }
        }
    }

    /// Reports something about a cache that stops nothing.
    pub(crate) fn warn(&self, code: &'static str, text: String) {
        self.reporter.warn(code, text);
    }

    /// A path beside, for a file that will be renamed into the store.
    pub(crate) fn scratch_path(&self) -> PathBuf {
        self.scratch.path()
    }

    fn record_path(&self, key: &Digest) -> PathBuf {
        self.root.join("records").join(key.hex())
    }

    /// Reports damage, and removes what is damaged.
    fn corrupt(&self, path: &Path, why: &str) {
        let removed = match files::remove(path) {
            Ok(()) => "removed; it will be made again".to_owned(),
            Err(error) => format!("it can't be removed: {error}"),
        };
        let shown = path.strip_prefix(&self.root).unwrap_or(path);
        let text = format!("{} in the cache: {why}; {removed}", shown.display());
        self.reporter.warn("CACHE-CORRUPT", text);
    }
}

fn parse_record(json: &[u8]) -> Result<StoredRecord, Broken> {
    serde_json::from_slice(json)
        .map_err(|error| Broken::Damaged(format!("it is not a layer record: {error}")))
}

fn used_folder(folder: PathBuf) -> Result<PathBuf, StoreError> {
    make_folder(&folder)?;
    files::touch(&folder);
    Ok(folder)
}

/// Makes sure that everything in a folder is ours to sweep, prune and clear: it carries our tag
/// and is no layout, or has all our folders and a damaged tag, or it is empty and gets the tag
/// before anything else.
fn claim(root: &Path) -> Result<(), StoreError> {
    let tag = root.join("CACHEDIR.TAG");
    match fs::read(&tag) {
        Ok(found) if found == CACHEDIR_TAG.as_bytes() => {
            return if root.join("oci-layout").exists() {
                Err(foreign(root, "oci-layout".as_ref()))
            } else {
                Ok(())
            };
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(StoreError::explain(&tag, 0, source)),
    }
    if !FOLDERS.iter().all(|folder| root.join(folder).is_dir()) {
        refuse_contents(root)?;
    }
    fs::write(&tag, CACHEDIR_TAG).map_err(|source| StoreError::explain(&tag, 0, source))
}

/// An error for a folder that holds more than what the root of a volume may have, and what
/// another process, which is making the same store, may have written by now.
fn refuse_contents(root: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::explain(root, 0, source);
    // Empty while another process writes it.
    let is_tagged = || {
        fs::read(root.join("CACHEDIR.TAG"))
            .is_ok_and(|found| found.is_empty() || found == CACHEDIR_TAG.as_bytes())
    };
    for entry in fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name == "lost+found" || (name == "CACHEDIR.TAG" && is_tagged()) {
            continue;
        }
        // Or another process made a store of it meanwhile.
        return if is_tagged() {
            Ok(())
        } else {
            Err(foreign(root, &name))
        };
    }
    Ok(())
}

fn foreign(root: &Path, name: &std::ffi::OsStr) -> StoreError {
    StoreError::Foreign {
        path: root.to_owned(),
        name: name.to_string_lossy().into_owned(),
    }
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::explain(path, 0, source))
}
