//! Where a lock is read and written, and what `--locked` refuses.

use karisimbi::base::lock::{LockedBase, LockedRegistry};
use karisimbi::base::lock_file::{LockPlace, LockUse};
use karisimbi::digest::Digest;
use serde_json::json;

use super::{World, deb_lock, deployment};
use crate::cli::{Bench, both};
use crate::support::{fail, run, write};

/// The code of the error on standard error.
fn code(stderr: &str) -> &str {
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error["))
        .unwrap_or(stderr);
    line.trim_start_matches("error[").split(']').next().unwrap()
}

#[test]
fn builds_that_write_one_lock_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bases.lock");
    let names: Vec<String> = (0..8)
        .map(|index| format!("registry.example/base/n{index}:v1"))
        .collect();
    let base = |name: &String| {
        LockedBase::Registry(LockedRegistry {
            reference: name.clone(),
            digest: Digest::of(name.as_bytes()),
        })
    };
    // Each has read the lock before any of them writes.
    let opened = LockUse::open(LockPlace::Named(path.clone())).unwrap();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| opened.keep(name, &base(name)).unwrap());
        }
    });
    let kept = LockUse::open(LockPlace::Named(path)).unwrap();
    assert_eq!(kept.names(), names);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_deployment_gets_its_lock_and_the_image_stays_the_same() {
    let world = World::new();
    deployment(&world.bench, "");
    let digest = |args: &[&str]| {
        let file = world.bench.path("digest");
        let (_, stderr) = both(world.build(args).arg("--digest-file").arg(&file));
        (std::fs::read_to_string(file).unwrap(), stderr)
    };
    let (first, stderr) = digest(&[]);
    assert!(
        stderr.contains("noted    base python3.13: there is no bases.lock"),
        "{stderr}"
    );
    assert!(stderr.contains("wrote    "), "{stderr}");
    let lock = world.lock("app/bases.lock");
    let entry = &lock["bases"]["python3.13"];
    assert_eq!(entry["kind"], "registry");
    assert_eq!(
        entry["reference"],
        format!("{}/python3.13", world.project())
    );
    // The tag moves, the lock does not; and the lock is no part of the source.
    world.publish("bases/python3.13", "latest", "two");
    for args in [&[][..], &["--locked"], &["--locked", "--offline"]] {
        let (again, stderr) = digest(args);
        assert_eq!(again, first, "{args:?}");
        assert!(
            stderr.contains("resolved base python3.13: locked, "),
            "{stderr}"
        );
        assert!(!stderr.contains("wrote"), "{stderr}");
    }
    std::fs::remove_file(world.bench.path("app/bases.lock")).unwrap();
    let (kept, stderr) = digest(&[]);
    assert_eq!(kept, first, "an earlier resolution is kept: {stderr}");
    assert!(stderr.contains("a minute ago on this machine"), "{stderr}");
    // Elsewhere nothing is known of it.
    let other = world.bench.path("other-cache");
    std::fs::remove_file(world.bench.path("app/bases.lock")).unwrap();
    let (new, _) = digest(&["--cache-dir", other.to_str().unwrap()]);
    assert_ne!(new, first);
}

#[test]
fn a_bare_source_is_locked_by_its_record() {
    let world = World::new();
    let record = world.bench.path("record.json");
    let text = record.to_str().unwrap();
    both(&mut world.build(&["--record", text]));
    assert!(!world.bench.path("app/bases.lock").exists());
    let written = super::read_lock(&record);
    let lock = written["bases"]["bases"]["python3.13"].clone();
    assert_eq!(lock["kind"], "registry", "{written}");
    world.publish("bases/python3.13", "latest", "two");
    let cache = world.bench.path("fresh");
    let args = [
        "--lock",
        text,
        "--locked",
        "--cache-dir",
        cache.to_str().unwrap(),
    ];
    let (_, stderr) = both(&mut world.build(&args));
    assert!(stderr.contains("base python3.13: locked"), "{stderr}");
    assert_eq!(
        super::read_lock(&record),
        written,
        "a record is never rewritten"
    );
    let (exit, stderr) = fail(&mut world.build_on("node24", &["--lock", text]));
    assert_eq!((code(&stderr), exit), ("BASE-LOCK-ABSENT", 2), "{stderr}");
    assert!(stderr.contains("it has python3.13"), "{stderr}");
    // A lock at the source's root is read, too.
    let lock = json!({"version": 1, "bases": {"python3.13": lock}});
    write(&world.bench.path("app/bases.lock"), lock.to_string());
    both(&mut world.build(&[
        "--locked",
        "--cache-dir",
        world.bench.path("third").to_str().unwrap(),
    ]));
}

#[test]
fn locked_refuses_what_the_lock_does_not_say() {
    let bench = Bench::new();
    let build = |base: &str, more: &str, args: &[&str]| {
        deployment(&bench, &format!("base: {base}\n{more}"));
        let mut command = bench.command(&["build", "app", "--mirror", "none", "--locked"]);
        let (exit, stderr) = fail(command.args(["--entrypoint", "/app/program"]).args(args));
        (exit, code(&stderr).to_owned(), stderr)
    };
    let (exit, said, stderr) = build("cc", "", &[]);
    assert_eq!((exit, said.as_str()), (2, "BASE-LOCK-ABSENT"), "{stderr}");
    assert!(stderr.contains("app/bases.lock is not there"), "{stderr}");
    let write_lock = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut lock = deb_lock();
        edit(&mut lock["bases"]["cc"]);
        write(&bench.path("app/bases.lock"), lock.to_string());
    };
    write_lock(&|_| ());
    for (base, more, args, expected, exit_code) in [
        (
            "python3.13",
            "",
            &[][..],
            "BASE-LOCK-ABSENT holds no base python3.13; it has cc",
            2,
        ),
        (
            "cc",
            "",
            &["--platform", "linux/arm64"],
            "BASE-LOCK-STALE lacks linux/arm64",
            1,
        ),
        (
            "cc",
            "os_packages: [libpq5]\n",
            &[],
            "BASE-LOCK-STALE has no os_packages",
            1,
        ),
    ] {
        let (exit, said, stderr) = build(base, more, args);
        let (code, text) = expected.split_once(' ').unwrap();
        assert_eq!((exit, said.as_str()), (exit_code, code), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    write_lock(&|cc| cc["filter_version"] = json!(99));
    let (_, said, stderr) = build("cc", "", &[]);
    assert_eq!(said, "BASE-LOCK-STALE");
    assert!(stderr.contains("locked with rules 99"), "{stderr}");
    // What no lock pins needs none.
    deployment(&bench, "base: embedded:static\n");
    std::fs::remove_file(bench.path("app/bases.lock")).unwrap();
    both(
        bench
            .command(&["build", "app", "--locked"])
            .args(["--entrypoint", "/app/program"]),
    );
    assert!(!bench.path("app/bases.lock").exists());
}

#[test]
fn short_names_lead_on_and_say_why() {
    let world = World::new();
    let (_, stderr) = both(&mut world.build_on("static", &[]));
    assert!(
        stderr.contains("noted    base static: not from 127.0.0.1:"),
        "{stderr}"
    );
    assert!(
        stderr.contains("warning[BASE-EMBEDDED]: base static is embedded:static here"),
        "{stderr}"
    );
    assert!(stderr.contains("no mirror is set"), "{stderr}");
    let (exit, stderr) = fail(&mut world.build_on("node24", &[]));
    assert_eq!((exit, code(&stderr)), (1, "BASE-NOWHERE"), "{stderr}");
    assert!(stderr.contains("/bases/node24: "), "{stderr}");
    let mut offline = world
        .bench
        .command(&["build", "app", "--recipe", "files", "--offline"]);
    offline.args([
        "--base",
        "python3.13",
        "--mirror",
        "none",
        "--entrypoint",
        "/app/program",
    ]);
    let (exit, stderr) = fail(&mut offline);
    assert_eq!((exit, code(&stderr)), (1, "BASE-NOWHERE"), "{stderr}");
    assert!(stderr.contains("no base_registry is set"), "{stderr}");
    // A table gives names another meaning, and Alpine's have their place below the project.
    world.publish("other/image", "1", "other");
    world.publish("bases/library/node", "24-alpine", "alpine");
    let other = format!("bases.node24={}/other/image:1", world.registry.host());
    for (base, args, said) in [
        ("node24", &["--set", &other][..], "/other/image:1@sha256:"),
        (
            "node24",
            &["--flavour", "alpine"],
            "base node24-alpine: just now",
        ),
        ("node24-alpine", &[], "library/node:24-alpine@sha256:"),
    ] {
        let (_, stderr) = both(&mut world.build_on(base, args));
        assert!(stderr.contains(said), "{stderr}");
    }
    // A clock of today is enough: Python 3.9 is past its day.
    world.publish("bases/python", "3.9-slim", "old");
    let old = format!("{}/python:3.9-slim", world.project());
    let (_, stderr) = both(&mut world.build_on(&old, &[]));
    assert!(
        stderr.contains("warning[BASE-EOL]: ")
            && stderr.contains("Python 3.9 has no security fixes"),
        "{stderr}"
    );
    for (set, code_said) in [("node24=cc", "BASE-ALIAS"), ("perl=cc", "BASE-ALIAS")] {
        let set = format!("bases.{set}");
        let (exit, stderr) = fail(&mut world.build_on("node24", &["--set", &set]));
        assert_eq!((exit, code(&stderr)), (2, code_said), "{stderr}");
    }
}

#[test]
fn settings_of_bases_say_where_they_come_from_and_no_password() {
    let bench = Bench::new();
    deployment(
        &bench,
        "base_registry: h.example/file\nmirror: https://file.example/debian\n",
    );
    let mut plan = bench.command(&["plan", "app", "--format", "json"]);
    plan.args(["--entrypoint", "/app/program", "--flavour", "distroless"])
        .env("KARISIMBI_MIRROR", "https://me:hunter2@m.example/debian");
    let plan = run(&mut plan);
    assert!(!plan.contains("hunter2"), "{plan}");
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let origin = |key: &str| {
        let mut settings = plan["settings"].as_array().unwrap().iter();
        let found = settings.find(|setting| setting["key"] == key).unwrap();
        found["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!(origin("mirror"), "KARISIMBI_MIRROR");
    assert_eq!(origin("base_flavour"), "--flavour");
    assert_eq!(origin("base_registry"), "deployment.yaml:3:16");
}

#[test]
fn the_embedded_base_is_the_default_and_has_no_packages() {
    let bench = Bench::new();
    let build = [
        "build",
        "app",
        "--recipe",
        "files",
        "--entrypoint",
        "/app/program",
    ];
    let (_, stderr) = both(&mut bench.command(&build));
    assert!(
        stderr.contains("resolved base embedded:static, "),
        "{stderr}"
    );
    let layout = bench.path("karisimbi-out/app");
    let blobs = layout.join("blobs/sha256");
    let named = std::fs::read_dir(blobs).unwrap().any(|blob| {
        let text = std::fs::read(blob.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        text.contains("\"org.opencontainers.image.base.name\":\"embedded:static\"")
    });
    assert!(named);
    let mut packages = bench.command(&build);
    let (exit, stderr) = fail(packages.args(["--set", "os_packages=[libpq5]"]));
    assert_eq!((exit, code(&stderr)), (2, "BASE-OS-PACKAGES"), "{stderr}");
}

#[test]
fn a_lock_in_a_clone_is_not_obeyed() {
    let world = World::new();
    let lock = json!({"version": 1, "bases": {"python3.13": {
        "kind": "registry", "reference": "evil.example/base",
        "digest": format!("sha256:{}", "0".repeat(64)),
    }}});
    write(&world.bench.path("app/bases.lock"), lock.to_string());
    let repository = world.bench.path("app");
    for args in [
        &["init", "--quiet"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "--quiet",
            "-m",
            "x",
        ],
    ] {
        run(crate::support::tool("git")
            .arg("-C")
            .arg(&repository)
            .args(args));
    }
    let url = format!("file://{}", repository.display());
    let build = |more: &[&str]| {
        let mut command = world.bench.command(&["build", &url, "--recipe", "files"]);
        command
            .args([
                "--base",
                "python3.13",
                "--entrypoint",
                "/app/program",
                "--offline",
            ])
            .args(["--mirror", "none", "--base-registry", &world.project()])
            .args(more);
        command
    };
    // The clone is made once.
    let mut online = world.bench.command(&["build", &url, "--recipe", "files"]);
    online.args(["--base", "python3.13", "--entrypoint", "/app/program"]);
    online.args(["--mirror", "none", "--base-registry", &world.project()]);
    let (_, stderr) = both(&mut online);
    assert!(
        stderr.contains("warning[CFG-IGNORED]: bases.lock of the clone"),
        "{stderr}"
    );
    assert!(!stderr.contains("evil.example"), "{stderr}");
    let (_, stderr) = fail(&mut build(&["--trust-config"]));
    assert!(stderr.contains("evil.example"), "{stderr}");
}
