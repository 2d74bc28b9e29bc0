//! Recomputes everything that an image says about itself from its bytes, and reports every
//! mismatch: the first one found is rarely the one that explains the others.

use std::collections::BTreeMap;
use std::io::{self, Read};

use oci_spec::image::MediaType;
use serde_json::{Map, Value};

use super::assemble::{BASE_DIGEST, KEY_ANNOTATION};
use super::blobs::Blobs;
use super::config::base_history;
use super::document::DOCUMENT_LIMIT;
use super::manifest::{DOCKER_CONFIG, Index, Manifest, is_index, is_manifest, oci_layer_type};
use crate::digest::{DiffId, Digest, Hashing};
use crate::error::{Coded, Problems};
use crate::layer::Descriptor;
use crate::layer::read::{Expected, read_layer};
use crate::platform::Platform;

/// One thing of an image that is not what the image says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum Mismatch {
    #[error("{what}: can't be read: {problem}")]
    Unreadable { what: String, problem: String },
    #[error("{what}: its bytes have digest {found}")]
    Digest { what: String, found: Digest },
    #[error("{what}: has {found} bytes, its descriptor says {expected}")]
    Size {
        what: String,
        expected: u64,
        found: String,
    },
    #[error("{what}: has media type {found}, {expected} was expected")]
    MediaType {
        what: String,
        expected: String,
        found: String,
    },
    #[error("{what}: {problem}")]
    Content { what: String, problem: String },
    #[error("{what}: its tar has diff id {found}, the config says {expected}")]
    DiffId {
        what: String,
        expected: DiffId,
        found: DiffId,
    },
    #[error("{what}: its config has {diff_ids} diff ids, its manifest {layers} layers")]
    DiffIdCount {
        what: String,
        diff_ids: usize,
        layers: usize,
    },
    #[error("{what}: the index says {index}, the config {config}")]
    Platform {
        what: String,
        index: String,
        config: String,
    },
}

impl Coded for Mismatch {
    fn code(&self) -> &'static str {
        "IMAGE-VERIFY"
    }
}

impl Coded for Problems<Mismatch> {
    fn code(&self) -> &'static str {
        "IMAGE-VERIFY"
    }
}

/// Verifies the image or index behind a descriptor; empty when everything fits.
pub fn verify(root: &Descriptor, blobs: &Blobs<'_>) -> Vec<Mismatch> {
    let mut check = Check {
        blobs,
        layers: BTreeMap::new(),
        found: Vec::new(),
    };
    if is_index(&root.media_type) {
        check.index(root);
    } else {
        check.manifest(root, None);
    }
    check.found
}

/// What a manifest stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Layers that are unpacked on each other.
    Image,
    /// Anything: what an artifact calls layers may have any form.
    Artifact,
}

struct Check<'a> {
    blobs: &'a Blobs<'a>,
    /// Diff ids of layers that were read already: images of one index share them.
    layers: BTreeMap<Digest, Option<DiffId>>,
    found: Vec<Mismatch>,
}

impl Check<'_> {
    fn content(&mut self, what: &str, problem: impl Into<String>) {
        self.found.push(Mismatch::Content {
            what: what.to_owned(),
            problem: problem.into(),
        });
    }

    fn unreadable(&mut self, what: &str, problem: &dyn std::error::Error) {
        let mut text = problem.to_string();
        let mut source = problem.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        self.found.push(Mismatch::Unreadable {
            what: what.to_owned(),
            problem: text,
        });
    }

    fn media_type(&mut self, what: &str, expected: &str, found: &MediaType) {
        self.found.push(Mismatch::MediaType {
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_string(),
        });
    }

    fn bytes(&mut self, what: &str, descriptor: &Descriptor, digest: Digest, size: u64) {
        if size != descriptor.size {
            let found = if size > descriptor.size {
                format!("more than {}", descriptor.size)
            } else {
                size.to_string()
            };
            self.found.push(Mismatch::Size {
                what: what.to_owned(),
                expected: descriptor.size,
                found,
            });
        }
        // Of a blob that is too large, only the start was read: its digest says nothing.
        if digest != descriptor.digest && size <= descriptor.size {
            self.found.push(Mismatch::Digest {
                what: what.to_owned(),
                found: digest,
            });
        }
    }

    /// The bytes of a document, also when they are not the ones of its descriptor.
    fn document(&mut self, what: &str, descriptor: &Descriptor) -> Option<Vec<u8>> {
        let reader = match self.blobs.raw(descriptor) {
            Ok(reader) => reader,
            Err(error) => {
                self.unreadable(what, &error);
                return None;
            }
        };
        let mut bytes = Vec::new();
        let limit = descriptor.size.min(DOCUMENT_LIMIT) + 1;
        if let Err(error) = reader.take(limit).read_to_end(&mut bytes) {
            self.unreadable(what, &error);
            return None;
        }
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            self.content(what, "it is larger than 4 MiB");
            return None;
        }
        self.bytes(what, descriptor, Digest::of(&bytes), bytes.len() as u64);
        Some(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, what: &str, bytes: &[u8]) -> Option<T> {
        match serde_json::from_slice(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.content(what, format!("it is no valid document: {error}"));
                None
            }
        }
    }

    fn own_type(&mut self, what: &str, descriptor: &Descriptor, own: Option<&MediaType>) {
        if let Some(own) = own.filter(|own| **own != descriptor.media_type) {
            self.media_type(what, descriptor.media_type.as_ref(), own);
        }
    }

    fn index(&mut self, root: &Descriptor) {
        let what = format!("index {}", root.digest);
        let Some(bytes) = self.document(&what, root) else {
            return;
        };
        let Some(index) = self.json::<Index>(&what, &bytes) else {
            return;
        };
        self.schema(&what, index.schema_version);
        self.own_type(&what, root, index.media_type.as_ref());
        self.annotations(&what, &index.annotations);
        for entry in &index.manifests {
            self.manifest(&entry.descriptor, entry.platform.as_ref());
        }
    }

    fn schema(&mut self, what: &str, version: u32) {
        if version != 2 {
            self.content(what, format!("its schemaVersion is {version}, not 2"));
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor, platform: Option<&Platform>) {
        let what = format!("manifest {}", descriptor.digest);
        if !is_manifest(&descriptor.media_type) {
            let expected = MediaType::ImageManifest;
            self.media_type(&what, expected.as_ref(), &descriptor.media_type);
        }
        let Some(bytes) = self.document(&what, descriptor) else {
            return;
        };
        let Some(manifest) = self.json::<Manifest>(&what, &bytes) else {
            return;
        };
        self.schema(&what, manifest.schema_version);
        self.own_type(&what, descriptor, manifest.media_type.as_ref());
        self.annotations(&what, &manifest.annotations);
        let config_type = &manifest.config.media_type;
        let content =
            if *config_type == MediaType::ImageConfig || config_type.as_ref() == DOCKER_CONFIG {
                Content::Image
            } else {
                Content::Artifact
            };
        let config = self.document(
            &format!("config {}", manifest.config.digest),
            &manifest.config,
        );
        let diff_ids: Vec<Option<DiffId>> = manifest
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| self.layer(index, layer, content))
            .collect();
        if content == Content::Image
            && let Some(config) = config
        {
            self.config(&manifest, &config, &diff_ids, platform);
        }
    }

    fn annotations(&mut self, what: &str, annotations: &BTreeMap<String, String>) {
        for name in [BASE_DIGEST, KEY_ANNOTATION] {
            if let Some(Err(error)) = annotations.get(name).map(|text| text.parse::<Digest>()) {
                self.content(what, format!("annotation {name}: {error}"));
            }
        }
        let created = "org.opencontainers.image.created";
        if let Some(text) = annotations.get(created) {
            self.time(what, &format!("annotation {created}"), text);
        }
    }

    fn time(&mut self, what: &str, name: &str, text: &str) {
        if let Err(error) = text.parse::<jiff::Timestamp>() {
            self.content(what, format!("{name} is no RFC 3339 time: {error}"));
        }
    }

    /// The diff id of a layer; none when its bytes are no tar that can be read.
    fn layer(&mut self, index: usize, layer: &Descriptor, content: Content) -> Option<DiffId> {
        let what = layer_name(index, layer);
        self.annotations(&what, &layer.annotations);
        if let Some(known) = self.layers.get(&layer.digest) {
            return *known;
        }
        let diff_id = self.read_layer(&what, layer, content);
        self.layers.insert(layer.digest, diff_id);
        diff_id
    }

    fn read_layer(&mut self, what: &str, layer: &Descriptor, content: Content) -> Option<DiffId> {
        let reader = match self.blobs.raw(layer) {
            Ok(reader) => reader,
            Err(error) => {
                self.unreadable(what, &error);
                return None;
            }
        };
        let mut blob = Hashing::new(reader.take(layer.size.saturating_add(1)));
        let media_type = oci_layer_type(&layer.media_type);
        if content == Content::Image && media_type.is_none() {
            self.media_type(what, "an OCI layer's", &layer.media_type);
        }
        // What an artifact calls layers may be anything.
        let tar = media_type
            .filter(|_| content == Content::Image)
            .map(|known| read_layer(&mut blob, &known, &Expected::default(), &mut |_| Ok(())));
        // The reader may have stopped early; the rest belongs to the blob's digest.
        let rest = io::copy(&mut blob, &mut io::sink());
        let (_, digest, size) = blob.finish();
        self.bytes(what, layer, digest, size);
        if let Err(error) = rest {
            self.unreadable(what, &error);
            return None;
        }
        match tar? {
            Ok(identity) => Some(identity.diff_id),
            Err(error) => {
                self.content(what, format!("it is no readable layer: {error}"));
                None
            }
        }
    }

    fn config(
        &mut self,
        manifest: &Manifest,
        bytes: &[u8],
        diff_ids: &[Option<DiffId>],
        platform: Option<&Platform>,
    ) {
        let what = format!("config {}", manifest.config.digest);
        let Some(config) = self.json::<Map<String, Value>>(&what, bytes) else {
            return;
        };
        self.config_platform(&what, &config, platform);
        if let Some(created) = config.get("created").and_then(Value::as_str) {
            self.time(&what, "created", created);
        }
        if let Err(problem) = base_history(&config, manifest.layers.len(), "") {
            self.content(&what, problem);
        }
        let rootfs = config.get("rootfs").cloned().unwrap_or_default();
        if rootfs["type"] != "layers" {
            self.content(&what, "rootfs.type is not \"layers\"");
        }
        let listed = rootfs["diff_ids"].clone();
        let listed: Vec<DiffId> = match serde_json::from_value(listed) {
            Ok(listed) => listed,
            Err(error) => return self.content(&what, format!("rootfs.diff_ids: {error}")),
        };
        if listed.len() != diff_ids.len() {
            self.found.push(Mismatch::DiffIdCount {
                what,
                diff_ids: listed.len(),
                layers: diff_ids.len(),
            });
        }
        let pairs = listed.into_iter().zip(diff_ids).zip(&manifest.layers);
        for (index, ((expected, found), layer)) in pairs.enumerate() {
            if let Some(found) = found.filter(|found| *found != expected) {
                self.found.push(Mismatch::DiffId {
                    what: layer_name(index, layer),
                    expected,
                    found,
                });
            }
        }
    }

    fn config_platform(
        &mut self,
        what: &str,
        config: &Map<String, Value>,
        index: Option<&Platform>,
    ) {
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        let (Some(os), Some(architecture)) = (text("os"), text("architecture")) else {
            return self.content(what, "it names no os and architecture");
        };
        let Some(index) = index else {
            return;
        };
        if (os, architecture) != (&index.os, &index.architecture) {
            self.found.push(Mismatch::Platform {
                what: what.to_owned(),
                index: index.to_string(),
                config: format!("{os}/{architecture}"),
            });
        }
    }
}

fn layer_name(index: usize, layer: &Descriptor) -> String {
    format!("layer {} {}", index + 1, layer.digest)
}
