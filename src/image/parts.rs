//! An image of ours taken apart again: what it brought to its base, and how it was stamped.
//! The inverse of [`Image::assemble`]; pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::assemble::{BASE_DIGEST, BASE_NAME, FORMAT_ANNOTATION, KEY_ANNOTATION};
use super::config::{RUNTIME_LABEL, patch_process, plain};
use super::manifest::Manifest;
use super::target::{Base, BaseLayer, RuntimeConfig};
use super::{Image, ImageError, Layer, Stamp};
use crate::digest::Digest;
use crate::layer::FORMAT_VERSION;

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Its base as far as the image tells: its config is the image's own, its digest is known, its
    /// history is not its own.
    pub base: Base,
    /// The layers above the base, with their keys and history.
    pub layers: Vec<Layer>,
    /// What the recipe decided.
    pub runtime: RuntimeConfig,
    /// Times, names, revision.
    pub stamp: Stamp,
    /// Annotations of the manifest that [`Image::assemble`] does not write.
    pub foreign: Vec<String>,
}

/// Why an image can't be taken apart.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum NotOurs {
    #[error("its config has no label {RUNTIME_LABEL}")]
    NoLabel,
    #[error("its label {RUNTIME_LABEL} can't be read")]
    Label { source: serde_json::Error },
    #[error("no layer has the annotation {KEY_ANNOTATION}; other tools drop it")]
    NoKeys,
    #[error("layer {number} was put on top of it or has lost its annotation {KEY_ANNOTATION}")]
    OnTop { number: usize },
    #[error("its config has {diff_ids} diff ids, its manifest {layers} layers")]
    DiffIds { diff_ids: usize, layers: usize },
    #[error("its history does not tell of its {layers} layers")]
    History { layers: usize },
    #[error("its times contradict each other: {config:?}, {annotation:?}")]
    Created { config: String, annotation: String },
    #[error("its layers have format {found:?}, this version writes {FORMAT_VERSION}")]
    Format { found: String },
    #[error("its config was changed after it was built")]
    Edited,
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Parts {
    /// Takes an image apart; `name` is how it was opened.
    ///
    /// # Errors
    /// Anything that [`Image::assemble`] would not have written.
    pub fn of(image: &Image, name: &str) -> Result<Self, NotOurs> {
        let manifest: Manifest = image.manifest.read()?;
        let config: Map<String, Value> = image.config.read()?;
        let runtime = runtime(&config, name)?;
        let (below, above) = split(&image.layers)?;
        let stamp = stamp(&config, &manifest.annotations)?;
        let diff_ids = config
            .get("rootfs")
            .and_then(|rootfs| rootfs.get("diff_ids"))
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        if diff_ids != image.layers.len() {
            return Err(NotOurs::DiffIds {
                diff_ids,
                layers: image.layers.len(),
            });
        }
        let history = history(&config, above.len())?;
        let layers = above.iter().zip(history).map(|(layer, history)| Layer {
            key: key(layer),
            history,
            ..layer.clone()
        });
        let format = manifest.annotations.get(FORMAT_ANNOTATION);
        if format != Some(&FORMAT_VERSION.to_string()) {
            let found = format.cloned().unwrap_or_default();
            return Err(NotOurs::Format { found });
        }
        let digest = manifest.annotations.get(BASE_DIGEST);
        Ok(Self {
            layers: layers.collect(),
            base: Base {
                name: name.to_owned(),
                digest: digest.and_then(|digest| digest.parse().ok()),
                layers: below.iter().map(base_layer).collect(),
                config,
            },
            runtime,
            foreign: foreign(&manifest.annotations, &stamp)?,
            stamp,
        })
    }
}

fn base_layer(layer: &Layer) -> BaseLayer {
    BaseLayer {
        descriptor: plain(&layer.descriptor),
        diff_id: layer.diff_id,
        blob: layer.blob.clone(),
    }
}

fn key(layer: &Layer) -> Option<Digest> {
    layer
        .descriptor
        .annotations
        .get(KEY_ANNOTATION)?
        .parse()
        .ok()
}

/// The base's layers, which have no key, and ours above them.
fn split(layers: &[Layer]) -> Result<(&[Layer], &[Layer]), NotOurs> {
    let first = layers.iter().position(|layer| key(layer).is_some());
    let (below, above) = layers.split_at(first.ok_or(NotOurs::NoKeys)?);
    match above.iter().position(|layer| key(layer).is_none()) {
        Some(index) => Err(NotOurs::OnTop {
            number: below.len() + index + 1,
        }),
        None => Ok((below, above)),
    }
}

/// What the recipe decided, if the config still says the same.
fn runtime(config: &Map<String, Value>, name: &str) -> Result<RuntimeConfig, NotOurs> {
    let label = config
        .get("config")
        .and_then(|process| process.get("Labels")?.get(RUNTIME_LABEL)?.as_str())
        .ok_or(NotOurs::NoLabel)?;
    let runtime = serde_json::from_str(label).map_err(|source| NotOurs::Label { source })?;
    let mut again = config.clone();
    patch_process(&mut again, &runtime, name)?;
    if again == *config {
        Ok(runtime)
    } else {
        Err(NotOurs::Edited)
    }
}

fn stamp(
    config: &Map<String, Value>,
    annotations: &BTreeMap<String, String>,
) -> Result<Stamp, NotOurs> {
    let named = |name: &str| annotations.get(&format!("org.opencontainers.image.{name}"));
    let created = config.get("created").and_then(Value::as_str);
    let (config, annotation) = (created.unwrap_or_default(), named("created").cloned());
    let contradiction = |_| NotOurs::Created {
        config: config.to_owned(),
        annotation: annotation.clone().unwrap_or_default(),
    };
    let time: jiff::Timestamp = config.parse().map_err(contradiction)?;
    let stamp = Stamp {
        created: time.as_second(),
        title: named("title").cloned(),
        version: named("version").cloned(),
        source: named("source").cloned(),
        revision: named("revision").cloned(),
    };
    let text = stamp.created_text()?;
    if text != config || annotation.as_ref() != Some(&text) {
        return Err(NotOurs::Created {
            config: config.to_owned(),
            annotation: annotation.unwrap_or_default(),
        });
    }
    Ok(stamp)
}

/// `created_by` of our layers: the last entries of the history.
fn history(config: &Map<String, Value>, layers: usize) -> Result<Vec<String>, NotOurs> {
    let broken = || NotOurs::History { layers };
    let entries = config.get("history").and_then(Value::as_array);
    let entries = entries.ok_or_else(broken)?;
    let start = entries.len().checked_sub(layers).ok_or_else(broken)?;
    let created_by = |entry: &Value| {
        let is_layer = entry.get("empty_layer") != Some(&Value::Bool(true));
        entry
            .get("created_by")
            .filter(|_| is_layer)?
            .as_str()
            .map(str::to_owned)
    };
    entries[start..]
        .iter()
        .map(|entry| created_by(entry).ok_or_else(broken))
        .collect()
}

fn foreign(
    annotations: &BTreeMap<String, String>,
    stamp: &Stamp,
) -> Result<Vec<String>, ImageError> {
    let ours = stamp.annotations()?;
    let known = |name: &String| {
        ours.contains_key(name) || [BASE_NAME, BASE_DIGEST, FORMAT_ANNOTATION].contains(&&**name)
    };
    Ok(annotations
        .keys()
        .filter(|name| !known(name))
        .cloned()
        .collect())
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
