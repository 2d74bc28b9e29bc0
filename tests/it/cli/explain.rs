//! `--explain` names what changed and nothing else; caches are used, refused and compared.

use std::sync::Arc;

use karisimbi::layer::LayerKey;
use karisimbi::progress::Silent;
use karisimbi::store::Store;

use super::{Bench, both};
use crate::support::{fail, run, write};

/// Builds, and yields the fields that `--explain` names, from the record and from stderr.
fn fields(bench: &Bench, args: &[&str]) -> String {
    let common = ["app", "--explain", "--record", "record.json"];
    let (_, stderr) = both(&mut bench.build(&[&common[..], args].concat()));
    let record = std::fs::read_to_string(bench.path("record.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let changes = record["explanation"].as_array().expect("changes").clone();
    let named: Vec<String> = changes
        .iter()
        .map(|change| {
            let keys = ["subject", "field", "before", "now", "text"];
            assert!(keys.iter().all(|key| change.get(key).is_some()), "{change}");
            assert_ne!(change["before"], change["now"], "{change}");
            let field = change["field"].as_str().unwrap_or_default();
            let line = format!(
                "explained {}: {field}: {}",
                change["subject"].as_str().unwrap_or_default(),
                change["text"].as_str().unwrap_or_default()
            );
            assert!(stderr.lines().any(|said| said == line), "{line}\n{stderr}");
            field.to_owned()
        })
        .collect();
    if named.is_empty() {
        assert!(stderr.contains("explained nothing changed"), "{stderr}");
    }
    named.join(" ")
}

#[test]
fn each_change_is_named_alone() {
    let bench = Bench::new();
    let (_, first) = both(&mut bench.build(&["app", "--explain"]));
    assert!(
        first.contains("explained this target was not built here before"),
        "{first}"
    );
    assert_eq!(fields(&bench, &[]), "");
    write(&bench.path("app/new.txt"), "new");
    assert_eq!(fields(&bench, &[]), "source");
    for (args, field) in [
        (&["--set", "container.args=a"][..], "container.args"),
        (&["--set", "container.env.TZ=UTC"], "container.env.TZ"),
        (&["--set", "container.port=80"], "container.port"),
        (&["--set", "deployment.name=other"], "deployment.name"),
        (&["--set", "deployment.version=1.2.3"], "deployment.version"),
        (&["--entrypoint", "-x"], "container.entrypoint"),
        (&["--compression", "zstd"], "compression"),
        (&["--platform", "linux/amd64,linux/arm64"], "platforms"),
    ] {
        assert_eq!(fields(&bench, args), field, "{args:?}");
        assert_eq!(fields(&bench, &[]), field, "back from {args:?}");
    }
    assert_eq!(fields(&bench, &[]), "");
}

#[test]
fn the_base_is_one_field() {
    let bench = Bench::new();
    let plain = [
        "build",
        "app",
        "--recipe",
        "files",
        "--entrypoint",
        "/app/program",
    ];
    let build = |base: &str| {
        let args = [&plain[..], &["--base", base, "--explain"]].concat();
        let (_, stderr) = both(&mut bench.command(&args));
        let lines = stderr.lines().filter(|line| line.starts_with("explained"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    build("scratch");
    let lines = build("embedded:static");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("explained image (linux/amd64): base: embedded:static ("),
        "{lines:?}"
    );
}

#[test]
fn expect_cached_names_the_layer_and_the_reason() {
    let bench = Bench::new();
    let (exit, stderr) = fail(&mut bench.build(&["app", "--expect-cached"]));
    assert_eq!(exit, 1);
    assert!(stderr.contains("error[CACHE-EXPECTED]"), "{stderr}");
    assert!(
        stderr.contains("files (linux/amd64) had to be built"),
        "{stderr}"
    );
    // The output of the first build lies in the folder that is built.
    let build = |args: &[&str]| {
        let mut command = bench.build(&[&["."], args].concat());
        command.current_dir(bench.path("app"));
        command
    };
    let first = run(&mut build(&[]));
    assert_eq!(run(&mut build(&["--expect-cached"])), first);
    run(&mut build(&["--verify-cache"]));
    let (_, stderr) = both(&mut build(&["--no-cache"]));
    assert!(stderr.contains("\nbuilt    files"), "{stderr}");
    write(&bench.path("app/program"), "changed\n");
    let (exit, stderr) = fail(&mut build(&["--expect-cached"]));
    assert_eq!(exit, 1);
    assert!(
        stderr.contains("explained files (linux/amd64): source: program changed"),
        "{stderr}"
    );
}

/// `--verify-cache` finds a record that its key does not give: here one of another source.
#[test]
fn verify_cache_names_the_layer_and_both_digests() {
    let bench = Bench::new();
    bench.source("other");
    write(&bench.path("other/more"), "other bytes\n");
    let key = |source: &str| -> LayerKey {
        let mut command =
            bench.command(&["build", source, "--recipe", "files", "--base", "scratch"]);
        command.args(["--entrypoint", "/app/program", "--record", "record.json"]);
        run(&mut command);
        let text = std::fs::read_to_string(bench.path("record.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        serde_json::from_value(record["images"][0]["layers"][0]["key"].clone()).expect("a key")
    };
    let (app, other) = (key("app"), key("other"));
    let store = Store::open(&bench.path("cache"), Arc::new(Silent)).expect("the cache");
    let wrong = store.record(&other).expect("a record");
    store.put_record(&app, &wrong).expect("a record");
    drop(store);

    let (exit, stderr) = fail(&mut bench.build(&["app", "--verify-cache"]));
    assert_eq!(exit, 1);
    assert!(stderr.contains("error[CACHE-MISMATCH]"), "{stderr}");
    let named = ["layer files", &wrong.diff_id.to_string(), "rebuilt"];
    for part in named {
        assert!(stderr.contains(part), "{part} is not in {stderr}");
    }
}
