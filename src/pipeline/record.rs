//! The build record: what was built, from which fields, and why each layer was reused or built.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::lock::BasesLock;
use crate::digest::{DiffId, Digest};
use crate::image::{Document, Image};
use crate::plan::Evidence;

use super::explain::{self, Explanation, Fields};
use super::layers::{Layers, Origin};
use super::{PipelineError, Prepared, Request, Session};

/// A build as data (`--record FILE`, `build --format json`).
#[derive(Clone, Debug, Serialize)]
pub struct BuildRecord {
    /// Version of this format.
    pub version: u32,
    /// The tool that built it.
    pub tool: String,
    /// Name of the image.
    pub name: String,
    /// Version of the image.
    pub image_version: String,
    /// Why the recipe was taken.
    pub evidence: Evidence,
    /// Digest of what a reference to this build resolves to: the index, else the manifest.
    pub digest: Option<Digest>,
    /// Its images.
    pub images: Vec<ImageRecord>,
    /// What the base's name stood for, as a bases.lock says it: `--lock RECORD` takes it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bases: Option<BasesLock>,
    /// What changed since the last build of the same target; none when there was no earlier one.
    pub explanation: Option<Vec<Explanation>>,
}

/// One image of a build.
#[derive(Clone, Debug, Serialize)]
pub struct ImageRecord {
    /// Its platform.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Fields that decide its config and manifest beside the layers, named as in deployment.yaml.
    pub fields: BTreeMap<String, String>,
    /// The layers above the base.
    pub layers: Vec<LayerReport>,
    /// Bytes of all layers as stored, base included.
    pub bytes: u64,
}

/// One layer of a build.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
    /// Digest of the blob.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Bytes as stored.
    pub size: u64,
    /// Bytes of file contents by package.
    pub packages: BTreeMap<String, u64>,
    /// Milliseconds spent on it.
    pub milliseconds: u64,
    /// The fields of its key.
    pub key: BTreeMap<String, String>,
}

pub(super) fn make(
    request: &Request,
    prepared: &Prepared,
    layers: &Layers,
    (images, index): (&[Image], Option<&Document>),
    session: &Session,
) -> Result<BuildRecord, PipelineError> {
    let records: Vec<ImageRecord> = prepared
        .plan
        .images
        .iter()
        .zip(images)
        .map(|(plan, image)| {
            let obtained = super::finish::obtained(plan, layers, request);
            ImageRecord {
                platform: image.platform.to_string(),
                digest: image.manifest.digest,
                fields: image_fields(request, prepared, plan),
                layers: obtained.into_iter().map(report).collect(),
                bytes: image.layer_bytes(),
            }
        })
        .collect();
    let now = Fields {
        keys: fields_of(&records),
        images: records
            .iter()
            .map(|image| (image.platform.clone(), image.digest))
            .collect(),
    };
    let target = format!("{}\0{}", request.identity, request.options.directory);
    let explanation = explain::last(&target, &session.store)
        .map(|last| explain::compare(&last, &now, &session.store));
    let memo = explain::encode(&now)?;
    let key = explain::memo_key(&target);
    session
        .store
        .remember("what this build was made of", &key, &memo);
    Ok(BuildRecord {
        version: 1,
        tool: format!("karisimbi {}", env!("CARGO_PKG_VERSION")),
        name: prepared.name.clone(),
        image_version: prepared.version.clone(),
        evidence: prepared.plan.evidence.clone(),
        digest: super::finish::root_digest(images, index),
        images: records,
        bases: super::bases::recorded(prepared),
        explanation,
    })
}

fn report(layer: &super::layers::Obtained) -> LayerReport {
    LayerReport {
        name: layer.name.clone(),
        origin: layer.origin,
        digest: layer.record.descriptor.digest,
        diff_id: layer.record.diff_id,
        size: layer.record.descriptor.size,
        packages: layer.record.summary.packages.clone(),
        milliseconds: layer.milliseconds,
        key: layer.key.fields().clone(),
    }
}

fn fields_of(images: &[ImageRecord]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    for image in images {
        keys.insert(format!("image ({})", image.platform), image.fields.clone());
        for layer in &image.layers {
            keys.insert(
                format!("{} ({})", layer.name, image.platform),
                layer.key.clone(),
            );
        }
    }
    keys
}

/// What decides the config and the manifest, beside the layers.
fn image_fields(
    request: &Request,
    prepared: &Prepared,
    plan: &crate::plan::ImagePlan,
) -> BTreeMap<String, String> {
    let runtime = &plan.runtime;
    let mut fields = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            fields.insert(name.to_owned(), value);
        }
    };
    let base = &plan.target.base;
    put(
        "base",
        match &base.digest {
            Some(digest) => format!("{} ({digest})", base.name),
            None => base.name.clone(),
        },
    );
    put("container.entrypoint", runtime.entrypoint.join(" "));
    put("container.args", runtime.cmd.join(" "));
    put("user", runtime.user.clone());
    put("working_dir", runtime.working_dir.clone());
    for (name, value) in &runtime.env {
        put(&format!("container.env.{name}"), value.clone());
    }
    let ports: Vec<String> = runtime.ports.iter().map(u16::to_string).collect();
    put("container.port", ports.join(" "));
    let name = request.options.name.clone();
    put("deployment.name", name.unwrap_or_default());
    put("deployment.version", prepared.version.clone());
    put("created", super::finish::created(request).to_string());
    put(
        "revision",
        super::finish::revision(request).unwrap_or_default(),
    );
    put("source.url", request.url.clone().unwrap_or_default());
    fields
}
