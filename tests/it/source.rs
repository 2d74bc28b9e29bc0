//! Tests of source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "what a test's helper can't do fails the test"
)]

mod clones;
mod filters;
mod logins;
mod moving;
mod outputs;
mod revisions;
mod stat_cache;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Mutex;

use karisimbi::error::Coded as _;
use karisimbi::layer::TreeDigest;
use karisimbi::progress::{Event, Reporter};
use karisimbi::source::listing::{ChangeKind, changes, listing};
use karisimbi::source::{Filter, SourceTree, TreeKind};

use crate::support::{run, tool, write};

/// Keeps lines and warnings.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl Reporter for Lines {
    fn event(&self, event: Event) {
        match event {
            Event::Warning { code, text } => {
                self.0.lock().unwrap().push(format!("{code}: {text}"));
            }
            Event::Line { text, .. } => self.0.lock().unwrap().push(text),
            Event::Progress { name, total, .. } => {
                self.0.lock().unwrap().push(format!("{name} {total:?}"));
            }
            _ => {}
        }
    }
}

/// What a case does to a file or folder.
type Action = fn(&Path);

fn tree(root: &Path) -> SourceTree {
    SourceTree::open(root, &[], None).unwrap()
}

fn paths(tree: &SourceTree, filter: Filter) -> Vec<String> {
    let members = tree.select("", filter).unwrap();
    members
        .iter()
        .map(|file| file.path.as_str().to_owned())
        .collect()
}

fn digest(tree: &SourceTree) -> TreeDigest {
    tree.digest(&tree.select("", Filter::All).unwrap())
}

/// The code and the words of the error of opening and selecting all.
fn refused(root: &Path) -> (&'static str, String) {
    let error = SourceTree::open(root, &[], None)
        .and_then(|tree| tree.select("", Filter::All).map(|_| ()))
        .unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn members_are_sorted_and_git_and_outputs_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("source");
    for path in [
        "b/x.go",
        "b.go",
        "a",
        ".git/config",
        "sub/.git",
        "sub/y",
        "cache/blob",
        "target/own",
        "image.tar",
        ".gitignore",
    ] {
        write(&root.join(path), path);
    }
    outputs::output(&root.join("karisimbi-out/app"));
    // cargo's tag is not ours: its folder belongs to the source.
    let cargo = "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n";
    write(&root.join("target/CACHEDIR.TAG"), cargo);
    std::fs::set_permissions(root.join("a"), std::fs::Permissions::from_mode(0o711)).unwrap();
    symlink("../nowhere", root.join("link")).unwrap();
    symlink("sub", root.join("linked")).unwrap();

    let exclude = [
        root.join("cache"),
        root.join("sub/../image.tar"),
        root.join("absent"),
        dir.path().to_owned(),
    ];
    let tree = SourceTree::open(&root, &exclude, None).unwrap();
    assert_eq!(
        paths(&tree, Filter::All),
        [
            ".gitignore",
            "a",
            "b.go",
            "b/x.go",
            "link",
            "linked",
            "sub/y",
            "target/CACHEDIR.TAG",
            "target/own"
        ]
    );
    assert_eq!(tree.file("a").unwrap().kind, TreeKind::Executable(1));
    let link = TreeKind::Symlink("../nowhere".to_owned());
    assert_eq!(tree.file("link").unwrap().kind, link);
    assert_eq!(tree.read("b.go", 10).unwrap().unwrap(), b"b.go");
    assert_eq!(tree.read("no", 10).unwrap(), None);
    assert_eq!(tree.read("sub", 10).unwrap(), None);
    let under: Vec<_> = tree.select("./b/", Filter::All).unwrap();
    assert_eq!(under.len(), 1, "b.go is not under b");
}

#[test]
fn same_contents_give_the_same_digest() {
    let build = |order: &[&str], umask: u32, mtime: u64| {
        let dir = tempfile::tempdir().unwrap();
        for path in order {
            write(&dir.path().join(path), format!("contents of {path}"));
            let file = std::fs::File::options()
                .write(true)
                .open(dir.path().join(path))
                .unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
            file.set_modified(time).unwrap();
            let mode = if *path == "run" { 0o777 } else { 0o666 };
            let mode = std::fs::Permissions::from_mode(mode & !umask);
            std::fs::set_permissions(dir.path().join(path), mode).unwrap();
        }
        symlink("run", dir.path().join("link")).unwrap();
        dir
    };
    let one = build(&["a/b", "c", "run", "é"], 0o022, 1);
    let two = build(&["é", "run", "c", "a/b"], 0o077, 1_700_000_000);
    write(&two.path().join(".git/HEAD"), "ref: refs/heads/main");
    std::fs::create_dir(two.path().join("empty")).unwrap();
    assert_eq!(digest(&tree(one.path())), digest(&tree(two.path())));
}

#[test]
fn every_change_changes_the_digest_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(&root.join("a"), "one");
    write(&root.join("new\nline f 0"), "x");
    symlink("a", root.join("link")).unwrap();
    let cases: [(Action, &str, ChangeKind); 6] = [
        (
            |root| write(&root.join("a"), "two"),
            "a",
            ChangeKind::Changed,
        ),
        (
            |root| {
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(root.join("a"), mode).unwrap();
            },
            "a",
            ChangeKind::Changed,
        ),
        (
            |root| {
                std::fs::remove_file(root.join("link")).unwrap();
                symlink("b", root.join("link")).unwrap();
            },
            "link",
            ChangeKind::Changed,
        ),
        (
            |root| {
                // A file that holds what the link pointed to.
                std::fs::remove_file(root.join("link")).unwrap();
                write(&root.join("link"), "b");
            },
            "link",
            ChangeKind::Changed,
        ),
        (|root| write(&root.join("c"), ""), "c", ChangeKind::Added),
        (
            |root| std::fs::remove_file(root.join("new\nline f 0")).unwrap(),
            "new\nline f 0",
            ChangeKind::Removed,
        ),
    ];
    let list = |tree: &SourceTree| listing(&tree.files().iter().collect::<Vec<_>>());
    let mut before = tree(root);
    for (change, path, kind) in cases {
        change(root);
        let now = tree(root);
        assert_ne!(digest(&before), digest(&now), "{path}");
        let named = changes(&list(&before), &list(&now));
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!((named[0].path.as_str(), named[0].kind), (path, kind));
        before = now;
    }
    assert_eq!(changes(&list(&before), &list(&before)), []);
    assert_eq!(changes(b"garbage", &list(&before)).len(), 3);
}

#[test]
fn the_listing_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("b/é"), "");
    symlink("b", dir.path().join("a")).unwrap();
    let tree = tree(dir.path());
    let text = listing(&tree.select("", Filter::All).unwrap());
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "karisimbi tree 1\n\
         l 3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d 1 a\n\
         f e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 4 b/é\n"
    );
}

#[test]
fn links_are_recorded_and_never_read_through() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("secret"), "password");
    let root = dir.path().join("source");
    write(&root.join("dir/x"), "x");
    symlink("../secret", root.join("go.mod")).unwrap();
    symlink("/etc", root.join("etc")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let tree = tree(&root);
    assert_eq!(
        paths(&tree, Filter::All),
        ["dir/x", "etc", "go.mod", "loop"]
    );
    let error = tree.read("go.mod", 100).unwrap_err();
    assert_eq!(error.code(), "SRC-SYMLINK");
    assert!(error.to_string().contains("../secret"), "{error}");
    assert_eq!(tree.read("etc/passwd", 100_000).unwrap(), None);
    // A folder swapped for a link after the scan is not followed either.
    std::fs::rename(root.join("dir"), root.join("old")).unwrap();
    symlink("old", root.join("dir")).unwrap();
    assert_eq!(tree.read("dir/x", 100).unwrap_err().code(), "SRC-READ");
    // A .dockerignore that is a link is an error, a .gitignore that is one does not count.
    symlink("../secret", root.join(".dockerignore")).unwrap();
    symlink("../secret", root.join(".gitignore")).unwrap();
    let tree = SourceTree::open(&root, &[], None).unwrap();
    let error = tree.select("", Filter::DockerIgnore).unwrap_err();
    assert_eq!(error.code(), "SRC-SYMLINK");
    assert!(
        tree.select("", Filter::GitIgnore)
            .is_ok_and(|kept| !kept.is_empty())
    );
}

#[test]
fn what_no_image_can_hold_is_an_error_once_it_is_selected() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(&root.join("ok"), "ok");
    write(&root.join(".dockerignore"), "bad\n");
    let bad = root.join("bad");
    std::fs::create_dir(&bad).unwrap();
    run(tool("mkfifo").arg(bad.join("pipe")));
    let _socket = std::os::unix::net::UnixListener::bind(bad.join("socket")).unwrap();
    write(&bad.join(OsStr::from_bytes(b"\xff\nname")), "x");
    write(&bad.join(".wh.passwd"), "");
    symlink(OsStr::from_bytes(b"\xfe"), bad.join("target")).unwrap();
    let huge = std::fs::File::create(bad.join("sparse")).unwrap();
    huge.set_len(1 << 40).unwrap();

    let tree = tree(root);
    assert_eq!(paths(&tree, Filter::DockerIgnore), [".dockerignore", "ok"]);
    assert_eq!(tree.select("ok", Filter::All).unwrap().len(), 1);
    let error = tree.select("bad", Filter::All).unwrap_err();
    let said = error.to_string();
    for part in [
        "bad/pipe: is a named pipe",
        "bad/socket: is a socket",
        r#"path "bad/\xff\nname" can't be in a layer: it is not UTF-8"#,
        "bad/.wh.passwd: a name that starts with .wh. would delete",
        "bad/target: the target of this symbolic link is not UTF-8",
        "bad/sparse: has 1.1 TB",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert_eq!(said.lines().count(), 6, "all at once: {said}");
    for (path, code) in [
        ("bad/pipe", "SRC-SPECIAL"),
        ("bad/.wh.passwd", "LAYER-WHITEOUT"),
        ("bad/target", "LAYER-PATH"),
        ("bad/sparse", "LAYER-TOO-LARGE"),
    ] {
        assert_eq!(tree.read(path, 10).unwrap_err().code(), code);
    }
    for n in 0..30 {
        run(tool("mkfifo").arg(bad.join(format!("pipe{n}"))));
    }
    assert!(refused(root).1.ends_with("and 16 more"));
}

#[test]
fn sparse_files_are_hashed_as_their_zeros() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::File::create(dir.path().join("a"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let tree = tree(dir.path());
    let sum = run(tool("sha256sum").arg(dir.path().join("a")));
    assert_eq!(tree.file("a").unwrap().digest.hex(), sum[..64]);
    let error = tree.read("a", 1000).unwrap_err();
    assert_eq!(error.code(), "SRC-LIMIT");
    assert_eq!(error.to_string(), "a: has 67.1 MB; at most 1.0 kB are read");
}

#[test]
fn a_nest_of_5000_folders_is_refused() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let dir = tempfile::tempdir().unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = openat(CWD, dir.path(), flags, Mode::empty()).unwrap();
    for _ in 0..5000 {
        mkdirat(&folder, "d\n", Mode::RWXU).unwrap();
        folder = openat(&folder, "d\n", flags, Mode::empty()).unwrap();
    }
    let (code, said) = refused(dir.path());
    assert_eq!(code, "SRC-DEPTH");
    assert!(said.contains(r"d\n/d\n/"), "{said}");
    assert!(
        said.contains("limit: 200 folders") && said.len() < 1000,
        "{said}"
    );
    drop(folder);
    run(tool("rm").arg("-rf").arg(dir.path().join("d\n")));
}

#[test]
fn an_absent_root_and_an_unreadable_file_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let (code, said) = refused(&absent);
    assert_eq!(code, "SRC-READ");
    assert!(said.contains(&absent.display().to_string()), "{said}");
    if rustix::process::geteuid().is_root() {
        return; // Root reads everything.
    }
    write(&dir.path().join("x"), "x");
    std::fs::set_permissions(dir.path().join("x"), std::fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(refused(dir.path()).0, "SRC-READ");
}

#[test]
fn a_file_that_changes_after_the_scan_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a"), "one");
    let tree = tree(dir.path());
    write(&dir.path().join("a"), "two");
    let error = tree.read("a", 10).unwrap_err();
    assert_eq!((error.code(), error.exit() as u8), ("SRC-CHANGED", 75));
}
