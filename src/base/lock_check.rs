//! Whether the values of a bases.lock are what they must be. Whoever wrote it may be hostile: its
//! names become addresses, file names and lines on a terminal.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;

use super::BaseName;
use super::deb::hidden;
use super::lock::{
    BasesLock, LockedBase, LockedDeb, LockedFile, LockedLayer, LockedPackage, LockedPlatform,
    LockedRegistry, LockedSource,
};
use super::name::{is_runtime, is_suite};
use crate::platform::Platform;
use crate::reference::Reference;

/// Bases of one lock, packages of one platform, sources and layers of one base, at most.
const MOST_BASES: usize = 200;
const MOST_PACKAGES: usize = 2_000;
const MOST_SOURCES: usize = 20;
const MOST_LAYERS: usize = 16;
/// Bytes of one package, at most.
const LARGEST: u64 = 1 << 30;

/// Where something is wrong, and what.
type Wrong = (String, String);

/// Checks every value.
pub(super) fn check(lock: &BasesLock) -> Result<(), Wrong> {
    most(lock.bases.len(), MOST_BASES, "bases")?;
    for (name, base) in &lock.bases {
        let place = shown(name);
        let parsed = name.parse::<BaseName>().ok();
        let key = parsed.as_ref().and_then(BaseName::lock_key);
        if key.as_ref() != Some(name) {
            return Err((place, "is no name of a base that a lock pins".to_owned()));
        }
        let checked = match base {
            LockedBase::Registry(image) => registry(image),
            LockedBase::Deb(deb) => deb_base(deb, parsed.as_ref()),
        };
        checked.map_err(|(below, problem)| (format!("{place}{below}"), problem))?;
    }
    Ok(())
}

fn registry(image: &LockedRegistry) -> Result<(), Wrong> {
    match image.reference.parse::<Reference>() {
        Ok(reference) if reference.digest.is_none() => Ok(()),
        _ => wrong(".reference", &image.reference, "HOST/REPOSITORY[:TAG]"),
    }
}

fn deb_base(deb: &LockedDeb, name: Option<&BaseName>) -> Result<(), Wrong> {
    if !is_suite(&deb.suite) {
        return wrong(".suite", &deb.suite, "the name of a suite");
    }
    if !is_runtime(&deb.set) {
        return wrong(".set", &deb.set, "the name of a set of packages");
    }
    let fits = match name {
        Some(BaseName::Short(short)) => short.runtime() == deb.set,
        Some(BaseName::Deb { suite, set, .. }) => (suite, set) == (&deb.suite, &deb.set),
        _ => false,
    };
    if !fits {
        let other = format!("deb:{}/{}", deb.suite, deb.set);
        return wrong("", &other, "the packages of another base");
    }
    names(".roots", &deb.roots)?;
    names(".os_packages", &deb.os_packages)?;
    most(deb.sources.len(), MOST_SOURCES, ".sources")?;
    for (index, found) in deb.sources.iter().enumerate() {
        let place = format!(".sources[{index}]");
        source(found).map_err(|(below, problem)| (format!("{place}{below}"), problem))?;
    }
    for (platform, found) in &deb.platforms {
        let place = format!(".platforms.{}", shown(platform));
        let architecture = match platform.parse::<Platform>() {
            Ok(parsed) if parsed.to_string() == *platform => super::deb::architecture(&parsed),
            _ => None,
        };
        let Some(architecture) = architecture else {
            return Err((place, "is no platform of Debian".to_owned()));
        };
        locked_platform(found, architecture, deb)
            .map_err(|(below, problem)| (format!("{place}{below}"), problem))?;
    }
    Ok(())
}

fn source(source: &LockedSource) -> Result<(), Wrong> {
    // The path of a mirror on this disk begins behind the third slash.
    if !is_address(&source.mirror, &["https://", "http://", "file:///"]) {
        return wrong(
            ".mirror",
            &hidden(&source.mirror),
            "an address without a login",
        );
    }
    if !is_suite(&source.suite) {
        return wrong(".suite", &source.suite, "the name of a suite");
    }
    if source.date.len() > 40 || source.date.parse::<jiff::Timestamp>().is_err() {
        return wrong(".date", &source.date, "a time as RFC 3339 writes it");
    }
    let hex = |text: &str| {
        (16..=64).contains(&text.len())
            && text
                .bytes()
                .all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c))
    };
    match source.signed_by.iter().find(|key| !hex(key)) {
        Some(key) => wrong(".signed_by", key, "a fingerprint"),
        None => Ok(()),
    }
}

fn locked_platform(
    platform: &LockedPlatform,
    architecture: &str,
    deb: &LockedDeb,
) -> Result<(), Wrong> {
    for (list, packages) in [
        (".packages", &platform.packages),
        (".os_packages", &platform.os_packages),
    ] {
        most(packages.len(), MOST_PACKAGES, list)?;
        let mut seen = BTreeSet::new();
        for found in packages {
            let place = format!("{list}.{}", shown(&found.name));
            if !seen.insert(&found.name) {
                return Err((place, "is listed twice".to_owned()));
            }
            package(found, architecture, deb)
                .map_err(|(below, problem)| (format!("{place}{below}"), problem))?;
        }
    }
    most(platform.extra.len(), MOST_LAYERS, ".extra")?;
    platform.extra.iter().try_for_each(extra)?;
    most(platform.layers.len(), MOST_LAYERS, ".layers")?;
    let mut seen = BTreeSet::new();
    for LockedLayer { name, .. } in &platform.layers {
        if !is_word(name) || !seen.insert(name) {
            return wrong(".layers", name, "the name of one layer");
        }
    }
    Ok(())
}

fn package(package: &LockedPackage, architecture: &str, deb: &LockedDeb) -> Result<(), Wrong> {
    if !is_package(&package.name) {
        return wrong(".name", &package.name, "the name of a package");
    }
    if !is_package(&package.source) {
        return wrong(".source", &package.source, "the name of a package");
    }
    if !is_version(&package.version) {
        return wrong(".version", &package.version, "a version of Debian");
    }
    if package.arch != architecture && package.arch != "all" {
        return wrong(".arch", &package.arch, "an architecture of its platform");
    }
    if package.size == 0 || package.size > LARGEST {
        return wrong(".size", &package.size.to_string(), "the size of a package");
    }
    if !is_pool_path(&package.filename) {
        return wrong(".filename", &package.filename, "a path below pool/");
    }
    let is_known = |source: &LockedSource| source.suite == package.suite;
    if !deb.sources.iter().any(is_known) {
        return wrong(".suite", &package.suite, "one of the suites of its sources");
    }
    if package.why.len() > 200 || package.why.chars().any(char::is_control) {
        return wrong(".why", &package.why, "root or the name of a package");
    }
    Ok(())
}

fn extra(file: &LockedFile) -> Result<(), Wrong> {
    let place = |key: &str| format!(".extra.{}{key}", shown(&file.name));
    let name = file.name.strip_prefix('@').unwrap_or(&file.name);
    if file.name.len() > 214 || !name.split('/').all(is_word) {
        return wrong(&place(""), &file.name, "the name of a package");
    }
    if !is_word(&file.version) {
        return wrong(&place(".version"), &file.version, "a version");
    }
    if !is_address(
        &file.url,
        &["https://", "http://127.0.0.1:", "http://localhost:"],
    ) {
        return wrong(
            &place(".url"),
            &hidden(&file.url),
            "an https address without a login",
        );
    }
    let digest = file.integrity.strip_prefix("sha512-").map(|digest| {
        let decoded = base64::engine::general_purpose::STANDARD.decode(digest);
        decoded.is_ok_and(|bytes| bytes.len() == 64)
    });
    if digest != Some(true) {
        return wrong(&place(".integrity"), &file.integrity, "a sha512 of npm");
    }
    if file.size == 0 || file.size > LARGEST {
        return wrong(&place(".size"), &file.size.to_string(), "a size");
    }
    Ok(())
}

fn names(place: &str, names: &[String]) -> Result<(), Wrong> {
    most(names.len(), MOST_PACKAGES, place)?;
    match names.iter().find(|name| !is_package(name)) {
        Some(name) => wrong(place, name, "the name of a package"),
        None => Ok(()),
    }
}

/// Debian's rule for names of packages (policy 5.6.1).
pub(super) fn is_package(text: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (2..=100).contains(&text.len())
        && text.starts_with(first)
        && text.chars().all(|c| first(c) || "+.-".contains(c))
}

/// Debian's rule for versions (policy 5.6.12), as far as it keeps them harmless.
fn is_version(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
    (1..=200).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(fits)
}

fn is_pool_path(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-~:%".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(fits);
    text.len() <= 300
        && text.starts_with("pool/")
        && Path::new(text).extension().is_some_and(|end| end == "deb")
        && text.split('/').all(part)
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (1..=100).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(fits)
}

fn is_address(text: &str, schemes: &[&str]) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !"\"'<>\\^`{|}@?#".contains(c);
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    text.len() <= 500 && text.chars().all(fits) && rest.is_some_and(|rest| !rest.starts_with('/'))
}

fn most(count: usize, limit: usize, place: &str) -> Result<(), Wrong> {
    if count <= limit {
        return Ok(());
    }
    Err((
        place.to_owned(),
        format!("has {count} entries; {limit} are allowed"),
    ))
}

fn wrong<T>(place: &str, value: &str, expected: &str) -> Result<T, Wrong> {
    Err((
        place.to_owned(),
        format!("{:?} is not {expected}", short(value)),
    ))
}

/// A text for a terminal.
fn shown(text: &str) -> String {
    short(text).escape_debug().to_string()
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
