//! Base, layers and runtime → manifest and config. Pure: no clock, no disk, no network.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde_json::{Value, json};

use super::config::{base_history, broken, patch_process, plain};
use super::document::Document;
use super::manifest::{Index, IndexEntry, Manifest};
use super::target::{Base, RuntimeConfig};
use super::{Blob, ImageError};
use crate::digest::{DiffId, Digest};
use crate::layer::{Descriptor, FORMAT_VERSION};
use crate::platform::Platform;

/// The annotation of a layer's descriptor that names the layer's key.
pub const KEY_ANNOTATION: &str = "dev.karisimbi.layer.key";
/// The annotation of a manifest that names the layer format.
pub const FORMAT_ANNOTATION: &str = "dev.karisimbi.layer.format";
/// The annotation of a manifest that names the base that the image was put on.
pub(super) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation of a manifest that says the digest of that base.
pub(super) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// A layer of an image, the base's or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Media type, digest and size; the annotations are set by [`Image::assemble`].
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Where the bytes are.
    pub blob: Blob,
    /// Digest of the layer's key; none for the base's layers.
    pub key: Option<Digest>,
    /// `created_by` of the image's history: `karisimbi go@1`; the base's keep their own.
    pub history: String,
}

/// What is known of an image beside its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time, else 0. Never the clock.
    pub created: i64,
    /// `org.opencontainers.image.title`
    pub title: Option<String>,
    /// `org.opencontainers.image.version`
    pub version: Option<String>,
    /// `org.opencontainers.image.source`, without credentials.
    pub source: Option<String>,
    /// `org.opencontainers.image.revision`
    pub revision: Option<String>,
}

/// An image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its platform.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Document,
    /// Its config.
    pub config: Document,
    /// The base's layers, then ours.
    pub layers: Vec<Layer>,
}

impl Stamp {
    /// `created` as RFC 3339 in UTC.
    ///
    /// # Errors
    /// IMAGE-CREATED outside the years that RFC 3339 can write.
    pub fn created_text(&self) -> Result<String, ImageError> {
        let seconds = self.created;
        let invalid = || ImageError::Created { seconds };
        // 0001-01-01T00:00:00Z; jiff ends with the year 9999 but also knows years below 1.
        if seconds < -62_135_596_800 {
            return Err(invalid());
        }
        match jiff::Timestamp::from_second(seconds) {
            Ok(time) => Ok(time.to_string()),
            Err(_out_of_range) => Err(invalid()),
        }
    }

    /// The annotations that an index and its manifests share.
    ///
    /// # Errors
    /// IMAGE-CREATED.
    pub fn annotations(&self) -> Result<BTreeMap<String, String>, ImageError> {
        let created = Some(self.created_text()?);
        let named = [
            ("created", &created),
            ("title", &self.title),
            ("version", &self.version),
            ("source", &self.source),
            ("revision", &self.revision),
        ];
        let set = named.into_iter().filter_map(|(name, value)| {
            Some((format!("org.opencontainers.image.{name}"), value.clone()?))
        });
        Ok(set.collect())
    }
}

impl Image {
    /// Puts an image together.
    ///
    /// # Errors
    /// BASE-CONFIG when the base's config contradicts itself, IMAGE-CREATED.
    pub fn assemble(
        platform: &Platform,
        base: &Base,
        layers: &[Layer],
        runtime: &RuntimeConfig,
        stamp: &Stamp,
    ) -> Result<Self, ImageError> {
        let config = config(platform, base, layers, runtime, stamp)?;
        let published: Vec<Layer> = base_layers(base)
            .chain(layers.iter().map(published))
            .collect();
        let mut annotations = stamp.annotations()?;
        annotations.extend(base_annotations(base));
        annotations.insert(FORMAT_ANNOTATION.to_owned(), FORMAT_VERSION.to_string());
        Self::of(platform, config, published, annotations)
    }

    /// A base as an image of its own: its config and layers as they are, so that its digest is the
    /// one that images on it carry as `org.opencontainers.image.base.digest`.
    ///
    /// # Errors
    /// IMAGE-ENCODE: a bug of ours.
    pub fn of_base(platform: &Platform, base: &Base) -> Result<Self, ImageError> {
        let config = Document::encode("a config", &base.config, MediaType::ImageConfig)?;
        let layers: Vec<Layer> = base_layers(base).collect();
        Self::of(platform, config, layers, BTreeMap::new())
    }

    fn of(
        platform: &Platform,
        config: Document,
        layers: Vec<Layer>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, ImageError> {
        let descriptors = layers.iter().map(|layer| layer.descriptor.clone());
        let manifest = Manifest::new(config.descriptor(), descriptors.collect(), annotations);
        Ok(Self {
            platform: platform.clone(),
            manifest: Document::encode("a manifest", &manifest, MediaType::ImageManifest)?,
            config,
            layers,
        })
    }

    /// The descriptor of its manifest.
    pub fn descriptor(&self) -> Descriptor {
        self.manifest.descriptor()
    }

    /// Bytes of all its layers as stored, the base's included.
    pub fn layer_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.descriptor.size).sum()
    }
}

/// What a tag of these images points to: the index, else the only manifest.
pub(super) fn root(images: &[Image], index: Option<&Document>) -> Result<Descriptor, ImageError> {
    match (index, images) {
        (Some(index), _) => Ok(index.descriptor()),
        (None, [image]) => Ok(image.descriptor()),
        (None, _) => Err(ImageError::NoRoot {
            count: images.len(),
        }),
    }
}

/// The index of several images, sorted by platform: the order of flags changes no bytes.
///
/// # Errors
/// IMAGE-ENCODE: a bug of ours.
pub fn index(
    images: &[Image],
    annotations: BTreeMap<String, String>,
) -> Result<Document, ImageError> {
    let mut manifests: Vec<IndexEntry> = images
        .iter()
        .map(|image| IndexEntry {
            descriptor: image.descriptor(),
            platform: Some(image.platform.clone()),
        })
        .collect();
    manifests.sort_by(|a, b| a.platform.cmp(&b.platform));
    let index = Index::new(manifests, annotations);
    Document::encode("an index", &index, MediaType::ImageIndex)
}

fn config(
    platform: &Platform,
    base: &Base,
    layers: &[Layer],
    runtime: &RuntimeConfig,
    stamp: &Stamp,
) -> Result<Document, ImageError> {
    let created = stamp.created_text()?;
    let mut config = base.config.clone();
    patch_process(&mut config, runtime, &base.name)?;
    config.insert("os".to_owned(), json!(platform.os));
    config.insert("architecture".to_owned(), json!(platform.architecture));
    match &platform.variant {
        Some(variant) => config.insert("variant".to_owned(), json!(variant)),
        None => config.remove("variant"),
    };
    let mut history = base_history(&base.config, base.layers.len(), &created)
        .map_err(|problem| broken(&base.name, problem))?;
    history.extend(
        layers
            .iter()
            .map(|layer| json!({"created": created, "created_by": layer.history})),
    );
    let diff_ids: Vec<&DiffId> = base
        .layers
        .iter()
        .map(|layer| &layer.diff_id)
        .chain(layers.iter().map(|layer| &layer.diff_id))
        .collect();
    config.insert("history".to_owned(), Value::Array(history));
    config.insert(
        "rootfs".to_owned(),
        json!({"type": "layers", "diff_ids": diff_ids}),
    );
    config.insert("created".to_owned(), json!(created));
    let document = Document::encode("a config", &config, MediaType::ImageConfig)?;
    if document.bytes.len() as u64 > super::DOCUMENT_LIMIT {
        return Err(broken(&base.name, "it is larger than 4 MiB"));
    }
    Ok(document)
}

fn base_layers(base: &Base) -> impl Iterator<Item = Layer> + '_ {
    base.layers.iter().map(|layer| Layer {
        // Annotations are ours alone: the base's would be read as statements about our image.
        descriptor: plain(&layer.descriptor),
        diff_id: layer.diff_id,
        blob: layer.blob.clone(),
        key: None,
        history: String::new(),
    })
}

fn published(layer: &Layer) -> Layer {
    let key = layer
        .key
        .iter()
        .map(|key| (KEY_ANNOTATION.to_owned(), key.to_string()));
    let mut published = layer.clone();
    published.descriptor.annotations = key.collect();
    published
}

/// `org.opencontainers.image.base.*`: only names that mean the same on every machine.
fn base_annotations(base: &Base) -> Vec<(String, String)> {
    let mut annotations = Vec::new();
    // A layout's name is a path of this machine; its digest still says which base it was.
    let local = base.name.starts_with("oci:") || base.name == "scratch";
    if !local {
        annotations.push((BASE_NAME.to_owned(), base.name.clone()));
    }
    if let Some(digest) = base.digest {
        annotations.push((BASE_DIGEST.to_owned(), digest.to_string()));
    }
    annotations
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
