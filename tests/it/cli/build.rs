//! `build`: what stdout and stderr hold, where images go, what is refused before anything is done.

use std::path::Path;

use super::{Bench, both};
use crate::support::{fail, run, tool, write};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn stdout_is_one_line_that_the_next_command_accepts() {
    let bench = Bench::new();
    let (stdout, stderr) = both(&mut bench.build(&["app"]));
    assert_eq!(stdout, "oci:karisimbi-out/app:dev\n");
    assert!(stderr.contains("\nbuilt    files, "), "{stderr}");
    assert!(
        !stderr.contains('\u{1b}'),
        "colour without a terminal: {stderr}"
    );
    assert!(bench.path("karisimbi-out/app/CACHEDIR.TAG").exists());
    assert_eq!(
        std::fs::read_to_string(bench.path("karisimbi-out/app/.gitignore")).unwrap_or_default(),
        "*\n"
    );
    run(&mut bench.command(&["verify", stdout.trim()]));
    // Quiet holds warnings and errors only.
    let (stdout, stderr) = both(&mut bench.build(&["app", "-q"]));
    assert_eq!(stdout, "oci:karisimbi-out/app:dev\n");
    assert!(
        stderr.lines().all(|line| line.starts_with("warning[")),
        "{stderr}"
    );
}

#[test]
fn json_is_json_everywhere() {
    let bench = Bench::new();
    let args = ["app", "--format", "json", "--progress", "json", "-v"];
    let (stdout, stderr) = both(&mut bench.build(&args));
    assert_eq!(json(&stdout)["images"][0]["platform"], "linux/amd64");
    for line in stderr.lines() {
        assert!(json(line)["event"].is_string(), "{line}");
    }
    let (exit, stderr) = fail(&mut bench.command(&["build", "nowhere", "--progress", "json"]));
    let error = json(stderr.trim());
    assert_eq!((exit, &error["code"]), (2, &"SRC-NONE".into()));
    assert_eq!(
        (&error["event"], &error["exit"]),
        (&"error".into(), &2.into())
    );
}

#[test]
fn digest_and_record_are_files_of_their_own() {
    let bench = Bench::new();
    let files = ["--digest-file", "app/digest", "--record", "app/record.json"];
    let args = [&["app", "-o", "oci-archive:app/image.tar"][..], &files].concat();
    run(&mut bench.build(&args));
    let digest = std::fs::read_to_string(bench.path("app/digest")).expect("a digest");
    let record = std::fs::read_to_string(bench.path("app/record.json")).expect("a record");
    assert_eq!(
        format!("{}\n", json(&record)["digest"].as_str().unwrap()),
        digest
    );
    let inspected =
        run(&mut bench.command(&["inspect", "oci-archive:app/image.tar", "--format", "json"]));
    assert_eq!(json(&inspected)["digest"].as_str(), Some(digest.trim()));
    // They lie in the source, and are no part of it.
    run(&mut bench.build(&[&args[..], &["--expect-cached"]].concat()));
    let again = std::fs::read_to_string(bench.path("app/digest")).expect("a digest");
    assert_eq!(again, digest);
    // What is no file is written to, not replaced.
    let (stdout, _) = both(&mut bench.build(&["app", "--digest-file", "/dev/stderr"]));
    assert_eq!(stdout, "oci:karisimbi-out/app:dev\n");
    assert!(!Path::new("/dev/stderr.karisimbi-tmp").exists());
}

#[test]
fn an_archive_on_stdout_is_alone_there() {
    let bench = Bench::new();
    let mut command = bench.build(&["app", "-t", "v1", "-o", "docker-archive:-", "-o", "oci:out"]);
    let output = command.output().expect("the program");
    assert!(output.status.success());
    write(&bench.path("image.tar"), &output.stdout);
    let archive = format!("docker-archive:{}", bench.path("image.tar").display());
    let config = run(tool("skopeo").args(["inspect", "--config", &archive]));
    assert_eq!(json(&config)["config"]["Entrypoint"][0], "/app/program");
    let manifest = run(tool("tar")
        .args(["-xOf"])
        .arg(bench.path("image.tar"))
        .arg("manifest.json"));
    assert_eq!(json(&manifest)[0]["RepoTags"][0], "app:v1");
    assert!(run(&mut bench.command(&["verify", "oci:out:v1"])).contains("verified"));
}

#[test]
fn names_are_refused_before_anything_is_done() {
    let bench = Bench::new();
    for (args, code) in [
        (&["--push"][..], "USE-PUSH"),
        (&["--push", "-t", "v1"], "USE-PUSH"),
        (&["-t", "app:v1"], "NAME-INVALID"),
        (&["-t=-v1"], "NAME-INVALID"),
        (&["-t", "h.example/App:v1", "--push"], "NAME-INVALID"),
        (&["-o", "oci:"], "NAME-INVALID"),
        (
            &["-o", "docker-archive:-", "-o", "docker-archive:-"],
            "USE-STDOUT",
        ),
        (
            &[
                "-o",
                "docker-archive:x",
                "--platform",
                "linux/amd64,linux/arm64",
            ],
            "OUT-PLATFORMS",
        ),
        (&["--platform", "windows/amd64"], "USE-PLATFORM"),
        (&["--platform", "linux/quantum"], "USE-PLATFORM"),
        (&["--set", "container.image=nothing"], "CFG-VALUE"),
        (&["--set", "recipe.nothing=1"], "CFG-KEY"),
        (&["--set", "nothing"], "USE-SET"),
        (&["--ref", "main"], "USE-REF"),
        (&["--directory", "../x"], "SRC-OUTSIDE"),
        (&["--recipe", "cobol"], "USE-RECIPE"),
        (&["other", "--record", "x"], "USE-RECORD"),
    ] {
        bench.source("other");
        let mut command = bench.command(&["build", "app"]);
        command.args(args);
        if !args.contains(&"--recipe") {
            command.args(["--recipe", "files", "--base", "scratch"]);
        }
        let (exit, stderr) = fail(&mut command);
        assert_eq!(exit, 2, "{args:?}: {stderr}");
        assert!(
            stderr.contains(&format!("error[{code}]: ")),
            "{args:?}: {stderr}"
        );
        assert!(
            !stderr.lines().any(|line| line.starts_with("built ")),
            "{args:?}: {stderr}"
        );
        assert!(!bench.path("karisimbi-out").exists(), "{args:?}");
    }
}

#[test]
fn sources_that_are_none_say_what_to_do() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("empty")).expect("a folder");
    for (what, code, exit, part) in [
        (
            "nowhere",
            "SRC-NONE",
            2,
            "hint: name a folder, or a Git URL",
        ),
        ("app/program", "SRC-NONE", 2, "hint: name the folder"),
        ("app/program/x", "SRC-NONE", 2, "hint: name a folder"),
        ("empty", "SRC-NO-RECIPE", 1, "there is no go.mod"),
        ("app", "SRC-NO-RECIPE", 1, "hint: name one with --recipe"),
    ] {
        for command in ["build", "plan", "detect"] {
            let (found, stderr) = fail(&mut bench.command(&[command, what]));
            assert_eq!(found, exit, "{what}: {stderr}");
            assert!(
                stderr.contains(&format!("error[{code}]: ")),
                "{what}: {stderr}"
            );
            assert!(stderr.contains(part), "{what}: {stderr}");
        }
    }
}

#[test]
fn several_sources_are_built_in_their_order() {
    let bench = Bench::new();
    bench.source("other");
    let (stdout, _) = both(&mut bench.build(&["app", "other"]));
    assert_eq!(
        stdout,
        "oci:karisimbi-out/app:dev\noci:karisimbi-out/other:dev\n"
    );
    let (exit, stderr) = fail(&mut bench.build(&["app", "other", "-o", "oci:one:v1"]));
    assert_eq!(exit, 2);
    assert!(stderr.contains("error[USE-OUTPUT]: oci:one:v1"), "{stderr}");
}

#[test]
fn git_urls_with_ref_and_folder_are_built() {
    let bench = Bench::new();
    let repository = bench.path("repository");
    std::fs::create_dir(&repository).expect("a folder");
    std::fs::rename(bench.path("app"), repository.join("deep")).expect("a move");
    write(
        &repository.join("deep/deployment.yaml"),
        "deployment: {name: theirs}\n",
    );
    let git = |args: &[&str]| {
        run(tool("git")
            .args(["-C", &repository.display().to_string()])
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["tag", "v1.0.0"]);
    let url = format!("file://{}", repository.display());
    let mut digests = Vec::new();
    for what in [
        format!("{url}@v1.0.0#deep"),
        format!("{url}#v1.0.0:deep"),
        format!("{url}@main#deep"),
    ] {
        let args = [what.as_str(), "--digest-file", "digest"];
        let (stdout, stderr) = both(&mut bench.build(&args));
        assert!(
            stdout.starts_with("oci:karisimbi-out/repository:"),
            "{what}: {stdout}"
        );
        assert!(
            stderr.contains("warning[CFG-IGNORED]: deployment.yaml"),
            "{stderr}"
        );
        digests.push(std::fs::read_to_string(bench.path("digest")).expect("a digest"));
    }
    assert_eq!(digests[0], digests[1]);
    let what = format!("{url}@v1.0.0#deep");
    let (stdout, _) = both(&mut bench.build(&[&what, "--trust-config"]));
    assert!(stdout.starts_with("oci:karisimbi-out/theirs:"), "{stdout}");

    // What is not obeyed is not read through a link either: this one never ends.
    std::os::unix::fs::symlink("/dev/zero", repository.join("deep/karisimbi.yaml"))
        .expect("a link");
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "two"]);
    let (_, stderr) = fail(&mut bench.build(&[&format!("{url}@main#deep")]));
    assert!(
        stderr.contains("warning[CFG-IGNORED]: karisimbi.yaml"),
        "{stderr}"
    );
}

#[test]
fn devices_pipes_and_standard_output_are_written_to_and_never_replaced() {
    let bench = Bench::new();
    // A link in /proc stands for every /dev/stdout: replacing it would leave a file there.
    let script = r#"mkfifo pipe; cat pipe > piped.tar & echo before > out.txt
        "$@" -o docker-archive:pipe --digest-file /proc/self/fd/1 >> out.txt && wait"#;
    let program = bench.build(&["app"]);
    let mut command = tool("bash");
    command.args(["-c", script, "bash"]);
    command.arg(program.get_program()).args(program.get_args());
    let set = program
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(set).current_dir(bench.root());
    run(&mut command);
    let shown = std::fs::read_to_string(bench.path("out.txt")).unwrap_or_default();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        matches!(lines[..], ["before", digest, "docker-archive:pipe:app:dev"] if digest.starts_with("sha256:")),
        "{shown}"
    );
    let kind = std::fs::symlink_metadata(bench.path("pipe")).map(|found| found.is_file());
    assert_eq!(kind.ok(), Some(false), "the pipe is still one");
    run(tool("tar").arg("tf").arg(bench.path("piped.tar")));
}

#[test]
fn the_next_step_is_a_command_that_works_as_it_is() {
    let bench = Bench::new();
    // Options of a build are many: what it wrote is copied.
    let (_, stderr) = both(&mut bench.build(&["app"]));
    let image = "oci:karisimbi-out/app:dev";
    let wanted = format!(
        "\nnext     karisimbi run {image}  |  karisimbi copy {image} HOST/PROJECT/app:dev\n"
    );
    assert!(stderr.ends_with(&wanted), "{stderr}");
    assert!(stderr.contains("\nimage    1 layer, "), "{stderr}");
    let (_, stderr) = both(&mut bench.build(&["app", "-o", "oci:it's here:v1"]));
    let wanted = r"karisimbi copy 'oci:it'\''s here:v1' HOST/PROJECT/app:dev";
    assert!(stderr.contains(wanted), "{stderr}");
    // A build without any is repeated.
    bench.source("own app");
    write(
        &bench.path("own app/deployment.yaml"),
        "recipe:\n  use: files\nbase: scratch\ncontainer:\n  entrypoint: [/app/program]\n",
    );
    let (_, stderr) = both(&mut bench.command(&["build", "own app"]));
    let wanted = "\nnext     karisimbi run 'own app'  |  karisimbi build 'own app' \
        -t HOST/PROJECT/own-app:dev --push\n";
    assert!(stderr.ends_with(wanted), "{stderr}");
}

#[test]
fn no_message_repeats_a_login_that_was_typed_into_a_name() {
    let bench = Bench::new();
    let name = "me:secret@registry.example/a/b:v1";
    let address = format!("https://{name}");
    for args in [
        &["build", "app", "-t", name, "--push"][..],
        &["build", "app", "-o", name],
        &["build", "app", "--recipe", "files", "--base", name],
        &["tag", name, "v2"],
        &["verify", name],
        &["verify", &address],
        &["copy", name, "oci:out"],
    ] {
        let (exit, stderr) = fail(&mut bench.command(args));
        assert_eq!(exit, 2, "{args:?}: {stderr}");
        assert!(stderr.contains("docker login"), "{args:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{args:?}: {stderr}");
    }
}
