//! Our own program as a step before a server that listens: `__smoke-exec PROGRAM ARGUMENTS`.
//!
//! A server over stdio ends with its input; one that listens would outlive an interrupted smoke.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::SmokeError;

const ARGUMENT: &str = "__smoke-exec";

/// The command that starts a program which ends when the calling thread does.
pub fn guarded(own_program: &Path, program: &str) -> Command {
    let mut command = Command::new(own_program);
    command.arg(ARGUMENT).arg(program);
    command
}

/// Becomes the program when the arguments ask for it; yields only an error. Called first in
/// `main`, before any thread exists.
pub fn guard(args: &[OsString]) -> Option<SmokeError> {
    let mut args = args.iter().skip(1).map(OsString::as_os_str);
    if args.next() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    let mut command = Command::new(args.next().unwrap_or_default());
    command.args(args);
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Some(SmokeError::start(&command, error.into()));
    }
    let error = command.exec();
    Some(SmokeError::start(&command, error))
}
