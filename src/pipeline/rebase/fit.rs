//! Would a build on the new base have made the same layers, and will they run there?

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::own;
use crate::base::BaseFacts;
use crate::image::links::follow;
use crate::image::target::{LibcKind, Node, Python, RuntimeConfig, version_numbers};
use crate::image::{Finding, Parts, Severity};
use crate::layer::entry::escape;
use crate::layer::{EntryKind, EntrySummary, LayerSummary};
use crate::source::is_under;

/// Whether the layers of the image have to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Something that they may need is another in the new base.
    Always,
    /// Only when that costs no transfer.
    IfHere,
}

const REBUILD: &str = "build it again from its source: karisimbi build --base NAME";

pub(super) fn refused(code: &'static str, text: String) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        text,
        hint: REBUILD.to_owned(),
    }
}

/// Changes of what layers are built for: C library, Python, Node.
pub(super) fn runtimes(old: &BaseFacts, new: &BaseFacts) -> Vec<Finding> {
    [libc(old, new), python(old, new), node(old, new)]
        .into_iter()
        .flatten()
        .collect()
}

fn libc(old: &BaseFacts, new: &BaseFacts) -> Option<Finding> {
    let kind = |facts: &BaseFacts| facts.libc.as_ref().map(|libc| libc.kind);
    // Without one, what is dynamic is found by its loader.
    let (old, new) = kind(old).zip(kind(new)).filter(|(old, new)| old != new)?;
    let text = format!(
        "the image is built on {}, the new base has {}",
        LibcKind::name(old),
        LibcKind::name(new)
    );
    Some(refused("REBASE-LIBC", text))
}

fn python(old: &BaseFacts, new: &BaseFacts) -> Option<Finding> {
    let old = old.python.as_ref()?;
    // Links of virtual environments and `.pyc` files name these; a patch release changes none.
    let built_for = |python: &Python| {
        let Python {
            minor,
            path,
            prefix,
            packages,
            version: _,
        } = python.clone();
        (minor, path, prefix, packages)
    };
    let shown = |python: &Python| {
        format!(
            "Python {} at {}",
            python.minor,
            escape(python.path.as_bytes())
        )
    };
    match &new.python {
        Some(new) if built_for(new) == built_for(old) => None,
        new => Some(refused(
            "REBASE-PYTHON",
            format!(
                "the image is built on {}, the new base has {}",
                shown(old),
                new.as_ref().map_or_else(|| "no Python".to_owned(), shown)
            ),
        )),
    }
}

fn node(old: &BaseFacts, new: &BaseFacts) -> Option<Finding> {
    let old = old.node.as_ref()?;
    let shown = |node: &Node| {
        let path = escape(node.path.as_bytes());
        format!("Node {} (ABI {}) at {path}", node.version, node.abi)
    };
    match &new.node {
        Some(new) if (new.abi, &new.path) == (old.abi, &old.path) => None,
        new => Some(refused(
            "REBASE-NODE",
            format!(
                "the image is built on {}, the new base has {}",
                shown(old),
                new.as_ref().map_or_else(|| "no Node".to_owned(), shown)
            ),
        )),
    }
}

/// Paths that the old base's links decided: a build on the new base would put them elsewhere.
/// Links of the new base that they cross are the audit's.
pub(super) fn links(old: &BaseFacts, new: &BaseFacts, layers: &[&LayerSummary]) -> Vec<Finding> {
    let entries = layers.iter().flat_map(|layer| &layer.entries);
    let ours: BTreeSet<&str> = entries.map(|entry| entry.path.as_str()).collect();
    let below = |folder: &str| {
        let start = format!("{folder}/");
        let mut from = ours.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        let first = from.next().copied();
        first.filter(|path| path.starts_with(&start))
    };
    let after = folder_links(new);
    let lost = folder_links(old)
        .into_iter()
        .filter(|(link, folder)| after.get(link) != Some(folder));
    lost.filter_map(|(link, folder)| {
        let path = below(&folder)?;
        Some(refused(
            "BASE-SYMLINK",
            format!(
                "/{} may have been written as /{}/…, which was a link of the old base and is none \
                 of the new one",
                escape(path.as_bytes()),
                escape(link.as_bytes())
            ),
        ))
    })
    .collect()
}

/// Links that lead to folders, with the folder that each leads to in the end.
fn folder_links(facts: &BaseFacts) -> BTreeMap<&str, String> {
    let links = facts
        .entries
        .values()
        .filter(|entry| entry.kind == EntryKind::Symlink);
    links
        .filter_map(|entry| {
            let folder = follow(&entry.path, |path| facts.link(path))?;
            (is_folder(facts, &folder)).then_some((entry.path.as_str(), folder))
        })
        .collect()
}

fn is_folder(facts: &BaseFacts, path: &str) -> bool {
    // A layer need not have entries for folders. A link to the root is no way to write a path.
    let has_below = || {
        let start = format!("{path}/");
        let next = facts.entries.range(start.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&start))
    };
    match facts.entries.get(path) {
        Some(entry) => entry.kind == EntryKind::Directory,
        None => !path.is_empty() && has_below(),
    }
}

/// Whether something differs that the layers may need. Files that the new base has in addition
/// count only where the program lives: the layers of an image in a registry are not fetched for
/// the others.
pub(super) fn must_read(old: &BaseFacts, new: &BaseFacts, parts: &Parts) -> Reading {
    let runtime = &parts.runtime;
    let same = libc_is_enough(old, new)
        && (old.loader.is_none() || old.loader == new.loader)
        && has_user(old, new, runtime)
        && folder_links(old) == folder_links(new)
        && (!own::has_files(parts) || all_folders(old).eq(all_folders(new)))
        && old.entries.values().all(|entry| stays(entry, new))
        && new
            .entries
            .values()
            .filter(|entry| !old.entries.contains_key(&entry.path))
            .all(|entry| is_apart(entry, runtime));
    if same {
        Reading::IfHere
    } else {
        Reading::Always
    }
}

fn all_folders(facts: &BaseFacts) -> impl Iterator<Item = &String> {
    let folders = facts.entries.iter();
    let folders = folders.filter(|(_, entry)| entry.kind == EntryKind::Directory);
    folders.map(|(path, _)| path)
}

/// The same C library, not an older one; a base without any had only what is static.
fn libc_is_enough(old: &BaseFacts, new: &BaseFacts) -> bool {
    let numbers = |version: &Option<String>| version_numbers(version.as_deref()?);
    match (&old.libc, &new.libc) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(old), Some(new)) => {
            let (before, after) = (numbers(&old.version), numbers(&new.version));
            old.kind == new.kind && before.is_some() && after >= before
        }
    }
}

fn has_user(old: &BaseFacts, new: &BaseFacts, runtime: &RuntimeConfig) -> bool {
    let user = runtime.user.split(':').next().unwrap_or_default();
    let known = |facts: &BaseFacts| match user.parse::<u32>() {
        Ok(uid) => facts.users.contains_key(&uid),
        Err(_a_name) => facts.users.values().any(|name| name == user),
    };
    known(new) || !known(old)
}

/// Whether programs, libraries and the kinds of things are as they were.
fn stays(entry: &EntrySummary, new: &BaseFacts) -> bool {
    let name = entry.path.rsplit('/').next().unwrap_or(&entry.path);
    let counts = entry.kind == EntryKind::Executable || name.contains(".so");
    match new.entries.get(&entry.path) {
        Some(found) => {
            let folder = |kind| kind == EntryKind::Directory;
            folder(found.kind) == folder(entry.kind)
                && (entry.kind != EntryKind::Executable || found.kind == entry.kind)
        }
        None => !counts,
    }
}

/// Whether something new is neither in the folder of the program nor a file in place of it.
fn is_apart(entry: &EntrySummary, runtime: &RuntimeConfig) -> bool {
    let program = runtime.entrypoint.first().map_or("", String::as_str);
    [program, &runtime.working_dir].iter().all(|place| {
        let place = place.trim_matches('/');
        let holds = |outer: &str, inner: &str| is_under(inner.as_bytes(), outer.as_bytes());
        let in_place = entry.kind != EntryKind::Directory && holds(&entry.path, place);
        let within = entry.path != place && holds(place, &entry.path);
        place.is_empty() || !(in_place || within)
    })
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
