//! One test for each error code that the real go can be made to show.

use karisimbi::plan::StepOutcome;
use karisimbi::recipe::go::GoRecipe;
use karisimbi::recipe::{Recipe, Revision};

use super::{MAIN, Workbench, assert_says, none, option, source};
use crate::support::{run, tool, write};

#[test]
fn go_none() {
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25.3\n"),
        ("main.go", MAIN),
    ]);
    let error = Workbench::new()
        .with("PATH", "/nonexistent")
        .error(folder.path(), &none());
    assert_says(&error, "GO-NONE", &["not on PATH", "1.25.3", "go_bin"]);
    let error = Workbench::new().error(folder.path(), &option("go_bin", "/bin/true"));
    assert_says(&error, "GO-NONE", &["/bin/true: is not a go command"]);
}

#[test]
fn go_timeout() {
    let folder = source(&[("go.mod", "module example.org/x\n"), ("main.go", MAIN)]);
    let endless = tool("yes").get_program().to_owned();
    // Only an absolute path is taken.
    let endless = ["/usr/bin", "/bin"]
        .map(|bin| std::path::Path::new(bin).join(&endless))
        .into_iter()
        .find(|path| path.is_file())
        .unwrap();
    let endless = endless.to_str().unwrap();
    let error = Workbench::new().error(folder.path(), &option("go_bin", endless));
    assert_says(
        &error,
        "GO-TIMEOUT",
        &[
            endless,
            "env GOROOT GOVERSION",
            "printed more than",
            "go_bin",
        ],
    );
    // A compiler as well: its first line would have been enough.
    let bin = tempfile::tempdir().unwrap();
    let script = bin.path().join("script");
    write(&script, "#!/bin/sh\nexec yes\n");
    // Written by another process, so that no child of this one holds it open for writing.
    let gcc = bin.path().join("gcc");
    run(tool("install").args(["-m", "755"]).arg(&script).arg(&gcc));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", bin.path().display());
    let bench = Workbench::new().with("PATH", path);
    let cgo = folder.path().join("main.go");
    write(&cgo, "package main\n\nimport \"C\"\n\nfunc main() {}\n");
    let error = bench.error(folder.path(), &option("cgo", "dynamic"));
    assert_says(&error, "GO-TIMEOUT", &["gcc --version", "was stopped"]);
}

#[test]
fn go_old_and_toolchain_downloads() {
    let old = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.99\n"),
        ("main.go", MAIN),
    ]);
    let host = run(tool("go").args(["env", "GOVERSION"]))
        .trim()
        .trim_start_matches("go")
        .to_owned();
    let error = Workbench::new().error(old.path(), &none());
    assert_says(
        &error,
        "GO-OLD",
        &[
            "go.mod:3",
            "needs go 1.99",
            &host,
            "recipe.go.toolchain=auto",
        ],
    );
    // A newer toolchain line alone is only a wish.
    let wish = "module example.org/x\n\ngo 1.25\n\ntoolchain go1.99.1\n";
    let wished = source(&[("go.mod", wish), ("main.go", MAIN)]);
    let bench = Workbench::new().with("GOPROXY", "off");
    assert!(bench.plan(wished.path(), &none()).is_ok());
    let error = bench.error(wished.path(), &option("toolchain", "auto"));
    assert_says(&error, "GO-TC-DL", &["go1.99.1", "GOPROXY=off"]);
}

#[test]
fn go_main_and_go_notmain() {
    let bench = Workbench::new();
    let several = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("cmd/a/main.go", MAIN),
        ("cmd/b/main.go", MAIN),
        ("internal/tools/gen/main.go", MAIN),
        (
            "hidden/main.go",
            "//go:build ignore\n\npackage main\n\nfunc main() {}\n",
        ),
        ("lib/lib.go", "package lib\n"),
    ]);
    let error = bench.error(several.path(), &none());
    assert_says(
        &error,
        "GO-MAIN",
        &[
            "2 commands",
            "./cmd/a  (kept)",
            "./internal/tools/gen  (dropped: lies in a folder named internal)",
            "main: ./cmd/a",
        ],
    );
    assert!(!error.to_string().contains("hidden"), "{error}");
    let error = bench.error(several.path(), &option("main", "./lib"));
    assert_says(&error, "GO-NOTMAIN", &["example.org/x/lib is a library"]);
    assert!(
        bench
            .build(several.path(), &option("main", "./cmd/b"))
            .is_ok()
    );
}

#[test]
fn go_main_names_what_go_leaves_out() {
    const TAGGED: &str = "//go:build prod && linux\n\npackage main\n\nfunc main() {}\n";
    const CGO: &str = "package main\n\n/*\nint x;\n*/\nimport \"C\"\n\nfunc main() {}\n";
    const SCRIPT: &str = "//go:build ignore\n\npackage main\n\nfunc main() {}\n";
    let mod_file = ("go.mod", "module example.org/x\n\ngo 1.25\n");
    let bench = Workbench::new();
    let prod = "cmd/a/main.go says //go:build prod && linux";
    let cgo = "main.go needs cgo, which is off";
    for (path, text, main, says) in [
        ("cmd/a/main.go", TAGGED, None, [prod, "recipe.go.tags=prod"]),
        ("main.go", CGO, None, [cgo, "recipe.go.cgo: static"]),
        (
            "cmd/a/main.go",
            TAGGED,
            Some("./cmd/a"),
            [prod, "recipe.go.tags=prod"],
        ),
        (
            "cmd/a/main.go",
            TAGGED,
            Some("example.org/x/cmd/a"),
            [prod, "recipe.go.tags=prod"],
        ),
        (
            "main.go",
            CGO,
            Some("example.org/x"),
            [cgo, "recipe.go.cgo: static"],
        ),
        ("main.go", CGO, Some("."), [cgo, "recipe.go.cgo: static"]),
    ] {
        let folder = source(&[mod_file, (path, text), ("lib/gen.go", SCRIPT)]);
        let options = main.map_or_else(none, |main| option("main", main));
        let error = bench.error(folder.path(), &options);
        assert_says(&error, "GO-MAIN", &says);
        assert!(!error.to_string().contains("gen.go"), "{error}");
        assert!(!error.to_string().contains("no package main"), "{error}");
    }
    // A folder with a package of its own is no command that is left out.
    let folder = source(&[mod_file, ("x.go", "package x\n"), ("main.go", TAGGED)]);
    let error = bench.error(folder.path(), &none());
    assert_says(&error, "GO-MAIN", &["no package main"]);
    // As hinted.
    let folder = source(&[mod_file, ("cmd/a/main.go", TAGGED)]);
    assert!(bench.plan(folder.path(), &option("tags", "prod")).is_ok());
    // Another command that could be meant is enough.
    let folder = source(&[
        mod_file,
        ("cmd/a/main.go", TAGGED),
        ("b/main.go", MAIN),
        ("c/main.go", MAIN),
    ]);
    let error = bench.error(folder.path(), &none());
    assert_says(&error, "GO-MAIN", &["2 commands"]);
    assert!(!error.to_string().contains("left out"), "{error}");
}

#[test]
fn an_archive_is_not_taken_for_a_program() {
    let bench = Workbench::new();
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", MAIN),
    ]);
    let plan = bench.plan(folder.path(), &none()).unwrap();
    let slot = tempfile::tempdir().unwrap();
    let outcome = StepOutcome {
        code: Some(0),
        slot: slot.path().to_owned(),
        ..StepOutcome::default()
    };
    let step = plan.steps.last().unwrap();
    write(
        &slot.path().join("out"),
        "!<arch>\nand so on, for more than a header",
    );
    assert_says(
        &GoRecipe.review(step, &outcome).unwrap_err(),
        "GO-NOTMAIN",
        &["is a library"],
    );
    let arm64 = bench
        .plan_for(folder.path(), &none(), &["linux/arm64"])
        .unwrap();
    let (_, slots) = bench.run(&arm64).unwrap();
    std::fs::copy(slots.last().unwrap().join("out"), slot.path().join("out")).unwrap();
    let error = GoRecipe.review(step, &outcome).unwrap_err();
    assert_says(&error, "GO-MACHINE", &["built for arm64, not for amd64"]);
    std::fs::copy(tool("true").get_program(), slot.path().join("out"))
        .or_else(|_| std::fs::copy("/bin/true", slot.path().join("out")))
        .unwrap();
    let error = GoRecipe.review(step, &outcome).unwrap_err();
    assert_says(&error, "GO-DYNAMIC", &["ld-linux"]);
}

#[test]
fn links_out_of_the_source_are_refused() {
    let outside = source(&[("secret.go", "package main\n")]);
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", MAIN),
    ]);
    std::os::unix::fs::symlink(outside.path(), folder.path().join("pkg")).unwrap();
    let error = Workbench::new().error(folder.path(), &none());
    assert_says(
        &error,
        "GO-LINK",
        &["pkg: is a symbolic link that leaves the source"],
    );
}

#[test]
fn go_embed_race_vcs_and_options() {
    let bench = Workbench::new();
    let text = "package main\n\nimport _ \"embed\"\n\n//go:embed ui/index.html\nvar page string\n\nfunc main() { println(page) }\n";
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", text),
    ]);
    let error = bench.error(folder.path(), &none());
    assert_says(
        &error,
        "GO-EMBED",
        &[
            "//go:embed ui/index.html",
            "run that step in a clone",
            "main.go:5:12",
        ],
    );
    let error = bench.error(folder.path(), &option("flags", "-race"));
    assert_says(&error, "GO-RACE", &["-race requires cgo", "cc"]);
    let error = bench.error(folder.path(), &option("vcs_stamp", "true"));
    assert_says(&error, "GO-VCS", &["commit of the source is not known"]);
    let error = bench.error(folder.path(), &option("ldflag", "-s"));
    assert_says(&error, "GO-OPTION", &["did you mean `ldflags`?"]);
    let error = bench.error(folder.path(), &option("ldflags", "-X main.v={{.Nope}}"));
    assert_says(&error, "GO-TEMPLATE", &["{{.Nope}}"]);
    let broken = source(&[
        ("go.mod", "module example.org/x\n\nrequire (\n"),
        ("main.go", MAIN),
    ]);
    assert_says(
        &bench.error(broken.path(), &none()),
        "GO-MOD",
        &["go.mod:3"],
    );
    let wrong = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", "package main\n\nfunc main() { x() }\n"),
    ]);
    assert_says(
        &bench.error(wrong.path(), &none()),
        "GO-BUILD",
        &["exit status 1", "undefined: x"],
    );
}

#[test]
fn go_vcs_of_a_repository_that_git_refuses() {
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", MAIN),
        (".git/HEAD", "broken"),
    ]);
    let mut options = option("vcs_stamp", "true");
    options.revision = Some(Revision {
        commit: "0".repeat(40),
        time: 0,
        tag: None,
        branch: None,
        dirty: false,
    });
    let error = Workbench::new().error(folder.path(), &options);
    assert_says(
        &error,
        "GO-VCS",
        &["safe.directory", "error obtaining VCS status"],
    );
}

#[test]
fn go_cache() {
    let folder = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        ("main.go", MAIN),
    ]);
    let caches = tempfile::tempdir().unwrap();
    let bench = Workbench::at(caches.path());
    let plan = bench.plan(folder.path(), &none()).unwrap();
    // The build cache is a file.
    std::fs::remove_dir_all(caches.path().join("go/build")).unwrap();
    write(&caches.path().join("go/build"), "");
    let error = bench.run(&plan).unwrap_err();
    assert_says(&error, "GO-CACHE", &["go/build", "--cache-dir"]);
    assert_says(
        &bench.plan(folder.path(), &none()).unwrap_err(),
        "GO-CACHE",
        &["go/build"],
    );
}
