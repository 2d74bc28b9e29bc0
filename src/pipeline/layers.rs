//! Obtains every layer of a plan: from its record, or by running steps and encoding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::digest::Digest;
use crate::layer::{Compression, Input, Inputs, LayerKey, LayerRecord, LayerSource, LayerWriter};
use crate::plan::{Notice, Plan, Step};
use crate::progress::{Verb, human_bytes, human_time};
use crate::recipe::Recipe;
use crate::sandbox::Level;
use crate::source::SourceTree;

use super::step::{self, Slot};
use super::{PipelineError, Session};

/// How the records of earlier builds are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// A layer with an equal key is reused.
    #[default]
    Reuse,
    /// `--no-cache`: every layer is built; inputs and blobs are still kept.
    Rebuild,
    /// `--verify-cache`: every layer is built and compared with its record.
    Verify,
}

/// Where a layer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Its key had a record.
    Record,
    /// Its step ran and wrote what an earlier one had written.
    EqualOutput,
    /// It was encoded now.
    Built,
}

/// A layer and how it was obtained.
#[derive(Clone, Debug)]
pub(super) struct Obtained {
    /// Name in events and records.
    pub(super) name: String,
    /// The key under which it is recorded.
    pub(super) key: LayerKey,
    /// Descriptor, diff id, summary.
    pub(super) record: LayerRecord,
    /// Where it came from.
    pub(super) origin: Origin,
    /// Milliseconds spent on its steps and on encoding.
    pub(super) milliseconds: u64,
}

/// The layers of a plan by the digest of their key.
pub(super) type Layers = BTreeMap<Digest, Obtained>;

/// What obtaining the layers came to.
pub(super) struct Finished {
    pub(super) layers: Layers,
    /// What steps gave to know.
    pub(super) notices: Vec<Notice>,
    /// How the steps were confined; none when none ran.
    pub(super) sandbox: Option<Level>,
}

/// The key of a layer with what the pipeline adds to the source's own.
pub fn full_key(source: &dyn LayerSource, compression: Compression) -> LayerKey {
    compressed(source.key().clone(), compression)
}

fn compressed(key: LayerKey, compression: Compression) -> LayerKey {
    key.with("compression", compression.format())
}

/// Obtains all layers of all images of the plan; equal keys are obtained once.
pub(super) fn obtain(
    plan: &Plan,
    recipe: &dyn Recipe,
    tree: &SourceTree,
    policy: (CacheUse, Compression),
    session: &Session,
) -> Result<Finished, PipelineError> {
    let (cache, compression) = policy;
    let mut layers = Layers::new();
    let mut runner = Runner {
        plan,
        recipe,
        tree,
        session,
        done: BTreeSet::new(),
        notices: Vec::new(),
    };
    for source in plan.images.iter().flat_map(|image| &image.layers) {
        let key = full_key(source.as_ref(), compression);
        if layers.contains_key(&key.digest()) {
            continue;
        }
        let known = session.store.record(&key);
        let layer = match (cache, known) {
            (CacheUse::Reuse, Some(record)) => reused(source.as_ref(), key, record, Origin::Record),
            (_, known) => {
                let built = build(source, key, policy, &mut runner)?;
                compare(cache, known.as_ref(), &built)?;
                built
            }
        };
        report(&layer, session);
        layers.insert(layer.key.digest(), layer);
    }
    Ok(Finished {
        layers,
        notices: runner.notices,
        sandbox: (!runner.done.is_empty()).then(|| session.sandbox.level()),
    })
}

fn reused(
    source: &dyn LayerSource,
    key: LayerKey,
    record: LayerRecord,
    origin: Origin,
) -> Obtained {
    Obtained {
        name: source.describe().name,
        key,
        record,
        origin,
        milliseconds: 0,
    }
}

fn compare(
    cache: CacheUse,
    known: Option<&LayerRecord>,
    built: &Obtained,
) -> Result<(), PipelineError> {
    let Some(known) = known.filter(|_| cache == CacheUse::Verify) else {
        return Ok(());
    };
    let shown = |r: &LayerRecord| format!("diff id {}, digest {}", r.diff_id, r.descriptor.digest);
    if known.diff_id == built.record.diff_id
        && known.descriptor.digest == built.record.descriptor.digest
    {
        return Ok(());
    }
    Err(PipelineError::Mismatch {
        layer: built.name.clone(),
        cached: shown(known),
        rebuilt: shown(&built.record),
    })
}

fn report(layer: &Obtained, session: &Session) {
    let Obtained { name, record, .. } = layer;
    let size = human_bytes(record.descriptor.size);
    let (verb, why) = match layer.origin {
        Origin::Record => (Verb::Reused, "no field of its key changed".to_owned()),
        Origin::EqualOutput => (Verb::Reused, "its step wrote the same bytes".to_owned()),
        Origin::Built => {
            let taken = Duration::from_millis(layer.milliseconds);
            (Verb::Built, human_time(taken))
        }
    };
    session
        .reporter
        .line(verb, format!("{name}, {size}: {why}"));
}

/// Builds a layer whose key has no record.
fn build(
    source: &Arc<dyn LayerSource>,
    key: LayerKey,
    policy: (CacheUse, Compression),
    runner: &mut Runner<'_>,
) -> Result<Obtained, PipelineError> {
    let started = Instant::now();
    let session = runner.session;
    let slots = runner.lock_slots(source.as_ref())?;
    // Another process may have built the same layer while this one waited for the slots.
    if policy.0 == CacheUse::Reuse
        && !slots.is_empty()
        && let Some(record) = session.store.record(&key)
    {
        return Ok(reused(source.as_ref(), key, record, Origin::Record));
    }
    let inputs = runner.run_all(&slots)?;
    // Steps read the source in place. A record is for good: its key must say what they read.
    if !slots.is_empty() {
        let checked = runner.tree.recheck(Some(&session.store));
        checked.map_err(PipelineError::part)?;
    }
    let failed = |error| PipelineError::Layer {
        layer: source.describe().name,
        source: error,
    };
    let output_key = source.output_key(&inputs).map_err(failed)?;
    let output_key = output_key.map(|key| compressed(key, policy.1));
    let equal = output_key.as_ref().filter(|_| policy.0 == CacheUse::Reuse);
    if let Some(record) = equal.and_then(|key| session.store.record(key)) {
        session.store.remember_record(&key, &record);
        return Ok(Obtained {
            milliseconds: milliseconds(started),
            ..reused(source.as_ref(), key, record, Origin::EqualOutput)
        });
    }
    let produce = |out: &mut LayerWriter<'_>| source.write(&inputs, out);
    let encoded = session
        .store
        .encode_blob(&session.encoder, policy.1, produce);
    let record = encoded.map_err(failed)?;
    for key in output_key.iter().chain([&key]) {
        session.store.remember_record(key, &record);
    }
    Ok(Obtained {
        milliseconds: milliseconds(started),
        ..reused(source.as_ref(), key, record, Origin::Built)
    })
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Runs the steps that layers ask for, each at most once a build.
struct Runner<'a> {
    plan: &'a Plan,
    recipe: &'a dyn Recipe,
    tree: &'a SourceTree,
    session: &'a Session,
    done: BTreeSet<Digest>,
    notices: Vec<Notice>,
}

impl<'a> Runner<'a> {
    /// The slots of all steps below a layer, locked in the plan's order (which is the same in
    /// every process, so that two of them can't wait for each other).
    fn lock_slots(&self, source: &dyn LayerSource) -> Result<Vec<(&'a Step, Slot)>, PipelineError> {
        let wanted = self.wanted(source.inputs());
        self.plan
            .steps
            .iter()
            .filter(|step| wanted.contains(&step.key.digest()))
            .map(|step| Ok((step, Slot::acquire(step, &self.session.store)?)))
            .collect()
    }

    fn wanted(&self, inputs: &[Input]) -> BTreeSet<Digest> {
        let mut wanted = BTreeSet::new();
        let mut open: Vec<Digest> = steps_of(inputs).collect();
        while let Some(digest) = open.pop() {
            if wanted.insert(digest) {
                let steps = self
                    .plan
                    .steps
                    .iter()
                    .filter(|step| step.key.digest() == digest);
                open.extend(steps.flat_map(|step| steps_of(&step.inputs)));
            }
        }
        wanted
    }

    fn run_all(&mut self, slots: &[(&'a Step, Slot)]) -> Result<Inputs, PipelineError> {
        let mut inputs = Inputs::default();
        for (step, slot) in slots {
            inputs.add_step(&step.key, slot.folder().to_owned());
            if self.done.insert(step.key.digest()) {
                self.run(step, slot)?;
            }
        }
        Ok(inputs)
    }

    fn run(&mut self, step: &Step, slot: &Slot) -> Result<(), PipelineError> {
        let started = Instant::now();
        let outcome = step::run(step, slot, &self.session.sandbox, &self.session.reporter)?;
        let notices = self
            .recipe
            .review(step, &outcome)
            .map_err(PipelineError::Part)?;
        self.notices.extend(notices);
        if let Some(missing) = step
            .outputs
            .iter()
            .find(|name| !slot.folder().join(name).exists())
        {
            return Err(PipelineError::Output {
                step: step.name.clone(),
                output: missing.clone(),
            });
        }
        let taken = human_time(started.elapsed());
        let level = self.session.sandbox.level();
        let text = format!("{}, {taken}, sandbox {level}", step.name);
        self.session.reporter.line(Verb::Ran, text);
        Ok(())
    }
}

fn steps_of(inputs: &[Input]) -> impl Iterator<Item = Digest> + '_ {
    inputs.iter().filter_map(|input| match input {
        Input::Step(digest) => Some(*digest),
        Input::Tree(_) => None,
    })
}
