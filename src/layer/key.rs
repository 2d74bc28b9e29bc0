//! What decides whether a layer or a step can be reused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The digest of a source tree's canonical listing: paths, modes and contents, never times or owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TreeDigest(pub Digest);

/// Named fields that decide a layer's bytes: two equal keys mean equal layers.
///
/// Values are content digests, versions and options; never a checkout path, an mtime, a host
/// name, a user, a thread count or a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerKey(BTreeMap<String, String>);

/// As [`LayerKey`], for a step's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepKey(BTreeMap<String, String>);

/// A field that differs between two keys of the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field's name.
    pub field: String,
    /// The value before; none when the field is new.
    pub before: Option<String>,
    /// The value now; none when the field is gone.
    pub now: Option<String>,
}

fn digest(domain: &str, fields: &BTreeMap<String, String>) -> Digest {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(domain);
    for (name, value) in fields {
        part(name);
        part(value);
    }
    Digest::from_bytes(hasher.finalize().into())
}

/// The fields that differ, sorted by name.
pub fn changes(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<FieldChange> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| FieldChange {
            field: name.clone(),
            before: before.get(name).cloned(),
            now: now.get(name).cloned(),
        })
        .collect()
}

impl LayerKey {
    /// A key for a kind of source; the layer format's version and the rules' version are fields.
    pub fn new(kind: &str, rules: u32) -> Self {
        let fields = [
            ("format".to_owned(), super::FORMAT_VERSION.to_string()),
            ("kind".to_owned(), kind.to_owned()),
            ("rules".to_owned(), rules.to_string()),
        ];
        Self(fields.into())
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// The fields by name.
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// SHA-256 over the named, length-prefixed fields.
    pub fn digest(&self) -> Digest {
        digest("karisimbi layer key", &self.0)
    }
}

impl StepKey {
    /// A key for a kind of step.
    pub fn new(kind: &str, rules: u32) -> Self {
        Self(
            [
                ("kind".to_owned(), kind.to_owned()),
                ("rules".to_owned(), rules.to_string()),
            ]
            .into(),
        )
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// The fields by name.
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// SHA-256 over the named, length-prefixed fields.
    pub fn digest(&self) -> Digest {
        digest("karisimbi step key", &self.0)
    }
}
