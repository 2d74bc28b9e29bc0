//! `--explain`: which field of which key changed since the last build of the same target.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::image::Document;
use crate::layer::key::{FieldChange, changes};
use crate::source::listing;
use crate::store::Store;

use super::PipelineError;

/// The fields that the last build of a target was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fields {
    /// By `layer name (platform)`, or `image (platform)`.
    pub(super) keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// Why one layer or image differs from the last build's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `layer name (platform)`, or `image (platform)`.
    pub subject: String,
    /// The field and what happened to it.
    pub field: String,
    /// One sentence for people.
    pub text: String,
}

/// Most changed files named in one sentence.
const NAMED_FILES: usize = 5;

/// The memo that holds the fields of the last build of a target.
pub(super) fn memo_key(target: &str) -> Digest {
    Digest::of(format!("karisimbi last build\0{target}").as_bytes())
}

/// The fields of the last build of a target, when there was one.
pub(super) fn last(target: &str, store: &Store) -> Option<Fields> {
    let memo = store.memo(&memo_key(target))?;
    // Written by another version: as good as no earlier build.
    serde_json::from_slice(&memo).ok()
}

/// The memo's bytes.
pub(super) fn encode(fields: &Fields) -> Result<Vec<u8>, PipelineError> {
    let json = MediaType::Other("application/json".to_owned());
    let document = Document::encode("the fields of a build", fields, json);
    Ok(document.map_err(PipelineError::part)?.bytes)
}

/// What changed from `before` to `now`; empty when nothing did.
pub(super) fn compare(before: &Fields, now: &Fields, store: &Store) -> Vec<Explanation> {
    let mut found = Vec::new();
    let none = BTreeMap::new();
    let mut subjects: Vec<&String> = before.keys.keys().chain(now.keys.keys()).collect();
    subjects.sort();
    subjects.dedup();
    for subject in subjects {
        let (old, new) = (before.keys.get(subject), now.keys.get(subject));
        if old.is_none() || new.is_none() {
            let text = if old.is_none() { "is new" } else { "is gone" };
            found.push(Explanation {
                subject: subject.clone(),
                field: "layer".to_owned(),
                text: text.to_owned(),
            });
            continue;
        }
        for change in changes(old.unwrap_or(&none), new.unwrap_or(&none)) {
            let text = describe(&change, store);
            found.push(Explanation {
                subject: subject.clone(),
                field: change.field,
                text,
            });
        }
    }
    drop_consequences(&mut found);
    found
}

/// An edit of a file also makes the work tree differ from its commit, and a commit moves
/// `created`: these follow from the cause that is named already.
fn drop_consequences(found: &mut Vec<Explanation>) {
    let has = |found: &[Explanation], field: &str| found.iter().any(|e| e.field == field);
    if has(found, "source") {
        found.retain(|e| e.field != "revision");
    }
    if has(found, "source") || has(found, "revision") {
        found.retain(|e| e.field != "created");
    }
}

fn describe(change: &FieldChange, store: &Store) -> String {
    match (&change.before, &change.now) {
        (Some(before), Some(now)) => tree_changes(before, now, store).unwrap_or_else(|| {
            format!("{} is {}, was {}", change.field, quote(now), quote(before))
        }),
        (None, Some(now)) => format!("{} is {}, was not set", change.field, quote(now)),
        (Some(before), None) => format!("{} is not set, was {}", change.field, quote(before)),
        (None, None) => change.field.clone(),
    }
}

fn quote(value: &str) -> String {
    if value.is_empty() {
        "empty".to_owned()
    } else {
        value.to_owned()
    }
}

/// When both values are digests of tree listings: the files that differ.
fn tree_changes(before: &str, now: &str, store: &Store) -> Option<String> {
    let listing_of = |text: &str| store.memo(&text.parse().ok()?);
    let files = listing::changes(&listing_of(before)?, &listing_of(now)?);
    if files.is_empty() {
        return None;
    }
    let mut named: Vec<String> = files
        .iter()
        .take(NAMED_FILES)
        .map(|file| format!("{} {}", file.path, file.kind.word()))
        .collect();
    if files.len() > NAMED_FILES {
        named.push(format!("{} more", files.len() - NAMED_FILES));
    }
    Some(named.join(", "))
}
