//! Manifests, configs and indexes as bytes; assemble, layout, archives, verify, audit. (skeleton)

use std::path::PathBuf;

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
