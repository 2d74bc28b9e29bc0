//! The verified indices of a suite, with its updates and security fixes.

use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;

use super::DebContext;
use super::Expiry;
use super::closure::Universe;
use super::error::DebError;
use super::index::Index;
use super::keys::Keyring;
use super::mirror::{self, Expected, Mirror, Origin, Part};
use super::release::{Release, shown};
use super::transport::{self, Failure, Signed};
use crate::base::lock::LockedSource;
use crate::digest::{Digest, Hashing};

/// Dictionaries of xz in KiB: Debian's take 8 MiB, `xz -9` 64 MiB.
const XZ_MEMORY: u32 = 80 << 10;
/// How a rollback was noticed.
const IN_THE_LOCK: &str = "is in bases.lock";
const SEEN_HERE: &str = "was seen by this machine";

/// One suite: where it came from and what it holds.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) part: Part,
    mirror: Mirror,
    release: Release,
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
    let parts: Vec<Result<Option<Loaded>, DebError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = origins
            .iter()
            .map(|origin| scope.spawn(|| load_part(context, origin, architectures, earlier)))
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
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
        let indices: Result<Vec<_>, DebError> = architectures
            .iter()
            .map(|architecture| index(context, &suite, architecture))
            .collect();
        match indices {
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
    let seen = context
        .store
        .memo(&date_key(mirror, suite))
        .and_then(|memo| std::str::from_utf8(&memo).ok()?.parse().ok());
    match seen {
        Some(seen) => allow(release.check_order(seen, SEEN_HERE)),
        None => Ok(()),
    }
}

fn date_key(mirror: &Mirror, suite: &str) -> Digest {
    Digest::of(format!("karisimbi deb newest\n{mirror}\n{suite}").as_bytes())
}

fn remember_date(context: &DebContext<'_>, part: &Loaded) {
    let (mirror, date) = (&part.suite.mirror, part.suite.release.date);
    let what = format!("the date of {}", part.suite.name);
    let key = date_key(mirror, &part.suite.name);
    context
        .store
        .remember(&what, &key, date.to_string().as_bytes());
}

/// The index of an architecture; none when a part that only adds has none.
fn index(
    context: &DebContext<'_>,
    suite: &Suite,
    architecture: &str,
) -> Result<Option<(Digest, Arc<Index>)>, DebError> {
    let folder = format!("main/binary-{architecture}");
    let Some((digest, size)) = suite.release.file(&format!("{folder}/Packages")) else {
        if suite.part != Part::Main {
            return Ok(None);
        }
        return Err(DebError::Architecture {
            suite: suite.name.clone(),
            wanted: architecture.to_owned(),
            present: suite.release.architectures(),
        });
    };
    let key = Digest::of(format!("karisimbi deb index 1\n{digest}").as_bytes());
    let known = context
        .store
        .memo(&key)
        .and_then(|memo| Index::from_text(String::from_utf8(memo).ok()?));
    if let Some(index) = known {
        return Ok(Some((digest, Arc::new(index))));
    }
    let index = fetch_index(context, suite, architecture, (digest, size))?;
    let what = format!("the index of {} for {architecture}", suite.name);
    context.store.remember(&what, &key, index.text().as_bytes());
    Ok(Some((digest, Arc::new(index))))
}

fn fetch_index(
    context: &DebContext<'_>,
    suite: &Suite,
    architecture: &str,
    (digest, size): (Digest, u64),
) -> Result<Index, DebError> {
    let release = &suite.release;
    let name = format!("packages of {}, {architecture}", suite.name);
    let mut failure = None;
    for form in ["Packages.xz", "Packages.gz", "Packages"] {
        let below = format!("main/binary-{architecture}/{form}");
        let Some((packed, bytes)) = release.file(&below) else {
            continue;
        };
        let folder = format!("dists/{}/main/binary-{architecture}", suite.name);
        let mut paths = vec![format!("{folder}/{form}")];
        if release.by_hash {
            paths.insert(0, format!("{folder}/by-hash/SHA256/{}", packed.hex()));
        }
        for path in &paths {
            let file = Signed {
                path,
                digest: packed,
                size: bytes,
                name: &name,
            };
            match fetch_packed(context, suite, file) {
                Ok(packed) => {
                    let url = format!("{}/{path}", suite.mirror);
                    return unpack(packed, form, &url, (digest, size));
                }
                Err(Failure::Error(error)) => return Err(error),
                // A mismatch says more than an absence.
                Err(new) => match failure {
                    Some(Failure::Other { .. }) => {}
                    _ => failure = Some(new),
                },
            }
        }
    }
    let Some(failure) = failure else {
        return Err(DebError::Compression {
            suite: suite.name.clone(),
            architecture: architecture.to_owned(),
            present: release.forms(architecture),
        });
    };
    Err(failure.explain(|url| DebError::Hash {
        url,
        expected: format!("{digest}"),
        found: "not there".to_owned(),
    }))
}

/// The index as it was packed, in a file that has no name.
fn fetch_packed(
    context: &DebContext<'_>,
    suite: &Suite,
    file: Signed<'_>,
) -> Result<std::fs::File, Failure> {
    let folder = context
        .store
        .temporary_folder()
        .map_err(|error| Failure::Error(error.into()))?;
    let open = || {
        tempfile::tempfile_in(&folder).map_err(|source| DebError::Read {
            path: folder.clone(),
            source,
        })
    };
    transport::signed(context, &suite.mirror, file, open)
}

/// Reads a packed index; the digest of the unpacked bytes is known only at their end, and nothing
/// of them is used before.
fn unpack(
    mut packed: std::fs::File,
    form: &str,
    url: &str,
    (digest, size): (Digest, u64),
) -> Result<Index, DebError> {
    let bad = |error: io::Error| DebError::Index {
        url: url.to_owned(),
        problem: error.to_string(),
    };
    packed.rewind().map_err(bad)?;
    let packed = BufReader::with_capacity(1 << 16, packed);
    let reader: Box<dyn Read> = match form {
        "Packages.xz" => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY)),
        "Packages.gz" => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        _ => Box::new(packed),
    };
    // One byte more than was signed for is enough to know.
    let mut hashing = Hashing::new(reader.take(size.saturating_add(1)));
    let mut reader = BufReader::with_capacity(1 << 16, &mut hashing);
    let index = Index::read(&mut reader);
    let rest = io::copy(&mut reader, &mut io::sink());
    let (_, found, length) = hashing.finish();
    if (found, length) != (digest, size) && (index.is_ok() || length > size) {
        return Err(DebError::Hash {
            url: url.to_owned(),
            expected: format!("{digest} ({size} bytes unpacked)"),
            found: format!("{found} ({length} bytes)"),
        });
    }
    rest.map_err(bad)?;
    index.map_err(bad)
}
