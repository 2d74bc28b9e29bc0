//! Files of the npm registry, by their integrity: the runtime of Node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::DebContext;
use super::error::DebError;
use super::version;
use crate::base::lock::LockedFile;
use crate::digest::Digest;
use crate::net::{Cleartext, Download, DownloadError, Net, plain_words};

/// Where packages of npm come from.
pub const NPM_REGISTRY: &str = "https://registry.npmjs.org/";
/// Abbreviated metadata: without descriptions and readmes.
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json";
const METADATA_LIMIT: u64 = 64 << 20;
/// Node itself has 60 MB packed.
const FILE_LIMIT: u64 = 1 << 30;

#[derive(Deserialize)]
struct Packument {
    versions: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// Under which digest the store keeps what has an integrity.
#[derive(Serialize, Deserialize)]
struct Kept {
    digest: Digest,
    size: u64,
}

/// The versions of a package, lowest first.
///
/// # Errors
/// BASE-NPM, BASE-OFFLINE; those of the network.
pub fn npm_versions(name: &str, context: &DebContext<'_>) -> Result<Vec<String>, DebError> {
    let mut versions: Vec<String> = packument(name, context)?.versions.into_keys().collect();
    // A pre-release comes before its release, as Debian writes it.
    versions.sort_by(|a, b| version::compare(&a.replace('-', "~"), &b.replace('-', "~")));
    Ok(versions)
}

/// One version of a package with its integrity; its file is in the store afterwards.
///
/// # Errors
/// BASE-NPM, BASE-OFFLINE; those of the network and the store.
pub fn lock_npm(
    name: &str,
    version: &str,
    context: &DebContext<'_>,
) -> Result<LockedFile, DebError> {
    let mut packument = packument(name, context)?;
    let bad = |problem: &str| DebError::Npm {
        what: format!("{name} {version} of {NPM_REGISTRY}"),
        problem: problem.to_owned(),
    };
    let Some(found) = packument.versions.remove(version) else {
        let mut present: Vec<String> = packument.versions.into_keys().collect();
        present.sort_by(|a, b| version::compare(b, a));
        present.truncate(8);
        return Err(DebError::NpmVersion {
            name: name.to_owned(),
            version: version.to_owned(),
            present,
        });
    };
    let integrity = found
        .dist
        .integrity
        .ok_or_else(|| bad("it has no integrity"))?;
    // Several may be listed; the strongest one decides.
    let integrity = integrity
        .split_ascii_whitespace()
        .find(|one| one.starts_with("sha512-"))
        .ok_or_else(|| bad("its integrity is not sha512"))?;
    let mut file = LockedFile {
        name: name.to_owned(),
        version: version.to_owned(),
        url: found.dist.tarball,
        integrity: integrity.to_owned(),
        size: 0,
    };
    let (_, size) = obtain(&file, FILE_LIMIT, context)?;
    file.size = size;
    Ok(file)
}

/// A locked file, from the store or its address.
///
/// # Errors
/// BASE-NPM, BASE-HASH, BASE-OFFLINE; those of the network and the store.
pub fn fetch_file(file: &LockedFile, context: &DebContext<'_>) -> Result<PathBuf, DebError> {
    let (path, size) = obtain(file, file.size, context)?;
    if size == file.size {
        return Ok(path);
    }
    Err(DebError::Hash {
        url: plain_words(&file.url),
        expected: format!("{} bytes", file.size),
        found: format!("{size} bytes"),
    })
}

fn obtain(
    file: &LockedFile,
    limit: u64,
    context: &DebContext<'_>,
) -> Result<(PathBuf, u64), DebError> {
    let what = plain_words(&format!("{} {}", file.name, file.version));
    let key = Digest::of(format!("karisimbi integrity\n{}", file.integrity).as_bytes());
    let kept = context
        .store
        .memo(&key)
        .and_then(|memo| serde_json::from_slice::<Kept>(&memo).ok());
    if let Some(Kept { digest, size }) = kept
        && let Some(path) = context.store.blob(&digest, size)
    {
        return Ok((path, size));
    }
    let url: Url = file.url.parse().map_err(|error: url::ParseError| {
        let problem = format!("its address is none: {error}");
        DebError::Npm {
            what: what.clone(),
            problem,
        }
    })?;
    let download = Download {
        url,
        name: &what,
        limit,
        cleartext: Cleartext::Refused,
        accept: "",
        login: None,
    };
    let (store, reporter) = (context.store, context.reporter);
    let done = online(context, &what)?.download_blob(&download, &file.integrity, store, reporter);
    let (path, digest, size) = done.map_err(|error| match error {
        DownloadError::Mismatch {
            url,
            expected,
            found,
        } => DebError::Hash {
            url,
            expected,
            found,
        },
        DownloadError::TooLarge { url, limit } => DebError::Hash {
            url,
            expected: format!("{limit} bytes"),
            found: "longer".to_owned(),
        },
        error => failed(&what, error),
    })?;
    if let Ok(memo) = serde_json::to_vec(&Kept { digest, size }) {
        store.remember_input(&what, &key, &memo);
    }
    Ok((path, size))
}

fn packument(name: &str, context: &DebContext<'_>) -> Result<Packument, DebError> {
    let what = format!("{name} of {NPM_REGISTRY}");
    let bad = |problem: String| DebError::Npm {
        what: what.clone(),
        problem,
    };
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"@/-_.".contains(&c);
    if name.is_empty() || !name.bytes().all(plain) || name.contains("..") {
        return Err(bad("it is no name of a package".to_owned()));
    }
    // A scope's slash is part of the name.
    let url = format!("{NPM_REGISTRY}{}", name.replace('/', "%2f"));
    let url: Url = url
        .parse()
        .map_err(|error: url::ParseError| bad(error.to_string()))?;
    let download = Download {
        url,
        name: &what,
        limit: METADATA_LIMIT,
        cleartext: Cleartext::Refused,
        accept: ABBREVIATED,
        login: None,
    };
    let bytes = online(context, &what)?
        .download(&download, || Ok(Vec::new()), context.reporter)
        .map_err(|error| failed(&what, error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("its metadata can't be read: {error}")))
}

fn online<'a>(context: &DebContext<'a>, what: &str) -> Result<&'a Net, DebError> {
    context.net.ok_or_else(|| DebError::Offline {
        what: what.to_owned(),
    })
}

fn failed(what: &str, error: DownloadError) -> DebError {
    DebError::Download {
        what: format!("{what} can't be fetched"),
        source: Box::new(error),
    }
}
