//! Where bases come from: flags that builds and `base` commands share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::settings::BaseFlags;

/// Where bases come from.
#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Bases")]
pub(in crate::cli) struct BaseArgs {
    /// bases.lock, or a build record (default: beside deployment.yaml, else at the source's root)
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Debian mirror to assemble bases from (default: `KARISIMBI_MIRROR`, else what apt uses);
    /// none: no packages
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// PGP keys that may sign a mirror's indices, in place of Debian's
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Look for short names of bases in this project first (default: `KARISIMBI_BASE_REGISTRY`)
    #[arg(long, value_name = "HOST/PROJECT")]
    base_registry: Option<String>,
}

impl BaseArgs {
    /// The flags, with paths that count from `current`.
    pub(in crate::cli) fn flags(&self, current: &Path) -> BaseFlags {
        let from = |path: &PathBuf| current.join(path);
        BaseFlags {
            registry: self.base_registry.clone(),
            mirror: self.mirror.clone(),
            keyring: self.keyring.as_ref().map(from),
            lock: self.lock.as_ref().map(from),
            ..BaseFlags::default()
        }
    }

    /// Paths as typed.
    pub(in crate::cli) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.lock, &self.keyring]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}
