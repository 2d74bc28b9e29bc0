//! Packages that need cgo.

use std::process::Command;

use tempfile::TempDir;

use super::{Workbench, assert_says, none, option, source};
use crate::support::tool;

/// A vendored package with cgo and this second file.
fn with_cgo(stub: &str) -> TempDir {
    source(&[
        (
            "go.mod",
            "module example.org/x\n\ngo 1.25\n\nrequire example.org/c v1.0.0\n",
        ),
        (
            "main.go",
            "package main\n\nimport \"example.org/c\"\n\nfunc main() { println(c.Two()) }\n",
        ),
        (
            "vendor/modules.txt",
            "# example.org/c v1.0.0\n## explicit; go 1.25\nexample.org/c\n",
        ),
        (
            "vendor/example.org/c/c.go",
            "package c\n\n// static int two(void) { return 2; }\nimport \"C\"\n\nfunc Two() int { return int(C.two()) }\n",
        ),
        ("vendor/example.org/c/stub.go", stub),
    ])
}

#[test]
fn cgo_packages_are_found_out() {
    let bench = Workbench::new();
    let stubbed =
        with_cgo("//go:build !cgo\n\npackage c\n\nfunc Two() int { panic(\"no cgo\") }\n");
    let plan = bench.plan(stubbed.path(), &none()).unwrap();
    let (notices, _) = bench.run(&plan).unwrap();
    assert_eq!(notices[0].code, "GO-CGO-STUB");
    assert!(
        notices[0].text.starts_with("example.org/c has cgo files"),
        "{notices:?}"
    );
    let required = with_cgo("//go:build ignore\n\npackage c\n");
    let error = bench.error(required.path(), &none());
    assert_says(
        &error,
        "GO-CGO-REQ",
        &["package example.org/c needs cgo", "cgo: static"],
    );
    // Nothing of cgo in a package that is empty for another reason.
    let empty = source(&[
        ("go.mod", "module example.org/x\n\ngo 1.25\n"),
        (
            "main.go",
            "package main\n\nimport \"example.org/x/w\"\n\nfunc main() { w.W() }\n",
        ),
        ("w/w.go", "//go:build windows\n\npackage w\n\nfunc W() {}\n"),
    ]);
    assert_says(
        &bench.error(empty.path(), &none()),
        "GO-BUILD",
        &["build constraints exclude"],
    );
    // A C compiler that makes static programs.
    tool("musl-gcc");
    let program = bench
        .build(stubbed.path(), &option("cgo", "static"))
        .unwrap();
    let output = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "2\n");
    let error = Workbench::new()
        .plan_for(stubbed.path(), &option("cgo", "static"), &["linux/s390x"])
        .unwrap_err();
    assert_says(
        &error,
        "GO-CC",
        &["linux/s390x", "s390x-linux-musl-gcc", "zig"],
    );
}
