//! The second part of the launcher: confines itself and becomes the program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::signal::SigSet;
use rustix::process::Signal;

use super::launch::{FAILED, NOT_EXECUTABLE, NOT_FOUND, say};
use super::order::Order;
use super::privileges::RootBecomes;
use super::syscalls::Truncation;
use super::{NetworkAccess, STOPPED, files, privileges, syscalls};

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
enum EnterError {
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Files(#[from] files::FilesError),
    #[error(transparent)]
    Syscalls(#[from] syscalls::SyscallsError),
}

/// Becomes the program of the order; returns only when that fails.
pub(super) fn enter(order: &Order) -> ExitCode {
    let became = match confine(order) {
        Ok(became) => became,
        Err(error) => {
            say(&format!("{STOPPED}the box can't be closed: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let (Some(program), args) = (order.command.first(), order.command.get(1..)) else {
        return ExitCode::from(FAILED);
    };
    let mut command = Command::new(program);
    command.args(args.unwrap_or_default());
    if became == RootBecomes::Nobody {
        // No checkout is this user's own, and git asks for that to keep code of others from being
        // run, which is what the box is for.
        let setting = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ];
        command.envs(setting);
    }
    let error = command.exec();
    say(&format!(
        "{STOPPED}{} can't be started: {error}",
        program.to_string_lossy()
    ));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}

fn confine(order: &Order) -> Result<RootBecomes, EnterError> {
    let failed = |what| {
        move |source: rustix::io::Errno| EnterError::System {
            what,
            source: source.into(),
        }
    };
    // The supervisor's own mask, which a child inherits.
    SigSet::empty()
        .thread_set_mask()
        .map_err(|error| EnterError::System {
            what: "the signal mask",
            source: error.into(),
        })?;
    // Away from the terminal, and from signals that are typed on it.
    rustix::process::setsid().map_err(failed("a session"))?;
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    privileges::close_files().map_err(|source| EnterError::System {
        what: "open files",
        source,
    })?;
    privileges::lower_limits(&order.limits).map_err(failed("limits"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("no_new_privs"))?;
    let root = match order.confinement.network {
        NetworkAccess::Denied => RootBecomes::Nobody,
        // ssh wants a user of /etc/passwd, and git one who owns the repositories in the cache.
        NetworkAccess::Allowed => RootBecomes::Root,
    };
    let became = privileges::drop_capabilities(root).map_err(|source| EnterError::System {
        what: "capabilities",
        source,
    })?;
    // Now: a change of user cleared it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(failed("the signal of the parent's end"))?;
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(order.parent) {
        return Err(failed("the supervisor is gone")(rustix::io::Errno::SRCH));
    }
    let mut truncation = Truncation::Confined;
    if order.level.files() {
        let mut confinement = order.confinement.clone();
        confinement.read.extend(program_file(order));
        truncation = files::confine(&confinement)?;
    }
    // Last: it closes what the steps above need.
    if order.level.syscalls() {
        syscalls::install(&syscalls::filter(order.confinement.network, truncation)?)?;
    }
    Ok(became)
}

/// The program's own file, when it is named by its path.
fn program_file(order: &Order) -> Option<std::path::PathBuf> {
    let program = std::path::PathBuf::from(order.command.first()?);
    program.is_absolute().then_some(program)
}
