//! `karisimbi detect`

use clap::Args;

use super::output::Format;
use super::source::SourceArgs;
use super::{Global, Outcome, output};
use crate::pipeline::{self, CacheUse};
use crate::settings::SettingsError;
use crate::settings::env::Environment;

/// Show which recipe takes a source, and why
#[derive(Debug, Args)]
pub(super) struct Detect {
    #[command(flatten)]
    source: SourceArgs,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Detect {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(&[], environment)?;
        for request in self
            .source
            .requests(&session, environment, (CacheUse::Reuse, &[]))?
        {
            let (recipe, evidence) = pipeline::detect(&request)?;
            let text = match self.format {
                Format::Text => format!("{}: {}", recipe.name(), evidence.facts.join(", ")),
                Format::Json => serde_json::to_string(&evidence).map_err(SettingsError::json)?,
            };
            output::data(&text)?;
        }
        Ok(())
    }
}
