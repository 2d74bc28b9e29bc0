//! Why there is no box, and why a program in it was stopped.

use std::io;
use std::path::PathBuf;

use super::Level;
use crate::error::{Coded, Exit};

/// Why there is no box, or why a program in it was stopped.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The policy asks for more than the machine has.
    #[error("--sandbox require: this machine gives level {level} only: {missing}")]
    Required {
        /// What it gives.
        level: Level,
        /// What is missing, in words.
        missing: String,
    },
    /// The launcher can't be run.
    #[error("the sandbox's launcher {launcher} can't be run")]
    Launcher {
        /// Path of the launcher.
        launcher: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The box, or a limit of it, ended the program.
    #[error("{step}: {why}")]
    Stopped {
        /// The program, for people.
        step: String,
        /// What the box said.
        why: String,
    },
}

impl Coded for SandboxError {
    fn code(&self) -> &'static str {
        match self {
            Self::Required { .. } => "SBX-REQUIRED",
            Self::Launcher { .. } => "SBX-LAUNCHER",
            Self::Stopped { .. } => "SBX-STOPPED",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Required { .. } => Exit::Usage,
            Self::Launcher { .. } | Self::Stopped { .. } => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Required { .. } => {
                "a kernel of 5.13 or newer with `landlock` among its lsm= and with seccomp gives \
                 level full; --sandbox auto takes what there is"
            }
            Self::Launcher { .. } => {
                "the program re-executes itself; its file must stay where it is, and executable"
            }
            Self::Stopped { .. } => {
                "docs/concepts/sandbox.md lists the limits; for a source that you trust --sandbox off \
                 lifts them"
            }
        };
        Some(text.to_owned())
    }
}
