//! `karisimbi base lock` and `karisimbi base update`

use clap::Args;

use super::{BaseArgs, Ground, changes};
use crate::base::renew::{self, Change};
use crate::base::{BaseName, pin};
use crate::cli::output::Format;
use crate::cli::{Global, Outcome, output};
use crate::error::AnyError;
use crate::pipeline::{self, PipelineError};
use crate::platform::Platform;
use crate::progress::Verb;
use crate::settings::env::Environment;
use crate::settings::{self, Flags};

/// Write what bases stand for into bases.lock
///
/// What the lock has already stays as it is; `base update` renews it. The file is --lock, else
/// bases.lock in the current folder.
#[derive(Debug, Args)]
pub(super) struct Lock {
    /// Bases (default: the one that a build of the current folder takes)
    #[arg(value_name = "NAME")]
    names: Vec<BaseName>,
    /// Platforms, separated by commas (default: linux/amd64; bases from packages are always locked
    /// for linux/arm64 too)
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    platforms: Vec<Platform>,
    #[command(flatten)]
    bases: BaseArgs,
}

/// Resolve the bases of bases.lock anew, and show which versions changed
#[derive(Debug, Args)]
pub(super) struct Update {
    /// Bases (default: all that the lock has)
    #[arg(value_name = "NAME")]
    names: Vec<BaseName>,
    #[command(flatten)]
    bases: BaseArgs,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Lock {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let mut ground = Ground::new(global, &self.bases, environment)?;
        let names = if self.names.is_empty() {
            vec![of_folder(&ground, environment)?]
        } else {
            self.names.clone()
        };
        let platforms = match self.platforms.as_slice() {
            [] => vec![Platform::linux_amd64()],
            typed => typed.to_vec(),
        };
        for name in &names {
            let pinned = ground.with(|context| {
                pin::pin(name, &platforms, &ground.lock, context).map_err(PipelineError::part)
            })?;
            let words = pinned.words(&platforms[0]);
            let text = match name.lock_key() {
                Some(_) => format!("base {name}: {words}"),
                None => format!("base {name} needs no lock"),
            };
            ground.session.reporter.line(Verb::Resolved, text);
            pipeline::keep_lock(&pinned, &ground.lock, &ground.session)?;
            ground.reopen()?;
        }
        // Bases that need no lock make none.
        if ground.lock.exists() {
            output::data(&ground.path().display().to_string())?;
        }
        Ok(())
    }
}

/// The base that a build of the current folder takes.
fn of_folder(ground: &Ground, environment: &Environment) -> Result<BaseName, AnyError> {
    let flags = Flags::default();
    let request = settings::request(
        ".".as_ref(),
        &flags,
        &ground.folder,
        (&ground.session, environment),
    )?;
    let (recipe, _) = pipeline::detect(&request)?;
    Ok(pipeline::base_name(&request, recipe)?)
}

impl Update {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let ground = Ground::with_lock(global, &self.bases, environment)?;
        let mut found: Vec<Change> = Vec::new();
        for (key, before) in ground.entries(&self.names)? {
            let name: BaseName = key.parse()?;
            let now = ground.with_options_of(&name, |context| {
                renew::renew(&name, &before, context).map_err(PipelineError::part)
            })?;
            let changed = renew::changes(&key, &before, &now);
            if changed.is_empty() {
                let text = format!("base {key}: nothing is newer");
                ground.session.reporter.line(Verb::Resolved, text);
            }
            found.extend(changed);
            if let Some(path) = ground.lock.keep(&key, &now)? {
                let text = format!("{}: base {key}", path.display());
                ground.session.reporter.line(Verb::Wrote, text);
            }
        }
        let text = match self.format {
            Format::Text if found.is_empty() => return Ok(()),
            Format::Text => changes::table(&found),
            Format::Json => output::json(&found)?,
        };
        Ok(output::data(&text)?)
    }
}
