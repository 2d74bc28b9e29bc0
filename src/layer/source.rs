//! Where layers come from: the trait, and the sources that belong to no recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Entry, LayerError, LayerKey, LayerWriter, StepKey, TreeDigest};
use crate::digest::Digest;

/// Something that a layer is made of; fetched or run by the pipeline, only on a miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A source tree that is on this disk already.
    Tree(TreeDigest),
    /// The outputs of a step, by the digest of its key.
    Step(Digest),
}

/// The inputs of a layer, ready to read.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    steps: BTreeMap<Digest, PathBuf>,
}

impl Inputs {
    /// Adds the folder that holds a step's outputs.
    pub fn add_step(&mut self, key: &StepKey, outputs: PathBuf) {
        self.steps.insert(key.digest(), outputs);
    }

    /// The folder that holds a step's outputs.
    ///
    /// # Errors
    /// LAYER-FORMAT when the step was never declared as an input: a bug of ours.
    pub fn step(&self, key: &StepKey) -> Result<&Path, LayerError> {
        self.steps
            .get(&key.digest())
            .map(PathBuf::as_path)
            .ok_or_else(|| LayerError::Format {
                block: 0,
                what: format!("step {} was not declared as an input", key.digest()),
            })
    }
}

/// What `plan` prints of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDescription {
    /// Its name in events and records: `project`, `dependencies`, …; unique in an image.
    pub name: String,
    /// The kind of source: `go-binary`, `files`, …
    pub kind: String,
    /// What it holds, in a few words: `/app/server from ./cmd/server`.
    pub contents: String,
}

/// Makes one layer. Constructing a source does no I/O; `write` uses no network and no process.
pub trait LayerSource: Send + Sync + std::fmt::Debug {
    /// What its bytes depend on.
    fn key(&self) -> &LayerKey;

    /// What `plan` prints.
    fn describe(&self) -> LayerDescription;

    /// What must be there before `write`.
    fn inputs(&self) -> &[Input];

    /// A key over the *outputs* of this layer's steps: when a step ran and its outputs equal
    /// earlier ones, the earlier layer is reused without encoding. None without steps.
    ///
    /// # Errors
    /// Those of reading the outputs.
    fn output_key(&self, inputs: &Inputs) -> Result<Option<LayerKey>, LayerError> {
        let _: &Inputs = inputs;
        Ok(None)
    }

    /// Writes the entries in the order of the layer format.
    ///
    /// # Errors
    /// LAYER-* as met, or the source's own.
    fn write(&self, inputs: &Inputs, out: &mut LayerWriter<'_>) -> Result<(), LayerError>;
}

/// A layer whose entries are all in memory or on this disk already.
#[derive(Debug)]
pub struct InlineLayer {
    key: LayerKey,
    description: LayerDescription,
    entries: Vec<Entry>,
}

impl InlineLayer {
    /// A layer of these entries in any order; `key` must cover their contents.
    pub fn new(key: LayerKey, description: LayerDescription, mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self {
            key,
            description,
            entries,
        }
    }
}

impl LayerSource for InlineLayer {
    fn key(&self) -> &LayerKey {
        &self.key
    }

    fn describe(&self) -> LayerDescription {
        self.description.clone()
    }

    fn inputs(&self) -> &[Input] {
        &[]
    }

    fn write(&self, _: &Inputs, out: &mut LayerWriter<'_>) -> Result<(), LayerError> {
        self.entries.iter().try_for_each(|entry| out.append(entry))
    }
}
