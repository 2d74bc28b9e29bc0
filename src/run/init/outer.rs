//! The outer init: outside the container, with its network.

use fs_err::os::unix::fs::OpenOptionsExt;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::stat::Mode;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Signal, getpid, kill_process};

use super::namespaces::Refused;
use super::signals::{self, Signals};
use super::{ALONE, ARGUMENT, INNER, WATCHED, exit_code, namespaces, privileges, relay};
use crate::run::error::RunError;
use crate::run::spec::Spec;

/// Runs the container of a description to its end, and yields the program's exit code.
pub(super) fn run(file: &Path, mode: &str) -> Result<u8, RunError> {
    let spec = Spec::read(file)?;
    let outcome = supervise(&spec, file, mode);
    if mode == ALONE
        && let Some(scratch) = spec.folder.parent()
    {
        // What can't be removed is swept by the next process.
        let _swept_later = fs_err::remove_dir_all(scratch);
    }
    outcome
}

fn supervise(spec: &Spec, file: &Path, mode: &str) -> Result<u8, RunError> {
    let signals = Signals::take().map_err(|error| RunError::setup("signals", error))?;
    let listeners = relay::listen(&spec.ports)?;
    let control = spec.control();
    nix::unistd::mkfifo(&control, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|error| RunError::setup("a pipe to the container", error))?;
    // Both ends: opening waits for nobody, and the inner init sees its end when we are gone.
    let mut control = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(&control)
        .map_err(|error| RunError::setup("a pipe to the container", error))?;
    let refused = |refused: Refused| RunError::setup(refused.what, refused.source);
    namespaces::enter(spec.rights, (spec.uid, spec.gid), spec.network).map_err(refused)?;
    if mode == WATCHED {
        watch(spec.folder.join("lock"));
    }
    relay::serve(listeners);
    namespaces::new_processes().map_err(refused)?;
    let mut child = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .arg(INNER)
        .arg(file)
        .env_clear()
        .spawn()
        .map_err(|error| RunError::setup("starting process 1", error))?;
    let terminal = privileges::has_terminal();
    privileges::close_streams()
        .map_err(|error| RunError::setup("closing standard streams", error))?;
    loop {
        wait_for(&signals)?;
        while let Some(signal) = signals
            .next()
            .map_err(|error| RunError::setup("signals", error))?
        {
            let reached = signal.from_terminal && terminal;
            if signals::forwarded(signal.number).is_some() && !reached {
                let byte = u8::try_from(signal.number).unwrap_or_default();
                // A full pipe has many of them already.
                let _dropped = control.write(&[byte]);
            }
        }
        if let Some(code) = ended(&mut child)? {
            return Ok(code);
        }
    }
}

fn wait_for(signals: &Signals) -> Result<(), RunError> {
    let mut events = [PollFd::new(signals, PollFlags::IN)];
    match poll(&mut events, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(RunError::setup("waiting", errno)),
    }
}

fn ended(child: &mut Child) -> Result<Option<u8>, RunError> {
    let status = child
        .try_wait()
        .map_err(|error| RunError::setup("waiting for process 1", error))?;
    Ok(status.map(exit_code))
}

/// Whoever started us holds the lock as long as the container shall live.
fn watch(lock: std::path::PathBuf) {
    std::thread::spawn(move || {
        if let Ok(file) = fs_err::File::open(lock) {
            // Whatever it yields, the lock is not held any more.
            let _freed = retry_on_intr(|| flock(file.file(), FlockOperation::LockShared));
        }
        // The inner init ends with us, at once.
        let _gone = kill_process(getpid(), Signal::KILL);
    });
}
