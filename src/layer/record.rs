//! What is known of a layer without its bytes.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};

/// A pointer to stored bytes (image-spec, "Content Descriptors").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the bytes.
    pub media_type: MediaType,
    /// Digest of the bytes as stored.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Annotations; our layers carry their key here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A finished layer: everything that an image needs of it but the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Media type, digest and size of the blob.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// What lies in it.
    pub summary: LayerSummary,
}

/// The contents of a layer as the audit and the size report need them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// Bytes of the uncompressed tar.
    pub tar_size: u64,
    /// Every entry, in the order of the tar.
    pub entries: Vec<EntrySummary>,
    /// Every ELF file.
    pub elf: Vec<ElfSummary>,
    /// Bytes of file contents by package.
    pub packages: BTreeMap<String, u64>,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySummary {
    /// Path in the image, without a leading `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file, else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Target of a symbolic link (or of a hard link in foreign layers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The interpreter of a file that starts with `#!`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A file without any x bit.
    File,
    /// A file with an x bit.
    Executable,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// What an ELF file needs of the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfSummary {
    /// Path in the image, without a leading `/`.
    pub path: String,
    /// GOARCH name of its machine, or `unknown-<e_machine>`.
    pub machine: String,
    /// `PT_INTERP`, for example `/lib64/ld-linux-x86-64.so.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// `DT_NEEDED` names, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// The highest `GLIBC_x.y` that it asks for, as `x.y`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<String>,
}
