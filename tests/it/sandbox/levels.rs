//! Levels: what each confines, which one is taken, where it is told.

use std::path::PathBuf;
use std::process::{Command, Output};

use karisimbi::error::Coded;
use karisimbi::sandbox::{Confinement, Launcher, Level, Policy, Sandbox};

use super::said;
use crate::cli::{Bench, both};
use crate::support::{fail, karisimbi, shown, write};

/// A machine of this level, as far as the launcher's trial says.
fn machine(dir: &tempfile::TempDir, code: u8) -> Launcher {
    let path = dir.path().join(format!("launcher-{code}"));
    write(&path, format!("#!/bin/sh\nexit {code}\n"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a mode");
    Launcher(path)
}

#[test]
fn require_fails_below_full_and_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let echo = || Command::new("echo");
    let nothing = Confinement::default();
    for (code, level, missing) in [
        (
            64,
            Level::None,
            "Landlock can't be used and seccomp filters can't be installed",
        ),
        (65, Level::SyscallsOnly, "Landlock can't be used (kernel "),
        (
            66,
            Level::FsOnly,
            "seccomp filters can't be installed (kernel ",
        ),
        (67, Level::Full, ""),
    ] {
        let auto = Sandbox::new(machine(&dir, code), Policy::Auto);
        assert_eq!(auto.level(), level);
        assert!(auto.confine(&echo(), &nothing).is_ok());
        let notice = auto.notice();
        let require = Sandbox::new(machine(&dir, code), Policy::Require);
        let outcome = require.confine(&echo(), &nothing);
        if level == Level::Full {
            assert!(outcome.is_ok() && notice.is_none());
            continue;
        }
        let (notice_code, text) = notice.expect("a notice");
        assert_eq!(notice_code, "SBX-LEVEL");
        assert!(
            text.contains(missing) && text.contains(level.word()),
            "{text}"
        );
        assert_eq!(auto.notice(), None, "once is enough");
        let error = outcome.expect_err("a refusal");
        assert_eq!(error.code(), "SBX-REQUIRED");
        let text = error.to_string();
        assert!(
            text.contains(missing) && text.contains(level.word()),
            "{text}"
        );
    }
    // A launcher that is none.
    for launcher in [machine(&dir, 0), Launcher("/nonexistent".into())] {
        let auto = Sandbox::new(launcher, Policy::Auto);
        let error = auto.confine(&echo(), &nothing).expect_err("a refusal");
        assert_eq!((error.code(), auto.level()), ("SBX-LAUNCHER", Level::None));
    }
    let off = Sandbox::new(Launcher(PathBuf::new()), Policy::Off);
    let plain = off.confine(&echo(), &nothing).expect("no box");
    assert_eq!(
        (plain.get_program(), off.level()),
        ("echo".as_ref(), Level::None)
    );
    assert_eq!(off.notice().map(|(code, _)| code), Some("SBX-OFF"));
}

#[test]
fn each_level_confines_what_it_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = dir.path().join("secret");
    write(&secret, "a file outside");
    let script = "import socket, sys\n\
                  for what in (lambda: open(sys.argv[1]).close(), lambda: socket.socket().close()):\n    \
                  try: what(); print('yes')\n    except PermissionError: print('no')\n";
    for (level, expected) in [
        ("none", "yes\nyes\n"),
        ("syscalls-only", "yes\nno\n"),
        ("fs-only", "no\nyes\n"),
        ("full", "no\nno\n"),
    ] {
        let parent = std::process::id().to_string();
        let order = ["__launch", "--parent", &parent, "--level", level, "--"];
        let output: Output = karisimbi()
            .args(order)
            .args(["/usr/bin/python3", "-c", script])
            .arg(&secret)
            .output()
            .expect("the launcher");
        assert_eq!(said(&output), expected, "{level}: {}", shown(&output));
    }
}

/// A Go program in the bench, whose compiler has a cache of its own.
fn build(bench: &Bench, sandbox: &[&str]) -> Command {
    write(
        &bench.path("go/go.mod"),
        "module example.org/x\n\ngo 1.20\n",
    );
    // Runtime alone: the standard library would take longer than the test.
    write(
        &bench.path("go/main.go"),
        "package main\n\nfunc main() { println(\"x\") }\n",
    );
    let mut command = bench.command(&["build", "go", "--no-cache", "--digest-file", "digest"]);
    command
        .args(["--record", "record.json", "--cache-dir"])
        .arg(super::cache())
        .args(sandbox);
    command
}

#[test]
fn a_build_has_the_same_bytes_at_every_level_and_tells_its_own() {
    let bench = Bench::new();
    let mut digests = Vec::new();
    for (args, level, warning) in [
        (&["--sandbox", "require"][..], "full", None),
        (&[], "full", None),
        (&["--sandbox", "auto"], "full", None),
        (&["--sandbox", "off"], "none", Some("warning[SBX-OFF]")),
    ] {
        let (_, stderr) = both(&mut build(&bench, args));
        let ran = format!("s, sandbox {level}\n");
        assert!(
            stderr.contains("\nran      go build . (linux/amd64), "),
            "{stderr}"
        );
        assert!(stderr.contains(&ran), "{stderr}");
        assert_eq!(
            stderr.matches("warning[SBX-").count(),
            usize::from(warning.is_some())
        );
        assert!(warning.is_none_or(|text| stderr.contains(text)), "{stderr}");
        digests.push(std::fs::read_to_string(bench.path("digest")).expect("a digest"));
        let record = std::fs::read_to_string(bench.path("record.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!(record["sandbox"], level);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    // What nothing ran for was not confined.
    let mut cached = bench.command(&["build", "go", "--record", "record.json", "--cache-dir"]);
    cached.arg(super::cache());
    let (_, stderr) = both(&mut cached);
    assert!(!stderr.contains("sandbox"), "{stderr}");
    let record = std::fs::read_to_string(bench.path("record.json")).expect("a record");
    assert!(record.contains("\"sandbox\": null"), "{record}");
}

#[test]
fn the_policy_comes_from_the_flag_or_the_variable_and_never_from_the_source() {
    let bench = Bench::new();
    let mut command = build(&bench, &[]);
    let (_, stderr) = both(command.env("KARISIMBI_SANDBOX", "off"));
    assert!(stderr.contains("warning[SBX-OFF]"), "{stderr}");
    let mut command = build(&bench, &["--sandbox", "require"]);
    let (_, stderr) = both(command.env("KARISIMBI_SANDBOX", "off"));
    assert!(stderr.contains("sandbox full"), "{stderr}");
    for (args, variable, word) in [
        (
            &[][..],
            "on",
            "error[USE-SANDBOX]: KARISIMBI_SANDBOX is \"on\": write require, auto or off",
        ),
        (&["--sandbox", "on"], "off", "write require, auto or off"),
        (&["--set", "sandbox=off"], "auto", "sandbox"),
    ] {
        let mut command = build(&bench, args);
        let (exit, stderr) = fail(command.env("KARISIMBI_SANDBOX", variable));
        assert_eq!(exit, 2, "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
}
