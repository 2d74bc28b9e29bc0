//! Images run here: every way, with the same limits, and nothing of a run stays.

mod boxes;
mod hostile;
mod hostile_layers;
mod places;
mod programs;
mod rig;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{fail, free_port, run, shown};
use rig::{Rig, Way};

#[test]
fn every_way_gives_the_same_limits() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let output = rig
            .run(&[
                "who",
                "write=/x",
                "write=/tmp/x",
                "write=/dev/shm/x",
                "status",
                "unshare",
                "dial=192.0.2.1:80",
                "read=/etc/hosts",
                "read=/secret",
                "exit=7",
            ])
            .output()
            .expect("a run");
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(7), "{way:?}: {text}");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines,
            [
                "uid 1001 gid 1001 in /app",
                "write /x read-only file system",
                "write /tmp/x ok",
                "write /dev/shm/x ok",
                "status CapEff: 0000000000000000",
                "status CapBnd: 0000000000000000",
                "status NoNewPrivs: 1",
                "status Seccomp: 2",
                "unshare operation not permitted",
                "dial failed",
                r#"read /etc/hosts "127.0.0.1 localhost karisimbi\n::1 localhost\n" ok"#,
                r#"read /secret "" no such file or directory"#,
            ],
            "{way:?}: {text}"
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!(
            "ran      {}: files read-only, own process table, no network (loopback only), \
             uid 1001, no capabilities",
            way.name()
        );
        assert!(said.contains(&expected), "{way:?}: {said}");
        rig.nothing_stays();
    }
}

#[test]
fn exit_codes_tell_the_program_from_us() {
    let rig = Rig::new(Way::Namespaces);
    rig.add_file("script", b"#!/bin/sh\n", 0o755);
    rig.add_file("plain", b"text", 0o644);
    rig.add_file("noise", b"\x01\x02\x03", 0o755);
    for (options, args, code, words) in [
        (&[][..], &["exit=0"][..], 0, ""),
        (&[], &["exit=3"], 3, ""),
        (&[], &["exit=125"], 125, ""),
        (&[], &["kill"], 137, ""),
        (
            &["--entrypoint", "/no"],
            &[],
            127,
            "RUN-NOT-FOUND]: /no: is not in the image",
        ),
        (&["--entrypoint", "sh"], &[], 127, "this image has no shell"),
        (
            &["--entrypoint", "/script"],
            &[],
            127,
            "is a script for /bin/sh",
        ),
        (
            &["--entrypoint", "/plain"],
            &[],
            126,
            "its mode has no x bit",
        ),
        (
            &["--entrypoint", "/noise"],
            &[],
            126,
            "neither a program nor a script",
        ),
        (&["--entrypoint", "/etc"], &[], 126, "it is no regular file"),
        (&["--workdir", "/no"], &[], 125, "RUN-WORKDIR"),
        (&["--platform", "linux/s390x"], &[], 125, "RUN-PLATFORM"),
        (&["--no-such-flag"], &[], 125, "USE-ARGUMENT"),
        (&["-v", "/no:/x"], &[], 125, "USE-MAPPING"),
        (&["-e", "A B"], &[], 125, "USE-ENV"),
        (&["-p", "1:2", "--network", "host"], &[], 125, "RUN-PORT"),
    ] {
        let mut command = rig.run_with(options, args);
        let output = command.output().expect("a run");
        let text = shown(&output);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{options:?} {args:?}: {text}"
        );
        assert!(text.contains(words), "{options:?} {args:?}: {text}");
    }
    let (code, stderr) = fail(rig.command().args(["run", "oci:/no/such/layout"]));
    assert_eq!(code, 125);
    assert!(stderr.contains("error[IMAGE-LAYOUT]"), "{stderr}");
    // Behind every option with a value it is still `run` whose -v is a volume.
    let words = ["--sandbox", "off", "run", "-v", "/no:/x", "oci:/no"];
    let (code, stderr) = fail(rig.command().args(words));
    assert_eq!(code, 125, "{stderr}");
    assert!(stderr.contains("error[USE-MAPPING]"), "{stderr}");
    rig.nothing_stays();
}

#[test]
fn variables_are_the_images_and_the_users_alone() {
    let rig = Rig::new(Way::User);
    let file = rig.write("variables", "# comment\nFILE=1\nBOTH=file\n");
    let output = run(rig
        .run_with(
            &[
                "-e",
                "GIVEN=a b",
                "-e",
                "MINE",
                "-e",
                "NOT_SET",
                "-e",
                "BOTH=flag",
                "--env-file",
                &file,
            ],
            &["env"],
        )
        .env("MINE", "here")
        .env("OTHER", "never"));
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "env BOTH=flag",
            "env FILE=1",
            "env GIVEN=a b",
            "env HOME=/home/app",
            "env HOSTNAME=karisimbi",
            "env IMAGE=yes",
            "env MINE=here",
            "env PATH=/bin",
        ]
    );
}

#[test]
fn streams_and_signals_are_the_programs() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let mut child = rig
            .run(&["input"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a run");
        let mut input = child.stdin.take().expect("standard input");
        input.write_all(b"a\nb").expect("bytes");
        drop(input);
        let mut text = String::new();
        let mut out = child.stdout.take().expect("standard output");
        out.read_to_string(&mut text).expect("bytes");
        assert_eq!(text, "input \"a\\nb\"\n", "{way:?}");
        child.wait().expect("its end");

        for (signal, question, code, said) in [
            ("TERM", "signal", 42, "signal terminated\n"),
            ("HUP", "signal", 42, "signal hangup\n"),
            ("USR1", "signal", 42, "signal user defined signal 1\n"),
            ("TERM", "sleep", 143, ""),
        ] {
            let (mut child, mut out) = ready(&rig, &[question]);
            kill(signal, child.id());
            let mut rest = String::new();
            out.read_to_string(&mut rest).expect("bytes");
            let status = child.wait().expect("its end");
            assert_eq!(status.code(), Some(code), "{way:?} {signal}");
            assert_eq!(rest, said, "{way:?} {signal}");
        }
        rig.nothing_stays();
    }
}

#[test]
fn a_killed_run_ends_its_container_and_leaves_nothing() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let (mut child, mut out) = ready(&rig, &["sleep"]);
        kill("KILL", child.id());
        child.wait().expect("its end");
        // Every process that could write to it is gone.
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("bytes");
        let deadline = Instant::now() + Duration::from_secs(10);
        while rig.processes() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(rig.processes(), 0, "{way:?}");
        // What is left on disk the next run sweeps.
        run(&mut rig.run(&["exit=0"]));
        rig.nothing_stays();
    }
}

#[test]
fn ports_are_carried_and_nothing_else() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let port = free_port();
        let publish = format!("{port}:80");
        let mut command = rig.run_with(&["-p", &publish], &["serve=127.0.0.1:80", "sleep"]);
        let (mut child, _out) = started(&mut command);
        for _ in 0..3 {
            assert_eq!(said_by(port), "from inside\n", "{way:?}");
        }
        kill("TERM", child.id());
        assert_eq!(child.wait().expect("its end").code(), Some(143), "{way:?}");

        let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = listening.local_addr().expect("an address").port();
        let publish = format!("{taken}:80");
        let (code, stderr) = fail(&mut rig.run_with(&["-p", &publish], &["exit=0"]));
        assert_eq!(code, 125, "{way:?}");
        assert!(stderr.contains("error[RUN-PORT]: can't listen"), "{stderr}");

        let address = format!("dial=127.0.0.1:{taken}");
        let answering = std::thread::spawn(move || {
            let (mut connection, _) = listening.accept().expect("a connection");
            connection.write_all(b"from outside\n").expect("bytes");
        });
        let inside = run(&mut rig.run(&[&address]));
        assert_eq!(inside, "dial failed\n", "{way:?}");
        let host = run(&mut rig.run_with(&["--network", "host"], &[&address]));
        assert_eq!(host, "dial \"from outside\\n\"\n", "{way:?}");
        answering.join().expect("an answer");
    }
}

fn said_by(port: u16) -> String {
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("bytes");
    text
}

/// A run whose program says `ready`, and the rest of its standard output.
fn ready(rig: &Rig, args: &[&str]) -> (Child, impl BufRead + use<>) {
    started(&mut rig.run(args))
}

fn started(command: &mut std::process::Command) -> (Child, impl BufRead + use<>) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a run");
    let mut out = BufReader::new(child.stdout.take().expect("standard output"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (child, out)
}

fn kill(signal: &str, pid: u32) {
    run(std::process::Command::new("kill").args(["-s", signal, &pid.to_string()]));
}

#[test]
fn a_folder_is_built_and_run_and_written_nowhere() {
    let rig = Rig::new(Way::Namespaces);
    let source = rig.folder().join("source");
    std::fs::create_dir(&source).expect("a folder");
    let program = rig::probe();
    std::fs::write(source.join("probe"), program).expect("the program");
    run(std::process::Command::new("chmod")
        .arg("755")
        .arg(source.join("probe")));
    // git says whether there is a revision.
    let path = std::env::var("PATH").expect("PATH");
    let path = format!("{}:{path}", rig.folder().join("path").display());
    let build = |more: &[&str]| {
        let mut command = rig.command();
        command.current_dir(&source).env("PATH", &path).arg("run");
        command.args([".", "--recipe", "files", "--base", "scratch"]);
        command.args(["--entrypoint", "/app/probe"]).args(more);
        command
    };
    let output = build(&["--", "who", "exit=9"]).output().expect("a run");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(9), "{text}");
    assert_eq!(output.stdout, b"uid 1001 gid 1001 in /app\n", "{text}");
    assert!(text.contains("built    files"), "{text}");
    let output = build(&["--", "exit=9"]).output().expect("a run");
    let text = shown(&output);
    assert!(text.contains("reused   files"), "{text}");
    let names: Vec<_> = std::fs::read_dir(&source).expect("a folder").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    // A build that fails is ours, not the program's.
    let (code, stderr) = fail(build(&[]).arg("--directory").arg("no"));
    assert_eq!(code, 125);
    assert!(stderr.contains("error[SRC-DIRECTORY]"), "{stderr}");
    rig.nothing_stays();
}
