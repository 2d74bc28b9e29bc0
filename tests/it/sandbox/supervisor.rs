//! What the program leaves behind, and what happens when somebody in the chain is killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Rig, USERS, User, runs, said, unique};
use crate::support::{karisimbi, shown};

/// Waits for a condition, and says whether it came.
fn comes(condition: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn daemons_end_with_the_program_and_are_told() {
    for user in USERS {
        let rig = Rig::new(user);
        let mark = unique(rig.dir.path());
        // In the background, in another session, forked twice with its streams closed.
        let script = format!(
            "sleep {mark} & setsid sleep {mark} & \
             (setsid sh -c 'sleep {mark} & sleep {mark}' >/dev/null 2>&1 </dev/null &) ; echo over"
        );
        let output = rig.sh(&script);
        let told = "over\nkarisimbi sandbox: killed what the program left running: ";
        assert!(said(&output).starts_with(told), "{}", shown(&output));
        assert!(said(&output).contains("sleep"), "{}", shown(&output));
        assert!(output.status.success());
        assert!(!runs(&mark), "{user:?}: a daemon lives");
    }
}

#[test]
fn a_stopped_supervisor_takes_everything_along() {
    let rig = Rig::new(User::Plain);
    let mark = unique(rig.dir.path());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let script = format!("setsid sleep {mark} & trap '' TERM INT; sleep {mark}; sleep {mark}");
        let mut command = rig.command("/bin/sh", &["-c", &script]);
        let mut child = command.stderr(Stdio::null()).spawn().expect("the launcher");
        assert!(comes(|| runs(&mark)));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, signal).expect("a signal");
        let status = child.wait().expect("its end");
        let ended = std::os::unix::process::ExitStatusExt::signal(&status);
        // Of a signal that the tests themselves were started to ignore (SIGINT, in the background
        // of a shell) nobody dies; the code says it then.
        let code = status.code().map(|code| code - 128);
        assert_eq!(ended.or(code), Some(signal as i32));
        assert!(!runs(&mark), "{signal}: a process lives");
    }
}

#[test]
fn nothing_outlives_the_process_that_gave_the_order() {
    let rig = Rig::new(User::Root);
    let mark = unique(rig.dir.path());
    // The shell gives the order and dies without a word.
    let script = format!(
        "\"$0\" __launch --parent $$ -- /bin/sh -c 'setsid sleep {mark} & sleep {mark}' & \
         while ! pgrep -x -f 'sleep {mark}' >/dev/null; do sleep 0.05; done; kill -9 $$"
    );
    let status = Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(karisimbi().get_program())
        .stderr(Stdio::null())
        .status()
        .expect("a shell");
    assert!(!status.success());
    assert!(comes(|| !runs(&mark)), "a process lives");
}

#[test]
fn files_that_were_open_outside_are_closed() {
    let rig = Rig::new(User::Root);
    let script = "exec 7<\"$1\"; \"$0\" __launch --parent $$ -- /bin/cat /proc/self/fd/7; echo $?";
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(karisimbi().get_program())
        .arg(rig.path("home/.ssh/id"))
        .output()
        .expect("a shell");
    assert!(said(&output).starts_with("1\n"), "{}", shown(&output));
    assert!(!said(&output).contains("private"), "{}", shown(&output));
}

#[test]
fn a_lock_that_the_supervisor_holds_is_not_the_programs() {
    let mut rig = Rig::new(User::Root);
    let lock = rig.path("lock");
    std::fs::write(&lock, "").expect("a file");
    for (nothing, expected) in [(false, lock.to_str().expect("UTF-8")), (true, "/dev/null")] {
        if nothing {
            rig.sandbox = rig.sandbox.without_input();
        }
        let output = rig
            .command("/bin/readlink", &["/proc/self/fd/0"])
            .stdin(std::fs::File::open(&lock).expect("the lock"))
            .output()
            .expect("the launcher");
        assert_eq!(said(&output).trim_end(), expected);
    }
}

#[test]
fn typed_arguments_are_no_order() {
    for args in [
        vec!["__launch"],
        vec!["__launch", "--read"],
        vec!["__launch-enter", "--x", "y", "--", "true"],
    ] {
        let output = karisimbi().args(&args).output().expect("the program");
        assert_eq!(
            output.status.code(),
            Some(125),
            "{args:?}: {}",
            shown(&output)
        );
        assert!(
            said(&output).starts_with("karisimbi sandbox: not an argument"),
            "{}",
            shown(&output)
        );
    }
    // Only the supervisor's child may confine itself: it would outlive everybody.
    let enter = ["__launch-enter", "--parent", "1", "--", "/bin/echo", "x"];
    let output = karisimbi().args(enter).output().expect("the program");
    assert_eq!(output.status.code(), Some(125), "{}", shown(&output));
    assert!(!said(&output).starts_with('x'), "{}", shown(&output));
}
