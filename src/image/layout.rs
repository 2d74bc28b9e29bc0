//! OCI image layouts on disk (image-spec, "Image Layout").
//!
//! Several tags live in one layout. Blobs of images whose tag moved on stay: a reader may be
//! using them, and deleting the folder is how a layout is emptied.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::assemble::root;
use super::blobs::{Checked, copy_layer};
use super::document::{DOCUMENT_LIMIT, Document, canonical};
use super::manifest::{Index, IndexEntry};
use super::place::{UNFINISHED, place, place_bytes, place_new, sweep};
use super::regular::{open_file, read_file};
use super::{BlobReader, Image, ImageError, Layer};
use crate::digest::Digest;
use crate::error::AnyError;
use crate::layer::Descriptor;
use crate::reference::Tag;
use crate::store::{CACHEDIR_TAG, GO_MOD};

/// The annotation that holds a tag in the index of a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The content of `oci-layout`.
pub(super) const LAYOUT_VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A folder that holds images.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Opens a folder that holds a layout.
    ///
    /// # Errors
    /// IMAGE-LAYOUT when it holds none, or one of another version.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let layout = Self {
            dir: dir.to_owned(),
        };
        let file = dir.join("oci-layout");
        let bytes = match read_file(&file, 1024) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(layout.problem("it is no OCI layout: the file oci-layout is missing"));
            }
            Err(source) => return Err(unreadable(&file, source)),
        };
        layout.check_version(&bytes)?;
        Ok(layout)
    }

    fn check_version(&self, bytes: &[u8]) -> Result<(), ImageError> {
        check_version(bytes).map_err(|problem| self.problem(problem))
    }

    fn problem(&self, problem: impl Into<String>) -> ImageError {
        ImageError::Layout {
            image: self.name(),
            problem: problem.into(),
        }
    }

    fn name(&self) -> String {
        format!("oci:{}", self.dir.display())
    }

    /// Opens a layout, or makes one in a folder that is empty or not there.
    ///
    /// # Errors
    /// IMAGE-LAYOUT for a folder that holds something else, IMAGE-WRITE.
    pub fn create(dir: &Path) -> Result<Self, ImageError> {
        fs_err::create_dir_all(dir).map_err(|source| ImageError::write(dir, source))?;
        let layout = Self {
            dir: dir.to_owned(),
        };
        let marker = dir.join("oci-layout");
        if !exists(&marker) {
            match layout.refuse_foreign_files() {
                // Another process was faster.
                Err(_foreign) if exists(&marker) => {}
                checked => checked?,
            }
            place_new(dir, &marker, LAYOUT_VERSION.as_bytes())?;
        }
        sweep(dir).map_err(|source| unreadable(dir, source))?;
        let layout = Self::open(dir)?;
        for folder in ["blobs", "blobs/sha256"] {
            let path = dir.join(folder);
            match fs_err::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(ImageError::write(path, error));
                }
                _ => {}
            }
            // A link would send our blobs into a folder that nobody named.
            let is_folder = fs_err::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
            if !is_folder {
                return Err(layout.problem(format!("{folder} is not a folder")));
            }
        }
        Ok(layout)
    }

    fn refuse_foreign_files(&self) -> Result<(), ImageError> {
        let entries = fs_err::read_dir(&self.dir).map_err(|e| unreadable(&self.dir, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| unreadable(&self.dir, e))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // What an interrupted run of ours may have left behind.
            let ours =
                name.starts_with(UNFINISHED) || name == ".gitignore" || name == "CACHEDIR.TAG";
            if !ours {
                return Err(self.problem(format!("it holds {name:?} and no OCI layout")));
            }
        }
        Ok(())
    }

    /// Marks the folder as output: git, go, backups and our own source trees leave it out.
    ///
    /// # Errors
    /// IMAGE-WRITE.
    pub fn mark_as_output(&self) -> Result<(), ImageError> {
        for (name, content) in [
            (".gitignore", "*\n"),
            ("go.mod", GO_MOD),
            ("CACHEDIR.TAG", CACHEDIR_TAG),
        ] {
            let path = self.dir.join(name);
            if !exists(&path) {
                place_bytes(&self.dir, &path, content.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes images and points a tag at them: at the index, else at the first manifest. Blobs
    /// that are there with the right size are kept.
    ///
    /// # Errors
    /// The opener's, IMAGE-DIGEST, IMAGE-WRITE, IMAGE-FULL.
    pub fn write(
        &self,
        images: &[Image],
        index: Option<&Document>,
        tag: Option<&Tag>,
        open: &dyn Fn(&Layer) -> Result<BlobReader, AnyError>,
    ) -> Result<Descriptor, ImageError> {
        for image in images {
            for layer in &image.layers {
                self.put_layer(layer, open)?;
            }
            self.put(&image.config)?;
            self.put(&image.manifest)?;
        }
        if let Some(index) = index {
            self.put(index)?;
        }
        let root = root(images, index)?;
        self.tag(&root, tag)?;
        Ok(root)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        fs_err::symlink_metadata(self.blob_path(&descriptor.digest))
            .is_ok_and(|found| found.is_file() && found.len() == descriptor.size)
    }

    /// Puts a document among the blobs.
    ///
    /// # Errors
    /// IMAGE-WRITE, IMAGE-FULL.
    pub fn put(&self, document: &Document) -> Result<(), ImageError> {
        if self.has(&document.descriptor()) {
            return Ok(());
        }
        place_bytes(
            &self.dir,
            &self.blob_path(&document.digest),
            &document.bytes,
        )
    }

    fn put_layer(
        &self,
        layer: &Layer,
        open: &dyn Fn(&Layer) -> Result<BlobReader, AnyError>,
    ) -> Result<(), ImageError> {
        if self.has(&layer.descriptor) {
            return Ok(());
        }
        let path = self.blob_path(&layer.descriptor.digest);
        // A copy, never a hard link: an edit of the output would damage the cache, and a link
        // moves the times by which the cache knows that its blob is untouched.
        let reader = open(layer).map_err(ImageError::Blob)?;
        let mut reader = Checked::new(reader, &layer.descriptor);
        place(&self.dir, &path, |file| {
            copy_layer(&mut reader, file, layer, &path)
        })
    }

    /// Points a tag at a manifest or an index. Other tags stay; without a tag, the one untagged
    /// entry is replaced.
    ///
    /// # Errors
    /// IMAGE-WRITE, IMAGE-JSON when the present index can't be read.
    pub fn tag(&self, root: &Descriptor, tag: Option<&Tag>) -> Result<(), ImageError> {
        let marker = self.dir.join("oci-layout");
        let lock = fs_err::File::open(&marker).map_err(|e| unreadable(&marker, e))?;
        // Released when the file is closed.
        lock.lock().map_err(|e| unreadable(&marker, e))?;
        let mut index = match self.index() {
            Ok(index) => index,
            Err(ImageError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Index::new(Vec::new(), std::collections::BTreeMap::new())
            }
            Err(error) => return Err(error),
        };
        let name = tag.map(Tag::as_str);
        index.manifests.retain(|entry| {
            entry
                .descriptor
                .annotations
                .get(REF_NAME)
                .map(String::as_str)
                != name
        });
        index.manifests.push(entry(root, name));
        index.manifests.sort_by(|a, b| {
            let name = |entry: &IndexEntry| entry.descriptor.annotations.get(REF_NAME).cloned();
            name(a).cmp(&name(b))
        });
        let bytes = canonical("the index of a layout", &index)?;
        place_bytes(&self.dir, &self.dir.join("index.json"), &bytes)
    }

    fn index(&self) -> Result<Index, ImageError> {
        let path = self.dir.join("index.json");
        let bytes = read_file(&path, DOCUMENT_LIMIT).map_err(|e| unreadable(&path, e))?;
        serde_json::from_slice(&bytes).map_err(|source| ImageError::Json {
            what: path.display().to_string(),
            source,
        })
    }

    /// The manifest or index behind a tag, or the only one.
    ///
    /// # Errors
    /// IMAGE-TAG with the tags that exist, IMAGE-READ, IMAGE-JSON.
    pub fn resolve(&self, tag: Option<&Tag>) -> Result<Descriptor, ImageError> {
        resolve(&self.name(), &self.index()?, tag.map(Tag::as_str))
    }

    /// Opens a blob. Its bytes are not checked here: [`super::Blobs`] does.
    ///
    /// # Errors
    /// IMAGE-MISSING, IMAGE-READ; IMAGE-LAYOUT when the blob is a link or a device.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let path = self.blob_path(&descriptor.digest);
        match open_file(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ImageError::Missing {
                image: self.name(),
                digest: descriptor.digest,
            }),
            Err(source) => Err(unreadable(&path, source)),
        }
    }
}

pub(super) fn check_version(bytes: &[u8]) -> Result<(), String> {
    let version: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| format!("oci-layout: {error}"))?;
    match version["imageLayoutVersion"].as_str() {
        Some(version) if version.starts_with("1.") => Ok(()),
        _ => Err("its layout version is not 1.0.0".to_owned()),
    }
}

/// An entry of a layout's index.
pub(super) fn entry(root: &Descriptor, name: Option<&str>) -> IndexEntry {
    let mut descriptor = root.clone();
    descriptor.annotations = name
        .map(|name| (REF_NAME.to_owned(), name.to_owned()))
        .into_iter()
        .collect();
    IndexEntry {
        descriptor,
        platform: None,
    }
}

/// The entry of a layout's index with this tag, or its only one.
pub(super) fn resolve(
    image: &str,
    index: &Index,
    tag: Option<&str>,
) -> Result<Descriptor, ImageError> {
    let name = |entry: &IndexEntry| entry.descriptor.annotations.get(REF_NAME).cloned();
    let present = || index.manifests.iter().filter_map(name).collect::<Vec<_>>();
    let found: Vec<&IndexEntry> = match tag {
        Some(tag) => index
            .manifests
            .iter()
            .filter(|entry| name(entry).as_deref() == Some(tag))
            .collect(),
        None => index.manifests.iter().collect(),
    };
    match (found.as_slice(), tag) {
        ([entry], _) => Ok(entry.descriptor.clone()),
        ([], _) => Err(ImageError::Tag {
            image: image.to_owned(),
            wanted: tag.unwrap_or("(none)").to_owned(),
            present: present(),
        }),
        _ => Err(ImageError::Ambiguous {
            image: image.to_owned(),
            present: present(),
        }),
    }
}

fn exists(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

fn unreadable(path: &Path, source: io::Error) -> ImageError {
    ImageError::Read {
        what: path.display().to_string(),
        source,
    }
}
