//! Pushes an artifact: blobs, then manifests by digest, then the tag.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::image::{Blob, Document, Layout};
use crate::layer::Descriptor;
use crate::progress::{Verb, human_bytes};
use crate::reference::{Reference, Repository};
use crate::registry::{BlobOutcome, BlobSource, Client, RegistryError};

use super::{Artifact, Context, SinkError};

/// Uploads at once to one registry.
const PARALLEL: usize = 4;

/// A blob that the registry must have before the manifests.
struct Upload {
    name: String,
    descriptor: Descriptor,
    source: BlobSource,
}

/// Pushes and yields `HOST/REPO@sha256:…`. When the tag already points to the artifact, nothing
/// is sent at all.
pub(super) fn push(
    artifact: &Artifact<'_>,
    reference: &Reference,
    context: &Context<'_>,
) -> Result<String, SinkError> {
    let Some(root) = artifact.root() else {
        return Err(SinkError::OnePlatform);
    };
    let repository = &reference.repository;
    let line = format!("{repository}@{}", root.digest);
    let client = (context.client)().map_err(SinkError::Part)?;
    let failed = |what: String| {
        move |source: RegistryError| SinkError::Push {
            what,
            place: repository.to_string(),
            source: Box::new(source),
        }
    };
    let present = client
        .head_manifest(reference)
        .map_err(failed("the tag".to_owned()))?;
    if present == Some(root.digest) {
        context.reporter.line(
            Verb::Reused,
            format!("{reference}: already {}", root.digest),
        );
        return Ok(line);
    }
    let uploads = uploads(artifact, context)?;
    let sources: Vec<Repository> = uploads.iter().filter_map(Upload::repository).collect();
    client
        .check_push(repository, &sources)
        .map_err(failed("the image".to_owned()))?;
    push_blobs(uploads, repository, &client, context)?;
    let images = artifact
        .images
        .iter()
        .map(|image| &image.manifest)
        .chain(artifact.index);
    for document in images {
        push_document(document, repository, &client)
            .map_err(failed(format!("manifest {}", document.digest)))?;
    }
    if let Some(tag) = &reference.tag {
        client
            .push_manifest(repository, &root.bytes, &root.media_type, Some(tag))
            .map_err(failed(format!("tag {tag}")))?;
    }
    context
        .reporter
        .line(Verb::Pushed, format!("{reference}, {}", root.digest));
    Ok(line)
}

fn push_document(
    document: &Document,
    repository: &Repository,
    client: &Client,
) -> Result<Digest, RegistryError> {
    client.push_manifest(repository, &document.bytes, &document.media_type, None)
}

/// Every blob once, configs last: they are small.
fn uploads(artifact: &Artifact<'_>, context: &Context<'_>) -> Result<VecDeque<Upload>, SinkError> {
    let mut blobs: BTreeMap<Digest, Upload> = BTreeMap::new();
    let mut configs = Vec::new();
    for image in artifact.images {
        for layer in &image.layers {
            let descriptor = layer.descriptor.clone();
            let source = match &layer.blob {
                Blob::Store => {
                    let path = context.store.blob(&descriptor.digest, descriptor.size);
                    let missing = SinkError::Corrupt {
                        digest: descriptor.digest,
                    };
                    BlobSource::File(path.ok_or(missing)?)
                }
                Blob::Layout(dir) => {
                    BlobSource::File(Layout::open(dir)?.blob_path(&descriptor.digest))
                }
                Blob::Registry(from) => BlobSource::Registry(from.clone()),
            };
            let name = format!("layer {}", descriptor.digest.short());
            blobs.insert(
                descriptor.digest,
                Upload {
                    name,
                    descriptor,
                    source,
                },
            );
        }
        let descriptor = image.config.descriptor();
        let name = format!("config {}", descriptor.digest.short());
        let source = BlobSource::Bytes(image.config.bytes.clone());
        configs.push(Upload {
            name,
            descriptor,
            source,
        });
    }
    Ok(blobs.into_values().chain(configs).collect())
}

impl Upload {
    fn repository(&self) -> Option<Repository> {
        match &self.source {
            BlobSource::Registry(repository) => Some(repository.clone()),
            _ => None,
        }
    }
}

fn push_blobs(
    uploads: VecDeque<Upload>,
    repository: &Repository,
    client: &Arc<Client>,
    context: &Context<'_>,
) -> Result<(), SinkError> {
    let queue = Mutex::new(uploads);
    let first_error = Mutex::new(None);
    let reporter = context.reporter;
    let work = || {
        loop {
            // A thread that panicked leaves a queue that is still whole.
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(upload) = next else { return };
            match client.push_blob(repository, &upload.descriptor, &upload.source) {
                Ok(outcome) => {
                    let (verb, text) = described(&upload, &outcome);
                    reporter.line(verb, text);
                }
                Err(source) => {
                    let place = repository.to_string();
                    let error = SinkError::Push {
                        what: upload.name,
                        place,
                        source: Box::new(source),
                    };
                    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    first_error
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(work);
        }
    });
    first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

fn described(upload: &Upload, outcome: &BlobOutcome) -> (Verb, String) {
    let what = format!("{}, {}", upload.name, human_bytes(upload.descriptor.size));
    match outcome {
        BlobOutcome::Exists => (Verb::Reused, format!("{what}: the registry has it")),
        BlobOutcome::Mounted { from } => (Verb::Mounted, format!("{what}: from {from}")),
        BlobOutcome::Uploaded { attempts: 1, .. } => (Verb::Pushed, what),
        BlobOutcome::Uploaded { attempts, .. } => {
            (Verb::Pushed, format!("{what}, attempt {attempts}"))
        }
        BlobOutcome::Streamed { .. } => (Verb::Pushed, format!("{what}: from the base's registry")),
    }
}
