//! copy, inspect, verify and tag between all places, with real tools and a real registry.

use super::{Bench, both};
use crate::registry_server::{PASSWORD, Registry, USER};
use crate::support::{fail, run, tool};

fn digest(bench: &Bench, image: &str) -> String {
    let shown = run(&mut bench.command(&["inspect", image, "--format", "json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    shown["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn digests_stay_from_place_to_place() {
    let bench = Bench::new();
    let registry = Registry::plain();
    let host = registry.host();
    for (name, platforms) in [("one", "linux/amd64"), ("two", "linux/amd64,linux/arm64")] {
        let layout = format!("oci:{name}:v1");
        run(&mut bench.build(&["app", "--platform", platforms, "-o", &layout]));
        let expected = digest(&bench, &layout);
        let archive = format!("oci-archive:{name}.tar");
        let remote = format!("{host}/p/{name}");
        let pushed = format!("{remote}@{expected}");
        let back = format!("oci:back-{name}");
        for (from, to, line) in [
            (&layout, &archive, format!("{archive}:v1")),
            (&archive, &remote, pushed.clone()),
            (&format!("{remote}:v1"), &back, format!("{back}:v1")),
        ] {
            // The archive has one image, whose tag is copied when it is named.
            let from = if from == &archive {
                format!("{archive}:v1")
            } else {
                from.clone()
            };
            let (stdout, _) = both(&mut bench.command(&["copy", &from, to]));
            assert_eq!(stdout, format!("{line}\n"), "{from} {to}");
            assert_eq!(digest(&bench, &line), expected, "{from} {to}");
            run(&mut bench.command(&["verify", &line]));
        }
        let tagged = run(&mut bench.command(&["tag", &pushed, "latest", "stable"]));
        assert_eq!(tagged, format!("{pushed}\n"));
        assert_eq!(digest(&bench, &format!("{remote}:stable")), expected);
        let raw = run(tool("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false"])
            .arg(format!("docker://{remote}:latest")));
        assert_eq!(
            karisimbi::digest::Digest::of(raw.as_bytes()).to_string(),
            expected
        );
    }
    // An image of another tool, with Docker's media types.
    let remote = format!("{host}/p/docker");
    run(tool("skopeo")
        .args(["copy", "-q", "--dest-tls-verify=false", "--format", "v2s2"])
        .arg(format!("oci:{}:v1", bench.path("one").display()))
        .arg(format!("docker://{remote}:v1")));
    let expected = digest(&bench, &format!("{remote}:v1"));
    let line = run(&mut bench.command(&["copy", &format!("docker://{remote}:v1"), "oci:docker"]));
    assert_eq!(line, "oci:docker:v1\n");
    assert_eq!(digest(&bench, "oci:docker:v1"), expected);
    run(&mut bench.command(&["verify", "oci:docker:v1"]));
    // A destination may name what must arrive.
    let wrong = format!("{host}/p/one@{expected}");
    let (exit, stderr) = fail(&mut bench.command(&["copy", "oci:one:v1", &wrong]));
    assert_eq!(exit, 2);
    assert!(stderr.contains("error[USE-DIGEST]"), "{stderr}");
}

#[test]
fn docker_archives_are_read_as_others_write_them() {
    let bench = Bench::new();
    run(&mut bench.build(&["app", "-o", "oci:out:v1"]));
    let original = run(&mut bench.command(&["inspect", "oci:out:v1", "--format", "json"]));
    let config = |text: &str| {
        let shown: serde_json::Value = serde_json::from_str(text).expect("JSON");
        shown["images"][0]["config"].clone()
    };
    run(&mut bench.command(&[
        "copy",
        "oci:out:v1",
        "docker-archive:ours.tar:h.example/a:1",
    ]));
    let theirs = format!(
        "docker-archive:{}:h.example/a:1",
        bench.path("theirs.tar").display()
    );
    let ours = format!("oci:{}:v1", bench.path("out").display());
    run(tool("skopeo").args(["copy", "-q", &ours, &theirs]));
    run(tool("skopeo").args([
        "inspect",
        &format!("docker-archive:{}", bench.path("ours.tar").display()),
    ]));
    for archive in ["ours.tar", "theirs.tar"] {
        let name = format!("docker-archive:{archive}:h.example/a:1");
        run(&mut bench.command(&["verify", &name]));
        let shown = run(&mut bench.command(&["inspect", &name, "--format", "json"]));
        assert_eq!(config(&shown), config(&original), "{archive}");
        let copied = format!("oci:copied:{}", archive.replace(".tar", ""));
        run(&mut bench.command(&["copy", &name, &copied]));
        run(&mut bench.command(&["verify", &copied]));
    }
    for (name, code) in [
        ("docker-archive:-", "OUT-TRANSPORT"),
        ("docker-archive:ours.tar:other", "IMAGE-TAG"),
        ("docker-archive:out/index.json", "IMAGE-READ"),
    ] {
        let (_, stderr) = fail(&mut bench.command(&["inspect", name]));
        assert!(
            stderr.contains(&format!("error[{code}]")),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn verify_lists_all_damage() {
    let bench = Bench::new();
    run(&mut bench.build(&["app", "-o", "oci:out:v1"]));
    let shown = run(&mut bench.command(&["inspect", "oci:out:v1", "--format", "json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let manifest = &shown["images"][0]["manifest"];
    let damaged = [
        &manifest["layers"][0]["digest"],
        &manifest["config"]["digest"],
    ];
    for digest in damaged {
        let hex = digest
            .as_str()
            .expect("a digest")
            .trim_start_matches("sha256:");
        let blob = bench.path("out/blobs/sha256").join(hex);
        let mut bytes = std::fs::read(&blob).expect("a blob");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&blob, bytes).expect("damage");
    }
    let (exit, stderr) = fail(&mut bench.command(&["verify", "oci:out:v1"]));
    assert_eq!(exit, 1);
    assert!(
        stderr.contains("error[IMAGE-MISMATCH]: oci:out:v1"),
        "{stderr}"
    );
    for digest in damaged {
        let hex = digest.as_str().unwrap_or_default();
        assert!(stderr.contains(hex), "{hex}: {stderr}");
    }
}

#[test]
fn push_goes_where_tags_and_variables_say() {
    let bench = Bench::new();
    let registry = Registry::basic();
    let host = registry.host();
    let project = format!("{host}/p");
    let login = |command: &mut std::process::Command| {
        command
            .env("KARISIMBI_REPO", &project)
            .env("REGISTRY_USERNAME", USER)
            .env("REGISTRY_PASSWORD", PASSWORD);
    };
    let mut push = bench.build(&["app", "-t", "v1", "-t", "latest", "--push", "-o", "oci:out"]);
    login(&mut push);
    let (stdout, stderr) = both(&mut push);
    let expected = digest(&bench, "oci:out:v1");
    assert_eq!(stdout, format!("{host}/p/app@{expected}\n"), "{stderr}");
    for tag in ["v1", "latest"] {
        let mut verify = bench.command(&["verify", &format!("{host}/p/app:{tag}")]);
        login(&mut verify);
        assert!(run(&mut verify).contains(&expected));
    }
    let (exit, stderr) = fail(
        bench
            .build(&["app", "--push"])
            .env("KARISIMBI_REPO", &project),
    );
    assert_eq!(exit, 10, "{stderr}");
    let (exit, stderr) = fail(bench.build(&["app"]).env("REGISTRY_PASSWORD", PASSWORD));
    assert_eq!(exit, 2);
    assert!(
        stderr.contains("error[USE-LOGIN]: REGISTRY_PASSWORD is set"),
        "{stderr}"
    );
    assert!(!stderr.contains(PASSWORD));
    let other = format!("{host}1/p/app:v1");
    let mut two = bench.build(&["app", "--push", "-t", "v1", "-t", &other]);
    login(&mut two);
    let (exit, stderr) = fail(&mut two);
    assert_eq!(exit, 2, "{stderr}");
    let auth = bench.path("auth.json");
    crate::support::write(&auth, "{");
    let (exit, stderr) = fail(&mut bench.command(&[
        "inspect",
        &format!("{host}/p/app:v1"),
        "--authfile",
        "auth.json",
    ]));
    assert!(exit != 0 && stderr.contains("auth.json"), "{stderr}");
}
