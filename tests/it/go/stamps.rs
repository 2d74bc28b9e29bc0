//! What the repository and a recipe file decide: main package, version, flags.

use std::process::Command;

use karisimbi::layer::key::changes;
use karisimbi::recipe::go::GoRecipe;
use karisimbi::recipe::{Options, Recipe as _, Revision, Specs};
use karisimbi::source::SourceTree;

use super::{MAIN, Workbench, layer_fields, none, option, source};
use crate::support::{repository, write};

#[test]
fn goreleaser_names_the_main_package_and_the_version() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/stamped\n\ngo 1.25\n"),
        ("cmd/a/main.go", MAIN),
        (
            "cmd/b/main.go",
            "package main\n\nvar version = \"dev\"\n\nfunc main() { println(version) }\n",
        ),
        (
            ".goreleaser.yaml",
            "builds:\n  - main: ./cmd/b\n    ldflags: -s -w -X main.version={{ .Version }} -X main.commit={{.Commit}}\n",
        ),
        (
            "Dockerfile",
            "FROM scratch\nENTRYPOINT [\"/b\", \"stdio\"]\n",
        ),
    ]);
    let options = Options {
        revision: Some(Revision {
            commit: "0".repeat(40),
            time: 0,
            tag: Some("v1.4.0".to_owned()),
            branch: None,
            dirty: false,
        }),
        ..none()
    };
    let plan = bench.plan(folder.path(), &options).unwrap();
    assert_eq!(
        layer_fields(&plan)["ldflags"],
        "-s -w -X main.version=1.4.0"
    );
    assert_eq!(
        plan.evidence.facts.last().unwrap(),
        "stamps main.version=1.4.0 (.goreleaser.yaml)"
    );
    let texts: Vec<&str> = plan
        .notices
        .iter()
        .map(|notice| notice.text.as_str())
        .collect();
    assert_eq!(
        texts,
        ["the Dockerfile starts it with arguments; if needed: container.args: [\"stdio\"]",]
    );
    let program = bench.build(folder.path(), &options).unwrap();
    let output = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "1.4.0\n");
}

/// Between two commits with equal files, without a tag.
#[test]
fn only_a_repository_that_stamps_its_version_depends_on_the_commit() {
    let bench = Workbench::new();
    let at = |commit: &str, options: &Options, tag: Option<&str>| Options {
        revision: Some(Revision {
            commit: commit.repeat(40),
            time: 0,
            tag: tag.map(ToOwned::to_owned),
            branch: None,
            dirty: tag.is_some(),
        }),
        ..options.clone()
    };
    let stamps = (
        ".goreleaser.yaml",
        "builds:\n  - ldflags: -X main.version={{.Version}} -X main.commit={{.Commit}}\n",
    );
    let pinned = Options {
        version: Some("1.0".to_owned()),
        ..none()
    };
    for (file, options, changed) in [
        (("README.md", ""), none(), vec![]),
        (stamps, none(), vec!["ldflags"]),
        (stamps, pinned, vec![]),
        (stamps, option("version_var", "off"), vec![]),
        (stamps, option("ldflags", "-X main.version=x"), vec![]),
    ] {
        let folder = source(&[
            ("go.mod", "module example.org/c\n"),
            ("main.go", MAIN),
            file,
        ]);
        let plan = |options| bench.plan(folder.path(), &options).unwrap();
        let before = layer_fields(&plan(at("a", &options, None)));
        let now = layer_fields(&plan(at("b", &options, None)));
        let found: Vec<String> = changes(&before, &now)
            .into_iter()
            .map(|c| c.field)
            .collect();
        assert_eq!(found, changed, "{file:?} {options:?}");
        // A changed tree is not what its commit's tag names.
        let dirty = layer_fields(&plan(at("a", &options, Some("v9.9.9"))));
        assert_eq!(before, dirty);
    }
}

#[test]
fn a_recipe_file_decides_what_the_user_left_open() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/r\n\ngo 1.25\n"),
        ("cmd/r/main.go", MAIN),
        ("playground/x/main.go", MAIN),
        ("playground/y/main.go", MAIN),
    ]);
    let recipes = tempfile::tempdir().unwrap();
    let built_in = fs_err::read_to_string(repository().join("recipes/go.toml")).unwrap();
    let own = built_in
        .replace("prefixes = [", "prefixes = [\"play\", ")
        .replace("\"-s\", \"-w\"", "\"-w\"")
        .replace("flags = []", "flags = [\"-p=1\"]")
        .replace("static = \"embedded:static\"", "static = \"scratch\"")
        .replace("\"/app\"", "\"/opt/go\"")
        .replace("1001:1001", "65532:65532");
    write(&recipes.path().join("go.toml"), &own);
    let options = Options {
        specs: Specs::read(recipes.path()).unwrap(),
        ..option("cgo", "static")
    };
    let tree = SourceTree::open(folder.path(), &[], None).unwrap();
    assert_eq!(GoRecipe.needs(&tree, &options).unwrap().base, "scratch");
    let options = Options {
        specs: options.specs,
        ..none()
    };
    let plan = bench.plan(folder.path(), &options).unwrap();
    let runtime = &plan.images[0].runtime;
    assert_eq!(runtime.entrypoint, ["/opt/go/r"]);
    assert_eq!(runtime.working_dir, "/opt/go");
    assert_eq!(runtime.user, "65532:65532");
    assert_eq!(
        plan.images[0].layers[0].describe().contents,
        "/opt/go/r from ./cmd/r"
    );
    let before = layer_fields(&bench.plan(folder.path(), &none()).unwrap());
    let found: Vec<String> = changes(&before, &layer_fields(&plan))
        .into_iter()
        .map(|change| change.field)
        .collect();
    assert_eq!(found, ["flags", "ldflags", "path"]);
}
