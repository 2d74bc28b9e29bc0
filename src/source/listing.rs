//! The canonical listing of a selection of a tree: what a [`TreeDigest`](crate::layer::TreeDigest)
//! is the SHA-256 of.
//!
//! ```text
//! karisimbi tree 1
//! f 3b5d… 11 cmd/main.go
//! x 9f86… 6 run.sh
//! l 2c26… 7 current
//! ```
//! After the first line, one line for each member, sorted by path bytes: `f` (a file without
//! any x bit), `x` (with one) or `l` (a symbolic link); 64 hex digits of the SHA-256 of the
//! file's bytes or of the link's target; the number of bytes of the path; the path; a newline.
//! The number makes it unambiguous for any name. Folders, times, owners and other mode bits
//! are not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::{TreeFile, TreeKind};

const HEAD: &str = "karisimbi tree 1\n";
/// Bytes of a line beside its path, of at most 4095 bytes.
const MOST: usize = "f ".len() + 64 + " 4095 \n".len();

/// A path that differs between two listings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeChange {
    /// Path below the root.
    pub path: String,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is gone.
    Removed,
    /// Its contents, its x bit or its kind are others.
    Changed,
}

impl ChangeKind {
    /// The word as printed after a path.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "is new",
            Self::Removed => "is gone",
            Self::Changed => "changed",
        }
    }
}

/// The canonical listing of these members, in any order.
pub fn listing(members: &[&TreeFile]) -> Vec<u8> {
    let mut sorted = members.to_vec();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    sorted.dedup_by(|a, b| a.path == b.path);
    let lengths = sorted
        .iter()
        .map(|member| member.path.as_str().len() + MOST);
    let mut text = String::with_capacity(HEAD.len() + lengths.sum::<usize>());
    text.push_str(HEAD);
    for member in sorted {
        let kind = match member.kind {
            TreeKind::File(_) => 'f',
            TreeKind::Executable(_) => 'x',
            TreeKind::Symlink(_) => 'l',
        };
        let path = member.path.as_str();
        text.extend([kind, ' ']);
        member.digest.write_hex(&mut text);
        // Writing to a String can't fail.
        let _infallible = writeln!(text, " {} {path}", path.len());
    }
    text.into_bytes()
}

/// What differs between two listings, sorted by path: the reason that `--explain` gives.
/// Bytes that are no listing count as an empty one.
pub fn changes(before: &[u8], now: &[u8]) -> Vec<TreeChange> {
    let before = parse(before).unwrap_or_default();
    let now = parse(now).unwrap_or_default();
    let paths: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let kind = match (before.get(path), now.get(path)) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Removed,
                (Some(before), Some(now)) if before != now => ChangeKind::Changed,
                _ => return None,
            };
            Some(TreeChange {
                path: path.to_owned(),
                kind,
            })
        })
        .collect()
}

/// Path → kind and digest.
fn parse(listing: &[u8]) -> Option<BTreeMap<&str, &str>> {
    let mut rest = std::str::from_utf8(listing.strip_prefix(HEAD.as_bytes())?).ok()?;
    let mut members = BTreeMap::new();
    while !rest.is_empty() {
        let (content, after) = rest.split_at_checked("f ".len() + 64)?;
        let (length, after) = after.strip_prefix(' ')?.split_once(' ')?;
        let (path, after) = after.split_at_checked(length.parse().ok()?)?;
        rest = after.strip_prefix('\n')?;
        members.insert(path, content);
    }
    Some(members)
}
