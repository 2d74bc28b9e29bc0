use super::*;
use crate::image::target::{Base, BaseFacts, Libc, LibcKind};
use crate::layer::ElfSummary;

/// `path` and `d`, `f`, `x`, `x#!line`, `ltarget`.
fn entries(members: &[(&str, &str)]) -> Vec<EntrySummary> {
    let entry = |(path, kind): &(&str, &str)| EntrySummary {
        path: (*path).to_owned(),
        kind: match &kind[..1] {
            "d" => EntryKind::Directory,
            "l" => EntryKind::Symlink,
            "x" => EntryKind::Executable,
            _ => EntryKind::File,
        },
        size: 0,
        target: kind.strip_prefix('l').map(str::to_owned),
        script: kind.strip_prefix("x#!").map(str::to_owned),
    };
    members.iter().map(entry).collect()
}

/// `glibc 2.36`
fn parsed(libc: &str) -> Libc {
    let (name, version) = libc.split_once(' ').unwrap_or((libc, ""));
    let kinds = [LibcKind::Glibc, LibcKind::Musl];
    Libc {
        kind: kinds.into_iter().find(|kind| kind.name() == name).unwrap(),
        version: Some(version.to_owned()).filter(|version| !version.is_empty()),
    }
}

fn target(base: &[(&str, &str)], libc: Option<&str>) -> Target {
    Target {
        platform: crate::platform::Platform::linux_amd64(),
        base: Base {
            name: "b".to_owned(),
            digest: None,
            config: serde_json::Map::new(),
            layers: Vec::new(),
        },
        facts: BaseFacts {
            entries: entries(base)
                .into_iter()
                .map(|entry| (entry.path.clone(), entry))
                .collect(),
            users: [(0, "root".to_owned()), (1001, "app".to_owned())].into(),
            libc: libc.map(parsed),
            ..BaseFacts::default()
        },
    }
}

fn runtime(entrypoint: &[&str], user: &str) -> RuntimeConfig {
    RuntimeConfig {
        entrypoint: entrypoint.iter().map(|&word| word.to_owned()).collect(),
        user: user.to_owned(),
        working_dir: "/app".to_owned(),
        ..RuntimeConfig::default()
    }
}

fn codes(findings: &[Finding]) -> Vec<String> {
    let shown = findings.iter().map(|finding| match finding.severity {
        Severity::Error => finding.code.to_owned(),
        Severity::Warning => format!("{} (warning)", finding.code),
    });
    shown.collect()
}

fn check(base: &[(&str, &str)], ours: &[(&str, &str)], entrypoint: &[&str]) -> Vec<Finding> {
    let layer = LayerSummary {
        entries: entries(ours),
        ..LayerSummary::default()
    };
    audit(
        &target(base, None),
        &[&layer],
        &runtime(entrypoint, "1001:1001"),
    )
    .unwrap()
}

const BASE: [(&str, &str); 8] = [
    ("bin", "lusr/bin"),
    ("usr/bin/sh", "x"),
    ("usr/bin/env", "lcoreutils"),
    ("usr/bin/coreutils", "x"),
    ("usr/local/bin/tool", "l/opt/tool/./run"),
    ("opt/tool/run", "x"),
    ("usr/bin/a", "lb"),
    ("usr/bin/b", "la"),
];
const OURS: [(&str, &str); 7] = [
    ("app/server", "x"),
    ("app/data", "f"),
    ("app/run.sh", "x#!/bin/sh -e"),
    ("app/run.py", "x#!/usr/bin/env python3"),
    ("app/run.env", "x#!/usr/bin/env -S sh -e"),
    ("app/run.bash", "x#!/bin/bash"),
    ("app/folder/x", "f"),
];
/// Entrypoint and the one finding.
const ENTRYPOINTS: [(&[&str], Option<&str>); 15] = [
    (&["/app/server"], None),
    (&["./server"], None),
    (&["sh", "-c", "x"], None),
    (&["tool"], None),
    (
        &["/bin/tool"],
        Some("IMAGE-ENTRYPOINT: the entrypoint /bin/tool is not in the image"),
    ),
    (&["/bin/../bin/sh"], None),
    (
        &["/app/data"],
        Some("IMAGE-ENTRYPOINT: the entrypoint /app/data is not executable"),
    ),
    (
        &["/app/server/x"],
        Some("IMAGE-ENTRYPOINT: the entrypoint /app/server/x is not in the image"),
    ),
    (
        &["a"],
        Some("IMAGE-ENTRYPOINT: the entrypoint a is not in the image"),
    ),
    (
        &["/bin/bash", "-c", "x"],
        Some("BASE-SHELL: the entrypoint needs /bin/bash, and the base has no shell"),
    ),
    (&["/app/run.sh"], None),
    (&["/app/run.env"], None),
    (
        &["/app/run.py"],
        Some(
            "BASE-SHELL: the entrypoint /app/run.py is a script for python3, which is not in the image",
        ),
    ),
    (
        &["/app/run.bash"],
        Some(
            "BASE-SHELL: the entrypoint /app/run.bash is a script for /bin/bash, which is not in the image",
        ),
    ),
    (
        &[],
        Some("IMAGE-ENTRYPOINT: the image says nothing about what to start"),
    ),
];

#[test]
fn entrypoints() {
    for (entrypoint, expected) in ENTRYPOINTS {
        let found = check(&BASE, &OURS, entrypoint);
        let found: Vec<String> = found
            .iter()
            .map(|f| format!("{}: {}", f.code, f.text))
            .collect();
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{entrypoint:?}"
        );
    }
}

const GLIBC: &[(&str, &str)] = &[("lib64/ld-linux-x86-64.so.2", "x"), ("lib/libc.so.6", "f")];
const MUSL: &[(&str, &str)] = &[("lib/ld-musl-x86_64.so.1", "x")];
const LINUX: Option<&str> = Some("/lib64/ld-linux-x86-64.so.2");
const ALPINE: Option<&str> = Some("/lib/ld-musl-x86_64.so.1");

fn elf(
    machine: &str,
    interpreter: Option<&str>,
    needed: &[&str],
    glibc: Option<&str>,
) -> ElfSummary {
    ElfSummary {
        path: "app/server".to_owned(),
        machine: machine.to_owned(),
        interpreter: interpreter.map(str::to_owned),
        needed: needed.iter().map(|&name| name.to_owned()).collect(),
        glibc: glibc.map(str::to_owned),
    }
}

/// Findings for an entrypoint with this ELF summary.
fn check_elf(base: &[(&str, &str)], libc: Option<&str>, elf: ElfSummary) -> Vec<String> {
    let layer = LayerSummary {
        entries: entries(&[("app/server", "x")]),
        elf: vec![elf],
        ..LayerSummary::default()
    };
    let runtime = runtime(&["/app/server"], "1001:1001");
    codes(&audit(&target(base, libc), &[&layer], &runtime).unwrap())
}

#[test]
fn machines_and_loaders() {
    let glibc = &["libc.so.6"][..];
    let musl = &["libc.musl-x86_64.so.1"][..];
    for (base, libc, elf, expected) in [
        (&[][..], None, elf("amd64", None, &[], None), &[][..]),
        (&[], None, elf("arm64", None, &[], None), &["BASE-ARCH"]),
        (
            &[],
            None,
            elf("amd64", LINUX, glibc, None),
            &["BASE-INTERP"],
        ),
        (
            MUSL,
            Some("musl 1.2.5"),
            elf("amd64", LINUX, glibc, None),
            &["BASE-MUSL"],
        ),
        (
            GLIBC,
            Some("glibc 2.36"),
            elf("amd64", ALPINE, musl, None),
            &["BASE-MUSL"],
        ),
        (MUSL, Some("musl"), elf("amd64", ALPINE, musl, None), &[]),
    ] {
        assert_eq!(
            check_elf(base, libc, elf.clone()),
            expected,
            "{elf:?} on {libc:?}"
        );
    }
}

#[test]
fn versions_and_libraries() {
    let glibc = &["libc.so.6"][..];
    for (libc, elf, expected) in [
        (
            "glibc 2.36",
            elf("amd64", LINUX, glibc, Some("2.38")),
            &["BASE-GLIBC"][..],
        ),
        ("glibc 2.36", elf("amd64", LINUX, glibc, Some("2.4")), &[]),
        ("glibc", elf("amd64", LINUX, glibc, Some("2.99")), &[]),
        (
            "glibc 2.41",
            elf("amd64", LINUX, &["libc.so.6", "libz.so.1"], None),
            &["BASE-LIBRARY"],
        ),
    ] {
        assert_eq!(
            check_elf(GLIBC, Some(libc), elf.clone()),
            expected,
            "{elf:?} on {libc}"
        );
    }
    let library = elf("amd64", None, glibc, None);
    let found = check_elf(MUSL, Some("musl"), library);
    assert_eq!(found, ["BASE-MUSL (warning)", "BASE-LIBRARY"]);
}

#[test]
fn accounts() {
    for (user, expected) in [
        ("1001:1001", None),
        ("1001", None),
        ("app", Some("BASE-UID (warning)")),
        ("2000:2000", Some("BASE-UID (warning)")),
        ("nobody", Some("BASE-UID")),
        ("0", Some("IMAGE-ROOT (warning)")),
        ("root", Some("IMAGE-ROOT (warning)")),
        ("", Some("IMAGE-ROOT (warning)")),
    ] {
        let layer = LayerSummary {
            entries: entries(&[("x", "x")]),
            ..LayerSummary::default()
        };
        let found = audit(&target(&[], None), &[&layer], &runtime(&["/x"], user)).unwrap();
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(codes(&found), expected, "{user}");
    }
}

#[test]
fn links_of_the_base_are_neither_crossed_nor_replaced() {
    let base = [
        ("lib", "lusr/lib"),
        ("etc/os-release", "l../usr/lib/os-release"),
    ];
    for (ours, expected) in [
        (
            &[("x", "x"), ("usr/lib/a", "f"), ("etc/os-release", "f")][..],
            None,
        ),
        (
            &[("lib/a", "f"), ("lib/b/c", "f"), ("x", "x")],
            Some("/lib is a link to usr/lib and would be replaced or followed by /lib/a, /lib/b/c"),
        ),
        (
            &[("lib", "d"), ("x", "x")],
            Some("/lib is a link to usr/lib and would be replaced or followed by /lib"),
        ),
    ] {
        let found = check(&base, ours, &["/x"]);
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(texts, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn everything_is_reported_at_once() {
    let ours = [
        ("lib/a", "f"),
        ("app/.env", "f"),
        ("app/id_rsa", "f"),
        ("app/server", "f"),
    ];
    let found = check(&[("lib", "lusr/lib")], &ours, &["/app/server"]);
    let expected = ["IMAGE-ENTRYPOINT", "BASE-SYMLINK", "SECRET-FILE (warning)"];
    assert_eq!(codes(&found), expected);
    assert_eq!(
        found[2].text,
        "the image holds what looks like secrets: /app/.env, /app/id_rsa"
    );
}

#[test]
fn nothing_of_the_base_is_removed() {
    let base = [
        ("bin", "lusr/bin"),
        ("etc", "d"),
        ("etc/passwd", "f"),
        ("tmp", "d"),
        ("usr", "d"),
        ("usr/bin", "d"),
        ("usr/bin/sh", "x"),
    ];
    for (ours, kind, removed) in [
        ("usr", "x", Some("/usr")),
        ("usr", "lapp", Some("/usr")),
        ("bin", "x", Some("/bin")),
        ("etc/passwd/app", "x", Some("/etc/passwd")),
        ("usr/bin/sh", "d", Some("/usr/bin/sh")),
        ("bin", "lusr/bin", None),
        ("tmp", "lvar/tmp", None),
        ("etc/passwd", "f", None),
        ("usr/bin/app", "x", None),
        ("usr", "d", None),
    ] {
        let findings = check(&base, &[(ours, kind), ("run", "x")], &["/run"]);
        let of_base = |finding: &&Finding| finding.code == "BASE-REMOVED";
        let found = findings.iter().find(of_base);
        let text = found.map(|finding| finding.text.clone());
        let wanted = removed.map(|path| format!("would remove {path} of the base"));
        let same = match (&text, &wanted) {
            (Some(text), Some(wanted)) => text.contains(wanted),
            (None, None) => true,
            _ => false,
        };
        assert!(same, "{ours} {kind}: {findings:?}");
    }
}
