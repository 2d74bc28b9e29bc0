//! The launcher: what our program is when it is re-executed.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use super::order::{ENTER, Order, PROBE, SUPERVISE};
use super::{MARK, enter, probe, supervise};

/// The launcher's own failures, as docker and `env` have them.
pub(super) const FAILED: u8 = 125;
pub(super) const NOT_EXECUTABLE: u8 = 126;
pub(super) const NOT_FOUND: u8 = 127;

/// Runs the launcher when the arguments ask for it: `__launch …`. Called first in `main`, before
/// any thread exists.
pub fn launch(args: &[OsString]) -> Option<ExitCode> {
    let (program, rest) = args.split_first()?;
    let (part, rest) = rest.split_first()?;
    let run: fn(&Order, &OsStr) -> ExitCode = match part.to_str()? {
        PROBE => return Some(probe::answer()),
        SUPERVISE => supervise::supervise,
        ENTER => |order, _| enter::enter(order),
        _ => return None,
    };
    Some(match Order::parse(rest) {
        Ok(order) => run(&order, program),
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(FAILED)
        }
    })
}

/// Prints a line on the standard error that the program has.
pub(super) fn say(text: &str) {
    // One write, so that the line is whole among those of the program. This process is not the
    // command line: it has no reporter.
    let line = format!("{MARK}{text}\n");
    // Without a reader there is nobody to tell.
    let _unread = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
}
