//! Bases: names, resolution, facts, the embedded static base.

mod convert;
pub mod embedded;
pub mod error;
pub mod facts;
pub mod name;
pub mod resolve;
mod scan;
mod tar_reader;

pub use error::BaseError;
pub use facts::{BaseFacts, facts};
pub use name::BaseName;
pub use resolve::{BaseContext, ManifestSource, resolve};

use serde_json::{Map, Value};

use crate::digest::{DiffId, Digest};
use crate::image::Blob;
use crate::layer::Descriptor;
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
