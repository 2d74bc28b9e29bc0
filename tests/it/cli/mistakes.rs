//! What is typed wrong, missing or broken, and what is left behind then.

use std::os::unix::ffi::OsStrExt as _;

use super::{Bench, both};
use crate::support::{fail, run, tool, write};

#[test]
fn a_layout_that_can_not_be_filled_leaves_no_folder() {
    let bench = Bench::new();
    run(&mut bench.build(&["app", "-o", "oci:base:v1"]));
    write(&bench.path("other/file"), "of the upper layer\n");
    let upper = |output: &'static str| {
        let mut command = bench.command(&["build", "other", "--recipe", "files", "-o", output]);
        command.args(["--base", "oci:base:v1"]);
        command
    };
    run(&mut upper("oci:there:v1"));
    let blobs = bench.path("base/blobs/sha256");
    let manifest: serde_json::Value = serde_json::from_str(&run(&mut bench.command(&[
        "inspect",
        "oci:base:v1",
        "--format",
        "json",
    ])))
    .expect("JSON");
    let text = manifest.to_string();
    let layer = std::fs::read_dir(&blobs)
        .expect("blobs")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.first() != Some(&b'{')
                && text.contains(&*path.file_name().unwrap_or_default().to_string_lossy())
        })
        .expect("a layer");
    for broken in ["damaged", "gone"] {
        if broken == "gone" {
            std::fs::remove_file(&layer).expect("removed");
        } else {
            let size = std::fs::read(&layer).expect("a layer").len();
            std::fs::write(&layer, vec![b'x'; size]).expect("damage");
        }
        let (exit, stderr) = fail(&mut upper("oci:deep/new:v1"));
        assert_eq!(exit, 1, "{broken}: {stderr}");
        assert!(!bench.path("deep").exists(), "{broken}: {stderr}");
    }
    // What was there stays.
    std::fs::create_dir(bench.path("empty")).expect("a folder");
    fail(&mut upper("oci:empty:v1"));
    assert!(bench.path("empty").is_dir());
    run(&mut upper("oci:there:v2"));
}

#[test]
fn an_entrypoint_has_no_empty_word() {
    let bench = Bench::new();
    write(
        &bench.path("set/deployment.yaml"),
        "container: {entrypoint: [\"\"]}\n",
    );
    for (what, typed, part) in [
        ("app", Some(""), "error[USE-ENTRYPOINT]: --entrypoint: "),
        (
            "app",
            Some(r#"["/a", ""]"#),
            "error[USE-ENTRYPOINT]: --entrypoint: ",
        ),
        (
            "set",
            None,
            "error[CFG-VALUE]: deployment.yaml:1:25: container.entrypoint: a word",
        ),
    ] {
        let mut command = bench.command(&["build", what, "--recipe", "files", "--base", "scratch"]);
        if let Some(typed) = typed {
            command.args(["--entrypoint", typed]);
        }
        let (exit, stderr) = fail(&mut command);
        assert_eq!(exit, 2, "{stderr}");
        assert!(stderr.starts_with(part), "{stderr}");
    }
}

#[test]
fn folders_without_files_are_named() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("empty/below")).expect("a folder");
    let empty = bench.path("empty").display().to_string();
    for (args, code, part) in [
        (&["empty"][..], "FILES-EMPTY", empty.as_str()),
        (&["app", "--directory", "nope"], "SRC-DIRECTORY", "nope"),
        (&["empty", "--directory", "below"], "SRC-DIRECTORY", &empty),
    ] {
        let (exit, stderr) = fail(&mut bench.build(args));
        assert_eq!(exit, 1, "{stderr}");
        let line = stderr.lines().next().unwrap_or_default();
        assert!(line.starts_with(&format!("error[{code}]: ")), "{stderr}");
        assert!(line.contains(part), "{stderr}");
    }
}

#[test]
fn each_file_is_written_by_one_flag() {
    let bench = Bench::new();
    for args in [
        &["--digest-file", "d", "--record", "d"][..],
        &["--digest-file", "d", "--record", "./app/../d"],
        &["--digest-file", "d.tar", "-o", "oci-archive:d.tar"],
        &["--record", "d.tar", "-o", "docker-archive:d.tar"],
        &["-o", "docker-archive:d.tar", "-o", "oci-archive:d.tar"],
    ] {
        let (exit, stderr) = fail(&mut bench.build(&[&["app"], args].concat()));
        assert_eq!(exit, 2, "{args:?}: {stderr}");
        assert!(
            stderr.starts_with("error[USE-OUTPUT]: "),
            "{args:?}: {stderr}"
        );
    }
    // What is no file takes both.
    let stderr = ["--digest-file", "/dev/stderr", "--record", "/dev/stderr"];
    both(&mut bench.build(&[&["app"][..], &stderr].concat()));
}

#[test]
fn absolute_paths_need_no_current_folder() {
    let bench = Bench::new();
    let (app, out) = (bench.path("app"), bench.path("out"));
    let output = format!("oci:{}:v1", out.display());
    let program = bench.build(&[&app.display().to_string(), "-o", &output]);
    let script = r#"mkdir gone && cd gone && rmdir ../gone && "$@""#;
    let inside = |args: &[&str]| {
        let mut command = tool("bash");
        command
            .args(["-c", script, "bash"])
            .arg(program.get_program());
        command.args(args).env_clear().current_dir(bench.root());
        let set = program.get_envs();
        command.envs(set.filter_map(|(name, value)| Some((name, value?))));
        command
    };
    let args: Vec<&str> = program.get_args().filter_map(|arg| arg.to_str()).collect();
    assert_eq!(run(&mut inside(&args)), format!("{output}\n"));
    let (exit, stderr) = fail(&mut inside(&["build", "app"]));
    assert_eq!(exit, 2);
    assert!(stderr.starts_with("error[SRC-CURRENT]: "), "{stderr}");
}

#[test]
fn a_folder_may_have_a_name_that_is_not_utf8() {
    let bench = Bench::new();
    let name = std::ffi::OsStr::from_bytes(b"a\xffb");
    std::fs::rename(bench.path("app"), bench.root().join(name)).expect("a move");
    let mut command = bench.build(&["-o", "oci:out:v1"]);
    assert_eq!(run(command.arg(name)), "oci:out:v1\n");
    let (stdout, _) = both(bench.build(&[]).arg(name));
    run(&mut bench.command(&["verify", stdout.trim()]));
}

#[test]
fn a_record_that_can_not_be_kept_is_a_warning() {
    let bench = Bench::new();
    run(&mut bench.build(&["app"]));
    let records = bench.path("cache/records");
    std::fs::remove_dir_all(&records).expect("removed");
    // A folder in which nobody, not even root, makes a file.
    std::os::unix::fs::symlink("/proc", &records).expect("a link");
    let (stdout, stderr) = both(&mut bench.build(&["app", "-o", "oci:out:v1"]));
    assert_eq!(stdout, "oci:out:v1\n");
    assert!(
        stderr.contains("warning[CACHE-WRITE]: the record of a layer"),
        "{stderr}"
    );
}
