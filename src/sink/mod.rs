//! Sinks: where a finished image is written, and where its bytes come from.

mod error;
mod folder;
mod open;
mod registry;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::MediaType;

use crate::digest::Digest;
use crate::error::AnyError;
use crate::image::blobs::Checked;
use crate::image::{Blob, BlobReader, Document, Image, Layer, Layout, archive};
use crate::layer::Descriptor;
use crate::progress::{Reporter, Verb, human_bytes};
use crate::reference::{ImageName, Repository, Tag};
use crate::registry::Client;
use crate::store::Store;

use folder::Folder;

pub use error::{CORRUPT, SinkError};
pub use open::Opened;

/// What is written: one image, or several under an index.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// One image for each platform.
    pub images: &'a [Image],
    /// The index, when there are several.
    pub index: Option<&'a Document>,
}

/// What sinks use.
pub struct Context<'a> {
    /// Where layers of ours are, and where those of a registry are kept on their way.
    pub store: &'a Store,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
    /// The registry client, set up at its first use.
    pub client: &'a dyn Fn() -> Result<Arc<Client>, AnyError>,
    /// Where `docker-archive:-` goes.
    pub stdout: &'a dyn Fn() -> Box<dyn Write>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl Artifact<'_> {
    /// What a reference to the artifact resolves to.
    pub fn root(&self) -> Option<&Document> {
        self.index
            .or_else(|| self.images.first().map(|image| &image.manifest))
    }
}

/// Writes to every place, in order. Yields the line that the next command accepts: of the last
/// registry, else of the first place; none when the image itself went to stdout.
///
/// # Errors
/// The first place that fails; those before it are complete.
pub fn write(
    artifact: &Artifact<'_>,
    places: &[ImageName],
    context: &Context<'_>,
) -> Result<Option<String>, SinkError> {
    write_places(artifact, places, context).map_err(|error| blame(artifact, error, context))
}

fn write_places(
    artifact: &Artifact<'_>,
    places: &[ImageName],
    context: &Context<'_>,
) -> Result<Option<String>, SinkError> {
    let mut lines = Vec::new();
    let mut data_on_stdout = None;
    for place in places {
        match place {
            ImageName::Layout { dir, tag } => {
                layout(artifact, dir, tag.as_ref(), context)?;
                lines.push(place.to_string());
            }
            ImageName::OciArchive { file, tag } => {
                oci_archive(artifact, file, tag.as_ref(), context)?;
                lines.push(place.to_string());
            }
            ImageName::DockerArchive { file, name } => {
                docker_archive(artifact, file.as_deref(), name.as_deref(), context)?;
                match file {
                    Some(_) => lines.push(place.to_string()),
                    None => data_on_stdout = Some(()),
                }
            }
            ImageName::Registry(reference) => {
                let line = registry::push(artifact, reference, context)?;
                lines.insert(0, line);
            }
        }
    }
    Ok(lines
        .into_iter()
        .next()
        .filter(|_| data_on_stdout.is_none()))
}

fn layout(
    artifact: &Artifact<'_>,
    dir: &Path,
    tag: Option<&Tag>,
    context: &Context<'_>,
) -> Result<(), SinkError> {
    let folder = Folder::create(dir)?;
    let open = |layer: &Layer| open(layer, context);
    let written = folder
        .layout()
        .write(artifact.images, artifact.index, tag, &open);
    if let Err(error) = written {
        folder.abandon();
        return Err(error.into());
    }
    Ok(())
}

fn oci_archive(
    artifact: &Artifact<'_>,
    file: &Path,
    tag: Option<&Tag>,
    context: &Context<'_>,
) -> Result<(), SinkError> {
    archive::write_file(file, |out| {
        let open = |layer: &Layer| open(layer, context);
        archive::write_oci(artifact.images, artifact.index, tag, &open, out).map(drop)
    })?;
    Ok(())
}

fn docker_archive(
    artifact: &Artifact<'_>,
    file: Option<&Path>,
    name: Option<&str>,
    context: &Context<'_>,
) -> Result<(), SinkError> {
    let [image] = artifact.images else {
        return Err(SinkError::OnePlatform);
    };
    let open = |layer: &Layer| open(layer, context);
    match file {
        Some(file) => {
            archive::write_file(file, |out| archive::write_docker(image, name, &open, out))?;
        }
        None => archive::write_docker(image, name, &open, &mut (context.stdout)())?,
    }
    Ok(())
}

/// Opens the bytes of a layer, wherever they are; who reads them checks them.
fn open(layer: &Layer, context: &Context<'_>) -> Result<BlobReader, AnyError> {
    let descriptor = &layer.descriptor;
    let path = match &layer.blob {
        Blob::Layout(dir) => return Ok(Layout::open(dir)?.open_blob(descriptor)?),
        Blob::Registry(repository) => fetched(repository, descriptor, context)?,
        Blob::Store => {
            let missing = SinkError::Corrupt {
                digest: descriptor.digest,
            };
            context
                .store
                .blob(&descriptor.digest, descriptor.size)
                .ok_or(missing)?
        }
    };
    let file = fs_err::File::open(&path);
    Ok(Box::new(
        file.map_err(|source| SinkError::Read { path, source })?,
    ))
}

/// Why writing failed: when bytes of the store are not those of their digest they are removed,
/// and building again makes them anew.
fn blame(artifact: &Artifact<'_>, error: SinkError, context: &Context<'_>) -> SinkError {
    let layers = artifact.images.iter().flat_map(|image| &image.layers);
    for layer in layers.filter(|layer| layer.blob == Blob::Store) {
        let Descriptor { digest, size, .. } = &layer.descriptor;
        let Some(path) = context.store.blob(digest, *size) else {
            continue;
        };
        // A blob that can't be read or removed is reported as what it made fail.
        let Ok(file) = fs_err::File::open(&path) else {
            continue;
        };
        let found = Digest::of_reader(file);
        if found.is_ok_and(|found| found != *digest) && fs_err::remove_file(&path).is_ok() {
            return SinkError::Corrupt { digest: *digest };
        }
    }
    error
}

/// A blob of a registry, brought into the store: checked on its way.
fn fetched(
    repository: &Repository,
    descriptor: &Descriptor,
    context: &Context<'_>,
) -> Result<PathBuf, AnyError> {
    if let Some(path) = context.store.blob(&descriptor.digest, descriptor.size) {
        return Ok(path);
    }
    let client = (context.client)()?;
    let mut writer = context.store.blob_writer()?;
    client.fetch_blob(repository, &descriptor.digest, descriptor.size, &mut writer)?;
    let path = context.store.commit_blob(writer, &descriptor.digest)?;
    let part = match descriptor.media_type {
        MediaType::ImageConfig => "config",
        _ => "layer",
    };
    let (digest, size) = (descriptor.digest.short(), human_bytes(descriptor.size));
    let text = format!("{part} {digest}, {size}: from {repository}");
    context.reporter.line(Verb::Fetched, text);
    Ok(path)
}

/// Puts the bytes of a reader into the store, checked on their way.
fn import(
    reader: impl Read,
    descriptor: &Descriptor,
    context: &Context<'_>,
) -> Result<(), SinkError> {
    let part = |error| SinkError::Part(AnyError::from(error));
    let mut writer = context.store.blob_writer().map_err(part)?;
    let mut checked = Checked::new(reader, descriptor);
    io::copy(&mut checked, &mut writer).map_err(|source| SinkError::Read {
        path: descriptor.digest.hex().into(),
        source,
    })?;
    context
        .store
        .commit_blob(writer, &descriptor.digest)
        .map_err(part)?;
    Ok(())
}
