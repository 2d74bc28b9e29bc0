use serde_json::json;

use super::*;
use crate::digest::DiffId;
use crate::image::{Blob, Document};
use crate::layer::Descriptor;
use crate::platform::Platform;
use oci_spec::image::MediaType;

fn descriptor(name: &str) -> Descriptor {
    Descriptor {
        media_type: MediaType::ImageLayerZstd,
        digest: Digest::of(name.as_bytes()),
        size: 3,
        annotations: BTreeMap::new(),
    }
}

fn base(name: &str, env: &[&str]) -> Base {
    Base {
        name: format!("h.example/{name}:1"),
        digest: Some(Digest::of(name.as_bytes())),
        config: json!({"os": "linux", "architecture": "amd64", "vendor": {"of": name},
            "config": {"Env": env, "Cmd": ["sh"], "Labels": {"base": name}},
            "history": [{"created_by": name}, {"created_by": "ENV", "empty_layer": true}]})
        .as_object()
        .unwrap()
        .clone(),
        layers: vec![BaseLayer {
            descriptor: descriptor(name),
            diff_id: DiffId(Digest::of(name.as_bytes())),
            blob: Blob::Store,
        }],
    }
}

fn layers() -> Vec<Layer> {
    ["modules", "program"]
        .map(|name| Layer {
            descriptor: descriptor(name),
            diff_id: DiffId(Digest::of(name.as_bytes())),
            blob: Blob::Store,
            key: Some(Digest::of(name.as_bytes())),
            history: format!("karisimbi go: {name}"),
        })
        .to_vec()
}

fn runtime() -> RuntimeConfig {
    RuntimeConfig {
        entrypoint: vec!["/app/x".to_owned()],
        env: [("B", "ours"), ("Z", "z")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        user: "1001:1001".to_owned(),
        ports: vec![8080],
        ..RuntimeConfig::default()
    }
}

fn stamp() -> Stamp {
    Stamp {
        created: -1,
        title: Some("x".to_owned()),
        revision: Some("abc-dirty".to_owned()),
        ..Stamp::default()
    }
}

fn built(base: &Base) -> Image {
    let platform = Platform::linux_amd64();
    Image::assemble(&platform, base, &layers(), &runtime(), &stamp()).unwrap()
}

/// As a reader sees it: keys are in annotations, history is in the config.
fn read_back(mut image: Image) -> Image {
    for layer in &mut image.layers {
        layer.key = None;
        layer.history = String::new();
    }
    image
}

#[test]
fn what_is_put_together_again_on_another_base_is_what_a_build_makes_there() {
    let old = base("old", &["PATH=/bin", "B=theirs", "OLD=1"]);
    let new = base("new", &["B=other", "PATH=/usr/bin", "B=twice"]);
    let parts = Parts::of(&read_back(built(&old)), "oci:x").unwrap();
    assert_eq!(parts.stamp, stamp());
    assert_eq!(parts.runtime, runtime());
    assert_eq!(parts.base.digest, old.digest);
    assert_eq!(parts.base.layers, old.layers);
    assert_eq!(parts.foreign, Vec::<String>::new());
    for base in [&old, &new] {
        let platform = Platform::linux_amd64();
        let again =
            Image::assemble(&platform, base, &parts.layers, &parts.runtime, &parts.stamp).unwrap();
        assert_eq!(again, built(base), "{}", base.name);
    }
}

#[test]
fn images_that_are_not_ours_are_told_apart() {
    type Change = fn(&mut Value, &mut Value);
    let changes: [(Change, &str); 8] = [
        (
            |_, config| drop(config["config"]["Labels"].take()),
            "has no label",
        ),
        (
            |_, config| config["config"]["Labels"][RUNTIME_LABEL] = json!("{"),
            "can't be read",
        ),
        (
            |_, config| config["config"]["User"] = json!("0"),
            "changed after it was built",
        ),
        (
            |_, config| {
                config["config"]["Labels"][RUNTIME_LABEL] = json!(
                    r#"{"entrypoint":["/app/x"],"cmd":[],"env":{},"user":"1001:1001","working_dir":"","ports":[],"more":1}"#
                );
            },
            "changed after it was built",
        ),
        (
            |_, config| config["history"] = json!([{"created_by": "x"}]),
            "history does not tell of its 2 layers",
        ),
        (
            |_, config| config["created"] = json!("2001-01-01T00:00:00Z"),
            "times contradict",
        ),
        (
            |manifest, _| manifest["annotations"][FORMAT_ANNOTATION] = json!("7"),
            "have format \"7\"",
        ),
        (
            |_, config| config["rootfs"]["diff_ids"] = json!([]),
            "0 diff ids, its manifest 3 layers",
        ),
    ];
    for (change, text) in changes {
        let mut image = read_back(built(&base("old", &[])));
        let (mut manifest, mut config) =
            (image.manifest.read().unwrap(), image.config.read().unwrap());
        change(&mut manifest, &mut config);
        image.manifest = Document::encode("m", &manifest, MediaType::ImageManifest).unwrap();
        image.config = Document::encode("c", &config, MediaType::ImageConfig).unwrap();
        let error = Parts::of(&image, "x").unwrap_err();
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
    let mut image = read_back(built(&base("old", &[])));
    image.layers[2].descriptor.annotations.clear();
    let error = Parts::of(&image, "x").unwrap_err();
    assert!(error.to_string().starts_with("layer 3 was put on top"));
    image.layers[1].descriptor.annotations.clear();
    let error = Parts::of(&image, "x").unwrap_err();
    assert!(error.to_string().starts_with("no layer has the annotation"));
}
