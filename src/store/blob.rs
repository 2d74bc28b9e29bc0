//! Content-addressed blobs: written beside, renamed, and never believed blindly.
//!
//! Beside each blob lies a *stamp* with the stat of the file as it was when its digest was
//! known. A file whose stat has moved since is hashed again before it is used, so that damage
//! costs one hash and never reaches an image, while an untouched blob costs one `stat`. The
//! stamp's own mtime is the time of the last use.

use fs_err as fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error::{StoreError, is_full};
use super::files::touch;
use super::lock::Scratch;
use super::{Store, sealed};
use crate::digest::Digest;
use crate::layer::{Compression, Encoder, LayerError, LayerRecord, LayerWriter};

/// A blob that is being written beside its place; dropped without commit, it is gone.
#[derive(Debug)]
pub struct BlobWriter {
    file: fs::File,
    path: PathBuf,
    written: u64,
}

impl BlobWriter {
    fn create(scratch: &Scratch) -> Result<Self, StoreError> {
        let path = scratch.path();
        match fs::File::create(&path) {
            Ok(file) => Ok(Self {
                file,
                path,
                written: 0,
            }),
            Err(source) => Err(StoreError::explain(&path, 0, source)),
        }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Counts the bytes of a blob where an error can tell how many they were: the encoder that failed
/// has dropped the writer.
struct Counted<'a>(BlobWriter, &'a AtomicU64);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.fetch_add(bytes.len() as u64, Relaxed);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // After a commit the name is gone already; what stays is swept by the next process.
        let _gone_or_swept = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Starts a blob.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::create(&self.scratch)
    }

    /// What an I/O error of a [`BlobWriter`] means, after `needed` bytes: STORE-FULL when the
    /// disk is. Encoders hand such errors through as [`crate::layer::LayerError::Write`].
    pub fn explain_write(&self, source: io::Error, needed: u64) -> StoreError {
        StoreError::explain(self.root(), needed, source)
    }

    /// Moves a finished blob to its place (fsync, rename). Keeps the present one if it is there.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a committed blob takes no more bytes; dropping it removes what was not renamed"
    )]
    pub fn commit_blob(&self, writer: BlobWriter, digest: &Digest) -> Result<PathBuf, StoreError> {
        let place = self.blob_path(digest);
        if self.blob(digest, writer.written).is_some() {
            return Ok(place);
        }
        let commit = || -> io::Result<()> {
            writer.file.sync_all()?;
            fs::rename(&writer.path, &place)?;
            // The name itself must outlive a power cut before a record points to it.
            fs::File::open(self.root().join("blobs/sha256"))?.sync_all()?;
            self.stamp(digest, &fs::symlink_metadata(&place)?)
        };
        commit().map_err(|source| self.explain_write(source, writer.written))?;
        Ok(place)
    }

    /// Moves a finished blob that was fetched to its place, and marks it as an input: what is made
    /// of it can go without it.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn commit_input(&self, writer: BlobWriter, digest: &Digest) -> Result<PathBuf, StoreError> {
        let place = self.commit_blob(writer, digest)?;
        self.mark_input(digest)?;
        Ok(place)
    }

    /// Encodes a layer into a blob. Its record is not kept: the caller knows its keys.
    ///
    /// # Errors
    /// Those of [`Encoder::encode`]; STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn encode_blob(
        &self,
        encoder: &Encoder,
        compression: Compression,
        produce: impl FnOnce(&mut LayerWriter<'_>) -> Result<(), LayerError>,
    ) -> Result<LayerRecord, LayerError> {
        let written = AtomicU64::new(0);
        let writer = Counted(self.blob_writer()?, &written);
        let done = encoder.encode(writer, compression, produce);
        let (Counted(writer, _), record) = done.map_err(|error| match error {
            LayerError::Write { source } if is_full(&source) => {
                self.explain_write(source, written.load(Relaxed)).into()
            }
            other => other,
        })?;
        self.commit_blob(writer, &record.descriptor.digest)?;
        Ok(record)
    }

    /// Stores bytes as a blob.
    ///
    /// # Errors
    /// STORE-FULL, STORE-DENIED, STORE-IO.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.blob(&digest, bytes.len() as u64).is_none() {
            let mut writer = self.blob_writer()?;
            writer
                .write_all(bytes)
                .map_err(|source| self.explain_write(source, bytes.len() as u64))?;
            self.commit_blob(writer, &digest)?;
        }
        Ok(digest)
    }

    /// The path of a blob that is here with this size. A damaged one is reported as
    /// CACHE-CORRUPT, removed, and a miss.
    pub fn blob(&self, digest: &Digest, size: u64) -> Option<PathBuf> {
        let place = self.blob_path(digest);
        match self.check_blob(&place, digest, size) {
            Ok(true) => Some(place),
            Ok(false) => None,
            Err(why) => {
                self.corrupt(&place, &why);
                None
            }
        }
    }

    /// Whether the blob is there and sound; the reason when it is damaged.
    fn check_blob(&self, place: &Path, digest: &Digest, size: u64) -> Result<bool, String> {
        let stat = match fs::symlink_metadata(place) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(format!("it can't be read: {error}")),
        };
        if !stat.is_file() {
            return Err("it is not a file".to_owned());
        }
        let stamp = self.stamp_path(digest);
        let known = sealed::read(&stamp).is_ok_and(|known| known == stamp_of(&stat).as_bytes());
        if stat.len() != size {
            // Whoever asks may be wrong (a lock says what its writer liked): a sound blob stays.
            if known {
                return Ok(false);
            }
            return Err(format!("it has {} bytes instead of {size}", stat.len()));
        }
        if known {
            touch(&stamp);
        } else {
            let found = hash_file(place).map_err(|error| format!("it can't be read: {error}"))?;
            if found != *digest {
                return Err(format!("its contents have the digest {found}"));
            }
            // Without its stamp the blob is sound all the same; the next use hashes it again.
            let _hashed_again = self.stamp(digest, &stat);
        }
        Ok(true)
    }

    fn stamp(&self, digest: &Digest, stat: &std::fs::Metadata) -> io::Result<()> {
        let contents = stamp_of(stat);
        sealed::write(
            &self.scratch.path(),
            &self.stamp_path(digest),
            contents.as_bytes(),
        )
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("blobs/sha256").join(digest.hex())
    }

    pub(super) fn stamp_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("stamps").join(digest.hex())
    }
}

fn stamp_of(stat: &std::fs::Metadata) -> String {
    format!(
        "{} {} {}.{:09} {}.{:09}",
        stat.len(),
        stat.ino(),
        stat.mtime(),
        stat.mtime_nsec(),
        stat.ctime(),
        stat.ctime_nsec()
    )
}

/// The digest of a file's bytes, in bounded memory.
pub(super) fn hash_file(path: &Path) -> io::Result<Digest> {
    Digest::of_reader(fs::File::open(path)?)
}
