//! The first part of the launcher: waits for the program, watches its limits, and ends what it
//! leaves behind.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::launch::{FAILED, say};
use super::order::{ENTER, Order};
use super::watch::{Watch, children};
use super::{Input, STOPPED, privileges};

/// Milliseconds between two looks at the limits: ten thousand processes start in a third of a
/// second.
const TICK: u16 = 25;
/// What the program left behind may end by itself in this time: a helper that saw its end.
const GRACE: Duration = Duration::from_millis(100);
/// After this the kernel itself can't end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names of leftovers in a line.
const NAMED: usize = 5;

/// How the program ended.
enum End {
    /// By itself.
    Own(WaitStatus),
    /// A limit, in words.
    Limit(String),
    /// Somebody ended this process, or the one that gave the order is gone.
    Signal(Signal),
}

/// Runs the order in a child and yields how it ended.
pub(super) fn supervise(order: &Order, launcher: &OsStr) -> ExitCode {
    let ended = match prepare().and_then(|signals| follow(order, launcher, &signals)) {
        Ok(ended) => ended,
        Err(error) => {
            say(&format!("{STOPPED}the supervisor failed: {error}"));
            clear();
            return ExitCode::from(FAILED);
        }
    };
    if !matches!(ended, End::Own(_)) {
        clear();
    } else if let Some(left) = leftovers() {
        clear();
        say(&format!("killed what the program left running: {left}"));
    }
    match ended {
        End::Limit(why) => {
            say(&format!("{STOPPED}{why}"));
            ExitCode::from(FAILED)
        }
        End::Own(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
            say(&format!(
                "{STOPPED}it made a system call of another instruction set"
            ));
            ExitCode::from(FAILED)
        }
        End::Own(WaitStatus::Exited(_, code)) => {
            ExitCode::from(u8::try_from(code).unwrap_or(FAILED))
        }
        End::Own(WaitStatus::Signaled(_, signal, _)) | End::Signal(signal) => die_of(signal),
        End::Own(_) => ExitCode::from(FAILED),
    }
}

/// Adopts what loses its parent, and takes signals as messages.
fn prepare() -> io::Result<SignalFd> {
    privileges::close_files()?;
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&signals, flags)?)
}

fn follow(order: &Order, launcher: &OsStr, signals: &SignalFd) -> io::Result<End> {
    let mut watch = Watch::new(order.limits, &order.confinement.write);
    let inner = Order {
        parent: std::process::id(),
        ..order.clone()
    };
    if !parent_lives(order) {
        return Ok(End::Signal(Signal::SIGTERM));
    }
    let mut program = Command::new(launcher);
    program.args(inner.arguments(ENTER));
    if order.input == Input::Nothing {
        program.stdin(Stdio::null());
    }
    let program = program.spawn()?;
    let program = Pid::from_raw(i32::try_from(program.id()).map_err(io::Error::other)?);
    loop {
        let mut waiting = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(TICK)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(signal) = signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).map_err(io::Error::other)?;
            match Signal::try_from(number)? {
                Signal::SIGCHLD => {}
                other => return Ok(End::Signal(other)),
            }
        }
        if let Some(status) = reap(program) {
            return Ok(End::Own(status));
        }
        if !parent_lives(order) {
            return Ok(End::Signal(Signal::SIGTERM));
        }
        if let Some(limit) = watch.passed() {
            return Ok(End::Limit(limit));
        }
    }
}

fn parent_lives(order: &Order) -> bool {
    let parent = nix::unistd::getppid().as_raw();
    u32::try_from(parent).is_ok_and(|parent| parent == order.parent)
}

/// Takes note of all that ended; yields how the program did.
fn reap(program: Pid) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        match status.pid() {
            None => break,
            Some(pid) if pid == program => ended = Some(status),
            Some(_) => {}
        }
    }
    ended
}

/// Whether nothing is left: whatever lost its parent became a child of this process, so no child
/// means no descendant.
fn none_left() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return true,
        }
    }
}

/// The names of what still runs after a short while.
fn leftovers() -> Option<String> {
    let started = Instant::now();
    while !none_left() {
        if started.elapsed() > GRACE {
            let children = children();
            let names: BTreeSet<&str> = children.iter().map(|(_, name)| name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().take(NAMED).collect();
            return Some(names.join(", "));
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Kills children until there are none; each one's own children become ours as it dies.
fn clear() {
    let started = Instant::now();
    while !none_left() {
        if started.elapsed() > PATIENCE {
            say("some processes don't end; they may be waiting for a disk");
            return;
        }
        for (pid, _) in children() {
            let Ok(pid) = i32::try_from(pid) else {
                continue;
            };
            // It may have ended meanwhile.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ends as the program did.
fn die_of(signal: Signal) -> ExitCode {
    let mut unblocked = SigSet::empty();
    unblocked.add(signal);
    // Whatever fails here, the code below still tells.
    let _blocked = unblocked.thread_unblock();
    let _core = privileges::no_core();
    // Of some signals the first one only ends our runtime's own handler.
    for _ in 0..2 {
        let _alive = kill(Pid::this(), signal);
    }
    ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(FAILED))
}
