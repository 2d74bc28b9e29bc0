//! Manifests and indexes: what the encoder takes and typed views for reading.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};

use super::ImageError;
use super::document::Document;
use crate::layer::Descriptor;
use crate::platform::Platform;

/// Docker's manifest, read as [`Manifest`].
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list, read as [`Index`].
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's gzip layer.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's plain layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// An image manifest (image-spec, "Image Manifest").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Its own media type; some writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index (image-spec, "Image Index").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Its own media type; some writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Manifests, usually one for each platform.
    pub manifests: Vec<IndexEntry>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The manifest.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// Its platform; absent on artifacts and in the index of a layout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Manifest {
    /// A manifest as we write it.
    pub(super) fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::ImageManifest),
            config,
            layers,
            annotations,
        }
    }
}

/// Whether a media type is a manifest's, OCI's or Docker's.
pub fn is_manifest(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageManifest || media_type.as_ref() == DOCKER_MANIFEST
}

/// Whether a media type is an index's, OCI's or Docker's.
pub fn is_index(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageIndex || media_type.as_ref() == DOCKER_INDEX
}

impl Index {
    /// An index as we write it.
    pub(super) fn new(manifests: Vec<IndexEntry>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::ImageIndex),
            manifests,
            annotations,
        }
    }

    /// The entry that fits a platform best: the same variant first, then lower ones, which every
    /// processor of the higher variant can run.
    ///
    /// # Errors
    /// IMAGE-PLATFORM with what exists; IMAGE-MEDIA for an entry that is no manifest.
    pub fn select(&self, image: &str, wanted: &Platform) -> Result<&IndexEntry, ImageError> {
        let entries: Vec<(Platform, &IndexEntry)> = self
            .manifests
            .iter()
            .filter_map(|entry| Some((normal(entry.platform.as_ref()?)?, entry)))
            .collect();
        let found = runnable(wanted)
            .into_iter()
            .find_map(|platform| entries.iter().find(|(have, _)| *have == platform));
        let Some((_, entry)) = found else {
            let mut present: Vec<String> = entries.iter().map(|(p, _)| p.to_string()).collect();
            present.dedup();
            if present.is_empty() {
                present.push("none that names its platform".to_owned());
            }
            return Err(ImageError::Platform {
                image: image.to_owned(),
                wanted: wanted.to_string(),
                present,
            });
        };
        if !is_manifest(&entry.descriptor.media_type) {
            return Err(ImageError::Media {
                what: format!("the entry of {image} for {wanted}"),
                media_type: entry.descriptor.media_type.clone(),
            });
        }
        Ok(entry)
    }
}

/// A platform of a document in the form that comparing needs; none for `unknown/unknown`
/// (attestations) and for text that is no platform.
fn normal(platform: &Platform) -> Option<Platform> {
    // A text that no platform has can't be what somebody asked for: it is not an error here.
    let parsed = platform.to_string().parse::<Platform>();
    parsed.ok().filter(|platform| platform.os != "unknown")
}

/// The platforms whose programs run on `wanted`, best first.
pub(crate) fn runnable(wanted: &Platform) -> Vec<Platform> {
    let with = |variant: Option<&str>| Platform {
        variant: variant.map(str::to_owned),
        ..wanted.clone()
    };
    let levels: &[Option<&str>] = match wanted.architecture.as_str() {
        "amd64" => &[Some("v4"), Some("v3"), Some("v2"), None],
        // containerd and docker take `arm` for `arm/v7`.
        "arm" => &[Some("v8"), Some("v7"), None, Some("v6"), Some("v5")],
        _ => return vec![wanted.clone()],
    };
    let default = match wanted.architecture.as_str() {
        "arm" => Some("v7"),
        _ => None,
    };
    let asked = wanted.variant.as_deref().or(default);
    match levels.iter().position(|level| *level == asked) {
        Some(start) => levels[start..].iter().map(|level| with(*level)).collect(),
        None => vec![wanted.clone()],
    }
}

/// The OCI media type of a layer, OCI's or Docker's; none for foreign and unknown ones.
pub fn oci_layer_type(media_type: &MediaType) -> Option<MediaType> {
    match media_type {
        MediaType::ImageLayer | MediaType::ImageLayerGzip | MediaType::ImageLayerZstd => {
            Some(media_type.clone())
        }
        docker if docker.as_ref() == DOCKER_LAYER_GZIP => Some(MediaType::ImageLayerGzip),
        docker if docker.as_ref() == DOCKER_LAYER => Some(MediaType::ImageLayer),
        _ => None,
    }
}

/// A document that is a manifest or an index.
#[derive(Clone, Debug)]
pub enum Root {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

impl Root {
    /// Reads a manifest or an index by its media type.
    ///
    /// # Errors
    /// IMAGE-MEDIA, IMAGE-JSON.
    pub fn read(document: &Document) -> Result<Self, ImageError> {
        if is_manifest(&document.media_type) {
            return document.read().map(Self::Manifest);
        }
        if is_index(&document.media_type) {
            return document.read().map(Self::Index);
        }
        Err(ImageError::Media {
            what: document.digest.to_string(),
            media_type: document.media_type.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let mut parts = text.split('/').map(str::to_owned);
            IndexEntry {
                descriptor: Descriptor {
                    media_type: MediaType::ImageManifest,
                    digest: Digest::of(text.as_bytes()),
                    size: 1,
                    annotations: BTreeMap::new(),
                },
                platform: Some(Platform {
                    os: parts.next().unwrap(),
                    architecture: parts.next().unwrap(),
                    variant: parts.next(),
                }),
            }
        };
        Index {
            schema_version: 2,
            media_type: None,
            manifests: platforms.iter().map(entry).collect(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn selects_the_best_that_runs() {
        for (have, wanted, found) in [
            (
                &["linux/arm64/v8", "linux/amd64"][..],
                "linux/arm64",
                "linux/arm64/v8",
            ),
            (
                &["linux/amd64/v3", "linux/amd64"],
                "linux/amd64",
                "linux/amd64",
            ),
            (
                &["linux/amd64/v2", "linux/amd64"],
                "linux/amd64/v3",
                "linux/amd64/v2",
            ),
            (
                &["linux/arm/v5", "linux/arm/v6"],
                "linux/arm/v7",
                "linux/arm/v6",
            ),
            (
                &["linux/arm/v7", "linux/arm/v6"],
                "linux/arm",
                "linux/arm/v7",
            ),
            (
                &["windows/amd64", "linux/amd64"],
                "linux/amd64",
                "linux/amd64",
            ),
        ] {
            let index = index(have);
            let entry = index.select("x", &wanted.parse().unwrap()).unwrap();
            assert_eq!(
                entry.descriptor.digest,
                Digest::of(found.as_bytes()),
                "{wanted}"
            );
        }
    }

    #[test]
    fn says_what_exists() {
        let index = index(&["linux/amd64/v3", "linux/arm64", "unknown/unknown"]);
        let error = index
            .select("h.example/x", &"linux/amd64".parse().unwrap())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "h.example/x has no image for linux/amd64; it has linux/amd64/v3, linux/arm64"
        );
    }
}
