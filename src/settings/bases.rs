//! Where bases come from: flags > environment > deployment.yaml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::deb::Mirrors;
use crate::base::lock_file::{BASES_LOCK, LockPlace};
use crate::base::{BaseName, BaseOptions, Flavour, Locking, ShortName};
use crate::deployment::{self, Deployment, Found};
use crate::error::AnyError;
use crate::reference::project;
use crate::source::scrub;

use super::SettingsError;
use super::choice::Settings;
use super::env::Environment;

/// The sources and keys of the machine's apt.
const APT_FOLDER: &str = "/etc/apt";
/// The program that fetches for apt; it honours apt's proxies and logins.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// What flags say about bases; paths are absolute.
#[derive(Clone, Debug, Default)]
pub struct BaseFlags {
    /// `--flavour`
    pub flavour: Option<Flavour>,
    /// `--base-registry`
    pub registry: Option<String>,
    /// `--mirror`
    pub mirror: Option<String>,
    /// `--keyring`
    pub keyring: Option<PathBuf>,
    /// `--lock`
    pub lock: Option<PathBuf>,
    /// `--locked`
    pub locking: Locking,
}

/// Settings of bases, chosen.
pub(super) struct ChosenBases {
    pub(super) flavour: Flavour,
    pub(super) options: BaseOptions,
    pub(super) ca_certs: Vec<PathBuf>,
}

impl ChosenBases {
    /// `folder` is where relative paths of the file count from.
    pub(super) fn new(
        shown: &mut Settings<'_>,
        flags: &BaseFlags,
        (place, folder): (LockPlace, &Path),
        environment: &Environment,
    ) -> Result<Self, AnyError> {
        let keys = shown.deployment.bases.clone();
        let variable = |name: &str| environment.text(name).map(str::to_owned);
        let registry = shown.pick(
            "base_registry",
            [
                (flags.registry.clone(), "--base-registry"),
                (
                    variable("KARISIMBI_BASE_REGISTRY"),
                    "KARISIMBI_BASE_REGISTRY",
                ),
            ],
            keys.registry,
        );
        let mirror = mirror(shown, flags, variable("KARISIMBI_MIRROR"));
        let flavour = match (flags.flavour, &keys.flavour) {
            (Some(flavour), _) => {
                let text = match flavour {
                    Flavour::Alpine => "alpine",
                    Flavour::Distroless => "distroless",
                };
                shown.put("base_flavour", text, "--flavour");
                flavour
            }
            // The file's value was checked when it was read.
            (None, Some(text)) => text.parse().unwrap_or_default(),
            (None, None) => Flavour::default(),
        };
        let keyrings = flags
            .keyring
            .clone()
            .or_else(|| keys.keyring.map(|path| folder.join(path)));
        Ok(Self {
            flavour,
            options: BaseOptions {
                registry: registry
                    .map(|text| project(&text))
                    .transpose()
                    .map_err(|source| SettingsError::BaseRegistry { source })?,
                names: names(&keys.names)?,
                mirrors: mirrors(mirror, keyrings),
                os_packages: keys.os_packages,
                lock: flags.lock.clone().map_or(place, LockPlace::Named),
                locking: flags.locking,
            },
            ca_certs: keys.ca_certs.iter().map(|path| folder.join(path)).collect(),
        })
    }
}

/// The lock that a `deb:` name of the file carries counts from the file's folder, as its other
/// paths do; one that was typed counts from the current folder.
pub(super) fn anchored(
    base: Option<String>,
    typed: Option<&String>,
    folder: &Path,
) -> Option<String> {
    let base = base?;
    match (typed, base.split_once('@')) {
        (None, Some((name, lock))) if name.starts_with("deb:") => {
            Some(format!("{name}@{}", folder.join(lock).display()))
        }
        _ => Some(base),
    }
}

/// The mirror; its login, which no file may hold, is not shown.
fn mirror(shown: &mut Settings<'_>, flags: &BaseFlags, variable: Option<String>) -> Option<String> {
    let origins = [
        (flags.mirror.clone(), "--mirror"),
        (variable, "KARISIMBI_MIRROR"),
    ];
    for (value, origin) in origins {
        if let Some(value) = value {
            shown.put("mirror", &scrub(&value), origin);
            return Some(value);
        }
    }
    shown.deployment.bases.mirror.clone()
}

fn mirrors(mirror: Option<String>, keyring: Option<PathBuf>) -> Mirrors {
    let none = mirror.as_deref() == Some("none");
    let here = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
    Mirrors {
        apt_folder: here(APT_FOLDER).filter(|_| !none),
        apt_helper: here(APT_HELPER).filter(|_| !none),
        mirror: mirror.filter(|_| !none),
        keyrings: keyring.into_iter().collect(),
        ..Mirrors::default()
    }
}

fn names(table: &BTreeMap<String, String>) -> Result<BTreeMap<ShortName, BaseName>, AnyError> {
    let mut names = BTreeMap::new();
    for (name, target) in table {
        let Ok(BaseName::Short(short)) = name.parse() else {
            return Err(SettingsError::ShortName { name: name.clone() }.into());
        };
        names.insert(short, target.parse::<BaseName>()?);
    }
    Ok(names)
}

/// The settings of `base` commands: those of the folder that they run in.
///
/// # Errors
/// Every problem of a configuration there.
pub fn folder_bases(
    folder: &Path,
    flags: &BaseFlags,
    environment: &Environment,
) -> Result<BaseOptions, AnyError> {
    let deployment = match deployment::find(folder)? {
        Found::Configuration(file) => {
            let name = file.path.file_name().unwrap_or_default();
            Deployment::parse(&name.to_string_lossy(), &file.text)?
        }
        Found::KubernetesObject { .. } | Found::Nothing => Deployment::default(),
    };
    let mut shown = Settings {
        deployment: &deployment,
        shown: Vec::new(),
    };
    let place = LockPlace::Beside(folder.join(BASES_LOCK));
    let chosen = ChosenBases::new(&mut shown, flags, (place, folder), environment)?;
    Ok(chosen.options)
}
