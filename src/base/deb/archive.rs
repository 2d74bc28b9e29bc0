//! The verified indices of a suite, with its updates and security fixes.

use std::sync::Arc;

use super::DebContext;
use super::Expiry;
use super::closure::Universe;
use super::error::DebError;
use super::index::Index;
use super::indices::index;
use super::keys::Keyring;
use super::mirror::{self, Expected, Mirror, Origin, Part};
use super::release::{Release, shown};
use super::transport::{self, Failure};
use crate::base::lock::LockedSource;
use crate::digest::Digest;

/// How a rollback was noticed.
const IN_THE_LOCK: &str = "is in bases.lock";
const SEEN_HERE: &str = "was seen by this machine";

/// One suite: where it came from and what it holds.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) part: Part,
    pub(super) mirror: Mirror,
    pub(super) release: Release,
}

/// A suite with its indices by architecture, in the order that was asked for.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) suite: Suite,
    pub(super) indices: Vec<Option<(Digest, Arc<Index>)>>,
}

impl Loaded {
    /// As the lock keeps it.
    pub(super) fn locked(&self, architectures: &[&str]) -> LockedSource {
        let digests = architectures
            .iter()
            .zip(&self.indices)
            .filter_map(|(architecture, index)| {
                index
                    .as_ref()
                    .map(|(digest, _)| ((*architecture).to_owned(), *digest))
            })
            .collect();
        LockedSource {
            mirror: self.suite.mirror.to_string(),
            suite: self.suite.name.clone(),
            date: shown(self.suite.release.date),
            inrelease_sha256: self.suite.release.digest,
            signed_by: self.suite.release.signed_by.clone(),
            packages_sha256: digests,
        }
    }
}

/// The parts of a suite for some architectures, fetched side by side.
///
/// # Errors
/// All of the trust chain's.
pub(super) fn load(
    context: &DebContext<'_>,
    suite: &str,
    architectures: &[&str],
    earlier: &[LockedSource],
) -> Result<Vec<Loaded>, DebError> {
    let origins = mirror::origins(context.mirrors, suite)?;
    let parts = side_by_side(&origins, |origin| {
        load_part(context, origin, architectures, earlier)
    });
    let mut loaded = Vec::new();
    for part in parts {
        loaded.extend(part?);
    }
    for part in &loaded {
        remember_date(context, part);
    }
    Ok(loaded)
}

/// One thread for each item; the results in the order of the items.
fn side_by_side<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// What the indices of one architecture hold together.
pub(super) fn universe(loaded: &[Loaded], architecture: usize) -> Universe {
    let indices = loaded
        .iter()
        .filter_map(|part| {
            let (_, index) = part.indices.get(architecture)?.as_ref()?;
            Some((part.suite.name.clone(), Arc::clone(index)))
        })
        .collect();
    Universe { indices }
}

fn load_part(
    context: &DebContext<'_>,
    origin: &Origin,
    architectures: &[&str],
    earlier: &[LockedSource],
) -> Result<Option<Loaded>, DebError> {
    let mut again = false;
    loop {
        let Some(suite) = open(context, origin, earlier)? else {
            return Ok(None);
        };
        // In turn and on one thread: what unpacking one takes is free for the next.
        let indices = architectures
            .iter()
            .map(|architecture| index(context, &suite, architecture));
        match indices.collect::<Result<Vec<_>, DebError>>() {
            // The mirror may have changed between the two files: one more time from the start.
            Err(DebError::Hash { .. }) if !again => again = true,
            Err(error) => return Err(error),
            Ok(indices) => return Ok(Some(Loaded { suite, indices })),
        }
    }
}

/// The suite from the first mirror that has it; none when a part is missing that need not be.
fn open(
    context: &DebContext<'_>,
    origin: &Origin,
    earlier: &[LockedSource],
) -> Result<Option<Suite>, DebError> {
    let ring = ring(context, origin)?;
    let mut tried = Vec::new();
    let mut broken = None;
    for mirror in &origin.mirrors {
        let path = format!("dists/{}/InRelease", origin.suite);
        let url = format!("{mirror}/{path}");
        let bytes = match transport::small(context, mirror, &path) {
            Ok(bytes) => bytes,
            Err(Failure::Missing(url)) => {
                tried.push(format!("{url} is not there"));
                continue;
            }
            Err(failure) => {
                let error = failure.explain(|url| missing_suite(origin, vec![url]));
                // What one mirror can't give, the next one may; what it gives is judged below.
                tried.push(error.to_string());
                broken = Some(error);
                continue;
            }
        };
        let release = Release::read(&bytes, (&url, &origin.suite), &ring, context.now)?;
        check(context, mirror, &release, (&origin.suite, earlier))?;
        return Ok(Some(Suite {
            name: origin.suite.clone(),
            part: origin.part,
            mirror: mirror.clone(),
            release,
        }));
    }
    match broken {
        Some(error) => Err(error),
        None if origin.part == Part::Main => Err(missing_suite(origin, tried)),
        None => {
            if origin.expected == Expected::Yes {
                let what = match origin.part {
                    Part::Security => "security fixes",
                    Part::Main | Part::Updates => "updates between point releases",
                };
                let text = format!(
                    "{} is left out, so {what} are not: {}",
                    origin.suite,
                    tried.join("; ")
                );
                context.reporter.warn("BASE-PART", text);
            }
            Ok(None)
        }
    }
}

fn missing_suite(origin: &Origin, tried: Vec<String>) -> DebError {
    DebError::NoSuite {
        suite: origin.suite.clone(),
        tried,
    }
}

/// The keys that were named; else Debian's own, and for the machine's own sources those that its
/// apt names for them.
fn ring(context: &DebContext<'_>, origin: &Origin) -> Result<Keyring, DebError> {
    let mut ring = Keyring::load(&context.mirrors.keyrings)?;
    if context.mirrors.keyrings.is_empty() {
        // A keyring that apt names and that can't be read signs for nothing.
        let readable = origin.keyrings.iter().filter(|path| path.is_file());
        for path in readable {
            match Keyring::load(std::slice::from_ref(path)) {
                Ok(more) => ring.certificates.extend(more.certificates),
                Err(error) => context.reporter.warn("BASE-KEYRING", error.to_string()),
            }
        }
    }
    Ok(ring)
}

/// Neither expired nor older than what was seen before.
fn check(
    context: &DebContext<'_>,
    mirror: &Mirror,
    release: &Release,
    (suite, earlier): (&str, &[LockedSource]),
) -> Result<(), DebError> {
    let allow = |outcome: Result<(), DebError>| match (outcome, context.mirrors.expiry) {
        (Err(error), Expiry::Allow) => {
            context.reporter.warn("BASE-EXPIRED", error.to_string());
            Ok(())
        }
        (outcome, _) => outcome,
    };
    allow(release.check_time(context.now))?;
    let locked = earlier
        .iter()
        .filter(|source| source.suite == suite)
        .filter_map(|source| source.date.parse::<jiff::Timestamp>().ok())
        .map(jiff::Timestamp::as_second)
        .max();
    if let Some(locked) = locked {
        allow(release.check_order(locked, IN_THE_LOCK))?;
    }
    match newest_seen(context, mirror, suite) {
        Some(seen) => allow(release.check_order(seen, SEEN_HERE)),
        None => Ok(()),
    }
}

/// The date of the newest index that this machine has seen.
fn newest_seen(context: &DebContext<'_>, mirror: &Mirror, suite: &str) -> Option<i64> {
    let memo = context.store.memo(&date_key(mirror, suite))?;
    std::str::from_utf8(&memo).ok()?.parse().ok()
}

fn date_key(mirror: &Mirror, suite: &str) -> Digest {
    Digest::of(format!("karisimbi deb newest\n{mirror}\n{suite}").as_bytes())
}

fn remember_date(context: &DebContext<'_>, part: &Loaded) {
    let (mirror, date) = (&part.suite.mirror, part.suite.release.date);
    // An older one that was allowed must not be what counts from now on.
    if newest_seen(context, mirror, &part.suite.name).is_some_and(|seen| seen >= date) {
        return;
    }
    let what = format!("the date of {}", part.suite.name);
    let key = date_key(mirror, &part.suite.name);
    context
        .store
        .remember(&what, &key, date.to_string().as_bytes());
}
