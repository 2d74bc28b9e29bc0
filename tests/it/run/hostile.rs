//! Layers that try to get out of the folder that they are unpacked into.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::rig::{Member, Rig, Way, file, folder, hard_link, link, member, tar_of};
use crate::support::{fail, shown};

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It runs, with everything inside.
    Runs,
    /// It is refused.
    Refused,
}
use Fate::{Refused, Runs};

/// Everything in a folder: contents, modes, owners and link counts.
fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let stat = std::fs::symlink_metadata(&path).expect("a file");
        let content = if stat.is_file() {
            std::fs::read(&path).expect("its bytes")
        } else {
            Vec::new()
        };
        if stat.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        let mode = stat.permissions().mode();
        let text = format!("{mode:o} {} {} {content:?}", stat.uid(), stat.nlink());
        found.insert(path.display().to_string(), text);
    }
    found
}

fn raw(name: &[u8], content: &str) -> Member {
    let mut member = file("x", content);
    member.name = name.to_vec();
    member
}

/// Layers over a good one, and what becomes of them; `{W}` is a folder of this machine.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Fate, Vec<Vec<Member>>)> {
    let nested = |depth: usize| ["n"].repeat(depth).join("/");
    vec![
        (
            "absolute name",
            Runs,
            vec![vec![file("{W}/witness", "evil")]],
        ),
        (
            "dots in a name",
            Refused,
            vec![vec![file("../../../../{W}/witness", "evil")]],
        ),
        (
            "dots in the middle",
            Refused,
            vec![vec![file("a/../../../{W}/witness", "evil")]],
        ),
        (
            "a file through an absolute link",
            Runs,
            vec![vec![link("out", "{W}"), file("out/witness", "evil")]],
        ),
        (
            "the same in two layers",
            Runs,
            vec![vec![link("out", "{W}")], vec![file("out/witness", "evil")]],
        ),
        (
            "a file through a relative link",
            Runs,
            vec![vec![
                link("out", "../../../../../../../../../../../../{W}"),
                file("out/witness", "evil"),
            ]],
        ),
        (
            "a file through two links",
            Runs,
            vec![vec![
                link("a", "b"),
                link("b", "/../../{W}"),
                file("a/witness", "evil"),
            ]],
        ),
        (
            "a file over a link to a file",
            Runs,
            vec![vec![link("file", "{W}/witness"), file("file", "evil")]],
        ),
        (
            "a link that turns round",
            Refused,
            vec![vec![link("a", "b"), link("b", "a"), file("a/x", "evil")]],
        ),
        (
            "a folder over a link, then a file in it",
            Runs,
            vec![vec![
                link("out", "{W}"),
                folder("out"),
                file("out/witness", "inside"),
            ]],
        ),
        (
            "a mode through a link",
            Runs,
            vec![vec![
                link("out", "{W}"),
                member("out", b'5', "", 0o7777, b""),
            ]],
        ),
        (
            "a hard link to /etc/passwd of the machine",
            Refused,
            vec![vec![hard_link("x", "/etc/shadow")]],
        ),
        (
            "a hard link with dots",
            Refused,
            vec![vec![hard_link("x", "../../../../etc/passwd")]],
        ),
        (
            "a hard link through a link",
            Refused,
            vec![vec![link("out", "{W}"), hard_link("x", "out/witness")]],
        ),
        (
            "a hard link to a link, then written",
            Runs,
            vec![vec![
                link("out", "{W}/witness"),
                hard_link("x", "out"),
                file("x", "evil"),
            ]],
        ),
        (
            "a hard link to a folder",
            Refused,
            vec![vec![hard_link("x", "etc")]],
        ),
        (
            "a hard link to itself",
            Runs,
            vec![vec![file("x", "x"), hard_link("x", "x")]],
        ),
        (
            "a whiteout of ..",
            Refused,
            vec![vec![file("a/.wh...", "")]],
        ),
        ("a whiteout of .", Refused, vec![vec![file("a/.wh..", "")]]),
        ("a whiteout of the root", Runs, vec![vec![file(".wh.", "")]]),
        (
            "a whiteout through a link",
            Runs,
            vec![vec![link("out", "{W}")], vec![file("out/.wh.witness", "")]],
        ),
        (
            "an opaque folder through a link",
            Runs,
            vec![vec![link("out", "{W}")], vec![file("out/.wh..wh..opq", "")]],
        ),
        (
            "a whiteout of a link to a folder",
            Runs,
            vec![vec![link("out", "{W}")], vec![file(".wh.out", "")]],
        ),
        (
            "an opaque root",
            Refused,
            vec![vec![file(".wh..wh..opq", "")]],
        ),
        (
            "devices and pipes",
            Runs,
            vec![vec![
                member("null", b'3', "", 0o666, b""),
                member("disk", b'4', "", 0o666, b""),
                member("pipe", b'6', "", 0o666, b""),
                member("unknown", b'Z', "", 0o666, b""),
            ]],
        ),
        (
            "a file over a pipe's name",
            Runs,
            vec![vec![
                member("pipe", b'6', "", 0o666, b""),
                file("pipe", "text"),
            ]],
        ),
        (
            "set-id bits",
            Runs,
            vec![vec![member("root", b'0', "", 0o6755, b"#!/bin/probe\n")]],
        ),
        (
            "folders too deep",
            Refused,
            vec![vec![folder(&nested(300))]],
        ),
        (
            "folders too deep, through links",
            Refused,
            vec![vec![
                folder(&format!("a/{}", nested(150))),
                link("l", &format!("a/{}", nested(45))),
                folder(&format!("l/{}/m/{}", nested(105), nested(100))),
            ]],
        ),
        (
            "a name too long",
            Refused,
            vec![vec![file(&"n".repeat(300), "x")]],
        ),
        (
            "a path too long",
            Refused,
            vec![vec![file(&"nn/".repeat(1500), "x")]],
        ),
        (
            "names that are no text",
            Runs,
            vec![vec![raw(b"\xff\xfe", "x"), raw(b"a\x1b[2Jb\n", "x")]],
        ),
        (
            "a file where a folder is needed",
            Refused,
            vec![vec![file("etc/passwd/x", "evil")]],
        ),
        (
            "a sparse file",
            Refused,
            vec![vec![member("sparse", b'S', "", 0o644, b"")]],
        ),
        (
            "/etc as a link outside",
            Runs,
            vec![vec![file(".wh.etc", "")], vec![link("etc", "{W}")]],
        ),
        (
            "/etc/hosts as a link outside",
            Runs,
            vec![vec![link("etc/hosts", "{W}/witness")]],
        ),
        (
            "/tmp as a link to nothing",
            Refused,
            vec![vec![link("tmp", "/nowhere")]],
        ),
        (
            "/proc as a link",
            Refused,
            vec![vec![folder("p"), link("proc", "p")]],
        ),
        ("/dev as a link", Refused, vec![vec![link("dev", "/bin")]]),
        ("/dev as a file", Refused, vec![vec![file("dev", "")]]),
        (
            "/tmp as a link to the root",
            Refused,
            vec![vec![file(".wh.tmp", "")], vec![link("tmp", "..")]],
        ),
        (
            "/tmp as a link to a folder",
            Runs,
            vec![
                vec![file(".wh.tmp", "")],
                vec![folder("var/tmp"), link("tmp", "/var/tmp")],
            ],
        ),
        (
            "many names of one file",
            Runs,
            vec![
                (0..2000)
                    .map(|number| match number {
                        0 => file("n0", "x"),
                        number => hard_link(&format!("n{number}"), "n0"),
                    })
                    .collect(),
            ],
        ),
        (
            "a folder that is deleted and filled in turns",
            Runs,
            vec![
                (0..500)
                    .flat_map(|_| [folder("d"), file("d/x", "x"), file("d", "x")])
                    .collect(),
            ],
        ),
        (
            "a folder over the program",
            Refused,
            vec![
                vec![folder("bin/probe")],
                vec![file("bin/probe/x", "x"), hard_link("y", "bin/probe")],
            ],
        ),
    ]
}

#[test]
fn nothing_leaves_the_folder_as_root() {
    nothing_leaves(Way::Namespaces);
}

#[test]
fn nothing_leaves_the_folder_as_a_user() {
    nothing_leaves(Way::User);
}

fn nothing_leaves(way: Way) {
    let passwd = std::fs::read("/etc/passwd").expect("a file");
    let mut judged = 0;
    for (name, fate, layers) in cases() {
        let rig = Rig::new(way);
        let outside = rig.folder().join("outside");
        std::fs::create_dir(&outside).expect("a folder");
        rig.write("outside/witness", "as it was");
        let mode = if way == Way::User { "1001:1001" } else { "0:0" };
        crate::support::run(
            std::process::Command::new("chown")
                .args(["-R", mode])
                .arg(&outside),
        );
        let before = snapshot(&outside);
        let place = outside.display().to_string();
        for mut members in layers {
            for member in &mut members {
                member.link = member.link.replace("{W}", &place);
                if let Ok(text) = String::from_utf8(member.name.clone()) {
                    member.name = text.replace("{W}", &place).into_bytes();
                }
            }
            rig.add_layer(members);
        }
        let output = rig.run(&["exit=7"]).output().expect("a run");
        let text = shown(&output);
        let expected = match fate {
            Runs => 7,
            Refused => 125,
        };
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{name}, {way:?}: {text}"
        );
        if fate == Refused {
            assert!(text.contains("error["), "{name}: {text}");
        }
        assert_eq!(snapshot(&outside), before, "{name}, {way:?}");
        assert_eq!(
            std::fs::read("/etc/passwd").expect("a file"),
            passwd,
            "{name}"
        );
        no_rights(&rig.cache());
        rig.nothing_stays();
        judged += 1;
    }
    assert!(judged >= 40, "{judged} layers");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn archives_that_lie_are_refused() {
    let rig = Rig::new(Way::Namespaces);
    let config = r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#;
    let manifest = |config: &str, layers: &str| {
        file(
            "manifest.json",
            &format!(r#"[{{"Config":"{config}","RepoTags":["a:1"],"Layers":[{layers}]}}]"#),
        )
    };
    let good = file("config.json", config);
    for (name, members, code) in [
        ("nothing", vec![], "IMAGE-ARCHIVE"),
        ("no list", vec![file("manifest.json", "{}")], "IMAGE-JSON"),
        ("no image", vec![file("manifest.json", "[]")], "IMAGE-TAG"),
        (
            "a config outside",
            vec![manifest("../../../etc/passwd", "")],
            "IMAGE-ARCHIVE",
        ),
        (
            "a config by a link",
            vec![link("c", "/etc/passwd"), manifest("c", "")],
            "IMAGE-ARCHIVE",
        ),
        (
            "a layer outside",
            vec![good.clone(), manifest("config.json", r#""/etc/passwd""#)],
            "IMAGE-ARCHIVE",
        ),
        (
            "a link to itself",
            vec![
                good.clone(),
                link("l", "l"),
                manifest("config.json", r#""l""#),
            ],
            "IMAGE-ARCHIVE",
        ),
        (
            "a layer without a diff id",
            vec![
                good.clone(),
                file("l", "x"),
                manifest("config.json", r#""l""#),
            ],
            "RUN-IMAGE",
        ),
        (
            "a config of another kind",
            vec![file("config.json", "[]"), manifest("config.json", "")],
            "IMAGE-JSON",
        ),
        (
            "no program",
            vec![good, manifest("config.json", "")],
            "RUN-NOTHING",
        ),
    ] {
        let path = rig.folder().join("archive.tar");
        std::fs::write(&path, tar_of(&members)).expect("an archive");
        let archive = format!("docker-archive:{}", path.display());
        let (exit, stderr) = fail(rig.command().args(["run", &archive]));
        assert_eq!(exit, 125, "{name}: {stderr}");
        assert!(
            stderr.contains(&format!("error[{code}]")),
            "{name}: {stderr}"
        );
        rig.nothing_stays();
    }
}

/// No file of the cache has a set-id bit, or is anything but a file, a folder or a link.
fn no_rights(cache: &Path) {
    let mut open = vec![cache.to_owned()];
    while let Some(path) = open.pop() {
        let stat = std::fs::symlink_metadata(&path).expect("a file");
        let kind = stat.file_type();
        assert!(
            kind.is_file() || kind.is_dir() || kind.is_symlink(),
            "{}",
            path.display()
        );
        if kind.is_symlink() {
            continue;
        }
        assert_eq!(stat.permissions().mode() & 0o6000, 0, "{}", path.display());
        if kind.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
}
