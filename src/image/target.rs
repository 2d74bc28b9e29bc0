//! What an image is made for and on: a platform, a resolved base, what is known of it, and the
//! process that a recipe decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Blob;
use crate::digest::{DiffId, Digest};
use crate::layer::{Descriptor, EntrySummary};
use crate::platform::Platform;

/// What an image is built for and on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Platform of the image.
    pub platform: Platform,
    /// The base for this platform.
    pub base: Base,
    /// What is known of it.
    pub facts: BaseFacts,
}

/// A resolved base image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The name as the user or the recipe wrote it; goes into `org.opencontainers.image.base.name`
    /// (a layout's local path does not: it would be a path of this machine).
    pub name: String,
    /// Digest of its manifest; none for `scratch`.
    pub digest: Option<Digest>,
    /// Its config as a JSON object, unknown fields included.
    pub config: Map<String, Value>,
    /// Its layers, lowest first, with OCI media types.
    pub layers: Vec<BaseLayer>,
}

/// One layer of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLayer {
    /// Media type (already OCI), digest, size.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Where the bytes are.
    pub blob: Blob,
}

/// Facts of a base, detected from its layers once and cached by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFacts {
    /// The merged tree: path → entry (symlinks with their targets).
    pub entries: BTreeMap<String, EntrySummary>,
    /// User names by numeric id, from etc/passwd.
    pub users: BTreeMap<u32, String>,
    /// The C library: `glibc 2.41`, `musl 1.2.5`; none on static bases.
    pub libc: Option<String>,
}

/// The part of the image config that a recipe decides; kept as a label, so that a rebase can
/// rebuild what depends on the base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeConfig {
    /// Exec form; empty keeps the base's.
    pub entrypoint: Vec<String>,
    /// Arguments after the entrypoint.
    pub cmd: Vec<String>,
    /// Variables added to the base's, `NAME` → value.
    pub env: BTreeMap<String, String>,
    /// `1001:1001`
    pub user: String,
    /// Absolute path.
    pub working_dir: String,
    /// TCP ports that the server listens on.
    pub ports: Vec<u16>,
}
