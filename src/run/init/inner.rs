//! The inner init: process 1 of the container.

use fs_err::os::unix::fs::OpenOptionsExt;
use std::io::{ErrorKind, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::signals::{self, Signals};
use super::{exit_code, launch, privileges, runtime};
use crate::run::error::RunError;
use crate::run::spec::{Boxer, Spec};
use crate::sandbox::close_files;

/// As if by SIGKILL; nobody reads it.
const KILLED: u8 = 137;

/// Sets the container up, starts the program and yields its exit code.
pub(super) fn run(file: &Path) -> Result<u8, RunError> {
    privileges::die_with_parent().map_err(|error| RunError::setup("PR_SET_PDEATHSIG", error))?;
    // Locks of ours, and what a careless parent left open.
    close_files().map_err(|error| RunError::setup("closing files", error))?;
    let spec = Spec::read(file)?;
    // It holds the program's variables, which may be secrets; nobody else reads it.
    fs_err::remove_file(file).map_err(|error| RunError::setup("the run's description", error))?;
    let signals = Signals::take().map_err(|error| RunError::setup("signals", error))?;
    let mut control = fs_err::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(spec.control())
        .map_err(|error| RunError::setup("a pipe to the container", error))?;
    // A pipe that had no writer since it was opened never reports its end to poll.
    let early = listen(&mut control)?;
    let Some(early) = early else {
        return Ok(KILLED);
    };
    let child = match &spec.boxer {
        Boxer::Own => launch::start(&spec)?,
        Boxer::Runtime(program) => runtime::start(&spec, program)?,
    };
    privileges::close_streams()
        .map_err(|error| RunError::setup("closing standard streams", error))?;
    let child = i32::try_from(child).unwrap_or_default();
    forward(child, &early);
    let code = supervise(child, &signals, control)?;
    match &spec.boxer {
        Boxer::Runtime(program) if code != 0 && !runtime::has_started(&spec) => {
            Err(RunError::Setup {
                what: format!("{} did not start the program", program.display()),
                source: std::io::Error::other("what it said is above"),
            })
        }
        _ => Ok(code),
    }
}

/// Signals that wait in the pipe; none when the outer init is gone.
fn listen(control: &mut fs_err::File) -> Result<Option<Vec<u8>>, RunError> {
    let mut numbers = vec![0; 64];
    match control.read(&mut numbers) {
        Ok(0) => Ok(None),
        Ok(count) => {
            numbers.truncate(count);
            Ok(Some(numbers))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(Vec::new())),
        Err(error) => Err(RunError::setup("the pipe to the container", error)),
    }
}

fn supervise(child: i32, signals: &Signals, mut control: fs_err::File) -> Result<u8, RunError> {
    let waiting = |errno: Errno| RunError::setup("waiting", errno);
    // It may have ended while no signal was read.
    if let Some(code) = reap(child).map_err(waiting)? {
        return Ok(code);
    }
    loop {
        let mut events = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(control.file(), PollFlags::IN),
        ];
        match poll(&mut events, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(waiting(errno)),
        }
        let told = !events[1].revents().is_empty();
        // Ours is SIGCHLD; what the terminal sends us the program got, too.
        while signals
            .next()
            .map_err(|error| RunError::setup("signals", error))?
            .is_some()
        {}
        if let Some(code) = reap(child).map_err(waiting)? {
            return Ok(code);
        }
        if told {
            match listen(&mut control)? {
                Some(numbers) => forward(child, &numbers),
                None => return Ok(KILLED),
            }
        }
    }
}

fn forward(child: i32, numbers: &[u8]) {
    for number in numbers {
        if let Some(signal) = signals::forwarded(i32::from(*number)) {
            // It may have ended meanwhile.
            let _ended = kill(Pid::from_raw(child), signal);
        }
    }
}

/// Reaps whoever ended; the exit code when it was the program.
fn reap(child: i32) -> Result<Option<u8>, Errno> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == child => {
                return Ok(Some(exit_code(ExitStatus::from_raw(status.as_raw()))));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}
