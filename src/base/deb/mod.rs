//! Bases from signed Debian packages: trust, indices, closure, assembly.

mod accounts;
mod apt;
mod ar;
mod archive;
mod assemble;
mod assemble_error;
mod certificates;
mod cleartext;
mod closure;
mod config;
mod control;
mod error;
mod extract;
mod fetch;
mod filter;
mod index;
mod indices;
mod keys;
mod lines;
mod logins;
mod merge;
mod mirror;
mod node;
mod npm;
mod os_packages;
mod outdated;
mod package_file;
mod python;
mod release;
mod resolve;
mod sets;
mod sources;
mod stanzas;
mod transport;
mod version;

use std::path::{Path, PathBuf};

use super::lock::{LockedPackage, LockedSource};
use crate::layer::Encoder;
use crate::net::Net;
use crate::progress::Reporter;
use crate::sandbox::Sandbox;
use crate::store::Store;

pub use assemble::{Ingredients, assemble};
pub use assemble_error::AssembleError;
pub use config::{Bytecode, PACKAGES, RUNTIME, base_of, layer_keys};
pub use error::DebError;
pub use fetch::fetch;
pub(super) use mirror::hidden;
pub use node::{is_release_of, npm_package};
pub use npm::{NPM_REGISTRY, fetch_file, lock_npm, npm_versions};
pub use os_packages::{OsPackages, os_packages_layer};
pub use outdated::{Newer, Security, newer};
pub use python::tool_architecture;
pub use resolve::{Wanted, resolve};
pub use sets::{FILTER_VERSION, InvalidSet, PackageSet, exclude, exclude_on_top, roots, suites};
pub use version::compare as compare_versions;

/// What assembling may use.
pub struct DebContext<'a> {
    /// Keeps .debs by their digest, parsed indices, layers.
    pub store: &'a Store,
    /// Encodes layers.
    pub encoder: &'a Encoder,
    /// HTTP; none when offline.
    pub net: Option<&'a Net>,
    /// Where packages come from.
    pub mirrors: &'a Mirrors,
    /// Runs the interpreter that compiles Python's standard library.
    pub sandbox: &'a Sandbox,
    /// Seconds since 1970: for the validity of keys and indices, never for bytes.
    pub now: i64,
    /// Hears what was fetched and made.
    pub reporter: &'a dyn Reporter,
}

impl std::fmt::Debug for DebContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DebContext").finish_non_exhaustive()
    }
}

/// Where Debian packages come from, and who may sign for them.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    /// `mirror:` of the configuration; none: what the machine's apt uses.
    pub mirror: Option<String>,
    /// `/etc/apt`, for the machine's own sources and logins; none: it is not looked at.
    pub apt_folder: Option<PathBuf>,
    /// `/usr/lib/apt/apt-helper`, when its transport shall be used.
    pub apt_helper: Option<PathBuf>,
    /// Keyrings (OpenPGP, binary or armored) whose keys may sign; none: the built-in keys of
    /// Debian's releases, and for the machine's own sources what they name as `Signed-By`.
    pub keyrings: Vec<PathBuf>,
    /// Whether an index past its `Valid-Until` is taken (tests, archives).
    pub expiry: Expiry,
}

/// What an index past its `Valid-Until` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// BASE-EXPIRED
    #[default]
    Refuse,
    /// A warning.
    Allow,
}

/// A package whose file is on this disk and has the locked digest.
#[derive(Clone, Debug)]
pub struct FetchedDeb {
    /// What it is.
    pub package: LockedPackage,
    /// Where it lies.
    pub path: PathBuf,
}

/// What the signed indices say that is to be installed.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The indices that were used.
    pub sources: Vec<LockedSource>,
    /// Packages in the order of the architectures that were asked for, each sorted by name.
    pub packages: Vec<Vec<LockedPackage>>,
}

/// The Debian architecture of a platform; none when Debian has no such.
pub fn architecture(platform: &crate::platform::Platform) -> Option<&'static str> {
    match platform.architecture.as_str() {
        "amd64" => Some("amd64"),
        "arm64" => Some("arm64"),
        _ => None,
    }
}

/// Whether a folder looks like an apt configuration with sources.
pub fn has_sources(apt_folder: &Path) -> bool {
    apt_folder.join("sources.list").is_file() || apt_folder.join("sources.list.d").is_dir()
}
