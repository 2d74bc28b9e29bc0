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

/// Facts of a base, detected from its layers once and cached by their digests. Nothing of the base
/// is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFacts {
    /// The merged tree: path → entry (symlinks with their targets).
    pub entries: BTreeMap<String, EntrySummary>,
    /// User names by numeric id, from etc/passwd.
    pub users: BTreeMap<u32, String>,
    /// Group names by numeric id, from etc/group.
    pub groups: BTreeMap<u32, String>,
    /// Which distribution it is, from os-release.
    pub os: Option<Os>,
    /// GOARCH name of the machine that its programs are built for; none when it has none.
    pub architecture: Option<String>,
    /// The C library; none on static bases.
    pub libc: Option<Libc>,
    /// The dynamic loader as programs name it: `/lib64/ld-linux-x86-64.so.2`.
    pub loader: Option<String>,
    /// The Python that `python3` starts.
    pub python: Option<Python>,
    /// The Node.js that `node` starts.
    pub node: Option<Node>,
    /// `/bin/sh`, when it is there.
    pub shell: Option<String>,
    /// The file of certificate authorities: `/etc/ssl/certs/ca-certificates.crt`.
    pub ca_bundle: Option<String>,
    /// Digests of the bundles of certificate authorities, by their path without a leading `/`.
    pub authorities: BTreeMap<String, Digest>,
    /// The folder of the time zone database: `/usr/share/zoneinfo`.
    pub time_zones: Option<String>,
}

/// A C library and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libc {
    /// Which one.
    pub kind: LibcKind,
    /// `2.41`, `1.2.5`; none when its file does not say.
    pub version: Option<String>,
}

/// The C libraries that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LibcKind {
    /// The GNU C library.
    Glibc,
    /// musl, as in Alpine.
    Musl,
}

/// A Python of a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// `3.13.5`; only `3.13` when its files don't say more.
    pub version: String,
    /// `3.13`: what the bytes of `.pyc` files and native modules depend on.
    pub minor: String,
    /// Absolute path of the interpreter: `/usr/bin/python3.13`.
    pub path: String,
    /// `sys.prefix`: `/usr` or `/usr/local`.
    pub prefix: String,
    /// The first folder that it looks for installed packages: Debian's own
    /// `/usr/local/lib/python3.13/dist-packages`, or `site-packages` below its prefix.
    pub packages: String,
}

/// A Node.js of a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `24.21.0`
    pub version: String,
    /// `NODE_MODULE_VERSION`, which native modules are built for.
    pub abi: u32,
    /// Absolute path of the program: `/usr/local/bin/node`.
    pub path: String,
}

/// A distribution, as os-release(5) names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`: `debian`, `alpine`.
    pub id: String,
    /// `VERSION_ID`: `13`, `3.23.6`; rolling distributions have none.
    pub version: Option<String>,
    /// `PRETTY_NAME`, else the id.
    pub name: String,
}

/// `2.41` as numbers that compare; none for anything else.
pub(crate) fn version_numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

impl LibcKind {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        }
    }
}

impl std::fmt::Display for Libc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.name())?;
        self.version
            .iter()
            .try_for_each(|version| write!(f, " {version}"))
    }
}

impl BaseFacts {
    /// What programs meet there, for people: `glibc 2.41, Python 3.13.5`.
    pub fn runtimes(&self) -> String {
        let libc = self.libc.as_ref().map(ToString::to_string);
        let python = self
            .python
            .iter()
            .map(|python| format!("Python {}", python.version));
        let node = self
            .node
            .iter()
            .map(|node| format!("Node {}", node.version));
        let mut all = vec![libc.unwrap_or_else(|| "no C library".to_owned())];
        all.extend(python.chain(node));
        all.join(", ")
    }

    /// The link at exactly this path, without a leading `/`.
    pub fn link(&self, path: &str) -> Option<&str> {
        self.entries.get(path)?.target.as_deref()
    }
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
