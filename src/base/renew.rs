//! Locks against what there is now: what is newer, what a renewal changed, whether it still holds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::deb::{self, Newer, Security};
use super::lock::{LockedBase, LockedDeb, LockedPackage, LockedPlatform};
use super::pin::{self, PinContext, What};
use super::resolve::digest_of;
use super::{BaseError, BaseName};
use crate::error::AnyError;
use crate::platform::Platform;
use crate::reference::Reference;

/// A package of a base in two states.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The base's name.
    pub base: String,
    /// The package; `image` for a base of a registry.
    pub package: String,
    /// Its version before; none when it is new.
    pub before: Option<String>,
    /// Its version now; none when it is gone.
    pub now: Option<String>,
    /// Where: `linux/amd64`; several platforms share a line.
    pub platforms: Vec<String>,
    /// Whether the later version fixes a vulnerability; none when it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<bool>,
}

/// What locked bases lack of what there is now.
///
/// # Errors
/// Those of the mirror, the package registry and the registry.
pub fn outdated(
    bases: &[(String, LockedBase)],
    context: &PinContext<'_>,
) -> Result<Vec<Change>, BaseError> {
    let mut found = Vec::new();
    for (name, base) in bases {
        if let LockedBase::Registry(image) = base {
            let reference: Reference = image.reference.parse().map_err(part)?;
            let now = digest_of(&reference, context.base)?;
            found.extend((now != image.digest).then(|| Change {
                base: name.clone(),
                package: "image".to_owned(),
                before: Some(image.digest.to_string()),
                now: Some(now.to_string()),
                platforms: Vec::new(),
                security: None,
            }));
        }
    }
    let mut suites: Vec<&str> = debs(bases).map(|(_, deb)| deb.suite.as_str()).collect();
    suites.sort_unstable();
    suites.dedup();
    for suite in suites {
        let of_suite: Vec<(&str, &LockedDeb)> =
            debs(bases).filter(|(_, deb)| deb.suite == suite).collect();
        let together = together(&of_suite);
        for platform in together.platforms.keys() {
            let newer = context
                .with_deb(|context| deb::newer(&together, platform, context).map_err(part))?;
            for (name, deb) in &of_suite {
                let has = |newer: &&Newer| {
                    let parts = deb.platforms.get(platform);
                    parts.is_some_and(|parts| all(parts).any(|package| *package == newer.package))
                };
                found.extend(newer.iter().filter(has).map(|newer| Change {
                    base: (*name).to_owned(),
                    package: newer.package.name.clone(),
                    before: Some(newer.package.version.clone()),
                    now: Some(newer.newest.version.clone()),
                    platforms: vec![platform.clone()],
                    security: Some(newer.security == Security::Yes),
                }));
            }
        }
    }
    Ok(merged(found))
}

fn debs(bases: &[(String, LockedBase)]) -> impl Iterator<Item = (&str, &LockedDeb)> {
    bases
        .iter()
        .filter_map(|(name, base)| Some((name.as_str(), pin::deb(base)?)))
}

fn all(parts: &LockedPlatform) -> impl Iterator<Item = &LockedPackage> {
    parts.packages.iter().chain(&parts.os_packages)
}

/// The packages of several bases of one suite, so that its index is read once.
fn together(bases: &[(&str, &LockedDeb)]) -> LockedDeb {
    let mut together = LockedDeb {
        suite: bases
            .first()
            .map_or_else(String::new, |(_, deb)| deb.suite.clone()),
        set: String::new(),
        os_packages: Vec::new(),
        filter_version: 0,
        sources: Vec::new(),
        roots: Vec::new(),
        platforms: BTreeMap::new(),
    };
    for (_, deb) in bases {
        for source in &deb.sources {
            if !together.sources.contains(source) {
                together.sources.push(source.clone());
            }
        }
        for (platform, parts) in &deb.platforms {
            let known = together.platforms.entry(platform.clone()).or_default();
            known.packages.extend(all(parts).cloned());
            known.packages.sort();
            known.packages.dedup();
        }
    }
    together
}

fn part(error: impl Into<AnyError>) -> BaseError {
    BaseError::Source(error.into())
}

/// One line for what is the same on several platforms.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    let mut merged: Vec<Change> = Vec::new();
    for change in changes {
        let same = |known: &&mut Change| {
            (&known.base, &known.package, &known.before, &known.now)
                == (&change.base, &change.package, &change.before, &change.now)
        };
        match merged.iter_mut().find(same) {
            Some(known) => known.platforms.extend(change.platforms),
            None => merged.push(change),
        }
    }
    merged.sort();
    merged
}

/// What differs between two states of a base.
pub fn changes(name: &str, before: &LockedBase, now: &LockedBase) -> Vec<Change> {
    let (before, now) = (versions(before), versions(now));
    let mut places: Vec<&(String, String)> = before.keys().chain(now.keys()).collect();
    places.sort();
    places.dedup();
    let differs = places
        .into_iter()
        .filter(|place| before.get(place) != now.get(place));
    let found = differs.map(|place| Change {
        base: name.to_owned(),
        package: place.1.clone(),
        before: before.get(place).cloned(),
        now: now.get(place).cloned(),
        platforms: Some(place.0.clone())
            .filter(|platform| !platform.is_empty())
            .into_iter()
            .collect(),
        security: None,
    });
    merged(found.collect())
}

/// Versions by platform and package.
fn versions(base: &LockedBase) -> BTreeMap<(String, String), String> {
    match base {
        LockedBase::Registry(image) => {
            let version = format!("{}@{}", image.reference, image.digest);
            [((String::new(), "image".to_owned()), version)].into()
        }
        LockedBase::Deb(deb) => {
            let platforms = deb.platforms.iter();
            let all = platforms.flat_map(|(platform, parts)| {
                let packages = parts.packages.iter().chain(&parts.os_packages);
                let packages = packages.map(|package| (&package.name, &package.version));
                let extra = parts.extra.iter().map(|file| (&file.name, &file.version));
                packages
                    .chain(extra)
                    .map(|(name, version)| ((platform.clone(), name.clone()), version.clone()))
            });
            all.collect()
        }
    }
}

/// A base resolved anew, whatever its lock says. When nothing changed, it is the lock's entry
/// again: a renewal without news makes no difference in version control.
///
/// # Errors
/// Those of [`pin::anew`].
pub fn renew(
    name: &BaseName,
    before: &LockedBase,
    context: &PinContext<'_>,
) -> Result<LockedBase, BaseError> {
    let platforms: Vec<Platform> = match before {
        LockedBase::Deb(deb) => deb
            .platforms
            .keys()
            .filter_map(|p| p.parse().ok())
            .collect(),
        LockedBase::Registry(_) => vec![Platform::linux_amd64()],
    };
    let now = match pin::anew(name, &platforms, Some(before), context)? {
        What::Locked(now) => now,
        What::Itself(itself) => {
            return Err(BaseError::NoWay {
                name: name.to_string(),
                tried: vec![format!("it stands for {itself} now, which no lock pins")],
            });
        }
    };
    Ok(match (before, now) {
        (LockedBase::Deb(old), LockedBase::Deb(mut new)) => {
            if same_packages(old, &new) {
                return Ok(before.clone());
            }
            for (platform, parts) in &mut new.platforms {
                let known = old.platforms.get(platform);
                if let Some(known) = known.filter(|known| same_parts(known, parts)) {
                    parts.layers.clone_from(&known.layers);
                }
            }
            LockedBase::Deb(new)
        }
        (_, now) => now,
    })
}

fn same_packages(old: &LockedDeb, new: &LockedDeb) -> bool {
    (&old.suite, &old.set, old.filter_version, &old.os_packages)
        == (&new.suite, &new.set, new.filter_version, &new.os_packages)
        && old.platforms.len() == new.platforms.len()
        && old.platforms.iter().all(|(name, parts)| {
            new.platforms
                .get(name)
                .is_some_and(|new| same_parts(parts, new))
        })
}

fn same_parts(old: &LockedPlatform, new: &LockedPlatform) -> bool {
    (&old.packages, &old.os_packages, &old.extra) == (&new.packages, &new.os_packages, &new.extra)
}
