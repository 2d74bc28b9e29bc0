//! What a program leaves running under runc or crun. Both wait for the end of all that the program
//! started, because the process table is ours and not theirs; so it is ended here.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{PidfdFlags, pidfd_open};

/// How often it is looked whether the runtime has started the program, and what still runs.
const LOOK: Duration = Duration::from_millis(10);

/// Once the program has ended whose number the runtime writes to a file, kills all in this process
/// table but the runtime and this process.
pub(super) fn end_with_program(file: PathBuf, runtime: u32) {
    thread::spawn(move || {
        let program = written(&file);
        let raw = i32::try_from(program).ok();
        let Some(pid) = raw.and_then(rustix::process::Pid::from_raw) else {
            return;
        };
        // What has ended already can't be opened. Before Linux 5.3 nothing can: then the runtime
        // waits, as it does outside.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => {
                let mut events = [PollFd::new(&handle, PollFlags::IN)];
                // Whatever it yields, there is nothing more to wait for.
                let _ended = retry_on_intr(|| poll(&mut events, None));
            }
            Err(rustix::io::Errno::SRCH) => {}
            Err(_) => return,
        }
        // The runtime ends when they have, and the process with it.
        loop {
            for left in others(runtime) {
                // It may have ended meanwhile.
                let _gone = kill(Pid::from_raw(left), Signal::SIGKILL);
            }
            thread::sleep(LOOK);
        }
    });
}

/// The number, as soon as it is there.
fn written(file: &Path) -> u32 {
    loop {
        let text = fs_err::read_to_string(file).unwrap_or_default();
        if let Ok(number) = text.trim().parse() {
            return number;
        }
        thread::sleep(LOOK);
    }
}

fn others(runtime: u32) -> Vec<i32> {
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return Vec::new();
    };
    let ours = [1, runtime];
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| !ours.contains(pid))
        .filter_map(|pid| i32::try_from(pid).ok())
        .collect()
}
