//! Reading layers that others wrote: bases, and our own when they are verified.
//!
//! Layers are hostile: headers, names, counts and the unpacked size are limited, so that memory
//! stays bounded whatever they claim.

mod guard;
mod members;

use std::cell::Cell;
use std::io::{self, BufReader, Read};

use self::guard::{Bounded, Watched};
pub(crate) use self::members::{Member, MemberKind, Members};
use super::file::unreadable;
use super::{EntryKind, EntrySummary, LayerError, LayerSummary, probe::Probe};
use crate::digest::{DiffId, Digest, Hashing};
use oci_spec::image::MediaType;

/// Bytes of a path or link target (Linux's `PATH_MAX`).
const MAX_NAME: usize = 4096;

/// Bytes of all names and link targets of a layer.
const MAX_NAMES: usize = 128 << 20;

/// Entries of a layer.
const MAX_ENTRIES: usize = 1_000_000;

/// ELF files larger than this are named, but not read: 1 GiB.
const MAX_ELF: u64 = 1 << 30;

/// What a layer is known to be; each value that is given is compared at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Digest of the blob.
    pub digest: Option<Digest>,
    /// Size of the blob.
    pub size: Option<u64>,
    /// Digest of the uncompressed tar.
    pub diff_id: Option<DiffId>,
}

/// What a layer was found to be, recomputed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob.
    pub size: u64,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Size of the uncompressed tar.
    pub tar_size: u64,
}

/// One entry of a layer that may come from anywhere.
pub struct ForeignEntry<'a> {
    /// Path without a leading `/` or `./` and without `.` components; never leaves the root.
    /// Empty for the root itself.
    pub path: String,
    /// What it is.
    pub kind: ForeignKind,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    /// Bytes of a file's contents.
    pub size: u64,
    /// The contents, none for sparse files; what is left unread is skipped.
    pub contents: &'a mut dyn Read,
}

/// The kinds of entries that layers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// A regular file.
    File,
    /// Another name of the file at this path.
    HardLink(String),
    /// A symbolic link with this target.
    Symlink(String),
    /// A directory.
    Directory,
    /// The path is deleted from the layers below (image-spec, "Whiteouts").
    Whiteout,
    /// The contents of the directory at the path are deleted from the layers below.
    Opaque,
    /// A device, a fifo, or something unknown.
    Special,
}

/// What is known of a foreign layer after one pass.
#[derive(Clone, Debug)]
pub struct ForeignSummary {
    /// Digests and sizes.
    pub identity: Identity,
    /// Its entries and ELF files; devices and fifos are left out.
    pub summary: LayerSummary,
    /// Paths that it deletes.
    pub whiteouts: Vec<String>,
    /// Directories whose earlier contents it deletes.
    pub opaque: Vec<String>,
}

/// Reads a layer to its end and shows each entry to `visit`, in the order of the tar.
///
/// # Errors
/// LAYER-TAR for anything that is not a layer of this media type within the limits, LAYER-READ
/// when the blob itself can't be read, LAYER-DIGEST when an expected value differs, and whatever
/// `visit` returns.
pub fn read_layer<R: Read>(
    blob: R,
    media_type: &MediaType,
    expected: &Expected,
    visit: &mut dyn FnMut(&mut ForeignEntry<'_>) -> Result<(), LayerError>,
) -> Result<Identity, LayerError> {
    let failed = Cell::new(false);
    let mut blob = Hashing::new(Watched {
        inner: blob,
        failed: &failed,
    });
    let unpacked = match unpack(&mut blob, media_type, visit) {
        // Not the tar is broken, but the disk or the connection that it comes from.
        Err(LayerError::Tar { source, .. }) if failed.get() => {
            let source = source.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            return Err(unreadable("a layer's blob", source));
        }
        Err(error) if !matches!(error, LayerError::Tar { .. }) => return Err(error),
        unpacked => unpacked,
    };
    io::copy(&mut blob, &mut io::sink()).map_err(|error| unreadable("a layer's blob", error))?;
    let (_, digest, size) = blob.finish();
    // Before the tar's own errors: bytes that are not the expected ones explain them.
    compare("size", expected.size, &size)?;
    compare("digest", expected.digest, &digest)?;
    let (diff_id, tar_size) = unpacked?;
    compare("diff id", expected.diff_id, &diff_id)?;
    Ok(Identity {
        digest,
        size,
        diff_id,
        tar_size,
    })
}

/// Reads a layer and sums it up.
///
/// # Errors
/// As [`read_layer`].
pub fn summarise<R: Read>(
    blob: R,
    media_type: &MediaType,
    expected: &Expected,
) -> Result<ForeignSummary, LayerError> {
    let mut summary = LayerSummary::default();
    let (mut whiteouts, mut opaque) = (Vec::new(), Vec::new());
    let identity = read_layer(blob, media_type, expected, &mut |entry| {
        match &entry.kind {
            ForeignKind::Whiteout => whiteouts.push(entry.path.clone()),
            ForeignKind::Opaque => opaque.push(entry.path.clone()),
            // Nothing is executed or linked through a device, and the root is no entry.
            ForeignKind::Special => {}
            _ if entry.path.is_empty() => {}
            _ => add(&mut summary, entry)?,
        }
        Ok(())
    })?;
    summary.tar_size = identity.tar_size;
    Ok(ForeignSummary {
        identity,
        summary,
        whiteouts,
        opaque,
    })
}

fn add(summary: &mut LayerSummary, entry: &mut ForeignEntry<'_>) -> Result<(), LayerError> {
    let file = if entry.mode & 0o111 == 0 {
        EntryKind::File
    } else {
        EntryKind::Executable
    };
    let (kind, target) = match &entry.kind {
        ForeignKind::Directory => (EntryKind::Directory, None),
        ForeignKind::Symlink(target) => (EntryKind::Symlink, Some(target.clone())),
        ForeignKind::HardLink(target) => (file, Some(target.clone())),
        _ => (file, None),
    };
    let mut script = None;
    if entry.kind == ForeignKind::File {
        let probe = look_at(entry)?;
        script = probe.script();
        summary.elf.extend(probe.elf_of_spooled(&entry.path));
    }
    summary.entries.push(EntrySummary {
        path: entry.path.clone(),
        kind,
        size: entry.size,
        target,
        script,
    });
    Ok(())
}

/// Reads the head of a file, and all of it when it is an ELF file.
fn look_at(entry: &mut ForeignEntry<'_>) -> Result<Probe, LayerError> {
    let mut probe = Probe::of_stream();
    let mut buffer = [0; 16 << 10];
    let mut count = entry
        .contents
        .read(&mut buffer[..Probe::HEAD])
        .map_err(broken)?;
    while count > 0 {
        probe
            .see(&buffer[..count])
            .map_err(|source| LayerError::Write { source })?;
        if probe.is_satisfied() || entry.size > MAX_ELF {
            break;
        }
        count = entry.contents.read(&mut buffer).map_err(broken)?;
    }
    Ok(probe)
}

fn unpack<R: Read>(
    blob: &mut R,
    media_type: &MediaType,
    visit: &mut dyn FnMut(&mut ForeignEntry<'_>) -> Result<(), LayerError>,
) -> Result<(DiffId, u64), LayerError> {
    let mut members = Members::new(Hashing::new(Bounded::new(decoder(blob, media_type)?)));
    let (mut count, mut names) = (0, 0);
    while let Some(member) = members.next().map_err(broken)? {
        let (path, kind) = name(&member)?;
        count += 1;
        names += path.len() + member.link.len();
        if count > MAX_ENTRIES || names > MAX_NAMES {
            return Err(damaged("it has too many entries or names"));
        }
        visit(&mut ForeignEntry {
            path,
            kind,
            mode: member.mode,
            size: member.size,
            contents: &mut members,
        })?;
    }
    // What follows the archive belongs to the diff id, too.
    let (_, digest, length) = members.finish().map_err(broken)?.finish();
    Ok((DiffId(digest), length))
}

fn decoder<'a, R: Read>(
    blob: &'a mut R,
    media_type: &MediaType,
) -> Result<Box<dyn Read + 'a>, LayerError> {
    let name = media_type.to_string();
    let blob = BufReader::with_capacity(64 << 10, blob);
    Ok(match name.rsplit(['.', '+']).next() {
        // A decoder of one member would end early without a word.
        Some("gzip") => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        // Windows are limited to 128 MiB, the decoder's default.
        Some("zstd") => Box::new(zstd::Decoder::with_buffer(blob).map_err(broken)?),
        Some("tar") => Box::new(blob),
        _ => return Err(damaged(&format!("its media type {name} is unknown"))),
    })
}

fn name(member: &Member) -> Result<(String, ForeignKind), LayerError> {
    let path = inside(&member.path)?;
    let kind = match member.kind {
        MemberKind::File => ForeignKind::File,
        MemberKind::HardLink => ForeignKind::HardLink(inside(&member.link)?),
        MemberKind::Symlink if member.link.len() > MAX_NAME => {
            return Err(damaged("it has a link target above 4096 bytes"));
        }
        MemberKind::Symlink => {
            ForeignKind::Symlink(String::from_utf8_lossy(&member.link).into_owned())
        }
        MemberKind::Directory => ForeignKind::Directory,
        MemberKind::Other => ForeignKind::Special,
    };
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", &path));
    let Some(deleted) = last.strip_prefix(".wh.") else {
        return Ok((path, kind));
    };
    Ok(match deleted {
        ".wh..opq" => (parent.to_owned(), ForeignKind::Opaque),
        // aufs keeps its own files under such names; they are no part of an image.
        _ if deleted.is_empty() || deleted.starts_with(".wh.") => (path, ForeignKind::Special),
        _ if parent.is_empty() => (deleted.to_owned(), ForeignKind::Whiteout),
        _ => (format!("{parent}/{deleted}"), ForeignKind::Whiteout),
    })
}

/// A path as the image has it; one that leaves the root is refused.
fn inside(path: &[u8]) -> Result<String, LayerError> {
    let shown = || super::entry::escape(path);
    if path.len() > MAX_NAME || path.contains(&0) {
        return Err(damaged(&format!(
            "the path \"{}\" is too long or holds a NUL byte",
            shown()
        )));
    }
    let path = String::from_utf8_lossy(path);
    let components: Vec<&str> = path
        .split('/')
        .filter(|component| !matches!(*component, "" | "."))
        .collect();
    if components.contains(&"..") {
        return Err(damaged(&format!(
            "the path \"{}\" has a .. component",
            shown()
        )));
    }
    Ok(components.join("/"))
}

fn compare<T: PartialEq + ToString>(
    what: &'static str,
    expected: Option<T>,
    found: &T,
) -> Result<(), LayerError> {
    match expected {
        Some(expected) if expected != *found => Err(LayerError::Digest {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }),
        _ => Ok(()),
    }
}

fn broken(source: io::Error) -> LayerError {
    LayerError::Tar {
        what: source.to_string(),
        source: Some(source),
    }
}

fn damaged(what: &str) -> LayerError {
    LayerError::Tar {
        what: what.to_owned(),
        source: None,
    }
}

impl std::fmt::Debug for ForeignEntry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignEntry")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .field("mode", &self.mode)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
