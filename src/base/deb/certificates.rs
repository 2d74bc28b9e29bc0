//! The bundle of certificate authorities, from the pieces of Debian's package.

use std::io::Read as _;

use super::AssembleError;
use super::merge::{Tree, file, open};
use crate::base::embedded::CA_BUNDLE;
use crate::base::pem::MAX_BUNDLE;
use crate::layer::Node;

/// Where Debian's package `ca-certificates` keeps its certificates, one to a file.
const PIECES: &str = "usr/share/ca-certificates/";

/// What is of no use once the bundle exists.
const TOOLS: [&str; 3] = [
    "usr/share/ca-certificates",
    "usr/sbin/update-ca",
    "etc/ca-cert",
];

/// Makes the bundle that `update-ca-certificates` would make, and removes its pieces.
///
/// # Errors
/// BASE-DISK; BASE-DEB when the pieces are too large.
pub(super) fn bundle(tree: &mut Tree) -> Result<(), AssembleError> {
    let mut bundle = Vec::new();
    for entry in tree.entries() {
        let path = entry.path.as_str();
        let Node::File { content, .. } = &entry.node else {
            continue;
        };
        if !path.starts_with(PIECES) || path.rsplit_once('.').is_none_or(|(_, end)| end != "crt") {
            continue;
        }
        let left = MAX_BUNDLE.saturating_sub(bundle.len() as u64);
        open(content, |reader| reader.take(left).read_to_end(&mut bundle))
            .and_then(std::convert::identity)
            .map_err(AssembleError::disk)?;
        if bundle.len() as u64 >= MAX_BUNDLE {
            let what = "its certificates have more than 16 MiB";
            return Err(AssembleError::damaged("ca-certificates", what));
        }
        while bundle.last() == Some(&b'\n') {
            bundle.pop();
        }
        bundle.push(b'\n');
    }
    for start in TOOLS {
        tree.remove_starting(start);
    }
    if !bundle.is_empty() {
        tree.put(CA_BUNDLE, file(bundle))?;
    }
    Ok(())
}
