//! Which packages are taken, and from where.

use karisimbi::base::deb::{Mirrors, Security, newer};
use karisimbi::base::lock::{LockedDeb, LockedPlatform};

use super::mirror::{Mirror, Package, package};
use super::{Machine, names, told};
use crate::support::write;

const SUITE: [Package; 9] = [
    package(
        "app",
        "1.0",
        "Pre-Depends: awk\nDepends: lib (>= 2), mail | postbox, left-out",
    ),
    package("lib", "2.0-1", "Depends: deep:any (>= 1) [amd64]"),
    package("deep", "1:1", ""),
    package("mawk", "1", "Provides: awk"),
    package("gawk", "2", "Provides: awk"),
    package("postbox", "3", ""),
    package("versioned", "1", "Depends: virtual (>= 3)"),
    package("provider", "1", "Provides: virtual (= 4), unversioned"),
    package("wrong", "1", "Depends: unversioned (>= 1)"),
];

#[test]
fn the_closure_follows_alternatives_providers_and_versions() {
    let mirror = Mirror::new(&SUITE);
    for (roots, expected) in [
        (
            vec!["app"],
            vec!["app 1.0", "deep 1:1", "gawk 2", "lib 2.0-1", "postbox 3"],
        ),
        // What was asked for satisfies before anything is chosen.
        (
            vec!["mawk", "app"],
            vec!["app 1.0", "deep 1:1", "lib 2.0-1", "mawk 1", "postbox 3"],
        ),
        (vec!["versioned"], vec!["provider 1", "versioned 1"]),
        (vec!["left-out"], vec![]),
    ] {
        let resolution = Machine::of(&mirror).resolve(&roots).expect("packages");
        assert_eq!(names(&resolution), expected);
    }
    let resolution = Machine::of(&mirror).resolve(&["app"]).expect("packages");
    let why: Vec<&str> = resolution.packages[0]
        .iter()
        .map(|p| p.why.as_str())
        .collect();
    assert_eq!(why, ["root", "lib", "app", "app", "app"]);
}

#[test]
fn what_can_not_be_satisfied_says_the_chain() {
    let chain = [
        package("top", "1", "Depends: middle"),
        package("middle", "1", "Depends: gone (>= 2) | lost"),
        package("old", "1", "Depends: middle (>= 2)"),
        package("wrong", "1", "Depends: unversioned (>= 1)"),
        package("provider", "1", "Provides: unversioned"),
    ];
    let mirror = Mirror::new(&chain);
    for (root, words) in [
        (
            "top",
            "gone (>= 2) | lost can't be installed: no package satisfies it; it is needed by the \
             base → top → middle",
        ),
        (
            "nothing",
            "nothing can't be installed: no such package; it is needed by the base",
        ),
        ("old", "middle (>= 2) can't be installed"),
        ("wrong", "unversioned (>= 1) can't be installed"),
    ] {
        let told = told(&Machine::of(&mirror).resolve(&[root]).expect_err(root));
        assert!(told.starts_with("BASE-DEP"), "{told}");
        assert!(told.contains(words), "{told}");
    }
}

/// A mirror with updates, and security fixes beside it.
fn with_parts() -> Mirror {
    let mirror = Mirror::new(&[
        package("a", "1", ""),
        package("b", "1", ""),
        package("c", "1", ""),
    ]);
    let updates = mirror.index("trixie-updates", &[package("b", "2", "")]);
    mirror.sign(&updates, &[&mirror.signer]);
    let fixes = mirror.index(
        "trixie-security",
        &[package("b", "1.5", ""), package("c", "1+deb13u1", "")],
    );
    mirror.sign(&fixes, &[&mirror.signer]);
    let beside = mirror.folder().join("debian-security");
    fs_err::create_dir_all(beside.join("dists")).expect("a folder");
    fs_err::rename(
        mirror.file("dists/trixie-security"),
        beside.join("dists/trixie-security"),
    )
    .expect("a folder");
    for name in ["b_1.5", "c_1+deb13u1"] {
        let path = format!("pool/main/x/{name}_amd64.deb");
        let contents = fs_err::read(mirror.file(&path)).expect("a file");
        fs_err::remove_file(mirror.file(&path)).expect("a file");
        write(&beside.join(&path), contents);
    }
    mirror
}

#[test]
fn the_highest_version_of_the_three_parts_wins() {
    let mirror = with_parts();
    let machine = Machine::of(&mirror);
    let resolution = machine.resolve(&["a", "b", "c"]).expect("packages");
    assert_eq!(names(&resolution), ["a 1", "b 2", "c 1+deb13u1"]);
    let from: Vec<&str> = resolution.packages[0]
        .iter()
        .map(|p| p.suite.as_str())
        .collect();
    assert_eq!(from, ["trixie", "trixie-updates", "trixie-security"]);
    let mirrors: Vec<&str> = resolution
        .sources
        .iter()
        .map(|s| s.mirror.as_str())
        .collect();
    let security = format!("{}-security", mirror.url());
    assert_eq!(mirrors, [&mirror.url(), &mirror.url(), &security]);
    assert_eq!(machine.warnings(), Vec::<String>::new());
    let fetched = machine.fetch(&resolution).expect("files");
    let bytes = fs_err::read_to_string(&fetched[2].path).expect("a file");
    assert_eq!(bytes, "!<arch>\nc 1+deb13u1");
}

#[test]
fn a_mirror_without_updates_and_fixes_is_taken_with_a_warning() {
    let mirror = Mirror::new(&[package("a", "1", "")]);
    let machine = Machine::of(&mirror);
    let resolution = machine.resolve(&["a"]).expect("packages");
    assert_eq!(resolution.sources.len(), 1);
    // The parts are asked for side by side.
    let mut warnings = machine.warnings();
    warnings.sort();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].starts_with("BASE-PART: trixie-updates is left out"));
    assert!(
        warnings[0].contains("so security fixes are not"),
        "{warnings:?}"
    );
}

#[test]
fn the_machines_sources_are_used_when_no_mirror_is_configured() {
    let mirror = with_parts();
    let apt = tempfile::tempdir().expect("a folder");
    // Of another release, as on a machine that builds for a newer one.
    let sources = format!(
        "Types: deb\nURIs: {0}\nSuites: bookworm bookworm-updates\nComponents: main\n\
         Signed-By: {1}\n\nTypes: deb\nURIs: {0}-security\nSuites: bookworm-security\n\
         Components: main\nSigned-By: {1}\n\nTypes: deb\nURIs: file:///none\nSuites: other\n\
         Components: main\n",
        mirror.url(),
        mirror.folder().join("keys.gpg").display()
    );
    write(&apt.path().join("sources.list.d/debian.sources"), sources);
    let machine = Machine::with(Mirrors {
        apt_folder: Some(apt.path().to_owned()),
        ..Mirrors::default()
    });
    let resolution = machine.resolve(&["a", "b", "c"]).expect("packages");
    assert_eq!(names(&resolution), ["a 1", "b 2", "c 1+deb13u1"]);
}

#[test]
fn without_any_mirror_both_remedies_are_told() {
    let apt = tempfile::tempdir().expect("a folder");
    for mirrors in [
        Mirrors::default(),
        Mirrors {
            apt_folder: Some(apt.path().to_owned()),
            ..Mirrors::default()
        },
    ] {
        let error = Machine::with(mirrors)
            .resolve(&["a"])
            .expect_err("no mirror");
        assert!(told(&error).starts_with("BASE-NOMIRROR"), "{error}");
        let hint = karisimbi::error::Coded::hint(&error).expect("a hint");
        assert!(
            hint.contains("--mirror") && hint.contains("/etc/apt"),
            "{hint}"
        );
    }
}

#[test]
fn newer_versions_and_fixes_are_told_apart() {
    let mirror = with_parts();
    let machine = Machine::of(&mirror);
    let mut packages = machine
        .resolve(&["a", "b", "c"])
        .expect("packages")
        .packages
        .remove(0);
    for package in &mut packages {
        package.version = if package.name == "b" { "1.6" } else { "1" }.to_owned();
    }
    let platform = LockedPlatform {
        packages,
        ..LockedPlatform::default()
    };
    let locked = LockedDeb {
        suite: "trixie".to_owned(),
        set: "cc".to_owned(),
        os_packages: Vec::new(),
        filter_version: 1,
        sources: Vec::new(),
        roots: Vec::new(),
        platforms: [("linux/amd64".to_owned(), platform)].into(),
    };
    let found = machine.act(|context| newer(&locked, "linux/amd64", context));
    let found: Vec<(String, String, Security)> = found
        .expect("versions")
        .into_iter()
        .map(|newer| (newer.package.name, newer.newest.version, newer.security))
        .collect();
    assert_eq!(
        found,
        [
            ("b".to_owned(), "2".to_owned(), Security::No),
            ("c".to_owned(), "1+deb13u1".to_owned(), Security::Yes),
        ]
    );
}

#[test]
fn what_was_fetched_once_needs_no_mirror() {
    let mirror = Mirror::new(&[package("a", "1", "")]);
    let machine = Machine::of(&mirror);
    let resolution = machine.resolve(&["a"]).expect("packages");
    let first = machine.fetch(&resolution).expect("files");
    drop(mirror);
    let second = machine.fetch(&resolution).expect("files");
    assert_eq!(first[0].path, second[0].path);
}
