//! `karisimbi completions`

use clap::Args;
use clap_complete::Shell;

use super::{Outcome, output};

/// Print shell completions
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "karisimbi", &mut text);
        let text = String::from_utf8_lossy(&text);
        Ok(output::data(text.trim_end())?)
    }
}
