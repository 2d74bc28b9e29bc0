//! `karisimbi base outdated` and `karisimbi base verify`

use clap::Args;

use super::{BaseArgs, Ground, changes};
use crate::base::lock::{LockedBase, LockedDeb};
use crate::base::renew::{self, Change};
use crate::base::{BaseName, assembled};
use crate::cli::output::Format;
use crate::cli::{Global, Outcome, output};
use crate::error::{AnyError, Coded};
use crate::pipeline::PipelineError;
use crate::platform::Platform;
use crate::progress::Verb;
use crate::settings::SettingsError;
use crate::settings::env::Environment;
use crate::store::Store;

/// Compare bases.lock with what there is now; nothing is changed
///
/// Exit code 0 when nothing is newer, 1 when something is. Packages that the security suite has a
/// newer version of are marked: no database of vulnerabilities is needed for that.
#[derive(Debug, Args)]
pub(super) struct Outdated {
    /// Bases (default: all that the lock has)
    #[arg(value_name = "NAME")]
    names: Vec<BaseName>,
    #[command(flatten)]
    bases: BaseArgs,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Fetch and hash every package of bases.lock, assemble it anew, and compare the layers
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Bases (default: all that the lock has)
    #[arg(value_name = "NAME")]
    names: Vec<BaseName>,
    /// Platforms, separated by commas (default: those that the lock has layers of)
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    platforms: Vec<Platform>,
    #[command(flatten)]
    bases: BaseArgs,
}

/// The lock is behind.
#[derive(Debug, thiserror::Error)]
#[error("newer than bases.lock: {count}, of which {security} for security")]
struct Behind {
    count: usize,
    security: usize,
}

impl Coded for Behind {
    fn code(&self) -> &'static str {
        "BASE-OUTDATED"
    }

    fn hint(&self) -> Option<String> {
        Some("karisimbi base update, then build again".to_owned())
    }
}

impl Outdated {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let ground = Ground::with_lock(global, &self.bases, environment)?;
        let entries = ground.entries(&self.names)?;
        let found: Vec<Change> = ground
            .with(|context| renew::outdated(&entries, context).map_err(PipelineError::part))?;
        let text = match self.format {
            Format::Text => changes::table(&found),
            Format::Json => output::json(&found).map_err(SettingsError::json)?,
        };
        if !text.is_empty() {
            output::data(&text).map_err(SettingsError::stdout)?;
        }
        if found.is_empty() {
            let text = format!("{}: nothing is newer", ground.path().display());
            ground.session.reporter.line(Verb::Resolved, text);
            return Ok(());
        }
        let fixes = found.iter().filter(|change| change.security == Some(true));
        Err(Behind {
            security: fixes.count(),
            count: found.len(),
        }
        .into())
    }
}

impl Verify {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let ground = Ground::with_lock(global, &self.bases, environment)?;
        for (name, base) in ground.entries(&self.names)? {
            let lines = match &base {
                LockedBase::Deb(deb) => self.deb(&name, deb, &ground)?,
                LockedBase::Registry(image) => {
                    let reference = format!("{}@{}", image.reference, image.digest);
                    let reference: crate::reference::Reference = reference.parse()?;
                    let client = ground.session.client()?;
                    let found = client.fetch_manifest(&reference)?;
                    vec![format!("{name} verified, {}", found.digest)]
                }
            };
            for line in lines {
                output::data(&line).map_err(SettingsError::stdout)?;
            }
        }
        Ok(())
    }

    fn deb(&self, name: &str, deb: &LockedDeb, ground: &Ground) -> Result<Vec<String>, AnyError> {
        let mut lines = Vec::new();
        for platform in self.platforms_of(deb) {
            // Assembled where no layer of an earlier build can be taken for it.
            let folder = ground.session.store.temporary_folder()?.join("verify");
            let reporter = std::sync::Arc::clone(&ground.session.reporter);
            let scratch = Store::open(&folder, reporter)?;
            let layers = ground.with(|context| {
                assembled::verify(deb, &platform, &scratch, context).map_err(PipelineError::part)
            })?;
            drop(scratch);
            fs_err::remove_dir_all(&folder).map_err(|source| SettingsError::Write {
                path: folder.clone(),
                source,
            })?;
            let known = deb.platforms.get(&platform.to_string());
            let compared = known.is_some_and(|known| !known.layers.is_empty());
            let listed: Vec<String> = layers
                .iter()
                .map(|layer| format!("{} {}", layer.name, layer.diff_id))
                .collect();
            let said = if compared {
                "verified"
            } else {
                "assembled, the lock has no layers yet"
            };
            lines.push(format!("{name} {platform} {said}: {}", listed.join(", ")));
        }
        Ok(lines)
    }

    fn platforms_of(&self, deb: &LockedDeb) -> Vec<Platform> {
        if !self.platforms.is_empty() {
            return self.platforms.clone();
        }
        let with_layers = deb
            .platforms
            .iter()
            .filter(|(_, parts)| !parts.layers.is_empty());
        let found: Vec<Platform> = with_layers
            .filter_map(|(platform, _)| platform.parse().ok())
            .collect();
        if found.is_empty() {
            return vec![Platform::linux_amd64()];
        }
        found
    }
}
