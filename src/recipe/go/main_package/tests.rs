use super::*;
use crate::error::Coded;
use crate::recipe::Specs;

const MODULE: &str = "example.org/server/v2";
const TOOL: &str = "example.org/t/cmd/tool";

fn packages(paths: &[&str]) -> Vec<Package> {
    paths
        .iter()
        .map(|path| {
            let (name, path) = path
                .strip_prefix("lib:")
                .map_or(("main", *path), |p| ("lib", p));
            Package {
                name: name.to_owned(),
                import_path: join(MODULE, path).trim_end_matches("/.").to_owned(),
            }
        })
        .collect()
}

fn go_mod(rest: &str) -> GoMod {
    GoMod::parse("go.mod", format!("module {MODULE}\n{rest}").as_bytes()).unwrap()
}

fn aside() -> Aside {
    Specs::default().go().unwrap().aside
}

fn wishes(aside: &Aside) -> Wishes<'_> {
    Wishes {
        main: None,
        hinted: None,
        names: [None, None],
        scope: "",
        aside,
    }
}

/// Commands, the rest of go.mod, what is wished; the chosen command and its name.
type Case<'a> = (&'a str, &'a str, Wishes<'a>, &'a str, &'a str);

fn ordered(aside: &Aside) -> [Case<'_>; 14] {
    let named = |main| Wishes {
        main: Some(main),
        ..wishes(aside)
    };
    let hinted = Wishes {
        hinted: Some(("./cmd/b", ".goreleaser.yaml")),
        ..wishes(aside)
    };
    let repository = Wishes {
        names: [None, Some("b")],
        ..wishes(aside)
    };
    let none = wishes(aside);
    let tools = "require example.org/t v1.2.3\ntool example.org/t/cmd/tool\n";
    let b = "cmd/a cmd/b";
    [
        ("cmd/a internal/tools/x", "", none, "./cmd/a", "a"),
        (
            "cmd/a examples/b hack/c e2e integration-tests/z",
            "",
            none,
            "./cmd/a",
            "a",
        ),
        (".", "", none, ".", "server"),
        ("cmd/a cmd/server", "", none, "./cmd/server", "server"),
        (b, "", repository, "./cmd/b", "b"),
        (". cmd/a cmd/b", "", none, ".", "server"),
        (b, "", hinted, "./cmd/b", "b"),
        (b, "", named("./cmd/a"), "./cmd/a", "a"),
        (b, "", named("cmd/a/main.go"), "./cmd/a", "a"),
        (b, "", named("example.org/server/v2/cmd/a"), "./cmd/a", "a"),
        ("", tools, none, TOOL, "tool"),
        ("cmd/a", tools, named(TOOL), TOOL, "tool"),
        ("examples/a", "", named("./examples/a"), "./examples/a", "a"),
        ("cmd/a pkg", "", none, "./cmd/a", "a"),
    ]
}

#[test]
fn the_rules_decide_in_their_order() {
    for (paths, rest, wishes, path, name) in ordered(&aside()) {
        let paths: Vec<&str> = paths.split_whitespace().collect();
        let found = choose(&go_mod(rest), &packages(&paths), &wishes).unwrap();
        assert_eq!(
            (found.path.as_str(), found.name.as_str()),
            (path, name),
            "{paths:?}"
        );
        let version = path.starts_with("example").then_some("v1.2.3");
        assert_eq!(found.version.as_deref(), version);
    }
}

#[test]
fn a_folder_of_the_module_limits_the_choice() {
    let aside = aside();
    for (paths, scope, path) in [
        ("cmd/a examples/b", "examples/b", "./examples/b"),
        ("cmd/a svc/b svc/b/cmd/x", "svc/b", "./svc/b"),
        ("cmd/a svc/b/cmd/x svc/b/tools/y", "svc/b", "./svc/b/cmd/x"),
        ("cmd/a cmd/ab", "cmd/a", "./cmd/a"),
    ] {
        let paths: Vec<&str> = paths.split_whitespace().collect();
        let wishes = Wishes {
            scope,
            hinted: Some(("./cmd/a", ".ko.yaml")),
            ..wishes(&aside)
        };
        let found = choose(&go_mod(""), &packages(&paths), &wishes).unwrap();
        assert_eq!(found.path, path, "{paths:?}");
    }
}

#[test]
fn an_open_choice_lists_every_candidate() {
    let aside = aside();
    let error = choose(
        &go_mod(""),
        &packages(&["cmd/a", "cmd/b", "examples/c"]),
        &wishes(&aside),
    )
    .unwrap_err();
    assert_eq!(error.code(), "GO-MAIN");
    assert_eq!(
        error.to_string(),
        "module example.org/server/v2 has 2 commands\n  ./cmd/a  (kept)\n  ./cmd/b  (kept)\n  \
         ./examples/c  (dropped: lies in a folder named examples)"
    );
    assert!(error.hint().unwrap().contains("main: ./cmd/a"));
    let tools = "tool (\nexample.org/t/a\nexample.org/t/b\n)\n";
    let error = choose(&go_mod(tools), &[], &wishes(&aside)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("example.org/t/b  (a tool line of go.mod)"),
        "{error}"
    );
    let error = choose(&go_mod(""), &[], &wishes(&aside)).unwrap_err();
    assert!(error.to_string().contains("has no command"), "{error}");
}

#[test]
fn a_library_is_no_command() {
    let aside = aside();
    let library = Wishes {
        main: Some("./pkg/x"),
        ..wishes(&aside)
    };
    let error = choose(&go_mod(""), &packages(&["cmd/a", "lib:pkg/x"]), &library).unwrap_err();
    assert_eq!(error.code(), "GO-NOTMAIN");
    assert!(
        error
            .to_string()
            .contains("example.org/server/v2/pkg/x is a library"),
        "{error}"
    );
}

#[test]
fn names_leave_major_versions_out() {
    for (path, name) in [
        ("example.org/a/v2", "a"),
        ("gopkg.in/yaml.v3", "yaml"),
        ("example.org/a/cmd/v1x", "v1x"),
        ("a", "a"),
    ] {
        assert_eq!(base_name(path), name);
    }
}
