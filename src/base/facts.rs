//! What a base's layers say about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::layer::EntrySummary;

/// Facts of a base, detected from its layers once and cached by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFacts {
    /// The merged tree: path → entry (symlinks with their targets).
    pub entries: BTreeMap<String, EntrySummary>,
    /// User names by numeric id, from etc/passwd.
    pub users: BTreeMap<u32, String>,
    /// The C library: `glibc 2.41`, `musl 1.2.5`; none on static bases.
    pub libc: Option<String>,
}
