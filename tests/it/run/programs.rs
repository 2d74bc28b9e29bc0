//! The program's process: its signals, its user, what it leaves running, and what can't be started.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use super::rig::{Rig, Way, member};
use crate::support::{fail, run};

#[test]
fn no_signal_is_blocked_and_no_group_is_left() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let text = run(&mut rig.run(&["mask", "groups"]));
        assert_eq!(text, "blocked 0000000000000000\ngroups []\n", "{way:?}");
    }
}

#[test]
fn what_a_program_leaves_running_does_not_hold_its_end() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let mut command = rig.run(&["leave", "exit=3"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a run");
        let deadline = Instant::now() + Duration::from_secs(30);
        let status = loop {
            if let Some(status) = child.try_wait().expect("a status") {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().expect("its end");
                child.wait().expect("its end");
                panic!("{way:?}: it waits for what was left running");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut text = String::new();
        let mut out = child.stdout.take().expect("standard output");
        out.read_to_string(&mut text).expect("bytes");
        assert_eq!((status.code(), text.as_str()), (Some(3), "leave ok\n"));
        assert_eq!(rig.processes(), 0, "{way:?}");
    }
}

#[test]
fn no_number_of_a_user_keeps_root() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        // The kernel takes the first for "as before", and runc refuses those that look negative.
        for user in ["4294967295", "5:4294967295", "2147483648"] {
            rig.set("User", json!(user));
            let (code, stderr) = fail(&mut rig.run(&["who"]));
            assert_eq!(code, 125, "{way:?} {user}: {stderr}");
            assert!(stderr.contains("error[RUN-IMAGE]"), "{stderr}");
            assert!(stderr.contains("larger than 2147483647"), "{stderr}");
        }
        for (user, who) in [
            ("2147483647:7", "uid 2147483647 gid 7"),
            ("web:", "uid 33 gid 34"),
        ] {
            rig.set("User", json!(user));
            assert_eq!(
                run(&mut rig.run(&["who"])),
                format!("{who} in /app\n"),
                "{way:?}"
            );
        }
    }
}

#[test]
fn what_the_kernel_can_not_start_is_told_alike_by_every_way() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let script = |name: &str, text: &str| member(name, b'0', "", 0o755, text.as_bytes());
        rig.add_layer(vec![
            script("plain", "echo\n"),
            script("empty", ""),
            script("windows", "#!/bin/probe\r\n"),
            script("tabs", "#!\t/bin/probe\tenv\n"),
            script("to-data", "#!/etc/passwd\n"),
            script("endless", &format!("#!/{}", "x".repeat(400))),
        ]);
        for (name, code, said) in [
            ("plain", 126, "neither a program nor a script"),
            ("empty", 126, "neither a program nor a script"),
            ("windows", 127, "lines end in CR LF"),
            (
                "to-data",
                126,
                "/etc/passwd can't be executed: its mode has no x bit",
            ),
            ("endless", 126, "names no interpreter"),
        ] {
            rig.set("Entrypoint", json!([format!("/{name}")]));
            let (found, stderr) = fail(&mut rig.run(&[]));
            assert_eq!(found, code, "{way:?} {name}: {stderr}");
            assert!(stderr.contains(said), "{way:?} {name}: {stderr}");
        }
        rig.set("Entrypoint", json!(["/tabs"]));
        assert!(
            run(&mut rig.run(&["who"])).contains("env IMAGE=yes"),
            "{way:?}"
        );
    }
}

#[test]
fn what_runc_can_not_start_is_no_exit_code_of_the_program() {
    let rig = Rig::new(Way::Runc);
    // Its user may not pass.
    rig.add_layer(vec![member("bin", b'5', "", 0o700, b"")]);
    let (code, stderr) = fail(&mut rig.run(&["who"]));
    assert_eq!(code, 125, "{stderr}");
    assert!(
        stderr.contains("runc did not start the program"),
        "{stderr}"
    );
}

#[test]
fn a_variable_without_a_name_is_left_out() {
    let rig = Rig::new(Way::Namespaces);
    rig.set("Env", json!(["PATH=/bin", "=x", "NOTHING"]));
    assert!(run(&mut rig.run(&["env"])).contains("env PATH=/bin\n"));
}
