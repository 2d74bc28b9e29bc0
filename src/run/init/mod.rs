//! Our own program as the init of a container: `__run-init PART …`, before any thread exists.
//!
//! ```text
//! outer   joins new namespaces but the mounts', listens for -p, forwards signals, relays
//!  └ inner   process 1: mounts, changes the root, drops rights, starts, reaps
//!     └ the program, or runc or crun that starts it
//! ```
//!
//! The outer init holds the writing end of a named pipe; when it dies, even by SIGKILL, the inner
//! one reads its end and goes, and the kernel ends what is left of its process namespace. All
//! mounts are in a mount namespace that goes with it.

mod filter;
mod inner;
mod launch;
mod leftovers;
mod mounts;
mod namespaces;
mod network;
mod outer;
mod places;
mod privileges;
pub(super) mod probe;
mod program;
mod relay;
mod runtime;
mod signals;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use super::error::RunError;

/// The first argument that asks for the init.
pub(super) const ARGUMENT: &str = "__run-init";

/// Parts of the init, its second argument.
pub(super) const OUTER: &str = "outer";
const INNER: &str = "inner";
/// Ends the container when the lock beside the description is free.
pub(super) const WATCHED: &str = "watched";
/// Removes the folder of the run at its end.
pub(super) const ALONE: &str = "alone";

/// Runs the init when the arguments ask for it. Called first in `main`, before any thread exists.
///
/// # Errors
/// RUN-*; nothing of the program's own.
pub fn init(args: &[OsString]) -> Option<Result<u8, RunError>> {
    let mut args = args.iter().skip(1).map(OsString::as_os_str);
    if args.next() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    let part = args.next().and_then(OsStr::to_str).unwrap_or_default();
    let file = args.next().map_or(Path::new(""), Path::new);
    let mode = args.next().and_then(OsStr::to_str).unwrap_or_default();
    Some(match part {
        OUTER => outer::run(file, mode),
        INNER => inner::run(file),
        probe::PROBE => probe::outer(file, mode),
        probe::INSIDE => probe::inside(file),
        _ => Err(RunError::Internal {
            what: format!("no part of the init is called {part:?}"),
        }),
    })
}

/// A process's end as one number: its code, or 128+n after signal n.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}
