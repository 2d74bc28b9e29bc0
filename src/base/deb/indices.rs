//! Indices of packages: fetched packed, checked unpacked, kept in their compact form.

use std::io::{self, BufReader, BufWriter, Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::DebContext;
use super::archive::Suite;
use super::error::DebError;
use super::index::{Draft, Index};
use super::mirror::Part;
use super::transport::{self, Failure, Signed};
use crate::digest::{Digest, Hashing};

/// Dictionaries of xz in KiB: Debian's take 8 MiB, `xz -9` 64 MiB.
const XZ_MEMORY: u32 = 80 << 10;
/// Held by the index that is being unpacked.
static UNPACKING: Mutex<()> = Mutex::new(());

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
    let key = Digest::of(format!("karisimbi deb index 2\n{digest}").as_bytes());
    let known = context
        .store
        .memo(&key)
        .and_then(|memo| serde_json::from_slice(&memo).ok());
    if let Some(known) = known
        && let Some(index) = open(context, &known)?
    {
        return Ok(Some((digest, Arc::new(index))));
    }
    let kept = fetch_index(context, suite, architecture, (digest, size))?;
    let index = open(context, &kept)?.ok_or_else(|| DebError::Index {
        url: format!("{} for {architecture}", suite.name),
        problem: "it vanished from the cache".to_owned(),
    })?;
    if let Ok(memo) = serde_json::to_vec(&kept) {
        let what = format!("the index of {} for {architecture}", suite.name);
        context.store.remember_input(&what, &key, &memo);
    }
    Ok(Some((digest, Arc::new(index))))
}

/// The blob of an index in its compact form.
#[derive(Serialize, Deserialize)]
struct Kept {
    blob: Digest,
    size: u64,
    middle: u64,
}

fn open(context: &DebContext<'_>, kept: &Kept) -> Result<Option<Index>, DebError> {
    let Some(path) = context.store.blob(&kept.blob, kept.size) else {
        return Ok(None);
    };
    let file = fs_err::File::open(&path).map(fs_err::File::into_file);
    let index = file.and_then(|file| Index::open(file, kept.middle));
    match index {
        Ok(index) => Ok(Some(index)),
        Err(source) => Err(DebError::Read { path, source }),
    }
}

fn keep(context: &DebContext<'_>, draft: Draft) -> Result<Kept, DebError> {
    let blob = context.store.blob_writer()?;
    let mut out = BufWriter::with_capacity(1 << 16, Hashing::new(blob));
    let middle = draft.write(&mut out);
    let failed = |source| DebError::from(context.store.explain_write(source, 0));
    let middle = middle.map_err(failed)?;
    let out = out.into_inner();
    let out = out.map_err(|error| failed(error.into_error()))?;
    let (writer, blob, size) = out.finish();
    context.store.commit_input(writer, &blob)?;
    Ok(Kept { blob, size, middle })
}

fn fetch_index(
    context: &DebContext<'_>,
    suite: &Suite,
    architecture: &str,
    (digest, size): (Digest, u64),
) -> Result<Kept, DebError> {
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
                    // One at a time: a dictionary of xz and the keys of an index take 16 MB.
                    let _alone = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
                    let lines = temporary(context)?;
                    let draft = unpack(context, (packed, lines), (form, &url), (digest, size))?;
                    return keep(context, draft);
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
    transport::signed(context, &suite.mirror, file, || temporary(context))
}

fn temporary(context: &DebContext<'_>) -> Result<std::fs::File, DebError> {
    let folder = context.store.temporary_folder()?;
    tempfile::tempfile_in(&folder).map_err(|source| DebError::Read {
        path: folder,
        source,
    })
}

/// Reads a packed index; the digest of the unpacked bytes is known only at their end, and nothing
/// of them is used before.
fn unpack(
    context: &DebContext<'_>,
    (mut packed, lines): (std::fs::File, std::fs::File),
    (form, url): (&str, &str),
    (digest, size): (Digest, u64),
) -> Result<Draft, DebError> {
    let bad = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            context.store.explain_write(error, 0).into()
        }
        _ => DebError::Index {
            url: url.to_owned(),
            problem: error.to_string(),
        },
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
    let index = Draft::read(&mut reader, lines);
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
