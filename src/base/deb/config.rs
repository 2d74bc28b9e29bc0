//! Keys of an assembled base's layers, and the base itself from their records.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde_json::{Map, Value, json};

use super::python::PYC_RULES;
use super::sets::{FILTER_VERSION, PackageSet};
use crate::base::embedded::CA_BUNDLE;
use crate::base::lock::{LockedFile, LockedPackage, LockedPlatform};
use crate::base::{Base, BaseError, BaseLayer};
use crate::digest::Digest;
use crate::image::manifest::Manifest;
use crate::image::{Blob, Document};
use crate::layer::{LayerKey, LayerRecord};
use crate::platform::Platform;

/// Version of the rules for the runtime's layer.
const RUNTIME_RULES: u32 = 1;

/// The layer of the packages, lowest in every base.
pub const PACKAGES: &str = "packages";

/// The layer of a runtime that is no package of Debian.
pub const RUNTIME: &str = "runtime";

/// Whether Python's standard library is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bytecode {
    /// Its .pyc files are in the base.
    #[default]
    Ship,
    /// They are left out: for measurements. Such a base is in no lock.
    Leave,
}

/// Names and keys of a base's layers, lowest first, from the lock alone: with a record for each
/// of them no package has to be fetched.
pub fn layer_keys(
    locked: &LockedPlatform,
    suite: &str,
    set: &PackageSet,
    platform: &Platform,
) -> Vec<(String, LayerKey)> {
    let parts = Parts {
        suite,
        set,
        platform,
        bytecode: Bytecode::Ship,
    };
    let mut keys = vec![(PACKAGES.to_owned(), parts.packages(locked.packages.iter()))];
    let runtime = locked.extra.iter().map(|file| parts.runtime(file));
    keys.extend(runtime.map(|key| (RUNTIME.to_owned(), key)));
    keys
}

/// What keys are made of besides packages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) suite: &'a str,
    pub(super) set: &'a PackageSet,
    pub(super) platform: &'a Platform,
    pub(super) bytecode: Bytecode,
}

impl Parts<'_> {
    pub(super) fn packages<'p>(
        &self,
        packages: impl Iterator<Item = &'p LockedPackage>,
    ) -> LayerKey {
        let mut key = with_packages(LayerKey::new("deb-packages", FILTER_VERSION), packages)
            .with("suite", self.suite)
            .with("set", self.set)
            .with("architecture", &self.platform.architecture);
        if let PackageSet::Python { .. } = self.set {
            let bytecode = match self.bytecode {
                Bytecode::Ship => PYC_RULES.to_string(),
                Bytecode::Leave => "none".to_owned(),
            };
            key = key.with("bytecode", &bytecode);
        }
        key
    }

    pub(super) fn runtime(&self, file: &LockedFile) -> LayerKey {
        LayerKey::new("node-runtime", RUNTIME_RULES)
            .with("architecture", &self.platform.architecture)
            .with("package", &format!("{} {}", file.name, file.version))
            .with("integrity", &file.integrity)
    }
}

/// A field for each package, so that `--explain` can name the one that changed.
pub(super) fn with_packages<'p>(
    key: LayerKey,
    packages: impl Iterator<Item = &'p LockedPackage>,
) -> LayerKey {
    packages.fold(key, |key, package| {
        let name = format!("package {}", package.name);
        key.with(&name, &format!("{} {}", package.version, package.sha256))
    })
}

/// The base over the records of its layers, in the order of [`layer_keys`]. Its digest is that of
/// the manifest that it would have.
///
/// # Errors
/// IMAGE-ENCODE: a bug of ours.
pub fn base_of(
    name: &str,
    set: &PackageSet,
    platform: &Platform,
    records: &[(String, LayerRecord)],
) -> Result<Base, BaseError> {
    let config = config(name, set, platform, records);
    let document = Document::encode("a config", &config, MediaType::ImageConfig)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::ImageManifest),
        config: document.descriptor(),
        layers: records
            .iter()
            .map(|(_, record)| record.descriptor.clone())
            .collect(),
        annotations: BTreeMap::new(),
    };
    let digest: Digest =
        Document::encode("a manifest", &manifest, MediaType::ImageManifest)?.digest;
    let layers = records.iter().map(|(_, record)| BaseLayer {
        descriptor: record.descriptor.clone(),
        diff_id: record.diff_id,
        blob: Blob::Store,
    });
    Ok(Base {
        name: name.to_owned(),
        digest: Some(digest),
        config,
        layers: layers.collect(),
    })
}

fn config(
    name: &str,
    set: &PackageSet,
    platform: &Platform,
    records: &[(String, LayerRecord)],
) -> Map<String, Value> {
    const EPOCH: &str = "1970-01-01T00:00:00Z";
    let mut env = vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("SSL_CERT_FILE=/{CA_BUNDLE}"),
    ];
    match set {
        // Without it, file names and streams are ASCII on old versions; the locale is in libc.
        PackageSet::Python { .. } => env.push("LANG=C.UTF-8".to_owned()),
        PackageSet::Node { .. } => env.push("NODE_ENV=production".to_owned()),
        PackageSet::Static | PackageSet::Cc => {}
    }
    let mut config = Map::new();
    let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
    put("architecture", json!(platform.architecture));
    put("os", json!(platform.os));
    if let Some(variant) = &platform.variant {
        put("variant", json!(variant));
    }
    put("created", json!(EPOCH));
    put(
        "config",
        json!({"Env": env, "User": "1001:1001", "WorkingDir": "/home/app"}),
    );
    let diff_ids: Vec<_> = records.iter().map(|(_, record)| record.diff_id).collect();
    put("rootfs", json!({"type": "layers", "diff_ids": diff_ids}));
    let history = records.iter().map(|(layer, _)| {
        let made = format!("karisimbi {name} {layer}@{FILTER_VERSION}");
        json!({"created": EPOCH, "created_by": made})
    });
    put("history", history.collect());
    config
}
