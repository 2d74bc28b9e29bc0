//! Faults planted into an image, and what `verify` says of them.

use std::collections::BTreeMap;
use std::io::Cursor;

use karisimbi::digest::Digest;
use karisimbi::error::AnyError;
use karisimbi::image::{BlobReader, Blobs, Document, Image, ImageError, verify};
use karisimbi::layer::Descriptor;
use oci_spec::image::MediaType;
use serde_json::{Value, json};

use super::{Bytes, image};

fn has(fault: &str, name: &str) -> bool {
    fault == name || fault == "all"
}

fn config(image: &Image, fault: &str) -> Document {
    let mut config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
    if has(fault, "diff id") {
        config["rootfs"]["diff_ids"][0] = json!(Digest::of(b"other").to_string());
    }
    if fault == "diff id count" {
        config["rootfs"]["diff_ids"] = json!([]);
    }
    if has(fault, "history") {
        config["history"] = json!([{}, {}]);
    }
    if has(fault, "created") {
        config["created"] = json!("yesterday");
    }
    Document::encode("a config", &config, MediaType::ImageConfig).unwrap()
}

fn manifest(image: &Image, config: &Document, fault: &str) -> Document {
    let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    manifest["config"]["digest"] = json!(config.digest.to_string());
    manifest["config"]["size"] = json!(config.bytes.len());
    if has(fault, "annotation") {
        manifest["annotations"]["org.opencontainers.image.base.digest"] = json!("md5:1");
    }
    if has(fault, "own media type") {
        manifest["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    }
    if has(fault, "schema") {
        manifest["schemaVersion"] = json!(1);
    }
    if fault == "layer media type" {
        manifest["layers"][0]["mediaType"] = json!("application/zip");
    }
    if fault == "config size" {
        manifest["config"]["size"] = json!(5);
    }
    Document::encode("a manifest", &manifest, MediaType::ImageManifest).unwrap()
}

/// What `verify` says of an index of one image, with a fault in it.
fn planted(fault: &str) -> Vec<String> {
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    let config = config(&image, fault);
    let manifest = manifest(&image, &config, fault);
    let architecture = if has(fault, "platform") {
        "arm64"
    } else {
        "amd64"
    };
    let mut entry = serde_json::to_value(manifest.descriptor()).unwrap();
    entry["platform"] = json!({"os": "linux", "architecture": architecture});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    let index = Document::encode("an index", &index, MediaType::ImageIndex).unwrap();
    let mut blobs = bytes.0;
    for document in [&config, &manifest, &index] {
        blobs.insert(document.digest, document.bytes.clone());
    }
    damage(
        &mut blobs,
        &image.layers[0].descriptor.digest,
        &config.digest,
        fault,
    );
    let open = |descriptor: &Descriptor| -> Result<BlobReader, AnyError> {
        let bytes = blobs.get(&descriptor.digest);
        let bytes = bytes.ok_or_else(|| ImageError::Missing {
            image: "memory".to_owned(),
            digest: descriptor.digest,
        })?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    };
    let found = verify(&index.descriptor(), &Blobs::new(&open));
    found.iter().map(ToString::to_string).collect()
}

fn damage(blobs: &mut BTreeMap<Digest, Vec<u8>>, layer: &Digest, config: &Digest, fault: &str) {
    match fault {
        "flipped byte" | "all" => blobs.get_mut(layer).unwrap()[4] ^= 1,
        "longer layer" => blobs.get_mut(layer).unwrap().push(0),
        "truncated layer" => drop(blobs.get_mut(layer).unwrap().pop()),
        "missing layer" => drop(blobs.remove(layer)),
        "missing config" => drop(blobs.remove(config)),
        _ => {}
    }
}

/// A fault and a part of each mismatch that it causes.
const FAULTS: [(&str, &[&str]); 17] = [
    ("none", &[]),
    ("diff id", &["its tar has diff id"]),
    ("diff id count", &["has 0 diff ids, its manifest 1 layers"]),
    ("history", &["its history tells of 2 layers, but it has 1"]),
    ("created", &["created is no RFC 3339 time"]),
    (
        "platform",
        &["the index says linux/arm64, the config linux/amd64"],
    ),
    ("annotation", &["base.digest: \"md5:1\" is not a digest"]),
    (
        "own media type",
        &["has media type application/vnd.oci.image.index"],
    ),
    ("schema", &["schemaVersion is 1"]),
    ("layer media type", &["has media type application/zip"]),
    ("config size", &["more than 5", "no valid document"]),
    ("flipped byte", &["its bytes have digest"]),
    (
        "longer layer",
        &["bytes, its descriptor says", "no readable layer"],
    ),
    (
        "truncated layer",
        &[
            "its descriptor says",
            "its bytes have digest",
            "no readable layer",
        ],
    ),
    ("missing layer", &["is missing in memory"]),
    ("missing config", &["is missing in memory"]),
    // Faults do not hide each other.
    (
        "all",
        &[
            "its tar has diff id",
            "its history tells of",
            "RFC 3339",
            "linux/arm64",
            "md5:1",
            "application/vnd.oci.image.index",
            "schemaVersion",
            "its bytes have digest",
        ],
    ),
];

#[test]
fn verify_reports_every_fault_at_once() {
    for (fault, parts) in FAULTS {
        let found = planted(fault);
        assert_eq!(found.len(), parts.len(), "{fault}: {found:#?}");
        for part in parts {
            assert!(
                found.iter().any(|text| text.contains(part)),
                "{fault}: {found:#?}"
            );
        }
    }
}
