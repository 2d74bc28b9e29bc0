//! `--set`, which file counts, where the source is, and the reference page.

use std::path::Path;

use karisimbi::deployment::{Deployment, Found, Place, find};
use karisimbi::error::{Coded as _, Exit};

use super::{FILE, owned, pairs, parse, problems};
use crate::support::{repository, write};

#[test]
fn set_goes_over_the_file_for_any_key() {
    let text = b"container: {port: 1, args: [a], env: {B: x, A: y}}\nenvironment:\n";
    let sets = [
        ("container.port", "8080"),
        ("container.args", "[\"-http\", \"0.0.0.0:8000\"]"),
        ("container.entrypoint", "/app/x"),
        ("container.env.B", "a: [1, \"2\""),
        ("environment.EMPTY", ""),
        ("environment.NULL", "null"),
        ("recipe.go.ldflags", "-X main.v=1"),
        ("recipe.go.tags", "[a, b]"),
        ("platforms", "linux/arm64"),
        ("files", "[{from: a, to: /b}]"),
        ("deployment.version", "v1.0.0"),
        ("deployment.version", "v2.0.0"),
        ("base", "scratch"),
    ];
    let deployment = Deployment::parse_with(FILE, text, &owned(&sets)).expect("valid");
    assert_eq!(deployment.container.port, Some(8080));
    assert_eq!(deployment.container.args, ["-http", "0.0.0.0:8000"]);
    assert_eq!(deployment.container.entrypoint, ["/app/x"]);
    assert_eq!(
        pairs(&deployment.container.env),
        [("B", "a: [1, \"2\""), ("A", "y")]
    );
    assert_eq!(
        pairs(&deployment.environment),
        [("EMPTY", ""), ("NULL", "null")]
    );
    assert_eq!(deployment.recipe["go"]["ldflags"], ["-X main.v=1"]);
    assert_eq!(deployment.recipe["go"]["tags"], ["a", "b"]);
    assert_eq!(deployment.platforms[0].to_string(), "linux/arm64");
    assert_eq!(deployment.files[0].to, "/b");
    assert_eq!(deployment.version.as_deref(), Some("v2.0.0"));
    let at = |path: &str| deployment.origins[path].to_string();
    assert_eq!(at("container.port"), "--set container.port");
    assert_eq!(at("files[0].to"), "--set files");
    assert_eq!(at("container.env.A"), "deployment.yaml:1:48");

    let alone = Deployment::from_sets(&owned(&sets)).expect("valid");
    assert_eq!(alone.container.args, deployment.container.args);
    assert_eq!(Deployment::from_sets(&[]).expect("valid").origins.len(), 0);
}

#[test]
fn lists_are_set_as_a_whole() {
    assert_eq!(
        problems("", &[("files.0", "1")]),
        [
            "CFG-KEY --set files.0: unknown key \"files.0\"; files is set as a whole: --set files=VALUE"
        ]
    );
}

#[test]
fn set_is_as_strict_as_the_file() {
    for (path, value, expected) in [
        ("", "x", "CFG-KEY --set : unknown key \"\"; known here: "),
        (
            "container.prot",
            "1",
            "CFG-KEY --set container.prot: unknown key \"container.prot\"; did you mean \"container.port\"?",
        ),
        (
            "container.port.x",
            "1",
            "CFG-KEY --set container.port.x: unknown key \"container.port.x\"; container.port is set as a whole",
        ),
        (
            "container.port",
            "http",
            "CFG-TYPE --set container.port: container.port: expected a whole number",
        ),
        (
            "container.port",
            "70000",
            "CFG-VALUE --set container.port: container.port \"70000\": write",
        ),
        (
            "container",
            "x",
            "CFG-TYPE --set container: container: expected a map of keys",
        ),
        (
            "container.args",
            "[a",
            "CFG-YAML --set container.args: not YAML",
        ),
        ("files", "[*a]", "CFG-YAML --set files: "),
        (
            "environment.A_KEY",
            "s3cret",
            "CFG-SECRET --set environment.A_KEY: environment.A_KEY looks",
        ),
        (
            "environment.A.B",
            "x",
            "CFG-VALUE --set environment.A.B: environment \"A.B\": a variable's name",
        ),
        (
            "recipe.node.x",
            "1",
            "CFG-KEY --set recipe.node.x: unknown key \"recipe.node\": not supported",
        ),
    ] {
        let found = problems("", &[(path, value)]);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].starts_with(expected), "{path}: {found:?}");
        let alone = Deployment::from_sets(&owned(&[(path, value)])).expect_err(path);
        assert!(expected.contains(&alone.to_string()[..6]), "{alone}");
    }
    // The file's own mistake on the way is the one to report.
    let found = problems("container: 5\n", &[("container.port", "80")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("CFG-TYPE deployment.yaml:1:12"));
}

#[test]
fn the_right_file_is_found() {
    const OURS: &str = "base: scratch\n";
    const OBJECT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n";
    const TEMPLATE: &str = "{{- if .x }}\napiVersion: v1\nkind: \"Service\"\nreplicas: {{ N }}\n";
    const SEVERAL: &str = "apiVersion: v1\nkind: Namespace\n---\napiVersion: v1\nkind: Pod\n";
    let object = |kind: &str| format!("object {kind}");
    for (deployment, karisimbi, expected) in [
        (None, None, "nothing".to_owned()),
        (Some(OURS), None, "deployment.yaml".to_owned()),
        (None, Some(OURS), "karisimbi.yaml".to_owned()),
        (Some(OBJECT), None, object("Deployment")),
        (Some("{apiVersion: v1, kind: Pod}"), None, object("Pod")),
        (Some(TEMPLATE), None, object("Service")),
        (Some(SEVERAL), None, object("Namespace")),
        (Some(OBJECT), Some(OURS), "karisimbi.yaml".to_owned()),
        (Some("apiVersion: v1\n"), None, "deployment.yaml".to_owned()),
        (Some("not: [yaml"), None, "deployment.yaml".to_owned()),
        (Some(OURS), Some(OURS), "CFG-BOTH".to_owned()),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("deployment.yaml", deployment),
            ("karisimbi.yaml", karisimbi),
        ] {
            if let Some(text) = text {
                write(&folder.path().join(name), text);
            }
        }
        let found = match find(folder.path()) {
            Ok(Found::Nothing) => "nothing".to_owned(),
            Ok(Found::KubernetesObject { kind, .. }) => object(&kind),
            Ok(Found::Configuration(file)) => {
                let name = file.path.file_name().expect("a name");
                name.to_string_lossy().into_owned()
            }
            Err(error) => {
                assert_eq!(error.exit(), Exit::Usage);
                error.code().to_owned()
            }
        };
        assert_eq!(found, expected, "{deployment:?} {karisimbi:?}");
    }
}

#[test]
fn what_is_no_file_is_an_error_and_no_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deployment.yaml");
    crate::support::run(crate::support::tool("mkfifo").arg(&path));
    let error = find(folder.path()).expect_err("a fifo");
    assert_eq!(error.code(), "CFG-READ");
    assert!(
        error
            .to_string()
            .ends_with("deployment.yaml: is not a regular file")
    );
    fs_err::remove_file(&path).expect("removed");
    fs_err::create_dir(&path).expect("created");
    assert_eq!(
        find(folder.path()).expect_err("a folder").code(),
        "CFG-READ"
    );
    fs_err::remove_dir(&path).expect("removed");
    write(&path, vec![b'#'; 3 << 20]);
    let Ok(Found::Configuration(file)) = find(folder.path()) else {
        panic!("a large file is found and refused by the parser");
    };
    let errors = Deployment::parse("f", &file.text).expect_err("too large");
    assert_eq!(errors.to_string(), "f:1:1: more than 1 MiB");
}

#[test]
fn the_source_is_beside_below_or_in_git() {
    const COMMIT: &str = "0123456789012345678901234567890123456789";
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("with/source/go.mod"), "module x\n");
    let url = "source: {url: https://h.example/x}";
    let remark = "deployment: {github_url: https://h.example/y}";
    let pinned = format!("{remark}\nsource: {{commit: {COMMIT}}}");
    let at_commit = format!("git https://h.example/y {COMMIT}");
    for (file, text, expected) in [
        ("with/deployment.yaml", "", "with/source"),
        ("with/deployment.yaml", url, "with/source"),
        ("with/karisimbi.yaml", "", "with"),
        ("bare/deployment.yaml", "", "bare"),
        ("bare/deployment.yaml", url, "git https://h.example/x "),
        ("bare/karisimbi.yaml", url, "git https://h.example/x "),
        ("bare/deployment.yaml", remark, "bare"),
        ("bare/deployment.yaml", &pinned, &at_commit),
    ] {
        let place = match parse(text).place(&folder.path().join(file)) {
            Place::Folder(place) => {
                let below = place.strip_prefix(folder.path()).expect("below");
                below.display().to_string()
            }
            Place::Git { url, commit, .. } => format!("git {url} {}", commit.unwrap_or_default()),
        };
        assert_eq!(place, expected, "{text} {file}");
    }
    let here = parse("").place(Path::new("deployment.yaml"));
    assert_eq!(here, Place::Folder("".into()));
}

#[test]
fn the_reference_has_every_key_and_its_example_is_valid() {
    let page = repository().join("docs/reference/deployment-yaml.md");
    let page = fs_err::read_to_string(page).expect("the page");
    for key in Deployment::keys() {
        assert!(page.contains(&format!("| `{key}` |")), "{key} is missing");
    }
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        parse(example);
    }
}

#[test]
fn every_code_is_in_the_list_of_errors() {
    let page = repository().join("docs/reference/errors.md");
    let page = fs_err::read_to_string(page).expect("the page");
    let source = repository().join("src/deployment/error.rs");
    let source = fs_err::read_to_string(source).expect("the source");
    let codes: Vec<&str> = source
        .split('"')
        .filter(|text| text.starts_with("CFG-"))
        .collect();
    assert!(codes.len() >= 8, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("| `{code}` |")), "{code} is missing");
    }
}
