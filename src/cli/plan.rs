//! `karisimbi plan`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::source::SourceArgs;
use super::{Global, Outcome, output};
use crate::layer::{Input, LayerDescription};
use crate::pipeline::{self, CacheUse, Prepared, Request, Session, SettingShown};
use crate::plan::{Evidence, Notice, RuntimeConfig, Step};
use crate::settings::SettingsError;
use crate::settings::env::Environment;

/// Show what a build would do, as text, JSON or a mermaid graph
///
/// Nothing is built. Tools may be asked small questions, such as `go list`; answers are kept.
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    source: SourceArgs,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// The plan as data
    Json,
    /// A graph of steps, layers and images
    Mermaid,
}

/// A plan as data: the JSON of `plan --format json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: &'a str,
    evidence: &'a Evidence,
    settings: &'a [SettingShown],
    steps: &'a [Step],
    images: Vec<ShownImage<'a>>,
    notices: &'a [Notice],
}

#[derive(Debug, Serialize)]
struct ShownImage<'a> {
    platform: String,
    base: &'a str,
    base_digest: Option<String>,
    layers: Vec<ShownLayer<'a>>,
    runtime: &'a RuntimeConfig,
}

#[derive(Debug, Serialize)]
struct ShownLayer<'a> {
    #[serde(flatten)]
    description: LayerDescription,
    cached: Cached,
    inputs: &'a [Input],
    key: BTreeMap<String, String>,
}

/// Whether a build would reuse the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Cached {
    Yes,
    No,
}

impl Plan {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(&[], environment)?;
        for request in self
            .source
            .requests(&session, environment, (CacheUse::Reuse, &[]))?
        {
            let prepared = pipeline::prepare(&request, &session)?;
            let shown = shown(&request, &prepared, &session);
            let text = match self.format {
                Format::Text => text(&shown),
                Format::Json => output::json(&shown).map_err(SettingsError::json)?,
                Format::Mermaid => mermaid(&shown),
            };
            output::data(text.trim_end()).map_err(SettingsError::stdout)?;
        }
        Ok(())
    }
}

fn shown<'a>(request: &'a Request, prepared: &'a Prepared, session: &Session) -> Shown<'a> {
    let images = prepared.plan.images.iter().map(|image| ShownImage {
        platform: image.target.platform.to_string(),
        base: &image.target.base.name,
        base_digest: image.target.base.digest.map(|digest| digest.to_string()),
        layers: image
            .layers
            .iter()
            .map(|source| {
                let key = pipeline::full_key(source.as_ref(), request.compression);
                let known = session.store.record(&key).is_some();
                ShownLayer {
                    description: source.describe(),
                    cached: if known { Cached::Yes } else { Cached::No },
                    inputs: source.inputs(),
                    key: key.fields().clone(),
                }
            })
            .collect(),
        runtime: &image.runtime,
    });
    Shown {
        name: &prepared.name,
        version: &prepared.version,
        evidence: &prepared.plan.evidence,
        settings: &request.settings,
        steps: &prepared.plan.steps,
        images: images.collect(),
        notices: &prepared.plan.notices,
    }
}

/// The plan as lines; each name and value stands where `--set` and `--explain` use it.
fn text(plan: &Shown<'_>) -> String {
    let mut out = String::new();
    let mut line = |indent: usize, label: &str, value: &str| {
        // Writing to a String can't fail.
        let width = 10 - indent.min(4);
        let _infallible = writeln!(out, "{:indent$}{label:<width$} {value}", "");
    };
    line(0, "image", &format!("{}:{}", plan.name, plan.version));
    line(
        0,
        "recipe",
        &format!(
            "{}: {}",
            plan.evidence.recipe,
            plan.evidence.facts.join(", ")
        ),
    );
    for setting in plan.settings {
        line(
            0,
            "setting",
            &format!("{} = {} ({})", setting.key, setting.value, setting.origin),
        );
    }
    for step in plan.steps {
        line(
            0,
            "step",
            &format!("{} ({})", step.name, step.network.word()),
        );
    }
    for image in &plan.images {
        let digest = image.base_digest.as_deref().unwrap_or("no manifest");
        line(0, "platform", &image.platform);
        line(2, "base", &format!("{} ({digest})", image.base));
        image
            .layers
            .iter()
            .for_each(|layer| layer_lines(layer, &mut line));
        let runtime = image.runtime;
        line(
            2,
            "entry",
            &[runtime.entrypoint.as_slice(), &runtime.cmd]
                .concat()
                .join(" "),
        );
        line(2, "user", &runtime.user);
    }
    for notice in plan.notices {
        line(0, "notice", &format!("{}: {}", notice.code, notice.text));
    }
    out
}

fn layer_lines(layer: &ShownLayer<'_>, line: &mut impl FnMut(usize, &str, &str)) {
    let state = if layer.cached == Cached::Yes {
        "cached"
    } else {
        "to build"
    };
    let LayerDescription { name, contents, .. } = &layer.description;
    line(2, "layer", &format!("{name}: {contents}, {state}"));
    for (field, value) in &layer.key {
        line(4, field, value);
    }
}

/// Steps, layers and images as a mermaid flowchart.
fn mermaid(plan: &Shown<'_>) -> String {
    let mut out = String::from("flowchart LR\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "#quot;").replace('\n', " "));
    let mut node = |text: String| {
        let _infallible = writeln!(out, "  {text}");
    };
    for (index, step) in plan.steps.iter().enumerate() {
        node(format!("s{index}[{}]", quoted(&step.name)));
        for input in &step.inputs {
            if let Some(from) = step_index(plan, input) {
                node(format!("s{from} --> s{index}"));
            }
        }
    }
    for (number, image) in plan.images.iter().enumerate() {
        node(format!(
            "b{number}([{}])",
            quoted(&format!("base {}", image.base))
        ));
        node(format!(
            "i{number}[[{}]]",
            quoted(&format!("{} {}", plan.name, image.platform))
        ));
        node(format!("b{number} --> i{number}"));
        for (layer_number, layer) in image.layers.iter().enumerate() {
            let id = format!("l{number}x{layer_number}");
            node(format!("{id}({})", quoted(&layer.description.name)));
            for from in layer
                .inputs
                .iter()
                .filter_map(|input| step_index(plan, input))
            {
                node(format!("s{from} --> {id}"));
            }
            node(format!("{id} --> i{number}"));
        }
    }
    out
}

fn step_index(plan: &Shown<'_>, input: &Input) -> Option<usize> {
    match input {
        Input::Step(digest) => plan
            .steps
            .iter()
            .position(|step| step.key.digest() == *digest),
        Input::Tree(_) => None,
    }
}
