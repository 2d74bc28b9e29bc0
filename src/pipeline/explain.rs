//! `--explain`: which field of which key changed since the last build of the same target.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Digest of each image's manifest, by its platform.
    pub(super) images: BTreeMap<String, Digest>,
}

/// Why one layer or image differs from the last build's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `layer name (platform)`, or `image (platform)`.
    pub subject: String,
    /// The field: of a layer's key, or the key of deployment.yaml that decides it.
    pub field: String,
    /// Its value before; none when it was not set.
    pub before: Option<String>,
    /// Its value now; none when it is not set.
    pub now: Option<String>,
    /// What changed, for people.
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
    let mut found: Vec<Explanation> = platforms(before, now).into_iter().collect();
    let subjects: BTreeSet<&String> = before.keys.keys().chain(now.keys.keys()).collect();
    for subject in subjects {
        match (before.keys.get(subject), now.keys.get(subject)) {
            (Some(old), Some(new)) => found.extend(
                changes(old, new)
                    .into_iter()
                    .map(|change| explained(subject, change, store)),
            ),
            // The layers of a platform that is new or gone follow from the platform.
            (old, _) if is_common(subject, before, now) => found.push(Explanation {
                subject: subject.clone(),
                field: "layer".to_owned(),
                before: old.map(|_| "present".to_owned()),
                now: old.is_none().then(|| "present".to_owned()),
                text: if old.is_none() { "is new" } else { "is gone" }.to_owned(),
            }),
            _ => {}
        }
    }
    drop_consequences(&mut found);
    if found.is_empty() {
        found.extend(unexplained(before, now));
    }
    found
}

fn explained(subject: &str, change: FieldChange, store: &Store) -> Explanation {
    Explanation {
        subject: subject.to_owned(),
        text: describe(&change, store),
        field: change.field,
        before: change.before,
        now: change.now,
    }
}

/// Platforms that were added or removed.
fn platforms(before: &Fields, now: &Fields) -> Option<Explanation> {
    let list = |fields: &Fields| {
        let names: Vec<&str> = fields.images.keys().map(String::as_str).collect();
        names.join(",")
    };
    let (before, now) = (list(before), list(now));
    (before != now).then(|| Explanation {
        subject: "image".to_owned(),
        field: "platforms".to_owned(),
        text: format!("{now}, was {before}"),
        before: Some(before),
        now: Some(now),
    })
}

/// Whether the subject's platform was built before and now.
fn is_common(subject: &str, before: &Fields, now: &Fields) -> bool {
    before
        .images
        .keys()
        .filter(|platform| now.images.contains_key(*platform))
        .any(|platform| subject.ends_with(&format!("({platform})")))
}

/// Images that differ although every field is equal: another version of the program made them.
fn unexplained<'a>(
    before: &'a Fields,
    now: &'a Fields,
) -> impl Iterator<Item = Explanation> + use<'a> {
    now.images.iter().filter_map(|(platform, digest)| {
        let old = before.images.get(platform).filter(|old| *old != digest)?;
        Some(Explanation {
            subject: format!("image ({platform})"),
            field: "digest".to_owned(),
            before: Some(old.to_string()),
            now: Some(digest.to_string()),
            text: format!("{digest}, was {old}: the program or a tool changed"),
        })
    })
}

/// Fields that follow from others: an edit of a file also makes the work tree differ from its
/// commit, a commit moves `created`, and a base decides which folders a layer brings itself.
const CONSEQUENCES: &[(&str, &[&str])] = &[
    ("revision", &["source"]),
    ("created", &["source", "revision"]),
    ("directories", &["source", "files", "base"]),
    ("base-links", &["base"]),
];

/// Drops what follows from a cause that is named already.
fn drop_consequences(found: &mut Vec<Explanation>) {
    let fields: BTreeSet<String> = found.iter().map(|change| change.field.clone()).collect();
    found.retain(|change| {
        let rule = CONSEQUENCES
            .iter()
            .find(|(field, _)| *field == change.field);
        rule.is_none_or(|(_, causes)| causes.iter().all(|cause| !fields.contains(*cause)))
    });
}

fn describe(change: &FieldChange, store: &Store) -> String {
    let quote = |value: &str| {
        if value.is_empty() {
            "empty".to_owned()
        } else {
            value.to_owned()
        }
    };
    match (&change.before, &change.now) {
        (Some(before), Some(now)) => tree_changes(before, now, store)
            .unwrap_or_else(|| format!("{}, was {}", quote(now), quote(before))),
        (None, Some(now)) => format!("{}, was not set", quote(now)),
        (Some(before), None) => format!("not set, was {}", quote(before)),
        (None, None) => String::new(),
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
