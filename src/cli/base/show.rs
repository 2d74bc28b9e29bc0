//! `karisimbi base show`

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{BaseArgs, Ground};
use crate::base::lock::{LockedBase, LockedDeb};
use crate::base::{self, Base, BaseFacts, BaseName, Pinned, eol, pin};
use crate::cli::output::Format;
use crate::cli::{Global, Outcome, output};
use crate::image::target::{Node, Os, Python};
use crate::layer::Descriptor;
use crate::pipeline::PipelineError;
use crate::platform::Platform;
use crate::progress::human_bytes;
use crate::settings::env::Environment;

/// Show a base: where it comes from, who signed for it, its packages, layers and facts
///
/// It is resolved and assembled as a build would do it; no lock is written.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the base, or an image
    name: BaseName,
    /// Platform
    #[arg(long, value_name = "OS/ARCH", default_value = "linux/amd64")]
    platform: Platform,
    #[command(flatten)]
    bases: BaseArgs,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: String,
    /// `locked`, `resolved now`, …
    origin: String,
    platform: String,
    digest: Option<String>,
    layers: Vec<&'a Descriptor>,
    bytes: u64,
    supported_until: Option<String>,
    locked: Option<&'a LockedBase>,
    facts: ShownFacts<'a>,
}

#[derive(Debug, Serialize)]
struct ShownFacts<'a> {
    runtimes: String,
    libc: Option<String>,
    python: Option<&'a Python>,
    node: Option<&'a Node>,
    os: Option<&'a Os>,
    shell: Option<&'a str>,
    ca_bundle: Option<&'a str>,
    users: &'a std::collections::BTreeMap<u32, String>,
    entries: usize,
}

impl Show {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let ground = Ground::new(global, &self.bases, environment)?;
        let platforms = [self.platform.clone()];
        let (pinned, base, facts) = ground.with_options_of(&self.name, |context| {
            let resolved = || -> Result<_, base::BaseError> {
                let mut pinned = pin::pin(&self.name, &platforms, &ground.lock, context)?;
                let base = pinned.bases(&platforms, context)?.remove(0);
                let facts = base::facts::facts(&base, context.base)?;
                Ok((pinned, base, facts))
            };
            resolved().map_err(PipelineError::part)
        })?;
        let shown = self.shown(&pinned, &base, &facts);
        let text = match self.format {
            Format::Text => text(&shown),
            Format::Json => output::json(&shown)?,
        };
        Ok(output::data(text.trim_end())?)
    }

    fn shown<'a>(&self, pinned: &'a Pinned, base: &'a Base, facts: &'a BaseFacts) -> Shown<'a> {
        Shown {
            name: self.name.to_string(),
            origin: pinned.words(&self.platform),
            platform: self.platform.to_string(),
            digest: base.digest.map(|digest| digest.to_string()),
            layers: base.layers.iter().map(|layer| &layer.descriptor).collect(),
            bytes: base.layers.iter().map(|layer| layer.descriptor.size).sum(),
            supported_until: eol::until(&self.name).map(|day| day.to_string()),
            locked: pinned.locked(),
            facts: ShownFacts {
                runtimes: facts.runtimes(),
                libc: facts.libc.as_ref().map(ToString::to_string),
                python: facts.python.as_ref(),
                node: facts.node.as_ref(),
                os: facts.os.as_ref(),
                shell: facts.shell.as_deref(),
                ca_bundle: facts.ca_bundle.as_deref(),
                users: &facts.users,
                entries: facts.entries.len(),
            },
        }
    }
}

fn text(shown: &Shown<'_>) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a String can't fail.
        let _infallible = writeln!(out, "{label:<10} {value}");
    };
    line("base", &shown.name);
    if !shown.origin.is_empty() {
        line("origin", &shown.origin);
    }
    line("platform", &shown.platform);
    line("digest", shown.digest.as_deref().unwrap_or("none"));
    if let Some(day) = &shown.supported_until {
        line("supported", &format!("until {day}"));
    }
    for layer in &shown.layers {
        line(
            "layer",
            &format!("{}  {}", layer.digest, human_bytes(layer.size)),
        );
    }
    let facts = &shown.facts;
    if let Some(os) = facts.os {
        line("system", &os.name);
    }
    line("runtimes", &facts.runtimes);
    line("shell", facts.shell.unwrap_or("none"));
    let users: Vec<String> = facts
        .users
        .iter()
        .map(|(id, name)| format!("{name} {id}"))
        .collect();
    line("users", &users.join(", "));
    line("entries", &facts.entries.to_string());
    if let Some(LockedBase::Deb(deb)) = shown.locked {
        packages(deb, &shown.platform, &mut line);
    }
    out
}

fn packages(deb: &LockedDeb, platform: &str, line: &mut impl FnMut(&str, &str)) {
    for source in &deb.sources {
        let (suite, date, mirror) = (&source.suite, &source.date, &source.mirror);
        line("source", &format!("{mirror} {suite} of {date}"));
        for key in &source.signed_by {
            line("signed by", key);
        }
    }
    let Some(parts) = deb.platforms.get(platform) else {
        return;
    };
    let all = parts.packages.iter().chain(&parts.os_packages);
    let width = all
        .clone()
        .map(|package| package.name.len())
        .max()
        .unwrap_or_default();
    for package in all {
        let (name, version, size) = (&package.name, &package.version, human_bytes(package.size));
        let why = &package.why;
        line(
            "package",
            &format!("{name:<width$}  {version}  {size}  {why}"),
        );
    }
    for file in &parts.extra {
        line(
            "file",
            &format!("{} {}  {}", file.name, file.version, human_bytes(file.size)),
        );
    }
}
