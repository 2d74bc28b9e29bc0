//! Layers above the base whose bytes depend on it: a build on another base may write others.

use std::collections::BTreeSet;

use super::fit::refused;
use crate::base::{Base, BaseFacts};
use crate::digest::DiffId;
use crate::image::{Finding, Layer, Parts};
use crate::layer::entry::escape;
use crate::layer::{EntryKind, EntrySummary, LayerSummary};

/// The base's bundle of authorities with those of `ca_certs`.
const CA_CERTIFICATES: &str = "ca-certificates";
/// `os_packages`: what they need beyond the base.
const OS_PACKAGES: &str = "os-packages";
/// Files of the source with exactly the folders that the base lacks (docs/guides/files.md).
const FILES: &str = "files";

/// Whether a layer has this name: histories say `karisimbi RECIPE: NAME`.
fn is(layer: &Layer, name: &str) -> bool {
    let named = layer.history.rsplit_once(": ");
    named.is_some_and(|(_, found)| found == name)
}

/// Whether an image has a layer of files.
pub(super) fn has_files(parts: &Parts) -> bool {
    parts.layers.iter().any(|layer| is(layer, FILES))
}

/// Layers that were made of the old base's own files; `base` is the new one.
pub(super) fn made_of_base(
    parts: &Parts,
    old: &BaseFacts,
    base: &Base,
    new: &BaseFacts,
) -> Vec<Finding> {
    let has = |name| parts.layers.iter().any(|layer| is(layer, name));
    // Node is told where they are, by a variable that only bases with Node get.
    let same = old.authorities == new.authorities && old.node.is_some() == new.node.is_some();
    let mut findings = Vec::new();
    if has(CA_CERTIFICATES) && !same {
        let text = "its layer of certificate authorities has those of the old base, and the new \
                    base has others";
        findings.push(refused("REBASE-CA", text.to_owned()));
    }
    let contents =
        |base: &Base| -> Vec<DiffId> { base.layers.iter().map(|layer| layer.diff_id).collect() };
    if has(OS_PACKAGES) && contents(&parts.base) != contents(base) {
        let text = "its layer of os_packages was chosen for the packages of the old base";
        findings.push(refused("REBASE-PACKAGES", text.to_owned()));
    }
    findings
}

/// Folders that a layer of files brings or leaves to its base, where the new base differs.
pub(super) fn folders(new: &BaseFacts, layers: &[(&Layer, &LayerSummary)]) -> Vec<Finding> {
    let followers = layers.iter().filter(|(layer, _)| is(layer, FILES));
    let mut differing = BTreeSet::new();
    for (_, summary) in followers {
        let (folders, files): (Vec<&EntrySummary>, Vec<_>) = summary
            .entries
            .iter()
            .partition(|entry| entry.kind == EntryKind::Directory);
        let brought: BTreeSet<&str> = folders.iter().map(|entry| entry.path.as_str()).collect();
        let parents = files.iter().flat_map(|entry| {
            let slashes = entry.path.match_indices('/').map(|(index, _)| index);
            slashes.map(|end| &entry.path[..end])
        });
        let has = |path: &str| {
            let entry = new.entries.get(path);
            entry.is_some_and(|entry| entry.kind == EntryKind::Directory)
        };
        differing.extend(parents.filter(|path| has(path) == brought.contains(path)));
    }
    let finding = |path: &str| {
        let verb = if new.entries.contains_key(path) {
            "has"
        } else {
            "lacks"
        };
        let path = escape(path.as_bytes());
        let text = format!("the new base {verb} the folder /{path}, unlike the old one");
        refused("REBASE-FOLDER", text)
    };
    differing.into_iter().map(finding).collect()
}
