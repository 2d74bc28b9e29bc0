//! Images as bytes: documents, assembly, layouts, archives, verification and audit.
//!
//! What is published is bytes, and a digest is always over bytes that were written or read, never
//! over a second encoding of a typed view. [`Document`] is the only encoder; the types of
//! [`manifest`] are views for reading and the input of that encoder.

pub mod archive;
pub mod assemble;
pub mod audit;
mod audit_elf;
pub mod blobs;
pub(crate) mod config;
pub mod docker_archive;
pub mod document;
pub mod error;
pub mod layout;
pub(crate) mod links;
pub mod manifest;
pub mod parts;
mod place;
mod regular;
mod secrets;
pub mod target;
mod tree;
pub mod verify;

use std::path::PathBuf;

pub use assemble::{Image, Layer, Stamp, index};
pub(crate) use audit::DEFAULT_PATH;
pub use audit::{Finding, Severity, audit};
pub use blobs::{BlobReader, Blobs};
pub use document::{DOCUMENT_LIMIT, Document};
pub use error::ImageError;
pub use layout::Layout;
pub use parts::{NotOurs, Parts};
pub(crate) use place::is_special;
pub use verify::{Mismatch, verify};

use crate::reference::Repository;

/// Where a layer's bytes are until a sink needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// In the store of this machine.
    Store,
    /// In an OCI layout on this disk.
    Layout(PathBuf),
    /// In a registry.
    Registry(Repository),
}
