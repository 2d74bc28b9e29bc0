//! `.gitignore` and `.dockerignore`.

use std::os::unix::fs::symlink;

use karisimbi::error::Coded as _;
use karisimbi::source::Filter;

use super::{paths, tree};
use crate::support::{run, tool, write};

#[test]
fn gitignore_does_what_git_does() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for path in [
        "keep.log",
        "a.log",
        "build/out",
        "sub/build/out",
        "sub/a.log",
        "sub/keep.log",
        "sub/x",
        "sub/deep/y",
        "docs/a/b.md",
        "docs/b.md",
        "/abs",
        "#hash",
        "trail ",
        "dir/file",
        "é.tmp",
        "vendor/keep/x",
        "vendor/y",
        "foo/bar/baz",
        "Upper.LOG",
    ] {
        write(&root.join(path.trim_start_matches('/')), "");
    }
    symlink("build", root.join("builds")).unwrap();
    let top = "# comment\n*.log\n!keep.log\n/build/\n\\#hash\ntrail\\ \ndocs/*.md\n\
        dir/\n!dir/file\n**/baz\n[z-\n*.tmp\nvendor/*\n!vendor/keep\nbuilds/\n/abs   \n";
    write(&root.join(".gitignore"), top);
    write(&root.join("sub/.gitignore"), "!a.log\nkeep.log\n/deep\r\n");
    run(tool("git").args(["init", "-q"]).arg(root));
    let git = run(tool("git")
        .arg("-C")
        .arg(root)
        .args([
            "-c",
            "core.excludesFile=/dev/null",
            "-c",
            "core.quotePath=false",
        ])
        .args(["ls-files", "--others", "--exclude-standard"]));
    let mut expected: Vec<&str> = git.lines().collect();
    expected.sort_unstable();
    assert_eq!(paths(&tree(root), Filter::GitIgnore), expected);
    assert!(expected.contains(&"sub/a.log") && !expected.contains(&"dir/file"));
}

#[test]
fn dockerignore_is_read_at_the_root_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for path in ["a.log", "sub/a.log", "sub/b", "x/keep"] {
        write(&root.join(path), "");
    }
    let tree_all = tree(root);
    assert_eq!(paths(&tree_all, Filter::DockerIgnore).len(), 4);
    write(&root.join(".dockerignore"), "*.log\nx\n!x/keep\n");
    write(&root.join("sub/.dockerignore"), "b\n");
    assert_eq!(
        paths(&tree(root), Filter::DockerIgnore),
        [
            ".dockerignore",
            "sub/.dockerignore",
            "sub/a.log",
            "sub/b",
            "x/keep"
        ]
    );
    write(&root.join(".dockerignore"), "ok\n[\n");
    let error = tree(root).select("", Filter::DockerIgnore).unwrap_err();
    assert_eq!(error.code(), "SRC-IGNORE");
    assert!(
        error.to_string().starts_with(".dockerignore:2: "),
        "{error}"
    );
}
