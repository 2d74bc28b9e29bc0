//! What a lock would be if it were made now: `base outdated`.

use std::cmp::Ordering;

use super::archive;
use super::error::DebError;
use super::mirror::Part;
use super::{DebContext, version};
use crate::base::lock::{LockedDeb, LockedPackage};

/// A package of which there is a later version.
#[derive(Clone, Debug)]
pub struct Newer {
    /// As it is locked.
    pub package: LockedPackage,
    /// The latest one.
    pub newest: LockedPackage,
    /// Whether the later version fixes a vulnerability.
    pub security: Security,
}

/// Whether the security suite has a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It has: the locked one has a known vulnerability.
    Yes,
    /// It has not.
    No,
}

/// The packages of a platform (`linux/amd64`) of which the signed indices have a later version.
///
/// # Errors
/// Those of [`super::resolve()`].
pub fn newer(
    locked: &LockedDeb,
    platform: &str,
    context: &DebContext<'_>,
) -> Result<Vec<Newer>, DebError> {
    let Some(of_platform) = locked.platforms.get(platform) else {
        return Ok(Vec::new());
    };
    let architecture = platform.split('/').nth(1).unwrap_or(platform);
    let loaded = archive::load(context, &locked.suite, &[architecture], &locked.sources)?;
    let universe = archive::universe(&loaded, 0);
    let security = loaded
        .iter()
        .position(|part| part.suite.part == Part::Security)
        .map(|index| archive::universe(&loaded[index..=index], 0));
    let mut found = Vec::new();
    for package in of_platform.packages.iter().chain(&of_platform.os_packages) {
        let later = |version: &str| version::compare(&package.version, version) == Ordering::Less;
        let Some((suite, entry)) = universe.get(&package.name)? else {
            continue;
        };
        if !later(&entry.version) {
            continue;
        }
        let fixed = match &security {
            Some(security) => security.get(&package.name)?,
            None => None,
        };
        let fixed = fixed.is_some_and(|(_, entry)| later(&entry.version));
        found.extend(entry.locked(suite, &package.why).map(|newest| Newer {
            package: package.clone(),
            newest,
            security: if fixed { Security::Yes } else { Security::No },
        }));
    }
    Ok(found)
}
