//! Packages that nobody should believe.

use std::os::unix::fs::PermissionsExt as _;

use tar::EntryType;

use super::package::{Odd, PLAIN, Package, ar_of, control, raw, save, tar_of, xz};
use super::{World, base_files, told};

const LINK: Odd = Odd {
    path: b"./usr/share/l",
    kind: EntryType::Symlink,
    link: b"/etc",
    content: b"",
    ..PLAIN
};

/// Members, and why they are refused.
const MEMBERS: &[(&[Odd], &str)] = &[
    (
        &[Odd {
            path: b"/etc/x",
            ..PLAIN
        }],
        "/etc/x is refused: it is absolute",
    ),
    (
        &[Odd {
            path: b".//etc/x",
            ..PLAIN
        }],
        "it is absolute",
    ),
    (
        &[Odd {
            path: b"./a/../../x",
            ..PLAIN
        }],
        "./a/../../x is refused: it has a . or .. component",
    ),
    (
        &[Odd {
            path: b"././a",
            ..PLAIN
        }],
        "it has a . or .. component",
    ),
    (
        &[Odd {
            path: b"..",
            ..PLAIN
        }],
        "it has a . or .. component",
    ),
    (
        &[Odd {
            path: b"./a//b",
            ..PLAIN
        }],
        "it has an empty component",
    ),
    (
        &[Odd {
            path: b"./\xff",
            ..PLAIN
        }],
        "\\xff is refused: it is not UTF-8",
    ),
    (
        &[Odd {
            path: b"./usr/.wh.x",
            ..PLAIN
        }],
        "would delete files of a base",
    ),
    (
        &[Odd {
            path: b".",
            ..PLAIN
        }],
        "it is the root, but no folder",
    ),
    (
        &[Odd {
            path: b"./",
            kind: EntryType::Symlink,
            content: b"",
            link: b"/",
            ..PLAIN
        }],
        "it is the root, but no folder",
    ),
    (
        &[Odd {
            mode: 0o4755,
            ..PLAIN
        }],
        "set-user-id or set-group-id",
    ),
    (
        &[Odd {
            mode: 0o2755,
            ..PLAIN
        }],
        "set-user-id or set-group-id",
    ),
    (
        &[Odd {
            kind: EntryType::Char,
            content: b"",
            ..PLAIN
        }],
        "it is a device or a fifo",
    ),
    (
        &[Odd {
            kind: EntryType::Block,
            content: b"",
            ..PLAIN
        }],
        "it is a device or a fifo",
    ),
    (
        &[Odd {
            kind: EntryType::Fifo,
            content: b"",
            ..PLAIN
        }],
        "it is a device or a fifo",
    ),
    (&[PLAIN, PLAIN], "./usr/share/x is refused: it comes twice"),
    (
        &[Odd {
            kind: EntryType::Symlink,
            content: b"",
            link: b"",
            ..PLAIN
        }],
        "its link target is no path",
    ),
    (
        &[Odd {
            kind: EntryType::Link,
            content: b"",
            link: b"./etc/shadow",
            ..PLAIN
        }],
        "it is a hard link to no file of the package",
    ),
    (
        &[Odd {
            kind: EntryType::Link,
            content: b"",
            link: b"../x",
            ..PLAIN
        }],
        "it has a . or .. component",
    ),
    (
        &[
            LINK,
            Odd {
                path: b"./usr/share/l/x",
                ..PLAIN
            },
        ],
        "usr/share/l/x is refused: a folder above it is a link or a file",
    ),
    (
        &[
            PLAIN,
            Odd {
                path: b"./usr/share/x/y",
                ..PLAIN
            },
        ],
        "usr/share/x/y is refused: a folder above it is a link or a file",
    ),
];

#[test]
fn members_that_would_harm_are_refused() {
    for (members, message) in MEMBERS {
        let world = World::new();
        let deb = raw(world.path(), "data.tar", &tar_of(members));
        let (code, text) = told(&world.assemble(&[deb]).unwrap_err());
        assert_eq!(code, "BASE-PATH", "{message}: {text}");
        assert!(
            text.starts_with("package x: ") && text.contains(message),
            "{text}"
        );
        nothing_left(&world);
    }
}

#[test]
fn damaged_packages_are_refused() {
    let world = World::new();
    let tar = tar_of(&[PLAIN]);
    let good = xz(world.path(), &tar, &[]);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    // 80 MB of zeros in some kB, and a dictionary that the header only announces.
    let bomb = xz(world.path(), &vec![0; 80 << 20], &["-9"]);
    let large = xz(world.path(), &tar, &["--lzma2=dict=256MiB"]);
    let mut zeros = tar.clone();
    zeros[100] = b'9';
    let mut sparse = tar_of(&[Odd {
        kind: EntryType::GNUSparse,
        content: b"",
        ..PLAIN
    }]);
    let mut header = tar::Header::from_byte_slice(&sparse[..512]).clone();
    header.as_gnu_mut().unwrap().set_real_size(64);
    header.set_cksum();
    sparse[..512].copy_from_slice(header.as_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("data.tar.xz", good[..good.len() - 8].to_vec(), "is damaged"),
        ("data.tar.xz", flipped, "is damaged"),
        ("data.tar.xz", tar.clone(), "is damaged"),
        ("data.tar.gz", tar.clone(), "is damaged"),
        ("data.tar.zst", tar.clone(), "is damaged"),
        ("data.tar.xz", bomb, "is damaged: it unpacks to more than 6"),
        ("data.tar.xz", large, "is damaged"),
        ("data.tar", tar[..500].to_vec(), "ends inside a"),
        ("data.tar", zeros, "wrong checksum"),
        ("data.tar", sparse, "it is a sparse file"),
    ];
    for (name, data, message) in cases {
        let deb = raw(world.path(), name, &data);
        let (code, text) = told(&world.assemble(&[deb]).unwrap_err());
        assert!(
            ["BASE-DEB", "BASE-PATH"].contains(&code),
            "{name}: {code} {text}"
        );
        assert!(
            text.contains(message) || code == "BASE-PATH",
            "{name}: {text}"
        );
        nothing_left(&world);
    }
}

#[test]
fn unknown_compressions_are_named() {
    let world = World::new();
    let tar = tar_of(&[PLAIN]);
    for name in [
        "data.tar.bz2",
        "data.tar.lzma",
        "data.tar.x",
        "control.tar.lz4",
    ] {
        let members: [(&str, &[u8]); 3] = match name.strip_prefix("control") {
            Some(_) => [
                ("debian-binary", b"2.0\n"),
                (name, b"?"),
                ("data.tar", &tar),
            ],
            None => [
                ("debian-binary", b"2.0\n"),
                ("control.tar", &control()),
                (name, b"?"),
            ],
        };
        let deb = save(world.path(), &ar_of(&members));
        let text = format!("package x: {name} is compressed in a way that is not known");
        assert_eq!(
            told(&world.assemble(&[deb]).unwrap_err()),
            ("BASE-COMPR", text)
        );
    }
    let deb = save(world.path(), b"<html>404</html>");
    let text = "package x: its file is damaged: it is no ar archive".to_owned();
    assert_eq!(
        told(&world.assemble(&[deb]).unwrap_err()),
        ("BASE-DEB", text)
    );
}

#[test]
fn a_package_must_be_the_one_that_was_locked() {
    let world = World::new();
    for (control, message) in [
        (
            &b"Package: y\nVersion: 1\nArchitecture: amd64\n"[..],
            "package x: its file says that it is y 1 amd64, not x 1 amd64",
        ),
        (
            b"package: x\nversion: 2\nArchitecture: amd64\n",
            "it is x 2 amd64, not",
        ),
        (
            b"Package: x\nVersion: 1\nArchitecture: arm64\n",
            "it is x 1 arm64, not",
        ),
        // A second stanza is none of its business.
        (
            b"Package: x\nVersion: 1\n\nArchitecture: amd64\n",
            "it is x 1 , not",
        ),
        (b"\x1b[31m\xff", "it is   , not"),
    ] {
        let members = [Odd {
            path: b"./control",
            content: control,
            ..PLAIN
        }];
        let members: [(&str, &[u8]); 3] = [
            ("debian-binary", b"2.0\n"),
            ("control.tar", &tar_of(&members)),
            ("data.tar", &tar_of(&[PLAIN])),
        ];
        let deb = save(world.path(), &ar_of(&members));
        let (code, text) = told(&world.assemble(&[deb]).unwrap_err());
        assert_eq!(code, "BASE-DEB");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn programs_of_another_processor_are_refused() {
    let world = World::new();
    let mut arm = b"\x7fELF\x02\x01\x01".to_vec();
    arm.resize(64, 0);
    arm[18] = 183;
    let debs = [
        base_files().build(world.path(), "xz"),
        Package::new("arm")
            .program("usr/bin/arm", &arm)
            .build(world.path(), "xz"),
    ];
    let text = "/usr/bin/arm of the packages is a program for arm64, not for amd64".to_owned();
    assert_eq!(
        told(&world.assemble(&debs).unwrap_err()),
        ("BASE-ARCH", text)
    );
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let world = World::new();
    let deb = base_files().build(world.path(), "xz");
    std::fs::remove_file(&deb.path).unwrap();
    let error = world.assemble(std::slice::from_ref(&deb)).unwrap_err();
    assert_eq!(told(&error).0, "BASE-DISK");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&deb.path.display().to_string()), "{source}");
    let mode = std::fs::metadata(world.path())
        .unwrap()
        .permissions()
        .mode();
    assert_ne!(mode & 0o700, 0);
}

/// No unpacked file stays in the store.
fn nothing_left(world: &World) {
    let folder = world.store.temporary_folder().unwrap();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
