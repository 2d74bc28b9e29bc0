//! The commit of a local source.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use karisimbi::error::Coded as _;
use karisimbi::progress::Silent;
use karisimbi::source::SourceError;
use karisimbi::source::git::{self, Revision};
use karisimbi::store::Store;

use super::clones::{env, git, remote};
use super::{Action, tree};
use crate::support::{run, tool, write};

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

/// What is done to a clean work tree, and whether it is dirty then.
const CHANGES: [(&str, Action, bool); 10] = [
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

#[test]
fn dirt_is_what_git_status_calls_so() {
    for (name, change, dirty) in CHANGES {
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

/// A configuration that runs `evil` wherever git lets it.
fn hostile_config(dir: &Path, evil: &str) -> String {
    format!(
        "[core]\nrepositoryformatversion = 1\nfsmonitor = \"{evil}\"\nhooksPath = {hooks}\n\
         sshCommand = \"{evil}\"\nworktree = /etc\npager = \"{evil}\"\neditor = \"{evil}\"\n\
         askPass = \"{evil}\"\ngitProxy = \"{evil}\"\nalternateRefsCommand = \"{evil}\"\n\
         [filter \"evil\"]\nclean = \"{evil}\"\nsmudge = \"{evil}\"\nprocess = \"{evil}\"\nrequired = true\n\
         [diff]\nexternal = \"{evil}\"\n[diff \"evil\"]\ntextconv = \"{evil}\"\ncommand = \"{evil}\"\n\
         [alias]\nrev-parse = \"!{evil}\"\ncat-file = \"!{evil}\"\n[include]\npath = {included}\n\
         [extensions]\npartialClone = origin\n\
         [remote \"origin\"]\nurl = \"ext::{script}\"\npromisor = true\npartialclonefilter = blob:none\n\
         [protocol]\nallow = always\n[protocol \"ext\"]\nallow = always\n\
         [credential]\nhelper = \"!{evil}\"\n[gpg]\nprogram = \"{evil}\"\n[log]\nshowSignature = true\n\
         [uploadpack]\npackObjectsHook = \"{evil}\"\n[pager]\nfor-each-ref = \"{evil}\"\n",
        script = dir.join("hooks/pre-commit").display(),
        hooks = dir.join("hooks").display(),
        included = dir.join("included").display(),
    )
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
    let config = hostile_config(dir.path(), &evil);
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
    let config = config
        .replace("worktree = /etc\n", "")
        .replace("[alias]", "[unused]");
    write(&root.join(".git/config"), config);
    let mut lazy = tool("git");
    lazy.args(["-c", "safe.directory=*", "cat-file", "-t", &id])
        .current_dir(&root);
    let said = lazy.output().unwrap();
    assert!(ran.exists(), "the second trap works: {said:?}");
    std::fs::remove_file(&ran).unwrap();
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
