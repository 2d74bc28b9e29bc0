//! Bases whose documents contradict each other.

use karisimbi::digest::Digest;
use karisimbi::error::Coded as _;
use karisimbi::image::{Document, Layout};
use oci_spec::image::MediaType;
use serde_json::{Value, json};

use super::World;

/// Resolves a base of these two documents from a layout.
fn resolve(world: &World, config: &Value, change: impl Fn(&mut Value)) -> (&'static str, String) {
    let dir = tempfile::tempdir_in(world.path()).unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let config = Document::encode("a config", config, MediaType::ImageConfig).unwrap();
    let layer = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": Digest::of(b"layer").to_string(), "size": 5});
    let config_descriptor = serde_json::to_value(config.descriptor()).unwrap();
    let mut manifest = json!({"schemaVersion": 2, "config": config_descriptor, "layers": [layer]});
    change(&mut manifest);
    let manifest = Document::encode("a manifest", &manifest, MediaType::ImageManifest).unwrap();
    layout.put(&config).unwrap();
    layout.put(&manifest).unwrap();
    layout.tag(&manifest.descriptor(), None).unwrap();
    let name = format!("oci:{}", dir.path().display());
    match world.resolve(&name, &["linux/amd64"]) {
        Ok(_) => ("ok", String::new()),
        Err(error) => (error.code(), error.to_string()),
    }
}

fn good() -> Value {
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers",
        "diff_ids": [Digest::of(b"tar").to_string()]}, "history": [{}, {"empty_layer": true}]})
}

#[test]
fn configs_that_contradict_their_manifest_are_refused() {
    let world = World::new();
    let with = |key: &str, value: Value| {
        let mut config = good();
        config[key] = value;
        config
    };
    for (config, code, part) in [
        (good(), "ok", ""),
        (with("history", json!(null)), "ok", ""),
        (with("variant", json!("v1")), "ok", ""),
        (json!([]), "BASE-CONFIG", "not an object"),
        (
            with("os", json!(null)),
            "BASE-CONFIG",
            "no os and architecture",
        ),
        (
            with("os", json!("../x")),
            "BASE-CONFIG",
            "is not a platform",
        ),
        (
            with("rootfs", json!({"diff_ids": []})),
            "BASE-CONFIG",
            "0 diff ids, but its manifest 1 layers",
        ),
        (
            with("rootfs", json!({"diff_ids": ["x"]})),
            "BASE-CONFIG",
            "rootfs.diff_ids",
        ),
        (
            with("history", json!([{}, {}])),
            "BASE-CONFIG",
            "tells of 2 layers, but it has 1",
        ),
        (
            with("architecture", json!("arm64")),
            "BASE-PLATFORM",
            "it has linux/arm64",
        ),
        (
            with("variant", json!("v3")),
            "BASE-PLATFORM",
            "it has linux/amd64/v3",
        ),
    ] {
        let (found, text) = resolve(&world, &config, |_| {});
        assert_eq!(found, code, "{config}: {text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn layers_that_nobody_may_or_can_use_are_refused() {
    let world = World::new();
    for (layer, part) in [
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "layer 1",
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "layer 1",
        ),
        ("application/zip", "application/zip"),
    ] {
        let (code, text) = resolve(&world, &good(), |manifest| {
            manifest["layers"][0]["mediaType"] = json!(layer);
        });
        assert_eq!(code, "BASE-MEDIA", "{text}");
        assert!(text.contains(part), "{text}");
    }
    let (code, text) = resolve(&world, &good(), |manifest| {
        manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
    });
    assert_eq!(code, "BASE-MEDIA");
    assert!(text.contains("helm"), "{text}");
}
