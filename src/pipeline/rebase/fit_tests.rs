use super::*;
use crate::image::target::Libc;
use crate::image::{Blob, Layer, Stamp};
use crate::layer::Descriptor;

/// `d`, `f`, `x`, `ltarget`.
fn facts(members: &[(&str, &str)], libc: Option<&str>) -> BaseFacts {
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
        script: None,
    };
    BaseFacts {
        entries: members
            .iter()
            .map(|member| (member.0.to_owned(), entry(member)))
            .collect(),
        users: [(1001, "app".to_owned())].into(),
        libc: libc.map(|version| Libc {
            kind: LibcKind::Glibc,
            version: Some(version.to_owned()),
        }),
        ..BaseFacts::default()
    }
}

fn parts(history: &str) -> Parts {
    Parts {
        base: crate::base::Base {
            name: "b".to_owned(),
            digest: None,
            config: serde_json::Map::new(),
            layers: Vec::new(),
        },
        layers: vec![Layer {
            descriptor: Descriptor {
                media_type: oci_spec::image::MediaType::ImageLayerGzip,
                digest: crate::digest::Digest::of(b""),
                size: 0,
                annotations: BTreeMap::new(),
            },
            diff_id: crate::digest::DiffId(crate::digest::Digest::of(b"")),
            blob: Blob::Store,
            key: None,
            history: history.to_owned(),
        }],
        runtime: RuntimeConfig {
            entrypoint: vec!["/app/bin/x".to_owned()],
            user: "1001:1001".to_owned(),
            working_dir: "/app".to_owned(),
            ..RuntimeConfig::default()
        },
        stamp: Stamp::default(),
        foreign: Vec::new(),
    }
}

const BASE: &[(&str, &str)] = &[
    ("app", "d"),
    ("bin/sh", "x"),
    ("lib", "lusr/lib"),
    ("usr/lib/libz.so.1", "llibz.so.1.3"),
    ("usr/lib/libz.so.1.3", "f"),
    ("usr/share/doc", "d"),
];

#[test]
fn layers_are_read_when_what_they_may_need_differs() {
    let old = facts(BASE, Some("2.36"));
    let with = |more: &[(&str, &str)]| facts(&[BASE, more].concat(), Some("2.41"));
    let without = |path: &str| {
        let mut new = with(&[]);
        new.entries.remove(path);
        new
    };
    let older = facts(BASE, Some("2.9"));
    let mut nobody = with(&[]);
    nobody.users.clear();
    for (why, new, expected) in [
        (
            "an update",
            with(&[("usr/lib/libnew.so", "f")]),
            Reading::IfHere,
        ),
        ("a folder more", with(&[("opt", "d")]), Reading::IfHere),
        ("a text less", without("usr/share/doc"), Reading::IfHere),
        (
            "a folder of the program",
            with(&[("app/bin", "d")]),
            Reading::Always,
        ),
        (
            "a file in its place",
            with(&[("app/bin/x", "f")]),
            Reading::Always,
        ),
        (
            "a file in its folder's place",
            with(&[("app", "f")]),
            Reading::Always,
        ),
        ("a link", with(&[("srv", "lusr/lib")]), Reading::Always),
        ("no link", without("lib"), Reading::Always),
        (
            "a library less",
            without("usr/lib/libz.so.1.3"),
            Reading::Always,
        ),
        ("a program less", without("bin/sh"), Reading::Always),
        ("no x bit", with(&[("bin/sh", "f")]), Reading::Always),
        ("an older glibc", older, Reading::Always),
        ("no glibc", facts(BASE, None), Reading::Always),
        ("no account", nobody, Reading::Always),
    ] {
        assert_eq!(
            must_read(&old, &new, &parts("karisimbi go: program")),
            expected,
            "{why}"
        );
    }
    // A layer of files brings the folders that its base lacks.
    let new = with(&[("opt", "d")]);
    let files = parts("karisimbi files: files");
    assert_eq!(must_read(&old, &new, &files), Reading::Always);
    assert_eq!(must_read(&old, &with(&[]), &files), Reading::IfHere);
}

#[test]
fn layers_that_were_made_of_the_base_stay_on_it() {
    let authorities = |content: &str| BaseFacts {
        authorities: [(
            "x".to_owned(),
            crate::digest::Digest::of(content.as_bytes()),
        )]
        .into(),
        ..BaseFacts::default()
    };
    let with_node = BaseFacts {
        node: Some(Node {
            version: "24.1.0".to_owned(),
            abi: 137,
            path: "/usr/bin/node".to_owned(),
        }),
        ..authorities("a")
    };
    let (a, b) = (authorities("a"), authorities("b"));
    let codes = |layer: &str, old: &BaseFacts, new: &BaseFacts, layers: usize| {
        let parts = parts(&format!("karisimbi go: {layer}"));
        let mut base = parts.base.clone();
        let below = crate::base::BaseLayer {
            descriptor: parts.layers[0].descriptor.clone(),
            diff_id: parts.layers[0].diff_id,
            blob: Blob::Store,
        };
        base.layers = vec![below; layers];
        let findings = own::made_of_base(&parts, old, &base, new);
        findings
            .iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes("ca-certificates", &a, &b, 0), ["REBASE-CA"]);
    assert_eq!(codes("ca-certificates", &a, &with_node, 0), ["REBASE-CA"]);
    assert_eq!(codes("ca-certificates", &a, &a, 1), [""; 0]);
    assert_eq!(codes("os-packages", &a, &a, 1), ["REBASE-PACKAGES"]);
    assert_eq!(codes("os-packages", &a, &b, 0), [""; 0]);
    assert_eq!(codes("program", &a, &b, 1), [""; 0]);
}
