//! `ca_certs`: authorities of one's own on any base.

use std::collections::BTreeMap;

use karisimbi::base::{Base, BaseLayer, ca_layer};
use karisimbi::image::Blob;
use karisimbi::layer::{
    Compression, Content, Entry, EntryPath, Executable, InlineLayer, LayerDescription, LayerKey,
    LayerSource as _, Node, Owner,
};

use super::{World, base_files, certificate, content, list};

fn layer(entries: Vec<Entry>) -> InlineLayer {
    let description = LayerDescription {
        name: "x".to_owned(),
        kind: "x".to_owned(),
        contents: "x".to_owned(),
    };
    InlineLayer::new(LayerKey::new("x", 1), description, entries)
}

/// A base of one layer with these files; a target after `-> ` makes a link.
fn base(world: &World, files: &[(&str, String)]) -> Base {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for (path, text) in files {
        let mut parent = EntryPath::new(*path).unwrap().parent();
        while let Some(folder) = parent {
            parent = folder.parent();
            let node = Node::Directory {
                mode: 0o755,
                owner: Owner::ROOT,
            };
            let name = folder.as_str().to_owned();
            entries.insert(
                name,
                Entry {
                    path: folder,
                    node,
                    package: None,
                },
            );
        }
        let node = match text.strip_prefix("-> ") {
            Some(target) => Node::Symlink {
                target: target.to_owned(),
            },
            None => Node::File {
                executable: Executable::No,
                content: Content::Bytes(text.as_bytes().into()),
            },
        };
        let path = EntryPath::new(*path).unwrap();
        entries.insert(
            path.as_str().to_owned(),
            Entry {
                path,
                node,
                package: None,
            },
        );
    }
    let layer = layer(entries.into_values().collect());
    let inputs = karisimbi::layer::Inputs::default();
    let record = world
        .store
        .encode_blob(&world.encoder, Compression::Gzip, |out| {
            layer.write(&inputs, out)
        })
        .unwrap();
    Base {
        name: "example.org/base".to_owned(),
        digest: None,
        config: serde_json::Map::new(),
        layers: vec![BaseLayer {
            descriptor: record.descriptor,
            diff_id: record.diff_id,
            blob: Blob::Store,
        }],
    }
}

/// Files of a base, and the real places of its bundles.
struct Case {
    files: Vec<(&'static str, String)>,
    bundles: &'static [&'static str],
}

fn cases() -> [Case; 5] {
    const DEBIAN: &str = "etc/ssl/certs/ca-certificates.crt";
    const ALPINE: &str = "etc/ssl/cert.pem";
    const RED_HAT: &str = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    let one = || certificate(1);
    let link = |target: &str| format!("-> {target}");
    [
        Case {
            files: vec![(DEBIAN, one())],
            bundles: &[DEBIAN],
        },
        Case {
            files: vec![(DEBIAN, one()), (ALPINE, link("certs/ca-certificates.crt"))],
            bundles: &[DEBIAN],
        },
        // Alpine as it once was: the link is the other name.
        Case {
            files: vec![(ALPINE, one()), (DEBIAN, link("../cert.pem"))],
            bundles: &[ALPINE],
        },
        // Behind three links.
        Case {
            files: vec![
                (RED_HAT, one()),
                ("etc/pki/tls/certs", link("../ca-trust/here")),
                (
                    "etc/pki/ca-trust/here/ca-bundle.crt",
                    link(&format!("/{RED_HAT}")),
                ),
                ("etc/ssl", link("/etc/pki/tls")),
            ],
            bundles: &[RED_HAT],
        },
        // Two that nothing links.
        Case {
            files: vec![(ALPINE, one()), ("etc/ssl/ca-bundle.pem", one())],
            bundles: &["etc/ssl/ca-bundle.pem", ALPINE],
        },
    ]
}

#[test]
fn authorities_are_added_where_the_base_has_its_bundle() {
    let one = certificate(1);
    for case in cases() {
        let world = World::new();
        let base = base(&world, &case.files);
        let pems = [
            (
                "corp.pem".to_owned(),
                format!("# Corp\n{}{one}", certificate(7)).into_bytes(),
            ),
            ("again.pem".to_owned(), certificate(7).into_bytes()),
        ];
        let layer = ca_layer(&base, &pems, &world.base_context()).unwrap();
        let blob = world.write("ca.tar.gz", layer.as_ref());
        let names = list(&blob);
        let expected: Vec<String> = case
            .bundles
            .iter()
            .map(|path| format!("-rw-r--r-- 0/0 {path}"))
            .collect();
        assert_eq!(names, expected);
        for path in case.bundles {
            assert_eq!(content(&blob, path), format!("{one}{}", certificate(7)));
        }
    }
}

#[test]
fn a_base_without_a_bundle_gets_one() {
    let world = World::new();
    let base = base(&world, &[("etc/passwd", "root:x:0:0\n".to_owned())]);
    let pems = [("corp.pem".to_owned(), certificate(7).into_bytes())];
    let layer = ca_layer(&base, &pems, &world.base_context()).unwrap();
    let blob = world.write("ca.tar.gz", layer.as_ref());
    assert_eq!(
        list(&blob),
        [
            "drwxr-xr-x 0/0 etc/ssl/",
            "drwxr-xr-x 0/0 etc/ssl/certs/",
            "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
        ]
    );
    assert_eq!(
        content(&blob, "etc/ssl/certs/ca-certificates.crt"),
        certificate(7)
    );
}

#[test]
fn an_assembled_base_takes_authorities_too() {
    let world = World::new();
    let base = world
        .assemble(&[base_files().build(world.path(), "xz")])
        .unwrap();
    let pems = [("corp.pem".to_owned(), certificate(7).into_bytes())];
    let layer = ca_layer(&base, &pems, &world.base_context()).unwrap();
    let blob = world.write("ca.tar.gz", layer.as_ref());
    assert_eq!(
        list(&blob),
        ["-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt"]
    );
    let bundle = content(&blob, "etc/ssl/certs/ca-certificates.crt");
    assert_eq!(
        bundle,
        format!("{}{}{}", certificate(1), certificate(2), certificate(7))
    );
    // Another certificate, another layer; the same one, the same layer.
    let key = |seed| {
        let pems = [("x".to_owned(), certificate(seed).into_bytes())];
        let layer = ca_layer(&base, &pems, &world.base_context()).unwrap();
        layer.key().digest()
    };
    assert_eq!(key(7), layer.key().digest());
    assert_ne!(key(8), layer.key().digest());
}

#[test]
fn files_that_are_no_certificates_are_refused() {
    let world = World::new();
    let base = base(&world, &[("etc/passwd", String::new())]);
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (text, message) in [
        (
            String::new(),
            "corp.pem: it holds no certificate in PEM form",
        ),
        (
            certificate(1).replace('M', "A"),
            "corp.pem: a certificate in it is damaged",
        ),
        (
            format!("{}{private}", certificate(1)),
            "corp.pem holds a private key, which an image must never hold",
        ),
    ] {
        use karisimbi::error::Coded as _;
        let pems = [("corp.pem".to_owned(), text.into_bytes())];
        let error = ca_layer(&base, &pems, &world.base_context()).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("BASE-CERT", message)
        );
    }
}
