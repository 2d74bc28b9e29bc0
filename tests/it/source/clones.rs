//! Clones of repositories.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use karisimbi::error::Coded as _;
use karisimbi::progress::Silent;
use karisimbi::source::git::{self, Checkout, Reach};
use karisimbi::source::{Filter, GitSource, SourceError, SourceName, SourceTree};
use karisimbi::store::Store;

use super::{Lines, paths, tree};
use crate::support::{run, tool, write};

/// The environment that settings would hand over.
pub(super) fn env() -> BTreeMap<String, OsString> {
    let path = std::env::var_os("PATH").expect("PATH");
    [
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), "/nonexistent".into()),
    ]
    .into()
}

pub(super) fn git(root: &Path, args: &[&str]) -> String {
    let mut command = tool("git");
    command
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.c",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"])
        .args(args)
        .current_dir(root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "1700000000 +0200")
        .env("GIT_COMMITTER_DATE", "1700000001 +0200");
    run(&mut command).trim().to_owned()
}

pub(super) fn commit(root: &Path, message: &str) -> String {
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", message]);
    git(root, &["rev-parse", "HEAD"])
}

/// A repository with two commits, a branch with a slash, tags of both kinds; and its commits.
pub(super) fn remote(root: &Path) -> (String, String) {
    write(&root.join("main.go"), "one");
    write(&root.join("cmd/server/x.go"), "x");
    symlink("../outside", root.join("link")).unwrap();
    git(root, &["init", "-q"]);
    let one = commit(root, "one");
    git(root, &["tag", "v1"]);
    write(&root.join("main.go"), "two");
    let two = commit(root, "two");
    git(root, &["tag", "-a", "-m", "annotated", "v2"]);
    git(root, &["branch", "feature/x", &one]);
    (one, two)
}

fn source(text: &str) -> GitSource {
    match SourceName::parse(text).unwrap() {
        SourceName::Git(source) => source,
        SourceName::Folder(folder) => panic!("{}", folder.display()),
    }
}

pub(super) fn clone_of(text: &str, cache: &Path) -> Result<(Checkout, Vec<String>), SourceError> {
    let lines = Arc::new(Lines::default());
    let store = Store::open(cache, lines.clone())?;
    let checkout = git::clone(&source(text), &store, lines.as_ref(), &env(), Reach::Online)?;
    let lines = std::mem::take(&mut *lines.0.lock().unwrap());
    Ok((checkout, lines))
}

#[test]
fn clones_by_every_form_of_reference() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("my-server.git");
    std::fs::create_dir(&origin).unwrap();
    let (one, two) = remote(&origin);
    let cache = dir.path().join("cache");
    let url = format!("file://{}", origin.display());
    let (v1, v2, main, x) = (Some("v1"), Some("v2"), Some("main"), Some("feature/x"));
    for (suffix, commit, tag, branch, directory) in [
        ("", &two, v2, main, ""),
        ("@HEAD", &two, v2, main, ""),
        ("@main", &two, v2, main, ""),
        ("@v1", &one, v1, None, ""),
        ("@v2#cmd/server", &two, v2, None, "cmd/server"),
        ("#feature/x:cmd", &one, v1, x, "cmd"),
        ("@refs/heads/feature/x", &one, None, x, ""),
        (&format!("@{one}"), &one, None, None, ""),
        (&format!("@{}", &one[..8]), &one, None, None, ""),
    ] {
        let (checkout, lines) = clone_of(&format!("{url}{suffix}"), &cache).unwrap();
        let revision = &checkout.revision;
        assert_eq!(&revision.commit, commit, "{suffix}");
        assert_eq!(revision.tag.as_deref(), tag, "{suffix}");
        assert_eq!(revision.branch.as_deref(), branch, "{suffix}");
        assert_eq!(
            (revision.time, revision.dirty),
            (1_700_000_001, false),
            "{suffix}"
        );
        assert_eq!(checkout.directory, directory, "{suffix}");
        assert_eq!(checkout.repository, "my-server");
        let main = std::fs::read_to_string(checkout.root.join("main.go")).unwrap();
        assert_eq!(main, if *commit == one { "one" } else { "two" }, "{suffix}");
        let link = std::fs::read_link(checkout.root.join("link")).unwrap();
        assert_eq!(link, Path::new("../outside"));
        let said = &lines[0];
        assert!(
            said.contains(&format!("commit {}", &commit[..12])),
            "{said}"
        );
        let tree = SourceTree::open(&checkout.root, std::slice::from_ref(&cache), None).unwrap();
        assert_eq!(
            paths(&tree, Filter::All),
            ["cmd/server/x.go", "link", "main.go"]
        );
    }
    let hash = std::fs::read_dir(cache.join("git"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        std::fs::read_dir(hash.path()).unwrap().count(),
        2,
        "one clone per commit"
    );
}

#[test]
fn a_clone_is_used_again_whatever_was_done_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (origin, cache) = (dir.path().join("r"), dir.path().join("cache"));
    std::fs::create_dir(&origin).unwrap();
    let (one, two) = remote(&origin);
    let url = format!("file://{}", origin.display());
    let (first, _) = clone_of(&url, &cache).unwrap();
    write(&first.root.join("main.go"), "edited");
    write(&first.root.join("generated.go"), "left by a build");
    write(&first.root.join(".git/index.lock"), "left by kill -9");
    write(&first.root.join(".git/info/attributes"), "* filter=evil\n");
    let ran = dir.path().join("ran");
    let evil = format!(
        "[filter \"evil\"]\nsmudge = \"touch {}; cat\"\n",
        ran.display()
    );
    write(&first.root.join(".git/config"), evil);
    let (again, lines) = clone_of(&url, &cache).unwrap();
    assert_eq!(
        (again.root.as_path(), lines.len()),
        (first.root.as_path(), 1)
    );
    let tree = SourceTree::open(&again.root, &[], None).unwrap();
    assert_eq!(
        paths(&tree, Filter::All),
        ["cmd/server/x.go", "link", "main.go"]
    );
    assert_eq!(tree.read("main.go", 9).unwrap().unwrap(), b"two");
    assert!(!ran.exists(), "a filter that a build left ran");

    std::fs::remove_dir_all(first.root.join(".git/objects")).unwrap();
    let (healed, lines) = clone_of(&url, &cache).unwrap();
    assert!(
        lines[0].starts_with("CACHE-CORRUPT: the clone of file://"),
        "{lines:?}"
    );
    assert_eq!(healed.revision.commit, two);

    // A whole commit that is here, and offline a reference that was asked before, need no remote.
    std::fs::rename(&origin, dir.path().join("gone")).unwrap();
    let commit_url = format!("{url}@{two}");
    assert_eq!(
        clone_of(&commit_url, &cache).unwrap().0.revision.commit,
        two
    );
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    let offline = |text: &str| git::clone(&source(text), &store, &Silent, &env(), Reach::Offline);
    let known = offline(&url).unwrap();
    assert_eq!(
        (known.revision.commit, known.revision.tag.as_deref()),
        (two, Some("v2"))
    );
    for never in [format!("{url}@v1"), format!("{url}@{one}")] {
        assert_eq!(offline(&never).unwrap_err().code(), "SRC-OFFLINE");
    }
}

#[test]
fn a_pasted_page_may_have_a_slash_in_its_branch() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("o/r");
    std::fs::create_dir_all(&origin).unwrap();
    let (one, _) = remote(&origin);
    let cache = dir.path().join("cache");
    let mut pasted = source("https://github.com/o/r/tree/feature/x/cmd/server");
    pasted.url = source(&format!("file://{}", origin.display())).url;
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    let checkout = git::clone(&pasted, &store, &Silent, &env(), Reach::Online).unwrap();
    assert_eq!(checkout.revision.commit, one);
    assert_eq!(checkout.revision.branch.as_deref(), Some("feature/x"));
    assert_eq!(checkout.directory, "cmd/server");
}

#[test]
fn clone_errors_name_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let (origin, cache) = (dir.path().join("r"), dir.path().join("cache"));
    std::fs::create_dir(&origin).unwrap();
    remote(&origin);
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "-q"]);
    let url = format!("file://{}", origin.display());
    for (text, code, part) in [
        (
            format!("{url}@v3"),
            "SRC-GIT-REF",
            "no branch, tag or commit \"v3\"; near: v1, v2",
        ),
        (format!("{url}@featre/x"), "SRC-GIT-REF", "near: feature/x"),
        (
            format!("{url}@{}", "a".repeat(40)),
            "SRC-GIT-REF",
            "no branch, tag or commit",
        ),
        (
            format!("file://{}", empty.display()),
            "SRC-GIT-REF",
            "\"HEAD\"",
        ),
        (
            format!("{url}#absent"),
            "SRC-DIRECTORY",
            "no folder \"absent\"",
        ),
        (format!("{url}#main.go"), "SRC-DIRECTORY", "no folder"),
        (format!("{url}#link"), "SRC-DIRECTORY", "no folder"),
        (
            format!("{url}-absent"),
            "SRC-GIT-CLONE",
            "does not appear to be a git repository",
        ),
        (
            "http://127.0.0.1:9/o/r".to_owned(),
            "SRC-GIT-CLONE",
            "Failed to connect",
        ),
    ] {
        let error = clone_of(&text, &cache).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert!(error.hint().is_some());
    }
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    let none = [("PATH".to_owned(), OsString::from("/nonexistent:."))].into();
    let error = git::clone(&source(&url), &store, &Silent, &none, Reach::Online).unwrap_err();
    assert_eq!(error.code(), "SRC-GIT-NONE");
    assert_eq!(
        std::fs::read_dir(cache.join("tmp")).unwrap().count(),
        1,
        "leftovers"
    );
}

#[test]
fn submodules_and_lfs_pointers_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let (origin, module) = (dir.path().join("r"), dir.path().join("module"));
    for root in [&origin, &module] {
        std::fs::create_dir(root).unwrap();
    }
    remote(&module);
    git(&origin, &["init", "-q"]);
    git(
        &origin,
        &[
            "submodule",
            "--quiet",
            "add",
            &module.display().to_string(),
            "third/party",
        ],
    );
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    write(&origin.join("data/a.bin"), pointer);
    write(&origin.join("data/b.bin"), pointer);
    write(
        &origin.join(".gitattributes"),
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    commit(&origin, "all");
    let url = format!("file://{}", origin.display());
    let (checkout, lines) = clone_of(&url, &dir.path().join("cache")).unwrap();
    assert_eq!(
        lines[1],
        "SRC-SUBMODULE: submodules are not fetched: third/party"
    );
    assert!(
        lines[2].starts_with("SRC-LFS: 2 files are Git LFS pointers"),
        "{lines:?}"
    );
    assert!(lines[2].ends_with("the first is data/a.bin"), "{lines:?}");
    let file = std::fs::read_to_string(checkout.root.join("data/a.bin")).unwrap();
    assert_eq!(file, pointer);
}

#[test]
fn a_hostile_remote_runs_nothing_in_its_clone() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("r");
    std::fs::create_dir(&origin).unwrap();
    let ran = dir.path().join("ran");
    write(&origin.join(".gitattributes"), "* filter=evil\n");
    remote(&origin);
    // The user's own configuration knows the filter, a template with hooks, and an fsmonitor.
    let home = dir.path().join("home");
    let hook = home.join("template/hooks/post-checkout");
    write(&hook, format!("#!/bin/sh\ntouch {}\n", ran.display()));
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "[filter \"evil\"]\nsmudge = \"touch {ran}; cat\"\n[core]\nfsmonitor = \"touch {ran}\"\n\
         [init]\ntemplateDir = {home}/template\n",
        ran = ran.display(),
        home = home.display(),
    );
    write(&home.join(".gitconfig"), config);
    let mut env = env();
    env.insert("HOME".to_owned(), home.clone().into());
    env.insert("GIT_DIR".to_owned(), "/nonexistent".into());
    let control = dir.path().join("control");
    run(tool("git")
        .args(["clone", "-q"])
        .arg(&origin)
        .arg(&control)
        .env("HOME", &home));
    assert!(ran.exists(), "the trap works");
    std::fs::remove_file(&ran).unwrap();

    let store = Store::open(&dir.path().join("cache"), Arc::new(Silent)).unwrap();
    let url = format!("file://{}", origin.display());
    let checkout = git::clone(&source(&url), &store, &Silent, &env, Reach::Online).unwrap();
    assert!(!ran.exists());
    assert!(!checkout.root.join(".git/hooks").exists());
    let found = git::revision(&tree(&checkout.root), None, &env)
        .unwrap()
        .unwrap();
    assert!(!found.dirty && !ran.exists());
}

#[test]
fn clones_at_once_share_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (origin, cache) = (dir.path().join("r"), dir.path().join("cache"));
    std::fs::create_dir(&origin).unwrap();
    let (_, two) = remote(&origin);
    let url = format!("file://{}", origin.display());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (checkout, lines) = clone_of(&url, &cache).unwrap();
                assert_eq!(
                    (checkout.revision.commit.as_str(), lines.len()),
                    (two.as_str(), 1)
                );
            });
        }
    });
}
