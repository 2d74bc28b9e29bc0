//! Layers that try to get out, and what becomes of each.

use super::rig::{Member, file, folder, hard_link, link, member};

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs, with everything inside.
    Runs,
    /// It is refused.
    Refused,
}
pub(super) use Fate::{Refused, Runs};

fn raw(name: &[u8], content: &str) -> Member {
    let mut member = file("x", content);
    member.name = name.to_vec();
    member
}

/// Layers over a good one, and what becomes of them; `{W}` is a folder of this machine.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<(&'static str, Fate, Vec<Vec<Member>>)> {
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
