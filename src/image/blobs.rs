//! Opening blobs, wherever they are, and checking them while they are read.

use std::io::{self, Read};
use std::path::Path;

use super::document::{DOCUMENT_LIMIT, Document};
use super::{ImageError, Layer};
use crate::digest::{Digest, Hashing};
use crate::error::AnyError;
use crate::layer::Descriptor;

/// An open blob.
pub type BlobReader = Box<dyn Read + Send>;

/// Opens blobs by descriptor: a layout, an archive or a registry behind a closure.
pub struct Blobs<'a> {
    open: &'a dyn Fn(&Descriptor) -> Result<BlobReader, AnyError>,
}

impl std::fmt::Debug for Blobs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs").finish_non_exhaustive()
    }
}

impl<'a> Blobs<'a> {
    /// Blobs that `open` opens; what it yields need not be checked yet.
    pub fn new(open: &'a dyn Fn(&Descriptor) -> Result<BlobReader, AnyError>) -> Self {
        Self { open }
    }

    /// The bytes as they are, unchecked.
    pub(super) fn raw(&self, descriptor: &Descriptor) -> Result<BlobReader, AnyError> {
        (self.open)(descriptor)
    }

    /// A blob whose reader fails at its end when digest or size differ from the descriptor.
    ///
    /// # Errors
    /// The opener's.
    pub fn open(&self, descriptor: &Descriptor) -> Result<Checked<BlobReader>, ImageError> {
        let reader = self.raw(descriptor).map_err(ImageError::Blob)?;
        Ok(Checked::new(reader, descriptor))
    }

    /// A manifest, index or config, checked and at most [`DOCUMENT_LIMIT`] bytes long.
    ///
    /// # Errors
    /// IMAGE-TOO-LARGE, IMAGE-DIGEST, IMAGE-READ, the opener's.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document, ImageError> {
        let what = || format!("{} {}", descriptor.media_type, descriptor.digest);
        if descriptor.size > DOCUMENT_LIMIT {
            return Err(ImageError::TooLarge {
                what: what(),
                size: descriptor.size,
                limit: DOCUMENT_LIMIT,
            });
        }
        let mut bytes = Vec::new();
        let reader = self.raw(descriptor).map_err(ImageError::Blob)?;
        reader
            .take(descriptor.size + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ImageError::Read {
                what: what(),
                source,
            })?;
        let document = Document::from_bytes(bytes, descriptor.media_type.clone());
        let found = (document.digest, document.bytes.len() as u64);
        if found != (descriptor.digest, descriptor.size) {
            return Err(ImageError::Digest {
                what: what(),
                expected: named(&descriptor.digest, descriptor.size),
                found: named(&found.0, found.1),
            });
        }
        Ok(document)
    }
}

fn named(digest: &Digest, size: u64) -> String {
    format!("{digest} of {size} bytes")
}

/// A reader that yields the bytes of a descriptor or fails: at its end when the digest differs,
/// before that when there are more bytes than the descriptor says.
pub struct Checked<R> {
    inner: Option<Hashing<R>>,
    descriptor: Descriptor,
}

impl<R> std::fmt::Debug for Checked<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked")
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

/// What a [`Checked`] reader found; the payload of its `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("blob {expected} has other bytes: {found}")]
pub struct WrongBytes {
    expected: Digest,
    found: String,
}

impl<R: Read> Checked<R> {
    /// Wraps a reader that is at its start.
    pub fn new(reader: R, descriptor: &Descriptor) -> Self {
        Self {
            inner: Some(Hashing::new(reader)),
            descriptor: descriptor.clone(),
        }
    }

    fn wrong(&self, found: String) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            WrongBytes {
                expected: self.descriptor.digest,
                found,
            },
        )
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = inner.read(buffer)?;
        let length = inner.length();
        if length > self.descriptor.size {
            return Err(self.wrong(format!("more than {} bytes", self.descriptor.size)));
        }
        if count > 0 {
            return Ok(count);
        }
        let Some(inner) = self.inner.take() else {
            return Ok(0);
        };
        let (_, digest, length) = inner.finish();
        if (digest, length) != (self.descriptor.digest, self.descriptor.size) {
            return Err(self.wrong(named(&digest, length)));
        }
        Ok(0)
    }
}

/// Copies a layer's bytes, telling the reader's errors from the writer's.
pub(super) fn copy_layer(
    reader: &mut dyn Read,
    out: &mut dyn io::Write,
    layer: &Layer,
    path: &Path,
) -> Result<(), ImageError> {
    let what = || format!("layer {}", layer.descriptor.digest);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(ImageError::Digest {
                    what: what(),
                    expected: layer.descriptor.digest.to_string(),
                    found: error.to_string(),
                });
            }
            Err(source) => {
                return Err(ImageError::Read {
                    what: what(),
                    source,
                });
            }
        };
        out.write_all(&buffer[..count])
            .map_err(|source| ImageError::write(path, source))?;
    }
}
