use super::*;
use crate::image::target::BaseLayer;

fn descriptor(text: &str) -> Descriptor {
    Descriptor {
        media_type: MediaType::ImageLayerGzip,
        digest: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        annotations: [("a".to_owned(), "b".to_owned())].into(),
    }
}

fn base(name: &str, config: &Value) -> Base {
    Base {
        name: name.to_owned(),
        digest: Some(Digest::of(b"base manifest")),
        config: config.as_object().unwrap().clone(),
        layers: vec![BaseLayer {
            descriptor: descriptor("base"),
            diff_id: DiffId(Digest::of(b"base tar")),
            blob: Blob::Store,
        }],
    }
}

fn tiny(name: &str) -> Image {
    let base = base(
        name,
        &json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"],
            "OnBuild": null}, "history": [{"created_by": "x"}, {"created_by": "CMD", "empty_layer": true}],
            "vendor.example": {"b": 1, "a": [1.5]}}),
    );
    let layer = Layer {
        descriptor: descriptor("ours"),
        diff_id: DiffId(Digest::of(b"our tar")),
        blob: Blob::Store,
        key: Some(Digest::of(b"key")),
        history: "karisimbi go@1".to_owned(),
    };
    let runtime = RuntimeConfig {
        entrypoint: vec!["/app/server".to_owned()],
        env: [("PORT".to_owned(), "8080".to_owned())].into(),
        user: "1001:1001".to_owned(),
        working_dir: "/app".to_owned(),
        ports: vec![8080],
        ..RuntimeConfig::default()
    };
    let stamp = Stamp {
        created: 1_700_000_000,
        title: Some("server".to_owned()),
        version: Some("1.2.3".to_owned()),
        source: Some("https://git.example/a/b".to_owned()),
        revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
    };
    Image::assemble(&Platform::linux_amd64(), &base, &[layer], &runtime, &stamp).unwrap()
}

/// These bytes are published: they may change only with a CHANGELOG line under "Image bytes".
#[test]
fn config_and_manifest_bytes_are_pinned() {
    let image = tiny("h.example/base:1");
    let golden = include_str!("golden/config.json").trim_end();
    assert_eq!(String::from_utf8_lossy(&image.config.bytes), golden);
    let golden = include_str!("golden/manifest.json").trim_end();
    assert_eq!(String::from_utf8_lossy(&image.manifest.bytes), golden);
}

#[test]
fn the_path_of_a_layout_reaches_no_bytes() {
    for (name, written) in [
        ("static", Some("static")),
        ("h.example/b:1", Some("h.example/b:1")),
        ("oci:/home/me/base:v1", None),
    ] {
        let manifest: Manifest = tiny(name).manifest.read().unwrap();
        let found = manifest
            .annotations
            .get("org.opencontainers.image.base.name");
        assert_eq!(found.map(String::as_str), written, "{name}");
        assert!(
            manifest
                .annotations
                .contains_key("org.opencontainers.image.base.digest")
        );
        assert!(manifest.layers[0].annotations.is_empty());
    }
}

#[test]
fn an_index_does_not_depend_on_the_order_of_flags() {
    let amd64 = tiny("static");
    let mut arm64 = amd64.clone();
    arm64.platform.architecture = "arm64".to_owned();
    let one = index(&[amd64.clone(), arm64.clone()], BTreeMap::new()).unwrap();
    let two = index(&[arm64, amd64], BTreeMap::new()).unwrap();
    assert_eq!(one, two);
    let read: Index = one.read().unwrap();
    assert_eq!(
        read.manifests[1].platform.as_ref().unwrap().to_string(),
        "linux/arm64"
    );
}

#[test]
fn times_are_rfc_3339_or_refused() {
    for (created, text) in [
        (0, Some("1970-01-01T00:00:00Z")),
        (-1, Some("1969-12-31T23:59:59Z")),
        (253_402_207_200, Some("9999-12-30T22:00:00Z")),
        (-62_135_596_801, None),
        (i64::MAX, None),
        (i64::MIN, None),
    ] {
        let stamp = Stamp {
            created,
            ..Stamp::default()
        };
        assert_eq!(stamp.created_text().ok().as_deref(), text);
    }
}

#[test]
fn a_base_whose_history_does_not_add_up_is_refused() {
    let base = base("b", &json!({"history": [{}, {}]}));
    let error = Image::assemble(
        &Platform::linux_amd64(),
        &base,
        &[],
        &RuntimeConfig::default(),
        &Stamp::default(),
    )
    .unwrap_err();
    assert_eq!(crate::error::Coded::code(&error), "BASE-CONFIG");
}
