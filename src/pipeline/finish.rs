//! From layers to images: the audit, then documents.

use crate::digest::Digest;
use crate::image::audit::{self, Severity};
use crate::image::{self, Document, Image, Layer, Stamp};
use crate::layer::LayerSummary;
use crate::plan::{ImagePlan, Plan};
use crate::progress::{Verb, counted, human_bytes};

use super::layers::{Layers, Obtained, full_key};
use super::{PipelineError, Prepared, Request, Session};

pub(super) fn obtained<'a>(
    plan: &'a ImagePlan,
    layers: &'a Layers,
    request: &Request,
) -> Vec<&'a Obtained> {
    plan.layers
        .iter()
        .filter_map(|source| layers.get(&full_key(source.as_ref(), request.compression).digest()))
        .collect()
}

/// Refuses images that could not run: wrong machine, missing interpreter, no entrypoint, …
pub(super) fn audit(
    plan: &Plan,
    layers: &Layers,
    request: &Request,
    session: &Session,
) -> Result<(), PipelineError> {
    let mut errors = Vec::new();
    for image in &plan.images {
        let obtained = obtained(image, layers, request);
        let summaries: Vec<&LayerSummary> =
            obtained.iter().map(|layer| &layer.record.summary).collect();
        let findings = audit::audit(&image.target, &summaries, &image.runtime);
        for finding in findings.map_err(PipelineError::part)? {
            match finding.severity {
                Severity::Warning => session.reporter.warn(finding.code, finding.text),
                Severity::Error => errors.push(finding),
            }
        }
    }
    errors.dedup();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(PipelineError::Audit(errors))
    }
}

/// `SOURCE_DATE_EPOCH`, else the commit's time, else the epoch: never the clock.
pub(super) fn created(request: &Request) -> i64 {
    request.options.created.unwrap_or_default()
}

/// The commit, marked when the work tree differs from it.
pub(super) fn revision(request: &Request) -> Option<String> {
    let revision = request.options.revision.as_ref()?;
    Some(if revision.dirty {
        format!("{}-dirty", revision.commit)
    } else {
        revision.commit.clone()
    })
}

pub(super) fn assemble(
    prepared: &Prepared,
    layers: &Layers,
    request: &Request,
) -> Result<(Vec<Image>, Option<Document>), PipelineError> {
    let stamp = stamp(prepared, request);
    let mut images = Vec::new();
    for plan in &prepared.plan.images {
        let above: Vec<Layer> = obtained(plan, layers, request)
            .into_iter()
            .map(|layer| Layer {
                descriptor: layer.record.descriptor.clone(),
                diff_id: layer.record.diff_id,
                blob: image::Blob::Store,
                key: Some(layer.key.digest()),
                history: format!("karisimbi {}: {}", prepared.recipe.name(), layer.name),
            })
            .collect();
        let target = &plan.target;
        let image = Image::assemble(
            &target.platform,
            &target.base,
            &above,
            &plan.runtime,
            &stamp,
        )
        .map_err(PipelineError::part)?;
        let bytes = image.layer_bytes();
        if let Some(limit) = request.max_size.filter(|limit| bytes > *limit) {
            return Err(PipelineError::TooLarge { size: bytes, limit });
        }
        images.push(image);
    }
    let index = (images.len() > 1)
        .then(|| image::index(&images, stamp.annotations()?))
        .transpose()
        .map_err(PipelineError::part)?;
    Ok((images, index))
}

fn stamp(prepared: &Prepared, request: &Request) -> Stamp {
    Stamp {
        created: created(request),
        title: request.options.name.clone(),
        version: Some(prepared.version.clone()).filter(|version| version != "dev"),
        source: request.url.clone(),
        revision: revision(request),
    }
}

/// What a reference to the build resolves to.
pub(super) fn root_digest(images: &[Image], index: Option<&Document>) -> Option<Digest> {
    index
        .map(|index| index.digest)
        .or_else(|| images.first().map(|image| image.manifest.digest))
}

/// Packages that the size report names, largest first.
const NAMED_PACKAGES: usize = 5;

/// One line for each image, then the size report: bytes by layer, and by package where a layer
/// holds several.
pub(super) fn report(
    plan: &Plan,
    layers: &Layers,
    images: &[Image],
    request: &Request,
    session: &Session,
) {
    for (plan, image) in plan.images.iter().zip(images) {
        let text = format!(
            "{}, {}, {}, {}",
            counted(image.layers.len(), "layer"),
            human_bytes(image.layer_bytes()),
            image.platform,
            image.manifest.digest
        );
        session.reporter.line(Verb::Image, text);
        for layer in obtained(plan, layers, request) {
            let packages = largest(&layer.record.summary);
            if packages.len() > 1 {
                let text = format!("{}: {}", layer.name, packages.join(", "));
                session.reporter.line(Verb::Size, text);
            }
        }
    }
}

fn largest(summary: &LayerSummary) -> Vec<String> {
    let mut packages: Vec<(&String, &u64)> = summary.packages.iter().collect();
    packages.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut named: Vec<String> = packages
        .iter()
        .take(NAMED_PACKAGES)
        .map(|(name, bytes)| format!("{name} {}", human_bytes(**bytes)))
        .collect();
    if packages.len() > NAMED_PACKAGES {
        let rest: u64 = packages[NAMED_PACKAGES..]
            .iter()
            .map(|(_, bytes)| **bytes)
            .sum();
        let count = packages.len() - NAMED_PACKAGES;
        named.push(format!("{count} more {}", human_bytes(rest)));
    }
    named
}
