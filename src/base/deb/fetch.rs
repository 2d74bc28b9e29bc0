//! Locked packages → files of the store. The lock's digests decide; where the bytes come from
//! does not matter.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::archive;
use super::error::DebError;
use super::mirror::{self, Mirror};
use super::stanzas::{check_names, check_path};
use super::transport::{self, Failure, Signed};
use super::{DebContext, FetchedDeb, apt};
use crate::base::lock::{LockedPackage, LockedSource};

/// Files that are fetched at once.
const AT_ONCE: usize = 4;
/// Rounds over the mirrors when one of them gave other bytes.
const ROUNDS: usize = 2;

/// The .deb files of locked packages, in their order. What is in the store is not fetched again,
/// so that this works offline; the machine's own mirrors are asked before the lock's.
///
/// # Errors
/// BASE-404, BASE-HASH, BASE-OFFLINE; those of the network and the store.
pub fn fetch(
    packages: &[LockedPackage],
    sources: &[LockedSource],
    context: &DebContext<'_>,
) -> Result<Vec<FetchedDeb>, DebError> {
    for package in packages {
        check(package)?;
    }
    fetch_by_apt(packages, sources, context);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Relaxed);
            let Some(package) = packages.get(index) else {
                return done;
            };
            done.push((index, fetch_one(package, sources, context)));
        }
    };
    let mut done: Vec<(usize, Result<PathBuf, Failed>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(packages.len()))
            .map(|_| scope.spawn(work))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let mut fetched = Vec::new();
    let mut vanished = Vec::new();
    for (package, (_, outcome)) in packages.iter().zip(done) {
        match outcome {
            Ok(path) => fetched.push(FetchedDeb {
                package: package.clone(),
                path,
            }),
            Err(Failed::Vanished(tried)) => vanished.push((package, tried)),
            Err(Failed::Error(error)) => return Err(error),
        }
    }
    match vanished.as_slice() {
        [] => Ok(fetched),
        [(package, tried), more @ ..] => {
            let newer = newer_version(package, packages, sources, context);
            let more: Vec<&str> = more.iter().map(|(other, _)| other.name.as_str()).collect();
            Err(DebError::Vanished {
                package: format!("{} {} ({})", package.name, package.version, package.arch),
                tried: tried.join(", "),
                newer,
                more: match more.as_slice() {
                    [] => String::new(),
                    more => format!("; neither are {}", more.join(", ")),
                },
            })
        }
    }
}

/// A lock is written by whoever writes the repository: what it says is shown and asked for.
fn check(package: &LockedPackage) -> Result<(), DebError> {
    check_names(&package.name, &package.version, &package.arch)
        .and_then(|()| check_path(&package.filename))
        .map_err(|problem| DebError::Index {
            url: format!("the locked package {:.80?}", package.name),
            problem,
        })
}

/// The missing files in one call of apt, from the first mirror of each.
fn fetch_by_apt(packages: &[LockedPackage], sources: &[LockedSource], context: &DebContext<'_>) {
    let (Some(helper), Some(_online)) = (&context.mirrors.apt_helper, context.net) else {
        return;
    };
    let missing = packages
        .iter()
        .filter(|package| context.store.blob(&package.sha256, package.size).is_none());
    let files: Vec<_> = missing
        .filter_map(|package| {
            let mirror = mirrors(package, sources, context)
                .ok()?
                .into_iter()
                .next()?;
            let remote = !mirror.is_local() && mirror.login().is_none();
            remote.then(|| (mirror.url(&package.filename), signed(package)))
        })
        .collect();
    apt::many(context, helper, &files);
}

fn signed(package: &LockedPackage) -> Signed<'_> {
    Signed {
        path: &package.filename,
        digest: package.sha256,
        size: package.size,
        name: &package.name,
    }
}

enum Failed {
    Vanished(Vec<String>),
    Error(DebError),
}

impl From<DebError> for Failed {
    fn from(error: DebError) -> Self {
        Self::Error(error)
    }
}

fn fetch_one(
    package: &LockedPackage,
    sources: &[LockedSource],
    context: &DebContext<'_>,
) -> Result<PathBuf, Failed> {
    if let Some(path) = context.store.blob(&package.sha256, package.size) {
        return Ok(path);
    }
    let mirrors = mirrors(package, sources, context)?;
    let file = signed(package);
    let mut absent = Vec::new();
    let mut failure = None;
    for _ in 0..ROUNDS {
        absent.clear();
        for mirror in &mirrors {
            let open = || Ok(context.store.blob_writer()?);
            match transport::signed(context, mirror, file, open) {
                Ok(blob) => {
                    let kept = context.store.commit_input(blob, &package.sha256);
                    return Ok(kept.map_err(DebError::from)?);
                }
                Err(Failure::Missing(url)) => absent.push(url),
                Err(new) => failure = Some(new),
            }
        }
        if !matches!(failure, Some(Failure::Other { .. })) {
            break;
        }
    }
    match failure {
        Some(failure) => Err(failure.explain(|what| DebError::Offline { what }).into()),
        None => Err(Failed::Vanished(absent)),
    }
}

/// The machine's mirrors of the package's suite, then the one of the lock.
fn mirrors(
    package: &LockedPackage,
    sources: &[LockedSource],
    context: &DebContext<'_>,
) -> Result<Vec<Mirror>, DebError> {
    let release = release_of(&package.suite);
    let mut mirrors = Vec::new();
    let none = match mirror::origins(context.mirrors, release) {
        Ok(origins) => {
            let own = origins.into_iter().find(|o| o.suite == package.suite);
            mirrors.extend(own.into_iter().flat_map(|origin| origin.mirrors));
            None
        }
        Err(error @ DebError::NoMirror { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    for source in sources.iter().filter(|s| s.suite == package.suite) {
        let mirror = Mirror::parse(&source.mirror)?;
        // A lock may not have this machine read its own files.
        if !mirrors.contains(&mirror) && !mirror.is_local() {
            mirrors.push(mirror);
        }
    }
    match none {
        Some(error) if mirrors.is_empty() => Err(error),
        _ => Ok(mirrors),
    }
}

/// `trixie` of `trixie-security`.
fn release_of(suite: &str) -> &str {
    suite
        .strip_suffix("-security")
        .or_else(|| suite.strip_suffix("-updates"))
        .unwrap_or(suite)
}

/// What the message about a vanished package says of the present one.
fn newer_version(
    package: &LockedPackage,
    packages: &[LockedPackage],
    sources: &[LockedSource],
    context: &DebContext<'_>,
) -> String {
    let architecture = packages
        .iter()
        .chain([package])
        .map(|one| one.arch.as_str())
        .find(|arch| *arch != "all")
        .unwrap_or("amd64");
    let release = release_of(&package.suite);
    let newest = archive::load(context, release, &[architecture], sources).and_then(|loaded| {
        let universe = archive::universe(&loaded, 0);
        let newest = universe.get(&package.name)?;
        Ok(newest.map(|(suite, entry)| (suite.to_owned(), entry.version)))
    });
    match newest {
        Ok(Some((suite, version))) => format!("; {suite} has {version} now"),
        Ok(None) => format!("; {release} has no such package any more"),
        Err(error) => format!("; what {release} has now is not known: {error}"),
    }
}
