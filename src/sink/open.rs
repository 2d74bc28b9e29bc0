//! Reads an image of any transport: the source of copy, inspect and verify.

use std::io::Read;
use std::sync::Arc;

use crate::digest::DiffId;
use crate::error::AnyError;
use crate::image::archive::OciArchive;
use crate::image::docker_archive::DockerArchive;
use crate::image::manifest::{Manifest, Root};
use crate::image::{Blob, Blobs, Document, Image, ImageError, Layer, Layout};
use crate::layer::Descriptor;
use crate::platform::Platform;
use crate::reference::{ImageName, Reference};
use crate::registry::Client;

use super::{Context, SinkError};

/// An image that was opened for reading.
pub struct Opened<'a> {
    name: String,
    root: Document,
    place: Place,
    context: &'a Context<'a>,
}

enum Place {
    Layout(Layout),
    Archive(OciArchive),
    DockerArchive(DockerArchive),
    /// Just built: documents in memory, layers in the store or still where the base has them.
    Built(Vec<Image>),
    Registry(Arc<Client>, Reference),
}

impl std::fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Opened<'a> {
    /// Opens an image and reads its manifest or index.
    ///
    /// # Errors
    /// OUT-TRANSPORT for `docker-archive:-`, which is written only; those of the place.
    pub fn open(name: &ImageName, context: &'a Context<'a>) -> Result<Self, SinkError> {
        let shown = name.to_string();
        let (root, place) = match name {
            ImageName::Layout { dir, tag } => {
                let layout = Layout::open(dir)?;
                let descriptor = layout.resolve(tag.as_ref())?;
                let open = |descriptor: &Descriptor| Ok(layout.open_blob(descriptor)?);
                let root = Blobs::new(&open).document(&descriptor)?;
                (root, Place::Layout(layout))
            }
            ImageName::OciArchive { file, tag } => {
                let archive = OciArchive::open(file)?;
                let descriptor = archive.resolve(tag.as_ref())?;
                let open = |descriptor: &Descriptor| Ok(archive.open_blob(descriptor)?);
                let root = Blobs::new(&open).document(&descriptor)?;
                (root, Place::Archive(archive))
            }
            ImageName::DockerArchive { file: None, .. } => {
                return Err(SinkError::WriteOnly { name: shown });
            }
            ImageName::DockerArchive {
                file: Some(file),
                name,
            } => {
                let archive = DockerArchive::open(file, name.as_deref())?;
                (archive.manifest().clone(), Place::DockerArchive(archive))
            }
            ImageName::Registry(reference) => {
                let client = (context.client)().map_err(SinkError::Part)?;
                let fetched = client
                    .fetch_manifest(reference)
                    .map_err(|e| SinkError::Part(e.into()))?;
                let root = Document::from_bytes(fetched.bytes, fetched.media_type);
                (root, Place::Registry(client, reference.clone()))
            }
        };
        Ok(Self {
            name: shown,
            root,
            place,
            context,
        })
    }

    /// Images that were just built and lie nowhere yet.
    ///
    /// # Errors
    /// OUT-NESTED when there is no image.
    pub fn built(
        name: String,
        images: Vec<Image>,
        index: Option<Document>,
        context: &'a Context<'a>,
    ) -> Result<Self, SinkError> {
        let root = index.or_else(|| images.first().map(|image| image.manifest.clone()));
        Ok(Self {
            root: root.ok_or_else(|| SinkError::Nested { name: name.clone() })?,
            name,
            place: Place::Built(images),
            context,
        })
    }

    /// The manifest or index that the name resolves to.
    pub fn root(&self) -> &Document {
        &self.root
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a blob; its bytes are not checked here.
    ///
    /// # Errors
    /// Those of the place.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, AnyError> {
        match &self.place {
            Place::Layout(layout) => Ok(layout.open_blob(descriptor)?),
            Place::Archive(archive) => Ok(archive.open_blob(descriptor)?),
            Place::DockerArchive(archive) => Ok(archive.open_blob(descriptor)?),
            Place::Built(images) => {
                let mut layers = images.iter().flat_map(|image| &image.layers);
                let layer = layers.find(|layer| layer.descriptor.digest == descriptor.digest);
                let layer = layer.ok_or_else(|| ImageError::Missing {
                    image: self.name.clone(),
                    digest: descriptor.digest,
                })?;
                super::open(layer, self.context)
            }
            Place::Registry(client, reference) => {
                if crate::image::manifest::is_manifest(&descriptor.media_type)
                    || crate::image::manifest::is_index(&descriptor.media_type)
                {
                    let by_digest = Reference {
                        digest: Some(descriptor.digest),
                        tag: None,
                        repository: reference.repository.clone(),
                    };
                    let fetched = client.fetch_manifest(&by_digest)?;
                    return Ok(Box::new(std::io::Cursor::new(fetched.bytes)));
                }
                let path = super::fetched(&reference.repository, descriptor, self.context)?;
                let file = fs_err::File::open(&path);
                Ok(Box::new(
                    file.map_err(|source| SinkError::Read { path, source })?,
                ))
            }
        }
    }

    /// Every image of it, with its exact documents.
    ///
    /// # Errors
    /// Documents that can't be read or break the image-spec.
    pub fn images(&self) -> Result<Vec<Image>, SinkError> {
        if let Place::Built(images) = &self.place {
            return Ok(images.clone());
        }
        let open = |descriptor: &Descriptor| self.blob(descriptor);
        let blobs = Blobs::new(&open);
        match Root::read(&self.root)? {
            Root::Manifest(manifest) => {
                Ok(vec![self.image(self.root.clone(), &manifest, &blobs)?])
            }
            Root::Index(index) => index
                .manifests
                .iter()
                .map(|entry| {
                    let document = blobs.document(&entry.descriptor)?;
                    match Root::read(&document)? {
                        Root::Manifest(manifest) => self.image(document, &manifest, &blobs),
                        Root::Index(_) => Err(SinkError::Nested {
                            name: self.name.clone(),
                        }),
                    }
                })
                .collect(),
        }
    }

    fn image(
        &self,
        document: Document,
        manifest: &Manifest,
        blobs: &Blobs<'_>,
    ) -> Result<Image, SinkError> {
        let config = blobs.document(&manifest.config)?;
        let view: ConfigView = config.read()?;
        let mut diff_ids = view.rootfs.diff_ids.into_iter();
        let mut layers = Vec::new();
        for descriptor in &manifest.layers {
            layers.push(Layer {
                descriptor: descriptor.clone(),
                // An artifact's layers have no diff ids; the digest stands in, nobody reads it.
                diff_id: diff_ids.next().unwrap_or(DiffId(descriptor.digest)),
                blob: self.keep(descriptor)?,
                key: None,
                history: String::new(),
            });
        }
        let platform = Platform {
            os: view.os.unwrap_or_else(|| "unknown".to_owned()),
            architecture: view.architecture.unwrap_or_else(|| "unknown".to_owned()),
            variant: view.variant,
        };
        Ok(Image {
            platform,
            manifest: document,
            config,
            layers,
        })
    }

    /// Where a sink finds a layer's bytes; an archive's are put into the store first.
    fn keep(&self, descriptor: &Descriptor) -> Result<Blob, SinkError> {
        match &self.place {
            Place::Layout(layout) => Ok(Blob::Layout(layout.dir().to_owned())),
            Place::Registry(_, reference) => Ok(Blob::Registry(reference.repository.clone())),
            // Documents are at hand: nobody asks.
            Place::Built(_) => Ok(Blob::Store),
            Place::Archive(_) | Place::DockerArchive(_) => {
                if self
                    .context
                    .store
                    .blob(&descriptor.digest, descriptor.size)
                    .is_none()
                {
                    let blob = self.blob(descriptor).map_err(SinkError::Part)?;
                    super::import(blob, descriptor, self.context)?;
                }
                Ok(Blob::Store)
            }
        }
    }
}

/// What is read of a config.
#[derive(serde::Deserialize)]
struct ConfigView {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, serde::Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<DiffId>,
}

impl From<ImageError> for SinkError {
    fn from(error: ImageError) -> Self {
        match error {
            // The opener's own error: its code decides what happens next.
            ImageError::Blob(error) => Self::Part(error),
            error => Self::Image(error),
        }
    }
}
