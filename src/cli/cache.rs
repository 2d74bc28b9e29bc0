//! `karisimbi cache`

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;

use super::output::Format;
use super::{Global, Outcome, output, source};
use crate::error::Coded;
use crate::error::Exit;
use crate::progress::human_bytes;
use crate::settings::SettingsError;
use crate::settings::env::Environment;
use crate::store::upkeep::What;

/// Show, prune, verify or clear the cache
#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how much of what is kept
    Stats {
        /// What stdout shows
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Remove what was used longest ago, until the rest fits
    Prune {
        /// Bytes to keep at most, such as 10GB
        #[arg(long, value_name = "SIZE", value_parser = source::size)]
        max_size: u64,
    },
    /// Hash every blob and check every record; damaged ones are removed
    Verify {
        /// What stdout shows
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Remove layers, inputs, or both
    #[command(group = ArgGroup::new("what").required(true).multiple(true).args(["layers", "inputs", "all"]))]
    Clear {
        /// Layers, their records, unpacked images and the outputs of steps
        #[arg(long)]
        layers: bool,
        /// Clones and the caches of tools
        #[arg(long)]
        inputs: bool,
        /// Everything
        #[arg(long)]
        all: bool,
    },
}

/// The cache had damaged files.
#[derive(Debug, thiserror::Error)]
#[error("{count} damaged files were in the cache; they were removed")]
struct Damaged {
    count: usize,
}

impl Coded for Damaged {
    fn code(&self) -> &'static str {
        crate::sink::CORRUPT
    }

    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        Some("the next build makes them anew; check the disk if this happens again".to_owned())
    }
}

impl Cache {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let store = global.store(environment, &global.reporter(environment))?;
        match &self.action {
            Action::Stats { format } => {
                let stats = store.stats()?;
                let mut lines: Vec<String> = vec![format!("folder     {}", store.root().display())];
                lines.extend(stats.kinds.iter().map(|kind| {
                    format!(
                        "{:<10} {:>6}  {}",
                        kind.kind,
                        kind.count,
                        human_bytes(kind.bytes)
                    )
                }));
                lines.push(format!(
                    "{:<10} {:>6}  {}",
                    "all",
                    "",
                    human_bytes(stats.bytes)
                ));
                show(*format, &stats, &lines)
            }
            Action::Prune { max_size } => {
                let removed = store.prune(*max_size)?;
                print_removed(removed.count, removed.bytes, removed.left)
            }
            Action::Verify { format } => {
                let report = store.verify()?;
                let mut lines = vec![format!("{} files checked", report.checked)];
                lines.extend(
                    report
                        .problems
                        .iter()
                        .map(|p| format!("{}: {}", p.path.display(), p.why)),
                );
                show(*format, &report, &lines)?;
                match report.problems.len() {
                    0 => Ok(()),
                    count => Err(Damaged { count }.into()),
                }
            }
            Action::Clear {
                layers,
                inputs,
                all,
            } => {
                let what = match (layers, inputs, all) {
                    (_, _, true) | (true, true, _) => What::All,
                    (_, true, _) => What::Inputs,
                    _ => What::Layers,
                };
                let removed = store.clear(what)?;
                print_removed(removed.count, removed.bytes, removed.left)
            }
        }
    }
}

fn print_removed(count: u64, bytes: u64, left: u64) -> Outcome {
    let text = format!(
        "removed {count} things, {}; {} are left",
        human_bytes(bytes),
        human_bytes(left)
    );
    Ok(output::data(&text).map_err(SettingsError::stdout)?)
}

fn show(format: Format, data: &impl Serialize, lines: &[String]) -> Outcome {
    let text = match format {
        Format::Text => lines.join("\n"),
        Format::Json => output::json(data).map_err(SettingsError::json)?,
    };
    Ok(output::data(&text).map_err(SettingsError::stdout)?)
}
