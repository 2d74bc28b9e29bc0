//! Repositories that want to harm: refused with a code, or harmless, and nothing left behind.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{assert_sound, cache};
use crate::builds::{Recipe, Site, commit, files, finished, go_module, listed, set_mode};
use crate::support::{run, shown, tool, write};

/// Longest that a build of these small sources may take: a fifo must not be waited for.
const PATIENCE: &str = "120";
/// What lies outside the repository and must never be in an image.
const SECRET: &str = "0c4d7e1b-outside-of-the-repository";

/// What a build answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Builds,
    /// Exit code 1 and this code.
    Refuses(&'static str),
    /// Exit code 2 and this code.
    Misuse(&'static str),
}
use Answer::{Builds, Misuse, Refuses};

struct Case {
    name: &'static str,
    plant: fn(&Path),
    files: Answer,
    go: Answer,
}

const CASES: &[Case] = &[
    Case {
        name: "absolute link",
        plant: |tree| link(tree.with_file_name("secret"), &tree.join("absolute")),
        files: Refuses("FILES-LINK"),
        go: Refuses("GO-LINK"),
    },
    Case {
        name: "link upwards",
        plant: |tree| link("../secret", &tree.join("upwards")),
        files: Refuses("FILES-LINK"),
        go: Refuses("GO-LINK"),
    },
    Case {
        name: "link to a folder far above",
        plant: |tree| link("../../../../../../../../etc", &tree.join("etc")),
        files: Refuses("FILES-LINK"),
        go: Refuses("GO-LINK"),
    },
    Case {
        name: "links in a circle",
        plant: |tree| {
            link("b", &tree.join("a"));
            link("a", &tree.join("b"));
            link(".", &tree.join("self"));
        },
        files: Builds,
        go: Builds,
    },
    Case {
        name: "whiteout",
        plant: |tree| write(&tree.join(".wh.etc"), ""),
        files: Refuses("LAYER-WHITEOUT"),
        go: Refuses("LAYER-WHITEOUT"),
    },
    Case {
        name: "opaque whiteout",
        plant: |tree| write(&tree.join("folder/.wh..wh..opq"), ""),
        files: Refuses("LAYER-WHITEOUT"),
        go: Refuses("LAYER-WHITEOUT"),
    },
    Case {
        name: "nesting",
        plant: nest,
        files: Refuses("SRC-DEPTH"),
        go: Refuses("SRC-DEPTH"),
    },
    Case {
        name: "names",
        plant: |tree| {
            for name in [
                "a\nb\tc",
                "-rf",
                "\u{1b}[31mred",
                "$(touch marker)",
                " ",
                "\\",
            ] {
                write(&tree.join("odd").join(name), "x");
            }
        },
        files: Builds,
        go: Builds,
    },
    Case {
        name: "a name that is not UTF-8",
        plant: |tree| write(&tree.join(OsStr::from_bytes(b"caf\xe9")), "x"),
        files: Refuses("LAYER-PATH"),
        go: Refuses("LAYER-PATH"),
    },
    Case {
        name: "a link to what is not UTF-8",
        plant: |tree| link(OsStr::from_bytes(b"caf\xe9"), &tree.join("link")),
        files: Refuses("LAYER-PATH"),
        go: Refuses("LAYER-PATH"),
    },
    Case {
        name: "sparse",
        plant: |tree| {
            let file = std::fs::File::create(tree.join("sparse")).expect("a file");
            file.set_len(9 << 30).expect("a hole");
        },
        files: Refuses("LAYER-TOO-LARGE"),
        go: Refuses("LAYER-TOO-LARGE"),
    },
    Case {
        name: "fifo",
        plant: |tree| fifo(&tree.join("pipe")),
        files: Refuses("SRC-SPECIAL"),
        go: Refuses("SRC-SPECIAL"),
    },
    Case {
        name: "device",
        plant: |tree| {
            run(tool("mknod").arg(tree.join("zero")).args(["c", "1", "5"]));
        },
        files: Refuses("SRC-SPECIAL"),
        go: Refuses("SRC-SPECIAL"),
    },
    Case {
        name: "setuid",
        plant: |tree| set_mode(&tree.join("run"), 0o4755),
        files: Refuses("LAYER-SETID"),
        // Only the compiled program gets into the image.
        go: Builds,
    },
    Case {
        name: "deployment.yaml is a fifo",
        plant: |tree| fifo(&tree.join("deployment.yaml")),
        files: Misuse("CFG-READ"),
        go: Misuse("CFG-READ"),
    },
    Case {
        name: ".dockerignore is a fifo",
        plant: |tree| fifo(&tree.join(".dockerignore")),
        files: Refuses("SRC-SPECIAL"),
        go: Refuses("SRC-SPECIAL"),
    },
    Case {
        name: ".gitignore is a link out",
        plant: |tree| link("../secret", &tree.join(".gitignore")),
        files: Refuses("FILES-LINK"),
        go: Builds,
    },
    Case {
        name: "go.mod is a link out",
        plant: |tree| {
            std::fs::remove_file(tree.join("go.mod")).expect("a file");
            link("../secret", &tree.join("go.mod"));
        },
        files: Refuses("FILES-LINK"),
        go: Refuses("GO-MOD"),
    },
    Case {
        name: "go.mod is a fifo",
        plant: |tree| {
            std::fs::remove_file(tree.join("go.mod")).expect("a file");
            fifo(&tree.join("go.mod"));
        },
        files: Refuses("SRC-SPECIAL"),
        go: Refuses("GO-MODULES"),
    },
    Case {
        name: "an embed directive that leaves the source",
        plant: |tree| {
            let text =
                "package main\n\nimport _ \"embed\"\n\n//go:embed ../secret\nvar secret string\n";
            write(&tree.join("embed.go"), text);
        },
        files: Builds,
        go: Refuses("GO-BUILD"),
    },
];

fn link(target: impl AsRef<Path>, path: &Path) {
    symlink(target, path).expect("a link");
}

fn fifo(path: &Path) {
    run(tool("mkfifo").arg(path));
}

/// Deeper than `PATH_MAX` allows to name in one go.
fn nest(tree: &Path) {
    let program = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(5000):\n    os.mkdir('d')\n    os.chdir('d')\n";
    run(tool("python3").args(["-c", program]).arg(tree));
}

/// A tree that both recipes would build.
fn tree(site: &Site) -> PathBuf {
    let tree = site.path("tree");
    go_module(&tree);
    write(&tree.join("run"), "any program\n");
    set_mode(&tree.join("run"), 0o755);
    write(&site.path("secret"), SECRET);
    tree
}

fn build(site: &Site, source: &Path, recipe: Recipe, cache: &Path) -> std::process::Output {
    let mut limit = tool("timeout");
    limit.arg(PATIENCE).arg(env!("CARGO_BIN_EXE_karisimbi"));
    let mut command = site.at_home(limit);
    recipe.arguments(source, cache, &site.path("out"), &mut command);
    if recipe == Recipe::Go {
        command.args(["--recipe", "go"]);
    }
    finished(&mut command)
}

/// All layers of an image, uncompressed.
fn contents(layout: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for blob in files(&layout.join("blobs")) {
        let tar = tool("gzip").arg("-dc").arg(&blob).output().expect("gzip");
        found.extend(tar.stdout);
    }
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn check_all(recipe: Recipe) {
    let shared = Site::new();
    let cache = cache(&shared, recipe, "cache");
    for case in CASES {
        check(case, recipe, &cache);
    }
}

fn check(case: &Case, recipe: Recipe, cache: &Path) {
    let site = Site::new();
    let tree = tree(&site);
    (case.plant)(&tree);
    let deep = case.name == "nesting";
    let state = || (!deep).then(|| listed(&tree));
    let before = (site.leftovers(), state());
    let output = build(&site, &tree, recipe, cache);
    let said = format!("{recipe:?}, {}: {}", case.name, shown(&output));
    let out = site.path("out");
    let answer = if recipe == Recipe::Go {
        case.go
    } else {
        case.files
    };
    let refusal = match answer {
        Builds => None,
        Refuses(code) => Some((1, code)),
        Misuse(code) => Some((2, code)),
    };
    if let Some((exit, code)) = refusal {
        assert_eq!(output.status.code(), Some(exit), "{said}");
        assert!(said.contains(&format!("error[{code}]")), "{said}");
        assert!(!out.exists(), "{said}");
    } else {
        assert!(output.status.success(), "{said}");
        assert!(!holds(&contents(&out), SECRET), "{said}");
        assert_sound(&site, cache, &out);
    }
    assert!(
        !said.contains('\u{1b}'),
        "escapes reach the terminal: {said:?}"
    );
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!((site.leftovers(), state()), before, "{said}");
    assert_eq!(files(&cache.join("tmp")), Vec::<PathBuf>::new(), "{said}");
    if deep {
        // Some systems' own remove_dir_all does not get that far down.
        run(tool("find").arg(tree.join("d")).args(["-depth", "-delete"]));
    }
}

#[test]
fn the_files_recipe_refuses_hostile_trees_or_builds_them_harmlessly() {
    check_all(Recipe::Files);
}

#[test]
fn the_go_recipe_refuses_hostile_trees_or_builds_them_harmlessly() {
    check_all(Recipe::Go);
}

/// A repository whose configuration, attributes and hooks would run a program.
fn armed(site: &Site, marker: &Path) -> PathBuf {
    let tree = tree(site);
    commit(&tree);
    let evil = site.path("evil");
    write(
        &evil,
        format!(
            "#!/bin/sh\ntr '\\0' ' ' </proc/$PPID/cmdline >>'{}'\n",
            marker.display()
        ),
    );
    set_mode(&evil, 0o755);
    for hook in [
        "post-checkout",
        "post-merge",
        "pre-commit",
        "reference-transaction",
    ] {
        std::fs::copy(&evil, tree.join(".git/hooks").join(hook)).expect("a hook");
    }
    let evil = evil.display();
    let config = format!(
        "[core]\n\tfsmonitor = {evil}\n\tsshCommand = {evil}\n\thooksPath = {}\n\tpager = {evil}\n\
         \teditor = {evil}\n\talternateRefsCommand = {evil}\n[uploadpack]\n\tpackObjectsHook = {evil}\n\
         [diff]\n\texternal = {evil}\n[credential]\n\thelper = {evil}\n\
         [filter \"evil\"]\n\tclean = {evil}\n\tsmudge = {evil}\n\tprocess = {evil}\n\trequired\n\
         [include]\n\tpath = {}\n",
        tree.join(".git/hooks").display(),
        site.path("included").display(),
    );
    write(
        &site.path("included"),
        format!("[core]\n\tgitProxy = {evil}\n\taskPass = {evil}\n"),
    );
    let path = tree.join(".git/config");
    let known = std::fs::read_to_string(&path).expect("a configuration");
    write(&path, known + &config);
    write(
        &tree.join(".git/info/attributes"),
        "* filter=evil diff=evil\n",
    );
    // Git asks the filter again about a file that is newer than its index.
    run(tool("touch").arg(tree.join("main.go")));
    tree
}

#[test]
fn programs_that_a_repository_names_never_run() {
    for recipe in [Recipe::Files, Recipe::Go] {
        let site = Site::new();
        let marker = site.path("marker");
        let tree = armed(&site, &marker);
        // The repository would do so: this test sees what it looks for.
        drop(tool("git").arg("-C").arg(&tree).arg("status").output());
        assert!(marker.exists(), "git status runs what the repository names");
        std::fs::remove_file(&marker).expect("a file");

        let cache = cache(&site, recipe, "cache");
        let url = PathBuf::from(format!("file://{}", tree.display()));
        for source in [&tree, &url] {
            let before = site.leftovers();
            let output = build(&site, source, recipe, &cache);
            assert!(output.status.success(), "{recipe:?}: {}", shown(&output));
            let ran = std::fs::read_to_string(&marker);
            assert!(ran.is_err(), "{} ran {ran:?}", source.display());
            assert_eq!(site.leftovers(), before);
            assert_sound(&site, &cache, &site.path("out"));
        }
    }
}
