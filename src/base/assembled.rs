//! From a lock of Debian packages to a base for each platform.

use super::deb::{self, Bytecode, FetchedDeb, Ingredients};
use super::lock::{LockedDeb, LockedFile, LockedLayer, LockedPackage, LockedPlatform};
use super::packages::{architecture, host_platform, is_python, part, set_of};
use super::pin::PinContext;
use super::{Base, BaseError, LockError};
use crate::digest::Hashing;
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
    let keys = deb::layer_keys(parts, &locked.suite, &set, platform);
    let records: Option<Vec<(String, LayerRecord)>> = keys
        .iter()
        .map(|(name, key)| Some((name.clone(), context.base.store.record(key)?)))
        .collect();
    let base = match records {
        Some(records) => deb::base_of(&name, &set, platform, &records).map_err(part)?,
        None => assembled((locked, platform), Bytecode::Ship, context)?,
    };
    let layers = keys
        .into_iter()
        .zip(&base.layers)
        .map(|((name, _), layer)| LockedLayer {
            name,
            diff_id: layer.diff_id,
        });
    let layers = layers.collect();
    Ok((base, layers))
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
    platforms
        .iter()
        .map(|platform| assembled((locked, platform), Bytecode::Leave, context))
        .collect()
}

fn assembled(
    (locked, platform): (&LockedDeb, &Platform),
    bytecode: Bytecode,
    context: &PinContext<'_>,
) -> Result<Base, BaseError> {
    let parts = of_platform(locked, platform)?;
    let set = set_of(&locked.set)?;
    context.with_deb(|deb| {
        let fetch = |packages: &[LockedPackage]| -> Result<Vec<FetchedDeb>, BaseError> {
            deb::fetch(packages, &locked.sources, deb).map_err(part)
        };
        let debs = fetch(&parts.packages)?;
        let compiles = is_python(&locked.set) && bytecode == Bytecode::Ship;
        let tool_debs = match host_platform().filter(|host| compiles && host != platform) {
            Some(host) => fetch(&of_platform(locked, &host)?.packages)?,
            None => debs.clone(),
        };
        let files = parts
            .extra
            .iter()
            .map(|file| Ok((file.clone(), deb::fetch_file(file, deb).map_err(part)?)))
            .collect::<Result<Vec<(LockedFile, _)>, BaseError>>()?;
        let ingredients = Ingredients {
            name: format!("deb:{}/{}", locked.suite, locked.set),
            suite: &locked.suite,
            set: &set,
            platform,
            debs: &debs,
            tool_debs: &tool_debs,
            files: &files,
            bytecode,
        };
        deb::assemble(&ingredients, deb).map_err(part)
    })
}

/// Compares what came out with the lock, or writes it there.
fn compare(
    name: &str,
    platform: &Platform,
    locked: &mut LockedDeb,
    layers: Vec<LockedLayer>,
) -> Result<(), BaseError> {
    let Some(parts) = locked.platforms.get_mut(&platform.to_string()) else {
        return Ok(());
    };
    if parts.layers.is_empty() {
        parts.layers = layers;
        return Ok(());
    }
    let none = "no such layer".to_owned();
    let count = layers.len().max(parts.layers.len());
    for index in 0..count {
        let (locked, found) = (parts.layers.get(index), layers.get(index));
        if locked == found {
            continue;
        }
        let shown = |layer: Option<&LockedLayer>| {
            layer.map_or_else(|| none.clone(), |layer| layer.diff_id.to_string())
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

/// Fetches and hashes every package of a platform again, assembles it in an empty store, and
/// compares the layers with the lock.
///
/// # Errors
/// BASE-HASH, BASE-404, BASE-DRIFT, those of assembling.
pub fn verify(
    locked: &LockedDeb,
    platform: &Platform,
    scratch: &Store,
    context: &PinContext<'_>,
) -> Result<Vec<LockedLayer>, BaseError> {
    let parts = of_platform(locked, platform)?;
    let tool = host_platform().filter(|host| is_python(&locked.set) && host != platform);
    let tools = match &tool {
        Some(host) => of_platform(locked, host)?.packages.as_slice(),
        None => &[],
    };
    let all: Vec<LockedPackage> = [&parts.packages, tools, &parts.os_packages].concat();
    context.with_deb(|deb| {
        for fetched in deb::fetch(&all, &locked.sources, deb).map_err(part)? {
            take(&fetched, scratch)?;
        }
        Ok(())
    })?;
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
    let (_, layers) = one(locked, platform, &empty)?;
    let mut compared = locked.clone();
    let name = format!("deb:{}/{}", locked.suite, locked.set);
    compare(&name, platform, &mut compared, layers.clone())?;
    Ok(layers)
}

/// Puts a package into a store, if it has its digest.
fn take(fetched: &FetchedDeb, store: &Store) -> Result<(), BaseError> {
    let LockedPackage { name, sha256, .. } = &fetched.package;
    let failed = |source| BaseError::Read {
        base: format!("package {name}"),
        layer: fetched.path.display().to_string(),
        source,
    };
    let mut file = fs_err::File::open(&fetched.path).map_err(failed)?;
    let mut out = Hashing::new(store.blob_writer().map_err(part)?);
    std::io::copy(&mut file, &mut out).map_err(failed)?;
    let (out, found, size) = out.finish();
    if found != *sha256 {
        return Err(BaseError::Digest {
            base: format!("package {name}"),
            digest: *sha256,
            found,
            size,
        });
    }
    store.commit_blob(out, sha256).map_err(part)?;
    Ok(())
}
