//! What a base's layers say about it.

use serde_json::Value;

use super::scan::Scan;
use super::{Base, BaseContext, BaseError, BaseFacts};
use crate::digest::Digest;
use crate::layer::Descriptor;
use crate::store::Store;

/// The facts of a base: from the store when these layers were scanned before, else from their bytes.
///
/// # Errors
/// BASE-ARCH when its programs are for another machine than its config says; BASE-READ, BASE-LAYER,
/// those of the registry or the store.
pub fn facts(base: &Base, context: &BaseContext<'_>) -> Result<BaseFacts, BaseError> {
    let facts = known(base, context)?;
    let promised = base.config.get("architecture").and_then(Value::as_str);
    match (&facts.architecture, promised) {
        (Some(machine), Some(promised)) if machine != promised => Err(BaseError::Machine {
            base: base.name.clone(),
            machine: machine.clone(),
            promised: promised.to_owned(),
        }),
        _ => Ok(facts),
    }
}

fn known(base: &Base, context: &BaseContext<'_>) -> Result<BaseFacts, BaseError> {
    let key = key(base);
    if let Some(facts) = remembered(context.store, &key) {
        return Ok(facts);
    }
    let mut scan = Scan::default();
    for layer in &base.layers {
        scan.add(&base.name, layer, &|layer| context.open_layer(layer))?;
    }
    let facts = scan.finish();
    if let Ok(memo) = serde_json::to_vec(&facts) {
        let what = format!("what base {} holds", base.name);
        context.store.remember(&what, &key, &memo);
    }
    Ok(facts)
}

/// Media type, digest and diff id of every layer: a config that lies about diff ids, or a manifest
/// about a compression, must not reach the facts of the base that it names.
fn key(base: &Base) -> Digest {
    use std::fmt::Write as _;
    let mut text = "karisimbi base facts 3\n".to_owned();
    for layer in &base.layers {
        // Writing to a String can't fail.
        let Descriptor {
            media_type, digest, ..
        } = &layer.descriptor;
        let _infallible = writeln!(text, "{media_type} {digest} {}", layer.diff_id);
    }
    Digest::of(text.as_bytes())
}

fn remembered(store: &Store, key: &Digest) -> Option<BaseFacts> {
    // A memo of another version or a damaged one is scanned again.
    serde_json::from_slice(&store.memo(key)?).ok()
}
