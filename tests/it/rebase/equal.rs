//! Equality with a build on the new base.

use super::bases::{Spec, push, write_base};
use super::{build, digest, inspect, rebase};
use crate::builds::go_module;
use crate::cli::{Bench, both};
use crate::registry_server::Registry;
use crate::support::run;

const TWO: &[&str] = &["linux/amd64", "linux/arm64"];
const GLIBC: &str = "eGNU C Library (x) stable release version 2.36.\n";
const NEWER: &str = "eGNU C Library (x) stable release version 2.41.\n";

/// Two versions of a base, and one with more in it.
fn bases(bench: &Bench) {
    let v1 = Spec {
        files: &[
            ("lib", "lusr/lib"),
            ("usr/lib/libc.so.6", GLIBC),
            ("bin/sh", "e"),
        ],
        env: &["PATH=/bin", "TZ=UTC", "ONLY=v1"],
        platforms: TWO,
    };
    let v2 = Spec {
        files: &[
            ("lib", "lusr/lib"),
            ("usr/lib/libc.so.6", NEWER),
            ("bin/sh", "e"),
            ("usr/lib/libmore.so.1", "e"),
        ],
        env: &["TZ=Europe/Berlin", "PATH=/usr/bin:/bin", "NEW=1"],
        ..v1
    };
    write_base(&bench.path("v1"), &v1);
    write_base(&bench.path("v2"), &v2);
}

#[test]
fn rebase_is_what_a_build_on_the_new_base_gives() {
    let bench = Bench::new();
    bases(&bench);
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let zstd = ["--compression", "zstd"];
    let settings = [
        "--set",
        "container.env.TZ=ours",
        "--set",
        "container.env.Z=1",
        "--set",
        "container.args=a b",
        "--set",
        "container.port=8080",
        "--set",
        "deployment.name=named",
        "--set",
        "deployment.version=1.2.3",
    ];
    for (name, old, new, more) in [
        ("plain", "oci:v1:v1", "oci:v2:v1", &[][..]),
        ("platforms", "oci:v1:v1", "oci:v2:v1", &platforms[..]),
        ("zstd", "oci:v1:v1", "oci:v2:v1", &zstd[..]),
        ("settings", "oci:v1:v1", "oci:v2:v1", &settings[..]),
        ("from-static", "embedded:static", "oci:v2:v1", &settings[..]),
        ("same", "embedded:static", "embedded:static", &[][..]),
    ] {
        let (old_name, new_name) = (format!("oci:{name}:old"), format!("oci:{name}:new"));
        let stamped = |command: &mut std::process::Command| {
            run(command.env("SOURCE_DATE_EPOCH", "1700000000"));
        };
        stamped(&mut build(&bench, old, &old_name, more));
        // The epoch of the rebase's own environment plays no part.
        let out = format!("oci:{name}:rebased");
        let (stdout, _) = both(&mut rebase(&bench, &old_name, new, &["-o", &out]));
        assert_eq!(stdout, format!("{out}\n"));
        stamped(&mut build(&bench, new, &new_name, more));
        let (rebased, built) = (inspect(&bench, &out), inspect(&bench, &new_name));
        assert_eq!(rebased["images"], built["images"], "{name}");
        assert_eq!(rebased["digest"], built["digest"], "{name}");
        run(&mut bench.command(&["verify", &out]));
        assert_eq!(
            digest(&bench, &old_name) == digest(&bench, &out),
            name == "same"
        );
    }
}

#[test]
fn a_go_program_moves_between_bases_with_and_without_its_folder() {
    let bench = Bench::new();
    bases(&bench);
    go_module(&bench.path("tool"));
    let go = |base: &str, out: &str| {
        let mut command = bench.command(&["build", "tool", "--base", base, "-o", out]);
        command.env("GOCACHE", bench.path("gocache"));
        run(&mut command);
    };
    let names = ["scratch", "oci:v1:v1", "embedded:static", "oci:v2:v1"];
    for (index, base) in names.iter().enumerate() {
        go(base, &format!("oci:out:b{index}"));
    }
    // One after the other: what was rebased can be rebased again.
    let mut image = "oci:out:b0".to_owned();
    for (index, base) in names.iter().enumerate().skip(1) {
        let out = format!("oci:out:r{index}");
        run(&mut rebase(&bench, &image, base, &["-o", &out]));
        let built = format!("oci:out:b{index}");
        assert_eq!(digest(&bench, &out), digest(&bench, &built), "{base}");
        image = out;
    }
}

#[test]
fn layers_in_a_registry_stay_there() {
    let bench = Bench::new();
    bases(&bench);
    let registry = Registry::plain();
    let host = registry.host();
    for (dir, tag) in [("v1", "1"), ("v2", "2")] {
        push(&bench.path(dir), &format!("{host}/base/x:{tag}"));
    }
    let (old, new) = (format!("{host}/base/x:1"), format!("{host}/base/x:2"));
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let built = format!("{host}/p/app:built");
    run(&mut build(&bench, &new, &built, &platforms));
    let image = format!("{host}/p/app:v1");
    run(&mut build(&bench, &old, &image, &platforms));
    let ours = inspect(&bench, &image)["images"][0]["layers"][2]["digest"].clone();
    let ours = ours.as_str().expect("a digest").to_owned();
    let fetched = |ours: &str| {
        let all = registry.requests();
        let gets = all.iter().filter(|r| r.contains("GET") && r.contains(ours));
        gets.count()
    };
    let before = fetched(&ours);
    // Another machine: an empty cache, and only the tag changes.
    let mut command = rebase(&bench, &image, &new, &["-t", "rebased", "--push"]);
    let (stdout, stderr) = both(command.env("KARISIMBI_CACHE_DIR", bench.path("other")));
    assert_eq!(stdout, format!("{host}/p/app@{}\n", digest(&bench, &built)));
    assert_eq!(fetched(&ours), before, "{stderr}");
    let rebased = format!("{host}/p/app:rebased");
    assert_eq!(digest(&bench, &rebased), digest(&bench, &built));
    // To another repository of the registry they are mounted.
    let other = format!("{host}/q/other:v2");
    let mut command = rebase(&bench, &image, &new, &["-t", &other, "--push"]);
    both(command.env("KARISIMBI_CACHE_DIR", bench.path("third")));
    assert_eq!(fetched(&ours), before);
    assert_eq!(digest(&bench, &other), digest(&bench, &built));
    // Without a tag, the image's own moves; an archive is a source like any other.
    run(&mut rebase(&bench, &image, &new, &["--push"]));
    assert_eq!(digest(&bench, &image), digest(&bench, &built));
    run(&mut bench.command(&["copy", &built, "oci-archive:built.tar:v2"]));
    let archive = ["-o", "oci-archive:again.tar"];
    let line = run(&mut rebase(
        &bench,
        "oci-archive:built.tar:v2",
        &new,
        &archive,
    ));
    assert_eq!(line, "oci-archive:again.tar:v2\n");
    assert_eq!(digest(&bench, line.trim()), digest(&bench, &built));
    // Without any place it goes where builds go.
    let line = run(&mut rebase(&bench, &built, &new, &[]));
    assert_eq!(line, "oci:karisimbi-out/app:built\n");
}
