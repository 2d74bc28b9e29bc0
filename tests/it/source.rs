//! Tests of source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "what a test's helper can't do fails the test"
)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use karisimbi::error::Coded as _;
use karisimbi::layer::TreeDigest;
use karisimbi::progress::{Event, Reporter, Silent};
use karisimbi::source::git::{self, Checkout, Reach, Revision};
use karisimbi::source::listing::{ChangeKind, changes, listing};
use karisimbi::source::{Filter, GitSource, SourceError, SourceName, SourceTree, TreeKind};
use karisimbi::store::Store;

use crate::support::{run, tool, write};

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
        "karisimbi-out/blobs/z",
        "cache/blob",
        "target/own",
        "image.tar",
        ".gitignore",
    ] {
        write(&root.join(path), path);
    }
    write(
        &root.join("karisimbi-out/CACHEDIR.TAG"),
        karisimbi::store::CACHEDIR_TAG,
    );
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
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

impl Reporter for Warnings {
    fn event(&self, event: Event) {
        if let Event::Warning { code, text } = event {
            self.0.lock().unwrap().push(format!("{code}: {text}"));
        }
    }
}

fn cached(root: &Path, store: &Store) -> TreeDigest {
    digest(&SourceTree::open(root, &[], Some(store)).unwrap())
}

fn stat_file(cache: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(cache.join("stat")).unwrap();
    files.next().expect("a stat cache").unwrap().path()
}

/// Long enough for the file system's clock to have moved on.
fn tick() {
    std::thread::sleep(std::time::Duration::from_millis(25));
}

#[test]
fn an_edit_of_the_same_size_and_mtime_changes_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    write(&root.join("a"), "one");
    tick();
    let before = cached(&root, &store);
    tick();
    let mtime = std::fs::metadata(root.join("a"))
        .unwrap()
        .modified()
        .unwrap();
    write(&root.join("a"), "two");
    let file = std::fs::File::options()
        .write(true)
        .open(root.join("a"))
        .unwrap();
    file.set_modified(mtime).unwrap();
    let now = cached(&root, &store);
    assert_ne!(before, now);
    assert_eq!(now, digest(&tree(&root)));
}

#[test]
fn an_edit_in_the_tick_of_the_scan_changes_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    for round in 0..200 {
        // Without any wait: the times often stay the same over the write.
        write(&root.join("a"), format!("{round:03}"));
        assert_eq!(cached(&root, &store), digest(&tree(&root)), "{round}");
    }
}

#[test]
fn the_stat_cache_saves_hashing_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let warnings = Arc::new(Warnings::default());
    let store = Store::open(&cache, warnings.clone()).unwrap();
    write(&root.join("big"), vec![7; 1 << 20]);
    write(&root.join("b/c"), "c");
    tick();
    let expected = cached(&root, &store);
    let first = std::fs::read(stat_file(&cache)).unwrap();
    assert_eq!(cached(&root, &store), expected);
    let second = std::fs::read(stat_file(&cache)).unwrap();
    assert_eq!(first, second, "nothing was hashed, so nothing was written");

    let cases: [(Action, bool); 4] = [
        (|file| std::fs::remove_file(file).unwrap(), false),
        (|file| std::fs::write(file, b"").unwrap(), true),
        (
            |file| {
                let mut bytes = std::fs::read(file).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1; // a digest
                std::fs::write(file, bytes).unwrap();
            },
            true,
        ),
        (
            |file| {
                let other = b"karisimbi stat cache 9\n";
                let mut sealed = format!("{}\n", karisimbi::digest::Digest::of(other)).into_bytes();
                sealed.extend_from_slice(other);
                std::fs::write(file, sealed).unwrap();
            },
            true,
        ),
    ];
    for (damage, warned) in cases {
        damage(&stat_file(&cache));
        assert_eq!(cached(&root, &store), expected);
        let said = std::mem::take(&mut *warnings.0.lock().unwrap());
        assert_eq!(said.len(), usize::from(warned), "{said:?}");
        assert!(
            said.iter().all(|text| text.starts_with("CACHE-CORRUPT: ")),
            "{said:?}"
        );
    }
    assert_eq!(store.verify().unwrap().problems, []);
}

#[test]
fn two_scans_at_once_share_a_stat_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    for n in 0..200 {
        write(&root.join(format!("d{}/f{n}", n % 7)), n.to_string());
    }
    let expected = digest(&tree(&root));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = Store::open(&cache, Arc::new(Silent)).unwrap();
                for _ in 0..5 {
                    assert_eq!(cached(&root, &store), expected);
                }
            });
        }
    });
}

// Repositories.

/// The environment that settings would hand over.
fn env() -> BTreeMap<String, OsString> {
    let path = std::env::var_os("PATH").expect("PATH");
    [
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), "/nonexistent".into()),
    ]
    .into()
}

fn git(root: &Path, args: &[&str]) -> String {
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

fn commit(root: &Path, message: &str) -> String {
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", message]);
    git(root, &["rev-parse", "HEAD"])
}

/// A repository with two commits, a branch with a slash, tags of both kinds; and its commits.
fn remote(root: &Path) -> (String, String) {
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

fn clone_of(text: &str, cache: &Path) -> Result<(Checkout, Vec<String>), SourceError> {
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
        let tree = SourceTree::open(&checkout.root, &[cache.clone()], None).unwrap();
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

/// A server that answers every request with 401 and keeps what it was sent.
fn refusing_server() -> (u16, Arc<Mutex<String>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            keep.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
            let answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, seen)
}

#[test]
fn credentials_reach_the_server_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (port, seen) = refusing_server();
    let text = format!("http://someone:s3cr3t@127.0.0.1:{port}/o/r@v1");
    let error = clone_of(&text, &dir.path().join("cache")).unwrap_err();
    assert_eq!((error.code(), error.exit() as u8), ("SRC-GIT-AUTH", 10));
    let said = format!("{error} {error:?} {}", error.hint().unwrap());
    assert!(
        !said.contains("s3cr3t") && !said.contains("someone"),
        "{said}"
    );
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.contains("Authorization: Basic c29tZW9uZTpzM2NyM3Q="),
        "{seen}"
    );
    let kept = tool("grep")
        .args(["-ra", "s3cr3t"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(kept.stdout.is_empty(), "{kept:?}");

    let text = format!("http://127.0.0.1:{port}/o/r");
    let error = clone_of(&text, &dir.path().join("cache")).unwrap_err();
    assert_eq!(error.code(), "SRC-GIT-AUTH", "{error}");
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

fn revision(root: &Path) -> Result<Option<Revision>, SourceError> {
    git::revision(&tree(root), None, &env())
}

#[test]
fn the_revision_of_a_folder_is_its_own_repository_s() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    std::fs::create_dir(&root).unwrap();
    assert_eq!(revision(&root).unwrap(), None, "no repository");
    git(&root, &["init", "-q"]);
    write(&root.join("a"), "a");
    assert_eq!(revision(&root).unwrap(), None, "no commit");
    std::fs::remove_dir_all(root.join(".git")).unwrap();
    let (_, two) = remote(&root);
    let clean = Revision {
        commit: two,
        time: 1_700_000_001,
        tag: Some("v2".to_owned()),
        branch: Some("main".to_owned()),
        dirty: false,
    };
    assert_eq!(revision(&root).unwrap().as_ref(), Some(&clean));
    assert_eq!(
        revision(&root.join("cmd")).unwrap(),
        None,
        "an enclosing repository"
    );

    // A work tree's .git is a file; another owner changes nothing.
    let other = dir.path().join("w");
    git(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            &other.display().to_string(),
            "v1",
        ],
    );
    let detached = revision(&other).unwrap().unwrap();
    assert_eq!(
        (detached.tag.as_deref(), detached.branch),
        (Some("v1"), None)
    );
    if rustix::process::geteuid().is_root() {
        run(tool("chown").args(["-R", "1001:1001"]).arg(&root));
        assert_eq!(revision(&root).unwrap(), Some(clean));
    }
    for garbage in ["HEAD", "objects"] {
        let broken = root.join(".git").join(garbage);
        std::fs::rename(&broken, broken.with_extension("gone")).unwrap();
        let error = revision(&root).unwrap_err();
        assert_eq!(error.code(), "SRC-GIT-READ", "{garbage}: {error}");
        std::fs::rename(broken.with_extension("gone"), broken).unwrap();
    }
}

#[test]
fn dirt_is_what_git_status_calls_so() {
    let cases: [(&str, Action, bool); 10] = [
        ("touched", |root| write(&root.join("main.go"), "two"), false),
        ("edited", |root| write(&root.join("main.go"), "own"), true),
        (
            "removed",
            |root| std::fs::remove_file(root.join("main.go")).unwrap(),
            true,
        ),
        ("untracked", |root| write(&root.join("new"), ""), true),
        ("ignored", |root| write(&root.join("x.log"), ""), false),
        (
            "mode",
            |root| {
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(root.join("main.go"), mode).unwrap();
            },
            true,
        ),
        (
            "link",
            |root| {
                std::fs::remove_file(root.join("link")).unwrap();
                symlink("../outsidE", root.join("link")).unwrap();
            },
            true,
        ),
        (
            "odd name edited",
            |root| write(&root.join("\"odd\nname"), "edited"),
            true,
        ),
        (
            "empty folder",
            |root| std::fs::create_dir(root.join("empty")).unwrap(),
            false,
        ),
        (
            "staged",
            |root| {
                write(&root.join("staged"), "");
                git(root, &["add", "staged"]);
            },
            true,
        ),
    ];
    for (name, change, dirty) in cases {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        std::fs::create_dir(&root).unwrap();
        write(&root.join(".gitignore"), "*.log\n");
        write(&root.join("\"odd\nname"), "odd");
        remote(&root);
        let store = Store::open(&dir.path().join("cache"), Arc::new(Silent)).unwrap();
        let is_dirty = || {
            let revision = git::revision(&tree(&root), Some(&store), &env());
            revision.unwrap().unwrap().dirty
        };
        assert!(!is_dirty(), "{name}: before");
        change(&root);
        assert_eq!(is_dirty(), dirty, "{name}");
        assert_eq!(is_dirty(), dirty, "{name}: remembered");
        let status = git(&root, &["status", "--porcelain"]);
        assert_eq!(!status.is_empty(), dirty, "{name}: git says {status}");
    }
}

#[test]
fn a_hostile_git_config_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    std::fs::create_dir(&root).unwrap();
    write(
        &root.join(".gitattributes"),
        "* filter=evil diff=evil merge=evil\n",
    );
    let (_, two) = remote(&root);
    let ran = dir.path().join("ran");
    let evil = format!("touch {}; true", ran.display());
    write(
        &dir.path().join("included"),
        format!("[core]\nfsmonitor = \"{evil}\"\n"),
    );
    let config = format!(
        "[core]\nrepositoryformatversion = 1\nfsmonitor = \"{evil}\"\nhooksPath = {hooks}\n\
         sshCommand = \"{evil}\"\nworktree = /etc\npager = \"{evil}\"\neditor = \"{evil}\"\n\
         askPass = \"{evil}\"\ngitProxy = \"{evil}\"\nalternateRefsCommand = \"{evil}\"\n\
         [filter \"evil\"]\nclean = \"{evil}\"\nsmudge = \"{evil}\"\nprocess = \"{evil}\"\nrequired = true\n\
         [diff]\nexternal = \"{evil}\"\n[diff \"evil\"]\ntextconv = \"{evil}\"\ncommand = \"{evil}\"\n\
         [alias]\nrev-parse = \"!{evil}\"\ncat-file = \"!{evil}\"\n[include]\npath = {included}\n\
         [extensions]\npartialClone = origin\n\
         [remote \"origin\"]\nurl = \"ext::sh -c '{evil}'\"\npromisor = true\npartialclonefilter = blob:none\n\
         [protocol]\nallow = always\n[protocol \"ext\"]\nallow = always\n\
         [credential]\nhelper = \"!{evil}\"\n[gpg]\nprogram = \"{evil}\"\n[log]\nshowSignature = true\n\
         [uploadpack]\npackObjectsHook = \"{evil}\"\n[pager]\nfor-each-ref = \"{evil}\"\n",
        hooks = dir.path().join("hooks").display(),
        included = dir.path().join("included").display(),
    );
    let script = format!("#!/bin/sh\n{evil}\n");
    for hook in [
        "post-checkout",
        "post-index-change",
        "pre-commit",
        "reference-transaction",
    ] {
        for hooks in [root.join(".git/hooks"), dir.path().join("hooks")] {
            write(&hooks.join(hook), &script);
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(hooks.join(hook), mode).unwrap();
        }
    }
    write(
        &root.join(".git/config"),
        config.replace("worktree = /etc\n", ""),
    );
    // Times that moved make `git status` run the filter.
    write(&root.join("main.go"), "own");
    let _status = tool("git")
        .arg("-C")
        .arg(&root)
        .args(["-c", "safe.directory=*", "status"])
        .output();
    assert!(ran.exists(), "the trap works");
    std::fs::remove_file(&ran).unwrap();

    write(&root.join(".git/config"), &config);
    let found = revision(&root).unwrap().unwrap();
    assert_eq!((found.commit.as_str(), found.dirty), (two.as_str(), true));
    assert!(!ran.exists(), "something ran");

    // A missing object would be fetched from the "promisor".
    let id = git_plain(&root, &["rev-parse", &format!("{two}^{{tree}}")]);
    std::fs::remove_file(root.join(format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
    if ran.exists() {
        std::fs::remove_file(&ran).unwrap();
    }
    let error = revision(&root).unwrap_err();
    assert_eq!(error.code(), "SRC-GIT-READ");
    assert!(!ran.exists(), "a lazy fetch ran");
}

/// git without the hostile configuration's aliases in the way.
fn git_plain(root: &Path, args: &[&str]) -> String {
    git(
        root,
        &[
            &[
                "-c",
                "core.fsmonitor=false",
                "--git-dir=.git",
                "--work-tree=.",
            ],
            args,
        ]
        .concat(),
    )
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
