//! Plans, keys and programs.

use std::os::unix::fs::PermissionsExt;

use karisimbi::digest::Digest;
use karisimbi::layer::key::changes;
use karisimbi::layer::{Compression, Encoder, EntryKind, Inputs};
use karisimbi::plan::{Network, Plan};
use karisimbi::recipe::Options;
use karisimbi::recipe::go::BuildInfo;

use super::{MAIN, Workbench, answers, layer_fields, none, option, source, vendored};
use crate::support::{repository, run, tool, write};

#[test]
fn a_server_is_built_and_answers() {
    let bench = Workbench::new();
    let folder = repository().join("testdata/go/http");
    let mut options = option("version_var", "main.version");
    options.version = Some("1.2.3".to_owned());
    options.args = vec!["-http".to_owned(), ":8080".to_owned()];
    options.port = Some(8080);
    let plan = bench.plan(&folder, &options).unwrap();
    assert_eq!(plan.name.as_deref(), Some("http"));
    assert_eq!(
        plan.evidence.facts[0],
        "go.mod (module example.org/http, go 1.25)"
    );
    assert_eq!(plan.images[0].runtime.entrypoint, ["/app/http"]);
    assert_eq!(plan.images[0].runtime.user, "1001:1001");
    assert_eq!(plan.images[0].runtime.ports, [8080]);
    assert_eq!(
        plan.images[0].layers[0].describe().contents,
        "/app/http from ."
    );
    let (_, slots) = bench.run(&plan).unwrap();
    let said = answers(&slots[0].join("out"));
    assert!(said.contains("\"version\":\"1.2.3\""), "{said}");
}

#[test]
fn two_platforms_are_built_in_one_run() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/two/v2\n\ngo 1.25\n"),
        ("main.go", MAIN),
    ]);
    let plan = bench
        .plan_for(folder.path(), &none(), &["linux/amd64", "linux/arm64"])
        .unwrap();
    assert_eq!(plan.images[1].runtime.entrypoint, ["/app/two"]);
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        steps,
        ["go build . (linux/amd64)", "go build . (linux/arm64)"]
    );
    assert!(
        plan.steps
            .iter()
            .all(|step| step.network == Network::Offline)
    );

    let (_, slots) = bench.run(&plan).unwrap();
    for (slot, architecture) in slots.iter().zip(["amd64", "arm64"]) {
        let info = BuildInfo::read(&slot.join("out")).unwrap();
        assert!(
            info.settings
                .contains(&("GOARCH".to_owned(), architecture.to_owned()))
        );
        assert!(
            !info.settings.iter().any(|(key, _)| key.starts_with("vcs")),
            "{info:?}"
        );
    }
}

#[test]
fn the_same_source_gives_the_same_bytes_in_any_checkout() {
    let bench = Workbench::new();
    let files = [
        ("go.mod", "module example.org/same\n\ngo 1.25\n"),
        ("main.go", MAIN),
    ];
    let plain = source(&files);
    // A deployment's clone without .git inside another repository, under another name.
    let outer = source(&[("README.md", "outer\n")]);
    let inner = outer.path().join("deployments/x/source");
    for (path, contents) in files {
        write(&inner.join(path), contents);
    }
    let git = |args: &[&str]| {
        run(tool("git").current_dir(outer.path()).args(args).envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_AUTHOR_NAME", "t"),
            ("GIT_AUTHOR_EMAIL", "t@example.org"),
            ("GIT_COMMITTER_NAME", "t"),
            ("GIT_COMMITTER_EMAIL", "t@example.org"),
        ]))
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "outer"]);
    let digests = [plain.path(), &inner].map(|folder| {
        let program = bench.build(folder, &none()).unwrap();
        Digest::of(&std::fs::read(program).unwrap())
    });
    assert_eq!(digests[0], digests[1]);
    let keys =
        [plain.path(), &inner].map(|folder| layer_fields(&bench.plan(folder, &none()).unwrap()));
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn an_unchanged_source_never_starts_go() {
    let cache = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let log = tools.path().join("log");
    let real = run(tool("sh").args(["-c", "command -v go"]));
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec {} \"$@\"\n",
        log.display(),
        real.trim()
    );
    write(&tools.path().join("go"), script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tools.path().join("go"), mode).unwrap();
    let path = format!(
        "{}:{}",
        tools.path().display(),
        std::env::var("PATH").unwrap()
    );
    let folder = source(&[
        ("go.mod", "module example.org/calm\n\ngo 1.25\n"),
        ("cmd/a/main.go", MAIN),
        ("cmd/calm/main.go", MAIN),
    ]);
    let first = Workbench::at(cache.path())
        .with("PATH", &path)
        .plan(folder.path(), &none())
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "env GOROOT GOVERSION\n"
    );
    // The list of packages was asked of the real go, whose trace is its answer alone: with a go
    // that fails everywhere the second plan must be the same.
    std::fs::remove_file(&log).unwrap();
    let second = Workbench::at(cache.path())
        .with("PATH", &path)
        .plan(folder.path(), &none())
        .unwrap();
    assert!(!log.exists());
    assert_eq!(layer_fields(&first), layer_fields(&second));
    assert_eq!(layer_fields(&first)["main"], "./cmd/calm");
}

#[test]
fn each_kind_of_change_shows_in_its_own_field() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/fields\n\ngo 1.25\n"),
        (
            "main.go",
            "package main\n\nimport _ \"embed\"\n\n//go:embed page.html\nvar page string\n\nfunc main() { println(page) }\n",
        ),
        ("page.html", "one"),
    ]);
    let before = layer_fields(&bench.plan(folder.path(), &none()).unwrap());
    let differ = |bench: &Workbench, options: &Options, platform: &str| {
        let plan = bench.plan_for(folder.path(), options, &[platform]).unwrap();
        let names: Vec<String> = changes(&before, &layer_fields(&plan))
            .into_iter()
            .map(|change| change.field)
            .collect();
        names.join(" ")
    };
    let amd64 = "linux/amd64";
    assert_eq!(differ(&bench, &none(), amd64), "");
    assert_eq!(
        differ(&bench, &option("ldflags", "-X main.a=b"), amd64),
        "ldflags"
    );
    assert_eq!(differ(&bench, &option("tags", "netgo"), amd64), "tags");
    assert_eq!(
        differ(&bench, &option("flags", "-gcflags=-l"), amd64),
        "flags"
    );
    assert_eq!(differ(&bench, &option("goamd64", "v2"), amd64), "env");
    assert_eq!(differ(&bench, &none(), "linux/amd64/v3"), "env platform");
    assert_eq!(differ(&bench, &none(), "linux/arm64"), "env platform");
    // Downloads can't change bytes.
    let proxied = Workbench::new().with("GOPROXY", "https://user:secret@proxy.example.org");
    assert_eq!(differ(&proxied, &none(), amd64), "");
    let slot = |plan: &Plan| plan.steps.last().unwrap().slot;
    let old = slot(&bench.plan(folder.path(), &none()).unwrap());
    write(&folder.path().join("page.html"), "two");
    assert_eq!(differ(&bench, &none(), amd64), "source");
    assert_eq!(old, slot(&bench.plan(folder.path(), &none()).unwrap()));
}

#[test]
fn a_module_of_tools_builds_the_tool_that_it_requires() {
    let bench = Workbench::new();
    for (wrapper, name, version) in [
        ("mcp-grafana", "mcp-grafana", "v1.6.3"),
        ("go-sdk-hello", "hello", "v1.8.0"),
        ("go-sdk-memory", "memory", "v1.8.0"),
        ("go-sdk-everything-server", "everything-server", "v1.8.0"),
        ("mcp-go-everything", "everything", "v1.2.1"),
    ] {
        let folder = repository().join("testdata/go/wrappers").join(wrapper);
        let plan = bench.plan(&folder, &none()).unwrap();
        assert_eq!(plan.name.as_deref(), Some(name));
        assert_eq!(plan.version.as_deref(), Some(version));
        assert_eq!(plan.images[0].runtime.entrypoint, [format!("/app/{name}")]);
        let steps: Vec<_> = plan.steps.iter().map(|step| step.network).collect();
        assert_eq!(steps, [Network::Online, Network::Offline, Network::Offline]);
        // A hit of the layer skips all of them.
        let named = plan.images[0].layers[0].inputs().len();
        assert_eq!(named, plan.steps.len());
    }
}

#[test]
fn build_info_agrees_with_go_version() {
    let bench = Workbench::new();
    let program = bench.build(vendored().path(), &none()).unwrap();
    let info = BuildInfo::read(&program).unwrap();
    let said = run(tool("go").args(["version", "-m"]).arg(&program));
    let mut lines = said.lines();
    assert!(lines.next().unwrap().ends_with(&info.go));
    let mut ours = vec![format!("path {}", info.path)];
    let shown = |kind: &str, module: &karisimbi::recipe::go::ModuleInfo| {
        format!("{kind} {} {} {}", module.path, module.version, module.sum)
            .trim()
            .to_owned()
    };
    ours.extend(info.main.iter().map(|module| shown("mod", module)));
    ours.extend(info.deps.iter().map(|module| shown("dep", module)));
    ours.extend(
        info.settings
            .iter()
            .map(|(key, value)| format!("build {key}={value}")),
    );
    let theirs: Vec<String> = lines
        .map(|line| {
            line.trim()
                .replace('\t', " ")
                .replace('"', "")
                .trim()
                .to_owned()
        })
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn the_layer_holds_the_program_and_its_folder() {
    let bench = Workbench::new();
    let folder = repository().join("testdata/go/http");
    let plan = bench.plan(&folder, &none()).unwrap();
    let (_, slots) = bench.run(&plan).unwrap();
    let mut inputs = Inputs::default();
    for (step, slot) in plan.steps.iter().zip(&slots) {
        inputs.add_step(&step.key, slot.clone());
    }
    let layer = &plan.images[0].layers[0];
    let key = layer.output_key(&inputs).unwrap().expect("a key");
    let program = std::fs::read(slots.last().unwrap().join("out")).unwrap();
    assert_eq!(key.fields()["binary"], Digest::of(&program).to_string());
    assert_eq!(key.fields()["path"], "app/http");
    let (_, encoded) = Encoder::new(1)
        .encode(Vec::new(), Compression::Gzip, |out| {
            layer.write(&inputs, out)
        })
        .unwrap();
    let entries = encoded.summary.entries;
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.kind))
        .collect();
    let expected = [
        ("app", EntryKind::Directory),
        ("app/http", EntryKind::Executable),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn asking_for_the_version_leaves_nothing_in_the_home() {
    let (store, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = source(&[("go.mod", "module example.org/x\n"), ("main.go", MAIN)]);
    let bench = Workbench::at(store.path()).with("HOME", home.path());
    bench.plan(folder.path(), &none()).unwrap();
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
