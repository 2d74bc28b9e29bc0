//! Signals: which are forwarded, and how they reach the inner init.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that mean the program. SIGTSTP and the like stop and continue us all as they should.
const FORWARDED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// `si_code` of a signal that the terminal sent, which its whole group gets (sigaction(2)).
const FROM_KERNEL: i32 = 0x80;

/// Signals as a stream.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

/// A signal and who sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) number: i32,
    pub(super) from_terminal: bool,
}

impl Signals {
    /// Blocks what is forwarded, and the end of children, and reads them instead.
    pub(super) fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in FORWARDED {
            set.add(signal);
        }
        set.add(Signal::SIGCHLD);
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next signal that waits.
    pub(super) fn next(&self) -> io::Result<Option<Received>> {
        let info = self.0.read_signal()?;
        Ok(info.map(|info| Received {
            number: i32::try_from(info.ssi_signo).unwrap_or_default(),
            from_terminal: info.ssi_code == FROM_KERNEL,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Starts something with no signal blocked: a program inherits what its parent blocks, and most
/// never look. What is sent to us meanwhile is lost, the end of a child too.
pub(super) fn unblocked<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let ours = SigSet::thread_get_mask()?;
    SigSet::empty().thread_set_mask()?;
    let started = start();
    ours.thread_set_mask()?;
    Ok(started)
}

/// Whether a number is that of a signal that is forwarded.
pub(super) fn forwarded(number: i32) -> Option<Signal> {
    let signal = Signal::try_from(number).ok();
    signal.filter(|signal| FORWARDED.contains(signal))
}
