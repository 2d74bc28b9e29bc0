//! From a lock of Debian packages to a base for each platform.

use std::path::PathBuf;

use super::deb::{self, Bytecode, FetchedDeb, Ingredients};
use super::lock::{LockedDeb, LockedFile, LockedLayer, LockedPackage, LockedPlatform};
use super::packages::{architecture, host_platform, is_python, part, set_of};
use super::pin::PinContext;
use super::{Base, BaseError, LockError};
use crate::digest::{DiffId, Hashing};
use crate::layer::LayerRecord;
use crate::platform::Platform;
use crate::store::Store;

/// The base of each platform: from the records of its layers, else assembled. Layers that a lock
/// does not know yet are written into it.
pub(super) fn bases(
    locked: &mut LockedDeb,
    platforms: &[Platform],
    context: &PinContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    let name = format!("deb:{}/{}", locked.suite, locked.set);
    let mut bases = Vec::new();
    for platform in platforms {
        architecture(&name, platform)?;
        let (base, layers) = one(locked, platform, context)?;
        compare(&name, platform, locked, layers)?;
        bases.push(base);
    }
    Ok(bases)
}

fn of_platform<'a>(
    locked: &'a LockedDeb,
    platform: &Platform,
) -> Result<&'a LockedPlatform, BaseError> {
    locked
        .platforms
        .get(&platform.to_string())
        .ok_or_else(|| BaseError::Platform {
            base: format!("deb:{}/{}", locked.suite, locked.set),
            wanted: platform.to_string(),
            present: locked.platforms.keys().cloned().collect(),
        })
}

fn one(
    locked: &LockedDeb,
    platform: &Platform,
    context: &PinContext<'_>,
) -> Result<(Base, Vec<LockedLayer>), BaseError> {
    let name = format!("deb:{}/{}", locked.suite, locked.set);
    let set = set_of(&locked.set)?;
    let parts = of_platform(locked, platform)?;
    let records: Option<Vec<(String, LayerRecord)>> =
        deb::layer_keys(parts, &locked.suite, &set, platform)
            .into_iter()
            .map(|(name, key)| Some((name, context.base.store.record(&key)?)))
            .collect();
    let base = match records {
        Some(records) => deb::base_of(&name, &set, platform, &records).map_err(part)?,
        None => Gathered::of(locked, platform, Bytecode::Ship, context)?.assemble(context)?,
    };
    let layers = layers(locked, platform, &base)?;
    Ok((base, layers))
}

/// The layers of a base as a lock names them.
fn layers(
    locked: &LockedDeb,
    platform: &Platform,
    base: &Base,
) -> Result<Vec<LockedLayer>, BaseError> {
    let parts = of_platform(locked, platform)?;
    let keys = deb::layer_keys(parts, &locked.suite, &set_of(&locked.set)?, platform);
    let named = keys.into_iter().zip(&base.layers);
    let layers = named.map(|((name, _), layer)| LockedLayer {
        name,
        diff_id: layer.diff_id,
    });
    Ok(layers.collect())
}

/// Bases without Python's compiled standard library, for measurements: in no lock.
///
/// # Errors
/// Those of fetching and assembling.
pub fn without_bytecode(
    locked: &LockedDeb,
    platforms: &[Platform],
    context: &PinContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    let bases = platforms.iter().map(|platform| {
        Gathered::of(locked, platform, Bytecode::Leave, context)?.assemble(context)
    });
    bases.collect()
}

/// Everything that a base is assembled from, on this disk.
struct Gathered<'a> {
    locked: &'a LockedDeb,
    platform: &'a Platform,
    bytecode: Bytecode,
    debs: Vec<FetchedDeb>,
    tool_debs: Vec<FetchedDeb>,
    files: Vec<(LockedFile, PathBuf)>,
}

impl<'a> Gathered<'a> {
    fn of(
        locked: &'a LockedDeb,
        platform: &'a Platform,
        bytecode: Bytecode,
        context: &PinContext<'_>,
    ) -> Result<Self, BaseError> {
        let parts = of_platform(locked, platform)?;
        let compiles = is_python(&locked.set) && bytecode == Bytecode::Ship;
        context.with_deb(|deb| {
            let fetch = |packages: &[LockedPackage]| -> Result<Vec<FetchedDeb>, BaseError> {
                deb::fetch(packages, &locked.sources, deb).map_err(part)
            };
            let debs = fetch(&parts.packages)?;
            let tool_debs = match host_platform().filter(|host| compiles && host != platform) {
                Some(host) => fetch(&of_platform(locked, &host)?.packages)?,
                None => debs.clone(),
            };
            let files = parts
                .extra
                .iter()
                .map(|file| Ok((file.clone(), deb::fetch_file(file, deb).map_err(part)?)))
                .collect::<Result<_, BaseError>>()?;
            Ok(Self {
                locked,
                platform,
                bytecode,
                debs,
                tool_debs,
                files,
            })
        })
    }

    fn assemble(&self, context: &PinContext<'_>) -> Result<Base, BaseError> {
        let ingredients = Ingredients {
            name: format!("deb:{}/{}", self.locked.suite, self.locked.set),
            suite: &self.locked.suite,
            set: &set_of(&self.locked.set)?,
            platform: self.platform,
            debs: &self.debs,
            tool_debs: &self.tool_debs,
            files: &self.files,
            bytecode: self.bytecode,
        };
        context.with_deb(|deb| deb::assemble(&ingredients, deb).map_err(part))
    }
}

/// The layer of `os_packages`, as the lock and the build name it.
pub const OS_PACKAGES: &str = "os-packages";

/// Compares what came out with the lock, or writes it there: the layers of the base, or the one
/// above it.
fn compare(
    name: &str,
    platform: &Platform,
    locked: &mut LockedDeb,
    layers: Vec<LockedLayer>,
) -> Result<(), BaseError> {
    let Some(parts) = locked.platforms.get_mut(&platform.to_string()) else {
        return Ok(());
    };
    let above = layers.iter().any(|layer| layer.name == OS_PACKAGES);
    let is_asked = |layer: &&LockedLayer| (layer.name == OS_PACKAGES) == above;
    let known: Vec<&LockedLayer> = parts.layers.iter().filter(is_asked).collect();
    if known.is_empty() {
        parts.layers.extend(layers);
        parts.layers.sort_by_key(|layer| layer.name == OS_PACKAGES);
        return Ok(());
    }
    for index in 0..layers.len().max(known.len()) {
        let (locked, found) = (known.get(index).copied(), layers.get(index));
        if locked == found {
            continue;
        }
        let shown = |layer: Option<&LockedLayer>| {
            layer.map_or_else(
                || "no such layer".to_owned(),
                |layer| layer.diff_id.to_string(),
            )
        };
        let layer = locked.or(found).map_or("", |layer| &layer.name);
        return Err(LockError::Drift {
            base: name.to_owned(),
            layer: layer.to_owned(),
            platform: platform.to_string(),
            locked: shown(locked),
            found: shown(found),
        }
        .into());
    }
    Ok(())
}

/// Compares the layer of `os_packages` with the lock, or writes it there.
///
/// # Errors
/// BASE-DRIFT
pub fn settle_os_packages(
    locked: &mut LockedDeb,
    platform: &Platform,
    diff_id: DiffId,
) -> Result<(), BaseError> {
    let name = format!("deb:{}/{}", locked.suite, locked.set);
    let layer = LockedLayer {
        name: OS_PACKAGES.to_owned(),
        diff_id,
    };
    compare(&name, platform, locked, vec![layer])
}

/// The packages of the layer of `os_packages`, on this disk.
///
/// # Errors
/// Those of fetching.
pub fn os_packages(
    locked: &LockedDeb,
    platform: &Platform,
    context: &PinContext<'_>,
) -> Result<Vec<FetchedDeb>, BaseError> {
    let packages = &of_platform(locked, platform)?.os_packages;
    context.with_deb(|deb| deb::fetch(packages, &locked.sources, deb).map_err(part))
}

/// Fetches and hashes every package of a platform again, assembles it with an empty store, and
/// compares the layers with the lock.
///
/// # Errors
/// BASE-LAYER for a package of other bytes, BASE-404, BASE-DRIFT, those of assembling.
pub fn verify(
    locked: &LockedDeb,
    platform: &Platform,
    scratch: &Store,
    context: &PinContext<'_>,
) -> Result<Vec<LockedLayer>, BaseError> {
    let gathered = Gathered::of(locked, platform, Bytecode::Ship, context)?;
    let above = os_packages(locked, platform, context)?;
    for fetched in gathered
        .debs
        .iter()
        .chain(&gathered.tool_debs)
        .chain(&above)
    {
        check(fetched)?;
    }
    let base = super::BaseContext {
        store: scratch,
        encoder: context.base.encoder,
        registry: None,
        reporter: context.base.reporter,
    };
    let empty = PinContext {
        base: &base,
        ..*context
    };
    let base = gathered.assemble(&empty)?;
    let layers = layers(locked, platform, &base)?;
    let mut compared = locked.clone();
    let name = format!("deb:{}/{}", locked.suite, locked.set);
    compare(&name, platform, &mut compared, layers.clone())?;
    Ok(layers)
}

/// Whether a package still has its digest.
fn check(fetched: &FetchedDeb) -> Result<(), BaseError> {
    let LockedPackage { name, sha256, .. } = &fetched.package;
    let mut hashing = Hashing::new(std::io::sink());
    let copied = fs_err::File::open(&fetched.path)
        .and_then(|mut file| std::io::copy(&mut file, &mut hashing));
    copied.map_err(|source| BaseError::Read {
        base: format!("package {name}"),
        layer: fetched.path.display().to_string(),
        source,
    })?;
    let (_, found, size) = hashing.finish();
    if found == *sha256 {
        return Ok(());
    }
    Err(BaseError::Digest {
        base: format!("package {name}"),
        digest: *sha256,
        found,
        size,
    })
}
