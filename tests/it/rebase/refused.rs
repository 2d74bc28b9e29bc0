//! Bases on which a build would have made something else.

use super::bases::{Spec, write_base};
use super::{build, rebase};
use crate::cli::{Bench, both};
use crate::support::{fail, run, tool};

const ONE: &[&str] = &["linux/amd64"];
const GLIBC: (&str, &str) = (
    "usr/lib/libc.so.6",
    "eGNU C Library (x) stable release version 2.41.\n",
);
const OLD_GLIBC: (&str, &str) = (
    "usr/lib/libc.so.6",
    "eGNU C Library (x) stable release version 2.2.\n",
);
const MUSL: (&str, &str) = ("lib/ld-musl-x86_64.so.1", "e\x001.2.5\0");
const LOADER: (&str, &str) = ("lib64/ld-linux-x86-64.so.2", "e");
const PYTHON: (&str, &str) = ("usr/bin/python3.13", "e\x003.13.5\0");
const NODE: (&str, &str) = (
    "usr/local/bin/node",
    "enode.js/v24.21.0\0\"node_module_version\": 137,\n",
);

fn layout(bench: &Bench, name: &str, files: &[(&str, &str)], platforms: &[&str]) -> String {
    let spec = Spec {
        files,
        platforms,
        ..Spec::default()
    };
    write_base(&bench.path(name), &spec);
    format!("oci:{name}:v1")
}

/// Files of the old base and of the new one, the code, and a part of the message.
type Case<'a> = (
    &'a [(&'a str, &'a str)],
    &'a [(&'a str, &'a str)],
    &'a str,
    &'a str,
);

/// Builds on the old base and expects that the new one is refused and nothing is written.
fn refused(bench: &Bench, cases: &[Case<'_>]) {
    for (number, (old, new, code, text)) in cases.iter().enumerate() {
        let (before, after) = (format!("old{number}"), format!("new{number}"));
        let old = layout(bench, &before, old, ONE);
        let new = layout(bench, &after, new, ONE);
        let out = format!("oci:out:{number}");
        run(&mut build(bench, &old, &out, &[]));
        let (exit, stderr) = fail(&mut rebase(bench, &out, &new, &["-o", "oci:never:v1"]));
        assert_eq!(exit, 1, "{stderr}");
        let error = format!("error[{code}]: ");
        assert!(stderr.contains(&error), "{code}: {stderr}");
        assert!(stderr.contains(text), "{text}: {stderr}");
        assert!(!bench.path("never").exists());
    }
}

#[test]
fn other_runtimes_are_refused() {
    let bench = Bench::new();
    let cases: [Case<'_>; 7] = [
        (
            &[GLIBC][..],
            &[MUSL][..],
            "REBASE-LIBC",
            "built on glibc, the new base has musl",
        ),
        (
            &[MUSL],
            &[GLIBC],
            "REBASE-LIBC",
            "built on musl, the new base has glibc",
        ),
        (
            &[GLIBC, PYTHON],
            &[GLIBC, ("usr/bin/python3.14", "e\x003.14.0\0")],
            "REBASE-PYTHON",
            "built on Python 3.13 at /usr/bin/python3.13, the new base has Python 3.14",
        ),
        (
            &[GLIBC, PYTHON],
            &[GLIBC, ("usr/local/bin/python3.13", "e\x003.13.5\0")],
            "REBASE-PYTHON",
            "the new base has Python 3.13 at /usr/local/bin/python3.13",
        ),
        (
            &[GLIBC, PYTHON],
            &[GLIBC],
            "REBASE-PYTHON",
            "the new base has no Python",
        ),
        (
            &[NODE],
            &[(
                "usr/local/bin/node",
                "enode.js/v26.10.0\0\"node_module_version\": 147,\n",
            )],
            "REBASE-NODE",
            "built on Node 24.21.0 (ABI 137) at /usr/local/bin/node, the new base has Node 26.10.0",
        ),
        (&[NODE], &[], "REBASE-NODE", "the new base has no Node"),
    ];
    refused(&bench, &cases);
}

#[test]
fn paths_that_meet_links_or_files_are_refused() {
    let bench = Bench::new();
    let cases: [Case<'_>; 3] = [
        (
            &[],
            &[("app", "lopt/app"), ("opt/app/", "d")],
            "BASE-SYMLINK",
            "/app is a link to opt/app and would be replaced or followed by /app/program",
        ),
        (
            &[("srv", "lapp")],
            &[],
            "BASE-SYMLINK",
            "/app/program may have been written as /srv/…",
        ),
        (
            &[],
            &[("app", "fx")],
            "BASE-REMOVED",
            "/app/program would remove /app",
        ),
    ];
    refused(&bench, &cases);
}

#[test]
fn a_dynamic_program_stays_where_its_glibc_is() {
    let bench = Bench::new();
    run(tool("cp")
        .arg("-L")
        .arg("/bin/true")
        .arg(bench.path("app/program")));
    let old = layout(&bench, "old", &[GLIBC, LOADER], ONE);
    run(&mut build(&bench, &old, "oci:out:v1", &[]));
    for (name, files, code) in [
        ("older", &[OLD_GLIBC, LOADER][..], "BASE-GLIBC"),
        ("none", &[], "BASE-INTERP"),
    ] {
        let new = layout(&bench, name, files, ONE);
        let (exit, stderr) = fail(&mut rebase(&bench, "oci:out:v1", &new, &[]));
        assert_eq!(exit, 1);
        assert!(
            stderr.contains(&format!("error[{code}]: /app/program")),
            "{stderr}"
        );
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let bench = Bench::new();
    let old = layout(&bench, "old", &[GLIBC, PYTHON, NODE], ONE);
    let new = layout(
        &bench,
        "new",
        &[MUSL, ("etc/passwd", "froot:x:0:0::/:\n")],
        ONE,
    );
    run(&mut build(&bench, &old, "oci:out:v1", &[]));
    let (_, stderr) = fail(&mut rebase(&bench, "oci:out:v1", &new, &[]));
    for part in [
        "error[REBASE-LIBC]",
        "error[REBASE-PYTHON]",
        "error[REBASE-NODE]",
        "warning[BASE-UID]",
        "karisimbi build --base NAME",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    // A missing account alone is a warning, as in a build.
    let accounts = [GLIBC, PYTHON, NODE, ("etc/passwd", "froot:x:0:0::/:\n")];
    let new = layout(&bench, "accounts", &accounts, ONE);
    let (_, stderr) = both(&mut rebase(&bench, "oci:out:v1", &new, &[]));
    assert!(stderr.contains("warning[BASE-UID]"), "{stderr}");
}

#[test]
fn platforms_and_folders_must_be_there() {
    let bench = Bench::new();
    let both_platforms = &["linux/amd64", "linux/arm64"][..];
    let old = layout(&bench, "old", &[GLIBC], both_platforms);
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    run(&mut build(&bench, &old, "oci:out:v1", &platforms));
    let new = layout(&bench, "new", &[GLIBC], ONE);
    let (exit, stderr) = fail(&mut rebase(&bench, "oci:out:v1", &new, &[]));
    assert_eq!(exit, 1);
    assert!(stderr.contains("error[BASE-PLATFORM]"), "{stderr}");
    // The files recipe writes the folders that a base lacks; scratch has none.
    let (_, stderr) = fail(&mut rebase(&bench, "oci:out:v1", "scratch", &[]));
    let text = "error[REBASE-FOLDER]: the new base lacks the folder /app, unlike the old one";
    assert!(stderr.contains(text), "{stderr}");
    run(&mut build(&bench, "scratch", "oci:out:v2", &[]));
    let (_, stderr) = fail(&mut rebase(&bench, "oci:out:v2", &new, &[]));
    let text = "error[REBASE-FOLDER]: the new base has the folder /app, unlike the old one";
    assert!(stderr.contains(text), "{stderr}");
}

#[test]
fn images_of_other_tools_are_refused() {
    let bench = Bench::new();
    let base = layout(&bench, "base", &[GLIBC], ONE);
    run(&mut build(&bench, &base, "oci:out:v1", &[]));
    let skopeo = |arguments: &[&str]| {
        let mut command = tool("skopeo");
        command
            .current_dir(bench.root())
            .args(["--insecure-policy", "copy", "-q"]);
        run(command.args(arguments));
    };
    // Docker's manifests have no annotations.
    skopeo(&["--format", "v2s2", "oci:out:v1", "dir:docker"]);
    skopeo(&["--format", "oci", "dir:docker", "oci:docker-again:v1"]);
    for (image, text) in [
        ("oci:base:v1", "has no label dev.karisimbi.runtime"),
        (
            "oci:docker-again:v1",
            "no layer has the annotation dev.karisimbi.layer.key",
        ),
    ] {
        let (exit, stderr) = fail(&mut rebase(&bench, image, &base, &[]));
        assert_eq!(exit, 1);
        assert!(
            stderr.contains(&format!(
                "error[REBASE-FOREIGN]: {image} (linux/amd64) can't be rebased"
            )),
            "{stderr}"
        );
        assert!(stderr.contains(text), "{text}: {stderr}");
    }
    for (arguments, code) in [
        (&["oci:out:v1"][..], "USE-ARGUMENT"),
        (&["oci:out:v1", "--base", "nothing"], "BASE-UNKNOWN"),
        (
            &["oci:out:v1", "--base", "embedded:static", "--push"],
            "USE-PUSH",
        ),
        (
            &["oci:out:v1", "--base", "static", "--locked"],
            "BASE-LOCK-ABSENT",
        ),
    ] {
        let mut command = bench.command(&["rebase"]);
        let (exit, stderr) = fail(command.args(arguments));
        assert_eq!(exit, 2, "{stderr}");
        assert!(
            stderr.contains(&format!("error[{code}]")),
            "{code}: {stderr}"
        );
    }
}
