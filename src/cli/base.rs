//! `karisimbi base`

mod args;

use clap::Args;

pub(super) use args::BaseArgs;

use super::{Global, Outcome};
use crate::settings::env::Environment;

/// Not built yet
#[derive(Debug, Args)]
pub(super) struct Base {}

impl Base {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let Self {} = self;
        let _ = (global, environment);
        Ok(())
    }
}
