//! Flags > environment > deployment.yaml > recipe > default, each with its origin.

use std::collections::BTreeMap;

use super::{Bench, both};
use crate::support::{fail, run, write};

const FILE: &str = "\
deployment: {name: from-file, version: 1.0.0}
recipe: {use: files}
base: embedded:static
platforms: [linux/arm64]
container:
  entrypoint: [/app/program]
  port: 8080
  env: {TZ: UTC}
";

/// `plan --format json`: value and origin by key.
fn plan(bench: &Bench, args: &[&str], env: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
    let mut command = bench.command(&["plan", "app", "--format", "json"]);
    command.args(args).envs(env.iter().copied());
    let plan: serde_json::Value = serde_json::from_str(&run(&mut command)).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    plan["settings"]
        .as_array()
        .expect("settings")
        .iter()
        .map(|s| (text(&s["key"]), (text(&s["value"]), text(&s["origin"]))))
        .collect()
}

#[test]
fn each_value_says_where_it_comes_from() {
    let bench = Bench::new();
    write(&bench.path("app/deployment.yaml"), FILE);
    let flags = [
        "--base",
        "scratch",
        "--platform",
        "linux/amd64",
        "--entrypoint",
        "/app/program",
    ];
    let sets = ["--set", "container.port=9090", "--set", "base=nowhere"];
    let file = plan(&bench, &[], &[]);
    let set = plan(
        &bench,
        &["--set", "container.port=9090"],
        &[("SOURCE_DATE_EPOCH", "7")],
    );
    let flagged = plan(&bench, &[&flags[..], &sets].concat(), &[]);
    for (plan, key, value, origin) in [
        (&file, "base", "embedded:static", "deployment.yaml:3:7"),
        (&file, "platforms", "linux/arm64", "deployment.yaml"),
        (&file, "container.port", "8080", "deployment.yaml:7:9"),
        (&file, "container.env.TZ", "UTC", "deployment.yaml:8:13"),
        (&file, "recipe.use", "files", "deployment.yaml:2:15"),
        (&file, "created", "0", "default"),
        (&set, "container.port", "9090", "--set"),
        (&set, "created", "7", "SOURCE_DATE_EPOCH"),
        (&flagged, "base", "scratch", "--base"),
        (&flagged, "platforms", "linux/amd64", "--platform"),
        (
            &flagged,
            "container.entrypoint",
            "/app/program",
            "--entrypoint",
        ),
        (&flagged, "container.port", "9090", "--set"),
    ] {
        let found = plan
            .iter()
            .find(|(name, _)| *name == key || name.starts_with(&format!("{key}[")))
            .unwrap_or_else(|| panic!("{key}: {plan:?}"));
        assert_eq!(found.1.0, value, "{key}");
        assert!(found.1.1.starts_with(origin), "{key}: {found:?}");
    }
    let (stdout, _) = both(&mut bench.command(&["build", "app"]));
    assert_eq!(stdout, "oci:karisimbi-out/from-file:1.0.0\n");
    let wrong = [
        ("SOURCE_DATE_EPOCH", "yesterday"),
        ("KARISIMBI_THREADS", "0"),
    ];
    for (name, value) in wrong {
        let (exit, stderr) = fail(bench.command(&["build", "app"]).env(name, value));
        assert_eq!(exit, 2, "{stderr}");
        assert!(
            stderr.contains(&format!("error[CFG-NUMBER]: {name}")),
            "{stderr}"
        );
    }
}

#[test]
fn configurations_that_are_not_ours_are_said() {
    let bench = Bench::new();
    let object = "apiVersion: apps/v1\nkind: Deployment\n";
    write(&bench.path("app/deployment.yaml"), object);
    let (stdout, stderr) = both(&mut bench.build(&["app"]));
    assert!(stderr.contains("warning[CFG-KUBERNETES]"), "{stderr}");
    assert_eq!(stdout, "oci:karisimbi-out/app:dev\n");
    write(
        &bench.path("app/karisimbi.yaml"),
        "deployment: {name: ours}\n",
    );
    let (stdout, stderr) = both(&mut bench.build(&["app"]));
    assert!(!stderr.contains("CFG-KUBERNETES"), "{stderr}");
    assert_eq!(stdout, "oci:karisimbi-out/ours:dev\n");
}

#[test]
fn every_variable_that_is_read_is_in_the_table() {
    let root = crate::support::repository();
    for file in [
        "mod.rs",
        "request.rs",
        "../cli/build.rs",
        "../cli/session.rs",
    ] {
        let text = std::fs::read_to_string(root.join("src/settings").join(file)).expect("source");
        for call in ["text(\"", "path(\"", "has(\"", "either(\""] {
            for rest in text.split(call).skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                let known = karisimbi::settings::env::VARIABLES
                    .iter()
                    .any(|v| v.name == name);
                assert!(known, "{file} reads {name}");
            }
        }
    }
}
