//! Indices of packages: fetched packed, checked unpacked, kept in their compact form.

use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;

use super::DebContext;
use super::archive::Suite;
use super::error::DebError;
use super::index::Index;
use super::mirror::Part;
use super::transport::{self, Failure, Signed};
use crate::digest::{Digest, Hashing};

/// Dictionaries of xz in KiB: Debian's take 8 MiB, `xz -9` 64 MiB.
const XZ_MEMORY: u32 = 80 << 10;
/// The index of an architecture; none when a part that only adds has none.
pub(super) fn index(
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
