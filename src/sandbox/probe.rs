//! What this machine can do, by trying it in a process that ends at once.

use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::launch::FAILED;
use super::order::PROBE;
use super::syscalls::Truncation;
use super::{Confinement, Level, files, syscalls};
use crate::program::{Limits, RunError, run};

/// Exit codes of the trial.
const NOTHING: u8 = 64;
const SYSCALLS: u8 = 1;
const FILES: u8 = 2;

const LIMITS: Limits = Limits {
    time: Duration::from_secs(30),
    output: 1 << 10,
};

/// What this machine can do.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) level: Level,
    /// What is missing for the full level, in words.
    pub(super) missing: String,
    /// Why the launcher did not answer.
    pub(super) error: Option<io::Error>,
}

impl Probe {
    /// Asks the launcher.
    pub(super) fn of(launcher: &Path) -> Self {
        let failed = |error: io::Error| Self {
            level: Level::None,
            missing: format!("its launcher did not answer: {error}"),
            error: Some(error),
        };
        let mut command = Command::new(launcher);
        command.arg(PROBE).env_clear();
        let output = match run(&mut command, LIMITS) {
            Ok(output) => output,
            Err(RunError::Io(error)) => return failed(error),
            Err(error @ RunError::Stopped(_)) => return failed(io::Error::other(error)),
        };
        let code = output
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok());
        let Some(got) = code.and_then(|code| code.checked_sub(NOTHING)) else {
            return failed(io::Error::other(output.status.to_string()));
        };
        let (files, syscalls) = (got & FILES != 0, got & SYSCALLS != 0);
        if got > (FILES | SYSCALLS) {
            return failed(io::Error::other(output.status.to_string()));
        }
        Self {
            level: match (files, syscalls) {
                (true, true) => Level::Full,
                (true, false) => Level::FsOnly,
                (false, true) => Level::SyscallsOnly,
                (false, false) => Level::None,
            },
            missing: missing(files, syscalls),
            error: None,
        }
    }
}

fn missing(files: bool, syscalls: bool) -> String {
    let read = |path: &str| fs_err::read_to_string(path).map(|text| text.trim().to_owned());
    let mut parts = Vec::new();
    if !files {
        parts.push("Landlock can't be used");
    }
    if !syscalls {
        parts.push("seccomp filters can't be installed");
    }
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".to_owned());
    // Only where securityfs is mounted.
    let modules = read("/sys/kernel/security/lsm").unwrap_or_else(|_| "not shown".to_owned());
    format!(
        "{} (kernel {kernel}, security modules {modules})",
        parts.join(" and ")
    )
}

/// The launcher's part of it: confines itself and says how far it came.
pub(super) fn answer() -> ExitCode {
    if rustix::thread::set_no_new_privs(true).is_err() {
        return ExitCode::from(FAILED);
    }
    let nothing = Confinement::default();
    let files = files::confine(&nothing).is_ok();
    let syscalls = syscalls::filter(nothing.network, Truncation::Confined)
        .and_then(|program| syscalls::install(&program))
        .is_ok();
    let code = NOTHING + u8::from(files) * FILES + u8::from(syscalls) * SYSCALLS;
    ExitCode::from(code)
}
