//! Where dependencies come from: vendor/, workspaces, replaced folders, a proxy.

use std::path::Path;
use std::process::Command;

use karisimbi::layer::Input;
use karisimbi::layer::key::changes;
use karisimbi::plan::{Argument, Network, StepOutcome};
use karisimbi::recipe::go::GoRecipe;
use karisimbi::recipe::{Options, Recipe};
use karisimbi::source::SourceTree;
use tempfile::TempDir;

use super::{MAIN, Workbench, assert_says, layer_fields, none, option, source, vendored};
use crate::support::{run, tool, write};

#[test]
fn vendored_modules_need_no_download() {
    let bench = Workbench::new();
    let folder = vendored();
    let plan = bench.plan(folder.path(), &none()).unwrap();
    assert!(
        plan.steps
            .iter()
            .all(|step| step.network == Network::Offline)
    );
    assert_eq!(layer_fields(&plan)["mod"], "vendor");
    bench.run(&plan).unwrap();
}

#[test]
fn inconsistent_vendoring_is_go_vendor() {
    let folder = vendored();
    write(
        &folder.path().join("vendor/modules.txt"),
        "# example.org/dep v0.9.0\nexample.org/dep\n",
    );
    let error = Workbench::new().error(folder.path(), &none());
    assert_says(
        &error,
        "GO-VENDOR",
        &[
            "go mod vendor",
            "recipe.go.mod=readonly",
            "vendor/modules.txt",
        ],
    );
}

#[test]
fn workspaces_count_when_they_use_the_module_and_lie_in_the_source() {
    let bench = Workbench::new();
    let main = "package main\n\nimport \"example.org/lib\"\n\nfunc main() { println(lib.Name) }\n";
    let folder = source(&[
        ("go.work", "go 1.25\n\nuse (\n\t./app\n\t./lib\n)\n"),
        ("app/go.mod", "module example.org/app\n\ngo 1.25\n"),
        ("app/main.go", main),
        ("lib/go.mod", "module example.org/lib\n\ngo 1.25\n"),
        ("lib/lib.go", "package lib\n\nconst Name = \"lib\"\n"),
    ]);
    let options = Options {
        directory: "app".to_owned(),
        ..none()
    };
    let program = bench.build(folder.path(), &options).unwrap();
    let output = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "lib\n");
    // A change of the other module is a change of the source.
    let before = layer_fields(&bench.plan(folder.path(), &options).unwrap());
    write(
        &folder.path().join("lib/lib.go"),
        "package lib\n\nconst Name = \"new\"\n",
    );
    let now = layer_fields(&bench.plan(folder.path(), &options).unwrap());
    assert_eq!(changes(&before, &now).len(), 1);
    // Above the source's root it is not seen.
    let plan = bench.plan(&folder.path().join("lib"), &option("main", "./x"));
    assert_says(&plan.unwrap_err(), "GO-MAIN", &["example.org/lib"]);
    write(
        &folder.path().join("go.work"),
        "go 1.25\nuse (\n\t./app\n\t../x\n)\n",
    );
    let error = bench.plan(folder.path(), &options).unwrap_err();
    assert_says(&error, "GO-MOD", &["go.work:4: use ../x leaves the source"]);
    let alone = bench.plan(&folder.path().join("app"), &none()).unwrap();
    let step = alone.steps.last().unwrap();
    assert_eq!(step.env["GOWORK"], Argument::Text("off".into()));
}

#[test]
fn several_modules_are_listed() {
    let folder = source(&[
        ("a/go.mod", "module example.org/a\n"),
        ("b/go.mod", "module example.org/b\n"),
        ("testdata/c/go.mod", "module example.org/c\n"),
    ]);
    let error = Workbench::new().plan(folder.path(), &none()).unwrap_err();
    assert_says(
        &error,
        "GO-MODULES",
        &["several Go modules: a, b", "--directory DIR"],
    );
    let tree = SourceTree::open(folder.path(), &[], None).unwrap();
    let evidence = GoRecipe.detect(&tree, &none()).unwrap().unwrap();
    assert_eq!(evidence.facts, ["go.mod in a, b"]);
}

#[test]
fn a_library_names_the_other_modules() {
    let folder = source(&[
        ("go.mod", "module example.org/lib\n"),
        ("lib.go", "package lib\n"),
        ("services/a/go.mod", "module example.org/lib/services/a\n"),
        ("services/b/go.mod", "module example.org/lib/services/b\n"),
    ]);
    let error = Workbench::new().plan(folder.path(), &none()).unwrap_err();
    let hint = "a library has nothing to run; choose another module of the source: --directory DIR, \
                such as services/a, services/b";
    assert_says(&error, "GO-MAIN", &["has no command", hint]);
}

#[test]
fn a_folder_of_a_module_names_its_command() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/mono\n\ngo 1.25\n"),
        (".ko.yaml", "builds:\n- main: ./cmd/a\n"),
        ("cmd/a/main.go", MAIN),
        ("examples/b/main.go", MAIN),
        ("svc/c/cmd/c/main.go", MAIN),
        ("svc/c/tools/x/main.go", MAIN),
        ("web/package.json", "{}"),
    ]);
    let at = |directory: &str| Options {
        directory: directory.to_owned(),
        ..none()
    };
    for (directory, main, name) in [
        ("", "./cmd/a", "mono"),
        ("examples/b", "./examples/b", "b"),
        ("svc/c", "./svc/c/cmd/c", "c"),
    ] {
        let plan = bench.plan(folder.path(), &at(directory)).unwrap();
        assert_eq!(layer_fields(&plan)["main"], main, "{directory}");
        assert_eq!(plan.name.as_deref(), Some(name), "{directory}");
    }
    for directory in ["web", "absent"] {
        let error = bench.plan(folder.path(), &at(directory)).unwrap_err();
        assert_says(&error, "GO-MODULES", &[directory]);
        let tree = SourceTree::open(folder.path(), &[], None).unwrap();
        assert_eq!(GoRecipe.detect(&tree, &at(directory)).unwrap(), None);
    }
}

/// A module proxy as files, with `example.org/dep` v1.0.0.
fn proxy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let versions = folder.path().join("example.org/dep/@v");
    let go_mod = "module example.org/dep\n\ngo 1.25\n";
    write(&versions.join("list"), "v1.0.0\n");
    write(
        &versions.join("v1.0.0.info"),
        r#"{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}"#,
    );
    write(&versions.join("v1.0.0.mod"), go_mod);
    let zip = zip(&[
        ("example.org/dep@v1.0.0/go.mod", go_mod),
        (
            "example.org/dep@v1.0.0/dep.go",
            "package dep\n\nconst Name = \"dep\"\n",
        ),
    ]);
    write(&versions.join("v1.0.0.zip"), zip);
    folder
}

/// A zip archive of stored members.
fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut central = Vec::new();
    let le = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    for (name, contents) in members {
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58]);
        common.extend(crc32fast::hash(contents.as_bytes()).to_le_bytes());
        common.extend(le(contents.len()));
        common.extend(le(contents.len()));
        common.extend(short(name.len()));
        common.extend([0, 0]);
        central.extend(b"PK\x01\x02\x14\x00");
        central.extend(&common);
        central.extend([0; 10]);
        central.extend(le(bytes.len()));
        central.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(contents.as_bytes());
    }
    let start = bytes.len();
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(short(members.len()));
    bytes.extend(short(members.len()));
    bytes.extend(le(central.len()));
    bytes.extend(le(start));
    bytes.extend([0, 0]);
    bytes
}

fn dependent() -> TempDir {
    source(&[
        (
            "go.mod",
            "module example.org/x\n\ngo 1.25\n\nrequire example.org/dep v1.0.0\n",
        ),
        (
            "main.go",
            "package main\n\nimport \"example.org/dep\"\n\nfunc main() { println(dep.Name) }\n",
        ),
    ])
}

/// Writes go.sum with the real go, as the repository's people did.
fn tidy(folder: &Path, proxy: &Path) {
    let caches = tempfile::tempdir().unwrap();
    run(tool("go").current_dir(folder).args(["mod", "tidy"]).envs([
        ("GOPROXY", format!("file://{}", proxy.display())),
        ("GOSUMDB", "off".to_owned()),
        ("GOFLAGS", "-modcacherw".to_owned()),
        ("GOMODCACHE", caches.path().display().to_string()),
    ]));
}

#[test]
fn modules_are_downloaded_first_and_then_the_network_is_off() {
    let proxy = proxy();
    let folder = dependent();
    let url = format!("file://{}", proxy.path().display());
    let own = tempfile::tempdir().unwrap();
    let bench = Workbench::at(own.path())
        .with("GOPROXY", &url)
        .with("GOSUMDB", "off");
    // Without go.sum.
    let plan = bench.plan(folder.path(), &none()).unwrap();
    let error = bench.run(&plan).unwrap_err();
    assert_says(&error, "GO-SUM", &["example.org/dep", "go mod tidy"]);
    assert!(!folder.path().join("go.sum").exists());

    tidy(folder.path(), proxy.path());
    let plan = bench.plan(folder.path(), &none()).unwrap();
    // The build alone.
    let fresh = tempfile::tempdir().unwrap();
    let cold = Workbench::at(fresh.path())
        .with("GOPROXY", &url)
        .with("GOSUMDB", "off");
    let cold_plan = cold.plan(folder.path(), &none()).unwrap();
    let probe = &cold_plan.steps[1];
    let error = GoRecipe.review(probe, &cold.step(probe)).unwrap_err();
    assert_says(&error, "GO-OFF", &["example.org/dep"]);
    // What was downloaded is not what go.sum says.
    let sum = std::fs::read_to_string(folder.path().join("go.sum")).unwrap();
    write(&folder.path().join("go.sum"), sum.replace("h1:", "h1:AAAA"));
    let wrong = cold.plan(folder.path(), &none()).unwrap();
    let error = GoRecipe
        .review(&wrong.steps[0], &cold.step(&wrong.steps[0]))
        .unwrap_err();
    assert_says(
        &error,
        "GO-SUM",
        &["example.org/dep@v1.0.0", "not what go.sum says"],
    );
    write(&folder.path().join("go.sum"), sum);

    let modules = &plan.steps[0];
    assert_eq!(
        (modules.name.as_str(), modules.network),
        ("go modules of . (linux/amd64)", Network::Online)
    );
    GoRecipe.review(modules, &bench.step(modules)).unwrap();
    let probe = &plan.steps[1];
    assert_eq!(GoRecipe.review(probe, &bench.step(probe)).unwrap(), []);
    assert_eq!(
        plan.steps[2].inputs,
        [modules, probe].map(|step| Input::Step(step.key.digest()))
    );
}

#[test]
fn go_proxy_and_go_private() {
    let folder = dependent();
    tidy(folder.path(), proxy().path());
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("https://user:hunter22@{refused}");
    let caches = tempfile::tempdir().unwrap();
    let bench = Workbench::at(caches.path())
        .with("GOPROXY", &url)
        .with("GOSUMDB", "off");
    let plan = bench.plan(folder.path(), &none()).unwrap();
    let shown = serde_json::to_string(&plan.steps).unwrap();
    assert!(!shown.contains("hunter22"), "{shown}");
    let error = GoRecipe
        .review(&plan.steps[0], &bench.step(&plan.steps[0]))
        .unwrap_err();
    assert_says(
        &error,
        "GO-PROXY",
        &[
            "connection refused",
            "GOPROXY=https://***@127.0.0.1",
            "go mod vendor",
        ],
    );
    assert!(!error.to_string().contains("hunter22"), "{error}");
    let url = format!("file://{}", tempfile::tempdir().unwrap().path().display());
    let bench = Workbench::at(caches.path())
        .with("GOPROXY", url)
        .with("GOPRIVATE", "example.org")
        .with("GIT_CONFIG_COUNT", "0");
    let plan = bench.plan(folder.path(), &none()).unwrap();
    let outcome = StepOutcome {
        code: Some(1),
        stderr: "go: example.org/dep@v1.0.0: invalid version: git ls-remote -q origin in /c/mod/cache/vcs/1: \
                 exit status 128:\n\tfatal: could not read Username for 'https://example.org': terminal prompts disabled\n"
            .to_owned(),
        ..StepOutcome::default()
    };
    let error = GoRecipe.review(&plan.steps[0], &outcome).unwrap_err();
    assert_says(
        &error,
        "GO-PRIVATE",
        &["GOPRIVATE", "NETRC", "GOAUTH", "GONOSUMDB", "exit status 1"],
    );
}

#[test]
fn go_replace() {
    let bench = Workbench::new();
    let with = |line: &str| {
        let require = "module example.org/x\n\ngo 1.25\n\nrequire example.org/y v1.0.0\n";
        let go_mod = format!("{require}replace example.org/y => {line}\n");
        source(&[("go.mod", &go_mod), ("main.go", MAIN)])
    };
    let error = bench.error(with("../y").path(), &none());
    assert_says(
        &error,
        "GO-REPLACE",
        &["go.mod:6", "example.org/y => ../y", "leaves the source"],
    );
    let error = bench.error(with("./y").path(), &none());
    assert_says(&error, "GO-REPLACE", &["no go.mod in that folder"]);
    // Nothing requires it: go ignores the line.
    let unused = source(&[
        (
            "go.mod",
            "module example.org/x\n\ngo 1.25\n\nreplace example.org/y => ../y\n",
        ),
        ("main.go", MAIN),
    ]);
    bench.build(unused.path(), &none()).unwrap();
    // Inside the source it is part of the inputs.
    let folder = source(&[
        (
            "app/go.mod",
            "module example.org/x\n\ngo 1.25\n\nrequire example.org/y v0.0.0\n\nreplace example.org/y => ../y\n",
        ),
        (
            "app/main.go",
            "package main\n\nimport \"example.org/y\"\n\nfunc main() { println(y.Y) }\n",
        ),
        ("y/go.mod", "module example.org/y\n\ngo 1.25\n"),
        ("y/y.go", "package y\n\nconst Y = 1\n"),
        ("other/file", "1"),
    ]);
    let options = Options {
        directory: "app".to_owned(),
        ..none()
    };
    bench.build(folder.path(), &options).unwrap();
    let fields = || layer_fields(&bench.plan(folder.path(), &options).unwrap());
    let before = fields();
    write(&folder.path().join("other/file"), "2");
    assert_eq!(before, fields());
    write(&folder.path().join("y/y.go"), "package y\n\nconst Y = 2\n");
    assert_ne!(before, fields());
}
