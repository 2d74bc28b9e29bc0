//! Bases that a test makes of a few files, written without the code under test.

use std::path::Path;

use karisimbi::digest::Digest;
use serde_json::{Value, json};

use crate::support::{run, tool, write};

/// What a base holds and says.
#[derive(Clone, Copy, Default)]
pub(super) struct Spec<'a> {
    /// Paths with `d`, `f…`, `x…`, `l…`, or `e…`: an executable ELF file of the platform that
    /// holds this text.
    pub(super) files: &'a [(&'a str, &'a str)],
    pub(super) env: &'a [&'a str],
    pub(super) platforms: &'a [&'a str],
}

/// Files that every base here has.
const COMMON: [(&str, &str); 3] = [
    ("etc/", "d"),
    ("etc/passwd", "froot:x:0:0::/:\napp:x:1001:1001::/:\n"),
    ("app/", "d"),
];

fn elf(machine: u8, text: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend([machine, 0]);
    bytes.extend(text.as_bytes());
    bytes
}

fn tar(files: &[(&str, &str)], architecture: &str) -> Vec<u8> {
    let machine = if architecture == "arm64" { 183 } else { 62 };
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let (kind, rest) = content.split_at(1);
        let mut header = tar::Header::new_gnu();
        header.set_mode(if kind == "f" { 0o644 } else { 0o755 });
        let data = match kind {
            "e" => elf(machine, rest),
            "f" | "x" => rest.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        header.set_size(data.len() as u64);
        if kind == "l" {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, path, rest).expect("tar");
            continue;
        }
        let directory = kind == "d";
        header.set_entry_type(if directory {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        builder
            .append_data(&mut header, path, data.as_slice())
            .expect("tar");
    }
    builder.into_inner().expect("tar")
}

/// Writes a base to `oci:DIR:v1`; several platforms become an index.
pub(super) fn write_base(dir: &Path, spec: &Spec<'_>) {
    let put = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes);
        write(&dir.join("blobs/sha256").join(digest.hex()), bytes);
        json!({"mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": digest.to_string(), "size": bytes.len()})
    };
    let document = |value: &Value, media_type| put(value.to_string().as_bytes(), media_type);
    let manifests: Vec<Value> = spec
        .platforms
        .iter()
        .map(|platform| {
            let (os, architecture) = platform.split_once('/').expect("a platform");
            let layers: Vec<Vec<u8>> = [&COMMON[..], spec.files]
                .iter()
                .map(|files| tar(files, architecture))
                .collect();
            let diff_ids: Vec<String> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
            let config = json!({"os": os, "architecture": architecture, "author": "the base",
                "config": {"Env": spec.env, "Cmd": ["sh"], "Labels": {"of": "the base"}},
                "history": [{"created_by": "one"}, {"created_by": "env", "empty_layer": true},
                    {"created_by": "two"}],
                "rootfs": {"type": "layers", "diff_ids": diff_ids}});
            let layers: Vec<Value> = layers.iter().map(|l| put(l, "layer.v1.tar")).collect();
            let manifest = json!({"schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": document(&config, "config.v1+json"), "layers": layers});
            let mut entry = document(&manifest, "manifest.v1+json");
            entry["platform"] = json!({"os": os, "architecture": architecture});
            entry
        })
        .collect();
    let mut root = match manifests.as_slice() {
        [one] => one.clone(),
        several => document(
            &json!({"schemaVersion": 2, "manifests": several,
                "mediaType": "application/vnd.oci.image.index.v1+json"}),
            "index.v1+json",
        ),
    };
    root["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [root]});
    write(&dir.join("index.json"), index.to_string());
    write(&dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
}

/// Puts a layout into a registry, with a tool that is not ours.
pub(super) fn push(dir: &Path, reference: &str) {
    run(tool("skopeo")
        .args(["--insecure-policy", "copy", "-q", "--all"])
        .arg("--dest-tls-verify=false")
        .arg(format!("oci:{}:v1", dir.display()))
        .arg(format!("docker://{reference}")));
}
