//! A source that changes while a tool reads it.

use std::path::Path;
use std::process::Command;

use crate::support::{fail, karisimbi, run, tool, write};

/// A `go` that edits the source once, when `edit` is there, and then does as told.
fn wrapper(folder: &Path) {
    let version = run(tool("go").args(["env", "GOVERSION"]));
    let real = run(Command::new("sh").args(["-c", "command -v go"]));
    let (real, version, at) = (real.trim(), version.trim(), folder.display());
    // Its GOROOT holds no `go`, so that this one is used.
    let script = format!(
        "#!/bin/sh\n\
         case \"$1\" in\n\
         env) printf '{at}\\n{version}\\n'; exit ;;\n\
         build) if [ -e '{at}/edit' ]; then\n\
         mv '{at}/edit' '{at}/source/said.go'; fi ;;\n\
         esac\n\
         exec '{real}' \"$@\"\n"
    );
    write(&folder.join("bin/go"), script);
    run(tool("chmod").arg("755").arg(folder.join("bin/go")));
}

fn said(word: &str) -> String {
    format!("package main\n\nconst said = \"{word}\"\n")
}

fn build(folder: &Path) -> Command {
    let path = std::env::var("PATH").unwrap();
    let mut command = karisimbi();
    command
        .current_dir(folder)
        .env("PATH", format!("{}/bin:{path}", folder.display()))
        // The wrapper stands for a person who edits while go runs: in the box it could not.
        .args(["--sandbox", "off"])
        .args(["--cache-dir", "cache", "build", "source", "--output"])
        .arg("oci:source/out:x");
    command
}

/// What the program of the image prints.
fn printed(folder: &Path) -> String {
    let layout = folder.join("source/out");
    let unpacked = tempfile::tempdir().unwrap();
    run(tool("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:x", layout.display()))
        .arg(unpacked.path().join("bundle")));
    let output = Command::new(unpacked.path().join("bundle/rootfs/app/moving")).output();
    String::from_utf8(output.unwrap().stderr).unwrap()
}

fn records(folder: &Path) -> Vec<String> {
    let record = std::fs::read_dir(folder.join("cache/records")).unwrap();
    let text = |entry: std::io::Result<std::fs::DirEntry>| {
        String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned()
    };
    record
        .map(text)
        .filter(|text| text.contains("go-"))
        .collect()
}

#[test]
fn nothing_is_recorded_of_a_source_that_changes_during_go_build() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    wrapper(folder);
    let source = folder.join("source");
    write(
        &source.join("go.mod"),
        "module example.org/moving\n\ngo 1.21\n",
    );
    write(
        &source.join("main.go"),
        "package main\n\nfunc main() { print(said) }\n",
    );
    write(&source.join("said.go"), said("one"));

    write(&folder.join("edit"), said("two"));
    let (exit, message) = fail(&mut build(folder));
    assert_eq!(exit, 75, "{message}");
    assert!(message.contains("SRC-CHANGED"), "{message}");
    assert!(message.contains("said.go changed"), "{message}");
    assert!(message.contains("run again"), "{message}");
    assert_eq!(records(folder), [""; 0]);

    run(&mut build(folder));
    assert_eq!(printed(folder), "two");
    assert!(!records(folder).is_empty());
    // The key of the first attempt has no record with the second one's bytes.
    write(&source.join("said.go"), said("one"));
    run(&mut build(folder));
    assert_eq!(printed(folder), "one");

    // The output lies in the source, and is no part of it.
    run(build(folder).arg("--expect-cached"));
    assert_eq!(printed(folder), "one");
    // Nor does go see it.
    let embedding = "package main\n\nimport _ \"embed\"\n\n//go:embed all:out\nvar out embed.FS\n";
    write(&source.join("embed.go"), embedding);
    let format = "{{.EmbedFiles}} {{.Error}}";
    let listed = run(tool("go")
        .current_dir(&source)
        .args(["list", "-e", "-f", format, "."]));
    assert!(listed.contains("in different module"), "{listed}");
    assert!(!listed.contains("index.json"), "{listed}");
}
