//! A `docker-archive` that is read, as `docker save`, podman, skopeo and we write it: layers,
//! plain or compressed, a config and `manifest.json` in a tar.
//!
//! Nothing in it is named by the digest of its bytes, so digests are taken here, and a manifest is
//! made that says them: the same archive gives the same manifest.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci_spec::image::MediaType;
use serde::Deserialize;

use super::archive::{Members, at, members};
use super::document::{DOCUMENT_LIMIT, Document};
use super::manifest::Manifest;
use super::regular::open_file;
use super::{BlobReader, ImageError};
use crate::digest::{Digest, Hashing};
use crate::layer::Descriptor;

/// Layers of one image; Docker stops at 127.
const MAX_LAYERS: usize = 1024;

/// An open archive.
#[derive(Debug)]
pub struct DockerArchive {
    path: PathBuf,
    manifest: Document,
    /// Start and size of each blob in the file.
    blobs: BTreeMap<Digest, (u64, u64)>,
}

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Saved {
    fn tags(&self) -> impl Iterator<Item = &String> {
        self.repo_tags.iter().flatten()
    }
}

impl DockerArchive {
    /// Opens an archive and the image of this name in it, or the only one. Every layer is read
    /// once, for its digest.
    ///
    /// # Errors
    /// IMAGE-ARCHIVE when it is none, IMAGE-TAG with the names that it has, IMAGE-READ,
    /// IMAGE-JSON.
    pub fn open(path: &Path, name: Option<&str>) -> Result<Self, ImageError> {
        let what = format!("docker-archive:{}", path.display());
        let members = open_file(path).and_then(members);
        let members = members.map_err(|source| ImageError::Read {
            what: what.clone(),
            source,
        })?;
        let opening = Opening {
            path,
            members,
            what,
        };
        let saved = opening.choose(name)?;
        let mut blobs = BTreeMap::new();
        let (config, place) = opening.describe(&saved.config, MediaType::ImageConfig)?;
        if config.size > DOCUMENT_LIMIT {
            return Err(opening.problem("its config is larger than 4 MiB".to_owned()));
        }
        blobs.insert(config.digest, place);
        let mut layers = Vec::new();
        for name in &saved.layers {
            let (layer, place) = opening.describe(name, opening.media_type(name)?)?;
            blobs.insert(layer.digest, place);
            layers.push(layer);
        }
        let manifest = Manifest::new(config, layers, BTreeMap::new());
        let kind = MediaType::ImageManifest;
        Ok(Self {
            path: path.to_owned(),
            manifest: Document::encode("a manifest of an archive", &manifest, kind)?,
            blobs,
        })
    }

    /// The manifest that was made of it.
    pub fn manifest(&self) -> &Document {
        &self.manifest
    }

    /// Opens a blob; its bytes are not checked here.
    ///
    /// # Errors
    /// IMAGE-MISSING, IMAGE-READ.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<BlobReader, ImageError> {
        if descriptor.digest == self.manifest.digest {
            return Ok(Box::new(io::Cursor::new(self.manifest.bytes.clone())));
        }
        let what = || format!("docker-archive:{}", self.path.display());
        let place = self.blobs.get(&descriptor.digest);
        let place = place.ok_or_else(|| ImageError::Missing {
            image: what(),
            digest: descriptor.digest,
        })?;
        let reader = at(&self.path, *place).map_err(|source| ImageError::Read {
            what: what(),
            source,
        })?;
        Ok(Box::new(reader))
    }
}

struct Opening<'a> {
    path: &'a Path,
    members: Members,
    what: String,
}

impl Opening<'_> {
    fn problem(&self, problem: String) -> ImageError {
        ImageError::Archive {
            what: self.what.clone(),
            problem,
        }
    }

    fn unreadable(&self, source: io::Error) -> ImageError {
        ImageError::Read {
            what: self.what.clone(),
            source,
        }
    }

    fn choose(&self, name: Option<&str>) -> Result<Saved, ImageError> {
        let place = self.place("manifest.json")?;
        if place.1 > DOCUMENT_LIMIT {
            return Err(self.problem("manifest.json is larger than 4 MiB".to_owned()));
        }
        let mut bytes = Vec::new();
        at(self.path, place)
            .and_then(|mut reader| reader.read_to_end(&mut bytes))
            .map_err(|source| self.unreadable(source))?;
        let mut images: Vec<Saved> =
            serde_json::from_slice(&bytes).map_err(|source| ImageError::Json {
                what: format!("manifest.json of {}", self.what),
                source,
            })?;
        let present = images.iter().flat_map(Saved::tags).cloned().collect();
        images.retain(|image| name.is_none_or(|name| image.tags().any(|tag| tag == name)));
        let Some(image) = images.pop() else {
            return Err(ImageError::Tag {
                image: self.what.clone(),
                wanted: name.unwrap_or("(none)").to_owned(),
                present,
            });
        };
        if !images.is_empty() {
            return Err(ImageError::Ambiguous {
                image: self.what.clone(),
                present,
            });
        }
        if image.layers.len() > MAX_LAYERS {
            return Err(self.problem("its image has too many layers".to_owned()));
        }
        Ok(image)
    }

    fn place(&self, name: &str) -> Result<(u64, u64), ImageError> {
        let place = self.members.find(name);
        place.ok_or_else(|| self.problem(format!("it holds no {name}")))
    }

    fn describe(
        &self,
        name: &str,
        media_type: MediaType,
    ) -> Result<(Descriptor, (u64, u64)), ImageError> {
        let place = self.place(name)?;
        let mut hashing = Hashing::new(at(self.path, place).map_err(|e| self.unreadable(e))?);
        io::copy(&mut hashing, &mut io::sink()).map_err(|e| self.unreadable(e))?;
        let (_, digest, size) = hashing.finish();
        if size != place.1 {
            return Err(self.problem(format!("it ends inside {name}")));
        }
        let descriptor = Descriptor {
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
        };
        Ok((descriptor, place))
    }

    /// By the first bytes: names say nothing reliable.
    fn media_type(&self, name: &str) -> Result<MediaType, ImageError> {
        let mut head = Vec::new();
        at(self.path, self.place(name)?)
            .and_then(|reader| reader.take(4).read_to_end(&mut head))
            .map_err(|source| self.unreadable(source))?;
        Ok(match head.as_slice() {
            [0x1f, 0x8b, ..] => MediaType::ImageLayerGzip,
            [0x28, 0xb5, 0x2f, 0xfd] => MediaType::ImageLayerZstd,
            _ => MediaType::ImageLayer,
        })
    }
}
