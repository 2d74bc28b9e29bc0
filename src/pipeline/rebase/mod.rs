//! `rebase`: an image's own layers on another base, from the image alone.
//!
//! The layers stay where they are; only documents are made anew. What comes out is byte for byte
//! what a build on the new base gives, or nothing: a base on which a build would have made other
//! layers is refused.

mod error;
mod fit;
mod own;

use std::collections::BTreeSet;

use crate::base::lock_file::LockUse;
use crate::base::{
    self, Base, BaseContext, BaseFacts, BaseName, BaseOptions, PinContext, Pinned, Target, pin,
};
use crate::digest::Digest;
use crate::image::audit::{self, Severity};
use crate::image::{self, Blob, Document, Finding, Image, Layer, Parts};
use crate::layer::LayerSummary;
use crate::layer::read::{Expected, summarise};
use crate::platform::Platform;
use crate::progress::{Event, Verb, counted, human_bytes};
use crate::sink::Opened;

use super::{PipelineError, Session, bases};

pub use error::RebaseError;

/// The code of a note about what gets lost.
const LOST: &str = "REBASE-LOST";

/// An image on another base.
#[derive(Debug)]
pub struct Rebased {
    /// One image for each platform.
    pub images: Vec<Image>,
    /// The index, when there are several.
    pub index: Option<Document>,
    /// `org.opencontainers.image.title` of the image.
    pub title: Option<String>,
    /// `org.opencontainers.image.version` of the image.
    pub version: Option<String>,
}

/// One platform of the image, and what it shall stand on.
struct Move {
    image: Image,
    parts: Parts,
    old: BaseFacts,
    target: Target,
}

/// Puts every platform of an image on a base; nothing is written outside the store.
///
/// # Errors
/// REBASE-FOREIGN for an image that is not ours; everything that the new base does not allow, all
/// of it at once; those of the base.
pub fn rebase(
    opened: &Opened<'_>,
    name: &BaseName,
    (options, lock): (&BaseOptions, &LockUse),
    session: &Session,
) -> Result<Rebased, PipelineError> {
    let (pinned, moves) = bases::with_bases(session, options, |context| {
        let (pinned, moves) = moves(opened, (name, lock), context)?;
        bases::warn_of_age(&pinned, session);
        for planned in &moves {
            bases::report(&planned.target, &pinned, session);
            warn_of_losses(planned, session);
        }
        check(&moves, context.base, session)?;
        Ok((pinned, moves))
    })?;
    let rebased = assemble(&moves, session)?;
    bases::keep_lock(&pinned, lock, session)?;
    Ok(rebased)
}

fn moves(
    opened: &Opened<'_>,
    (name, lock): (&BaseName, &LockUse),
    context: &PinContext<'_>,
) -> Result<(Pinned, Vec<Move>), PipelineError> {
    let images = opened.images().map_err(PipelineError::part)?;
    let mut taken = Vec::new();
    for image in images {
        let shown = format!("{} ({})", opened.name(), image.platform);
        let parts = Parts::of(&image, opened.name());
        let parts = parts.map_err(|source| RebaseError::Foreign {
            image: shown,
            source,
        })?;
        taken.push((image, parts));
    }
    let platforms: Vec<Platform> = taken
        .iter()
        .map(|(image, _)| image.platform.clone())
        .collect();
    let mut pinned = pin::pin(name, &platforms, lock, context).map_err(PipelineError::part)?;
    let bases = pinned.bases(&platforms, context);
    let bases = bases.map_err(PipelineError::part)?;
    let facts = |base: &Base| base::facts(base, context.base).map_err(PipelineError::part);
    let moves = taken
        .into_iter()
        .zip(bases)
        .map(|((image, parts), base)| {
            Ok(Move {
                old: facts(&parts.base)?,
                target: Target {
                    platform: image.platform.clone(),
                    facts: facts(&base)?,
                    base,
                },
                image,
                parts,
            })
        })
        .collect::<Result<_, PipelineError>>()?;
    Ok((pinned, moves))
}

fn warn_of_losses(planned: &Move, session: &Session) {
    if !planned.parts.foreign.is_empty() {
        let names = planned.parts.foreign.join(", ");
        let text = format!("annotations that another tool added are not kept: {names}");
        session.reporter.warn(LOST, text);
    }
}

/// Refuses bases that the layers were not made for.
fn check(
    moves: &[Move],
    context: &BaseContext<'_>,
    session: &Session,
) -> Result<(), PipelineError> {
    let mut errors = Vec::new();
    let mut add = |finding: Finding| match finding.severity {
        Severity::Warning => session.reporter.warn(finding.code, finding.text),
        Severity::Error => errors.push(finding),
    };
    for planned in moves {
        let (facts, runtime) = (&planned.target.facts, &planned.parts.runtime);
        fit::runtimes(&planned.old, facts)
            .into_iter()
            .chain(own::made_of_base(
                &planned.parts,
                &planned.old,
                &planned.target.base,
                facts,
            ))
            .for_each(&mut add);
        let must_read = fit::must_read(&planned.old, facts, &planned.parts);
        let Some(summaries) = summaries(planned, must_read, context)? else {
            let text = format!(
                "{}: nothing that its layers need differs between the bases; they were not read",
                planned.target.platform
            );
            session.reporter.event(Event::Detail { text });
            continue;
        };
        let layers: Vec<&LayerSummary> = summaries.iter().collect();
        let named: Vec<_> = planned.parts.layers.iter().zip(layers.clone()).collect();
        fit::links(&planned.old, facts, &layers)
            .into_iter()
            .chain(own::folders(facts, &named))
            .for_each(&mut add);
        let findings = audit::audit(&planned.target, &layers, runtime);
        let findings = findings.map_err(PipelineError::part)?;
        findings.into_iter().for_each(&mut add);
    }
    let mut seen = BTreeSet::new();
    errors.retain(|finding| seen.insert((finding.code, finding.text.clone())));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(PipelineError::Audit(errors))
    }
}

/// What lies in our layers; none when they are in a registry and need not be fetched.
fn summaries(
    planned: &Move,
    must_read: fit::Reading,
    context: &BaseContext<'_>,
) -> Result<Option<Vec<LayerSummary>>, PipelineError> {
    let here = |layer: &Layer| {
        let descriptor = &layer.descriptor;
        !matches!(layer.blob, Blob::Registry(_))
            || context
                .store
                .blob(&descriptor.digest, descriptor.size)
                .is_some()
            || remembered(layer, context).is_some()
    };
    if must_read == fit::Reading::IfHere && !planned.parts.layers.iter().all(here) {
        return Ok(None);
    }
    let all = planned.parts.layers.iter();
    all.map(|layer| summary(layer, context))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn memo_key(layer: &Layer) -> Digest {
    let descriptor = &layer.descriptor;
    let text = format!(
        "karisimbi layer summary 1\n{} {} {}",
        descriptor.media_type, descriptor.digest, layer.diff_id
    );
    Digest::of(text.as_bytes())
}

fn remembered(layer: &Layer, context: &BaseContext<'_>) -> Option<LayerSummary> {
    // A memo of another version is read again.
    serde_json::from_slice(&context.store.memo(&memo_key(layer))?).ok()
}

/// Reads a layer as the hostile input that it may be: limits, digest, size and diff id are checked.
fn summary(layer: &Layer, context: &BaseContext<'_>) -> Result<LayerSummary, PipelineError> {
    if let Some(summary) = remembered(layer, context) {
        return Ok(summary);
    }
    let descriptor = &layer.descriptor;
    let expected = Expected {
        digest: Some(descriptor.digest),
        size: Some(descriptor.size),
        diff_id: Some(layer.diff_id),
    };
    let as_base = base::BaseLayer {
        descriptor: descriptor.clone(),
        diff_id: layer.diff_id,
        blob: layer.blob.clone(),
    };
    let blob = context.open_layer(&as_base).map_err(PipelineError::Part)?;
    // One byte more, so that a blob that is too long is seen.
    let blob = std::io::Read::take(blob, descriptor.size.saturating_add(1));
    let read = summarise(blob, &descriptor.media_type, &expected);
    let summary = read
        .map_err(|source| PipelineError::Layer {
            layer: descriptor.digest.to_string(),
            source,
        })?
        .summary;
    if let Ok(memo) = serde_json::to_vec(&summary) {
        let what = format!("what layer {} holds", descriptor.digest);
        context.store.remember(&what, &memo_key(layer), &memo);
    }
    Ok(summary)
}

fn assemble(moves: &[Move], session: &Session) -> Result<Rebased, PipelineError> {
    let mut images = Vec::new();
    for planned in moves {
        let (target, parts) = (&planned.target, &planned.parts);
        let image = Image::assemble(
            &target.platform,
            &target.base,
            &parts.layers,
            &parts.runtime,
            &parts.stamp,
        )
        .map_err(PipelineError::part)?;
        report(planned, &image, session);
        images.push(image);
    }
    let Some(first) = moves.first() else {
        return Err(PipelineError::part(RebaseError::Empty));
    };
    let stamp = &first.parts.stamp;
    let index = (images.len() > 1)
        .then(|| image::index(&images, stamp.annotations()?))
        .transpose()
        .map_err(PipelineError::part)?;
    Ok(Rebased {
        images,
        index,
        title: stamp.title.clone(),
        version: stamp.version.clone(),
    })
}

fn report(planned: &Move, image: &Image, session: &Session) {
    let kept: u64 = planned
        .parts
        .layers
        .iter()
        .map(|layer| layer.descriptor.size)
        .sum();
    let text = if image.manifest.digest == planned.image.manifest.digest {
        format!("{}, as it was: {}", image.platform, image.manifest.digest)
    } else {
        let count = counted(planned.parts.layers.len(), "layer");
        format!(
            "{}, {count} of {} kept, {}",
            image.platform,
            human_bytes(kept),
            image.manifest.digest
        )
    };
    session.reporter.line(Verb::Image, text);
}
