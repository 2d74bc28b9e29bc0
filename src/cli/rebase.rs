//! `karisimbi rebase`

use clap::Args;

use super::{Global, Outcome};
use crate::settings::env::Environment;

/// Not built yet
#[derive(Debug, Args)]
pub(super) struct Rebase {}

impl Rebase {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let Self {} = self;
        let _ = (global, environment);
        Ok(())
    }
}
