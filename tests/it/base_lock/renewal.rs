//! `base lock`, `base update`, `base outdated`, `base verify`, `base list`.

use serde_json::Value;

use super::{World, deb_lock};
use crate::cli::both;
use crate::support::{fail, run, write};

#[test]
fn a_moved_tag_is_seen_taken_and_verified() {
    let world = World::new();
    let tagged = format!("{}/python3.13:latest", world.project());
    let path = world.bench.path("bases.lock");
    let (stdout, _) = both(&mut world.base(&["lock", "python3.13", &tagged]));
    assert_eq!(stdout.trim_end(), path.display().to_string());
    let lock = world.lock("bases.lock");
    assert_eq!(lock["bases"].as_object().unwrap().len(), 2, "{lock}");
    let (stdout, stderr) = both(&mut world.base(&["outdated"]));
    assert_eq!(stdout, "");
    assert!(stderr.contains("nothing is newer"), "{stderr}");
    world.publish("bases/python3.13", "latest", "two");
    // What is locked stays.
    both(&mut world.base(&["lock", "python3.13"]));
    assert_eq!(world.lock("bases.lock"), lock);
    let (exit, stderr) = fail(&mut world.base(&["outdated"]));
    assert_eq!(exit, 1);
    assert!(
        stderr.contains("error[BASE-OUTDATED]: newer than bases.lock: 2"),
        "{stderr}"
    );
    let shown = run(&mut world.base(&["update", "python3.13", "--format", "json"]));
    let changes: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(changes.as_array().unwrap().len(), 1);
    assert_eq!(changes[0]["base"], "python3.13");
    let now = world.lock("bases.lock");
    assert_ne!(now["bases"]["python3.13"], lock["bases"]["python3.13"]);
    assert_eq!(
        now["bases"][&tagged], lock["bases"][&tagged],
        "the other stays"
    );
    let (stdout, _) = both(&mut world.base(&["update"]));
    assert!(
        stdout.starts_with(&format!("{tagged}  image  ")),
        "{stdout}"
    );
    let (stdout, stderr) = both(&mut world.base(&["update"]));
    assert_eq!(stdout, "");
    assert!(
        stderr.contains("base python3.13: nothing is newer"),
        "{stderr}"
    );
    let verified = run(&mut world.base(&["verify"]));
    assert_eq!(verified.lines().count(), 2, "{verified}");
}

#[test]
fn names_are_listed_with_what_they_stand_for_here() {
    let world = World::new();
    write(&world.bench.path("bases.lock"), deb_lock().to_string());
    let text = run(&mut world.base(&["list"]));
    let line = |name: &str| {
        let start = format!("{name} ");
        let found = text.lines().find(|line| line.starts_with(&start));
        found.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
    };
    assert!(line("cc").contains("deb:trixie/cc of 2026-11-21"), "{text}");
    assert!(line("cc").contains("locked"), "{text}");
    assert!(line("python3.13").contains("/bases/python3.13"), "{text}");
    assert!(
        line("node24-alpine").contains("/bases/library/node:24-alpine"),
        "{text}"
    );
    assert!(line("node24").ends_with("until 2028-04-30"), "{text}");
    let shown = run(&mut world.base(&["list", "--format", "json"]));
    let rows: Value = serde_json::from_str(&shown).unwrap();
    let row = |name: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(row("cc")["locked"], true);
    assert_eq!(row("node24")["locked"], false);
    // A deployment in the folder decides here, too.
    write(
        &world.bench.path("deployment.yaml"),
        "bases: {cc: h.example/own/cc:1}\n",
    );
    std::fs::remove_file(world.bench.path("bases.lock")).unwrap();
    let text = run(&mut world.bench.command(&["base", "list", "--mirror", "none"]));
    assert!(text.contains("h.example/own/cc:1"), "{text}");
    assert!(
        text.contains("static             embedded:static"),
        "{text}"
    );
}

#[test]
fn a_published_base_is_what_its_short_name_stands_for() {
    let world = World::new();
    let image = format!("{}/static:latest", world.project());
    let args = [
        "build",
        "embedded:static",
        "--platform",
        "linux/amd64,linux/arm64",
    ];
    let (stdout, stderr) = both(world.base(&args).args(["-t", &image, "--push"]));
    let digest = stdout.trim_end().rsplit('@').next().unwrap().to_owned();
    assert!(
        stdout.starts_with(&format!("{}/static@sha256:", world.project())),
        "{stdout}"
    );
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("image "))
            .count(),
        3,
        "{stderr}"
    );
    let (_, stderr) = both(&mut world.build_on("static", &["--platform", "linux/arm64"]));
    assert!(
        stderr.contains(&format!("just now, {image}@{digest}").replace(":latest", "")),
        "{stderr}"
    );
    // The same image under its own name.
    let (_, stderr) = both(&mut world.build_on("embedded:static", &[]));
    assert!(stderr.contains("reused   files"), "{stderr}");
    let two = ["-o", "oci:a:v1", "-o", "oci:a:v1"];
    let (exit, stderr) = fail(
        world
            .base(&["build", "embedded:static", "static"])
            .args(two),
    );
    assert_eq!(exit, 2, "{stderr}");
}

#[test]
fn what_is_missing_or_can_not_be_assembled_is_said() {
    let world = World::new();
    for (args, code, text) in [
        (
            &["outdated"][..],
            "BASE-LOCK-READ",
            "bases.lock: there is no such file",
        ),
        (&["update"], "BASE-LOCK-READ", "base lock"),
        (
            &["build", "scratch"],
            "BASE-UNKNOWN",
            "is not assembled here",
        ),
        (&["build", "python3.13"], "BASE-UNKNOWN", "karisimbi copy"),
        (&["build", "perl5"], "USE-ARGUMENT", "is no base"),
        (&["show", "node24"], "BASE-NOWHERE", "no mirror is set"),
    ] {
        let (exit, stderr) = fail(&mut world.base(args));
        assert!(
            stderr.contains(&format!("error[{code}]")),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains(text), "{args:?}: {stderr}");
        assert!([1, 2].contains(&exit), "{args:?}: {exit}");
    }
    write(&world.bench.path("bases.lock"), deb_lock().to_string());
    let (_, stderr) = fail(&mut world.base(&["verify", "node24"]));
    assert!(stderr.contains("error[BASE-LOCK-ABSENT]"), "{stderr}");
}
