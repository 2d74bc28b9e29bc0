//! `karisimbi version`

use clap::Args;

use super::{Outcome, output};

/// Print the version
#[derive(Debug, Args)]
pub(super) struct Version {}

impl Version {
    pub(super) fn run() -> Outcome {
        let text = format!(
            "karisimbi {} (layer format {})",
            env!("CARGO_PKG_VERSION"),
            crate::layer::FORMAT_VERSION
        );
        Ok(output::data(&text)?)
    }
}
