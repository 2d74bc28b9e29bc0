//! `embedded:static`: a base for static programs, generated without any download.
//!
//! Accounts, certificate authorities, `nsswitch.conf`, temporary folders: what a static Go or Rust
//! program looks for. No shell, no time zones, no libc.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde_json::{Map, Value, json};

use super::{Base, BaseContext, BaseError, BaseLayer, pem};
use crate::digest::Digest;
use crate::error::AnyError;
use crate::image::manifest::Manifest;
use crate::image::{Blob, Document};
use crate::layer::{
    Compression, Content, Entry, EntryPath, Executable, InlineLayer, Inputs, LayerDescription,
    LayerError, LayerKey, LayerRecord, LayerSource as _, Node, Owner,
};
use crate::platform::Platform;

/// The version of what is in this base; it changes with every change of its files or config.
const RULES: u32 = 1;

pub(super) const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
app:x:1001:1001:app:/home/app:/sbin/nologin\n";

pub(super) const GROUP: &str = "root:x:0:\ntty:x:5:\nstaff:x:50:\nnobody:x:65534:\napp:x:1001:\n";

pub(super) const NSSWITCH: &str = "hosts: files dns\n";

const OS_RELEASE: &str = "ID=karisimbi\nNAME=\"karisimbi static\"\n\
PRETTY_NAME=\"karisimbi static\"\nVERSION_ID=1\n";

pub(super) const CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Directories with their mode; all belong to root but the home of the account that runs.
const FOLDERS: [(&str, u32); 19] = [
    ("app", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/ssl", 0o755),
    ("etc/ssl/certs", 0o755),
    ("home", 0o755),
    ("home/app", 0o750),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/lib", 0o755),
    ("usr/local", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/bin", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];

/// The roots of Mozilla as PEM, sorted by their DER bytes.
fn ca_bundle() -> String {
    let mut roots: Vec<&[u8]> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(AsRef::as_ref)
        .collect();
    roots.sort_unstable();
    roots.dedup();
    let mut bundle = String::new();
    for root in roots {
        bundle.push_str(&pem::encode(root));
    }
    bundle
}

fn files() -> [(&'static str, String); 6] {
    [
        ("etc/group", GROUP.to_owned()),
        ("etc/nsswitch.conf", NSSWITCH.to_owned()),
        ("etc/os-release", OS_RELEASE.to_owned()),
        ("etc/passwd", PASSWD.to_owned()),
        (CA_BUNDLE, ca_bundle()),
        ("usr/lib/os-release", OS_RELEASE.to_owned()),
    ]
}

/// The one layer of the base; the same for every processor.
///
/// # Errors
/// LAYER-PATH never happens: the paths are constants.
pub fn layer() -> Result<InlineLayer, LayerError> {
    let mut entries = Vec::new();
    for (path, mode) in FOLDERS {
        let owner = match path {
            "home/app" => Owner::APP,
            _ => Owner::ROOT,
        };
        entries.push(Entry {
            path: EntryPath::new(path)?,
            node: Node::Directory { mode, owner },
            package: None,
        });
    }
    let mut key = LayerKey::new("embedded-static", RULES);
    for (path, content) in files() {
        key = key.with(path, &Digest::of(content.as_bytes()));
        entries.push(Entry {
            path: EntryPath::new(path)?,
            node: Node::File {
                executable: Executable::No,
                content: Content::Bytes(content.into_bytes().into()),
            },
            package: None,
        });
    }
    let description = LayerDescription {
        name: "static".to_owned(),
        kind: "embedded-static".to_owned(),
        contents: "accounts, certificate authorities, temporary folders".to_owned(),
    };
    Ok(InlineLayer::new(key, description, entries))
}

/// The base for some platforms; its layer is encoded when the store has no record of it.
pub(super) fn resolve(
    platforms: &[Platform],
    context: &BaseContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    let record = record(context).map_err(BaseError::Source)?;
    platforms
        .iter()
        .map(|platform| base(platform, &record))
        .collect()
}

fn record(context: &BaseContext<'_>) -> Result<LayerRecord, AnyError> {
    let layer = layer()?;
    let store = context.store;
    if let Some(record) = store.record(layer.key()) {
        return Ok(record);
    }
    let record = store.encode_blob(context.encoder, Compression::Gzip, |out| {
        layer.write(&Inputs::default(), out)
    })?;
    store.remember_record(layer.key(), &record);
    Ok(record)
}

/// The base over its layer's record. Its digest is that of the manifest that it would have.
///
/// # Errors
/// IMAGE-ENCODE: a bug of ours.
pub fn base(platform: &Platform, record: &LayerRecord) -> Result<Base, BaseError> {
    let config = config(platform, record);
    let document = Document::encode("a config", &config, MediaType::ImageConfig)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::ImageManifest),
        config: document.descriptor(),
        layers: vec![record.descriptor.clone()],
        annotations: BTreeMap::new(),
    };
    let manifest = Document::encode("a manifest", &manifest, MediaType::ImageManifest)?;
    Ok(Base {
        name: "embedded:static".to_owned(),
        digest: Some(manifest.digest),
        config,
        layers: vec![BaseLayer {
            descriptor: record.descriptor.clone(),
            diff_id: record.diff_id,
            blob: Blob::Store,
        }],
    })
}

fn config(platform: &Platform, record: &LayerRecord) -> Map<String, Value> {
    const EPOCH: &str = "1970-01-01T00:00:00Z";
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("architecture", json!(platform.architecture));
    set("os", json!(platform.os));
    if let Some(variant) = &platform.variant {
        set("variant", json!(variant));
    }
    set("created", json!(EPOCH));
    set(
        "config",
        json!({
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                format!("SSL_CERT_FILE=/{CA_BUNDLE}"),
            ],
            "User": "1001:1001",
            "WorkingDir": "/app",
        }),
    );
    set(
        "rootfs",
        json!({"type": "layers", "diff_ids": [record.diff_id]}),
    );
    set(
        "history",
        json!([{"created": EPOCH, "created_by": format!("karisimbi embedded:static@{RULES}")}]),
    );
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
    use crate::layer::{Descriptor, LayerSummary};

    #[test]
    fn the_bundle_is_pem_that_openssl_would_read() {
        let bundle = ca_bundle();
        let count = bundle.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert!(count > 100, "{count} roots");
        assert_eq!(count, bundle.matches("-----END CERTIFICATE-----\n").count());
        assert!(bundle.lines().all(|line| line.len() <= 64));
        assert!((150_000..400_000).contains(&bundle.len()));
    }

    #[test]
    fn the_key_names_every_file() {
        let layer = layer().unwrap();
        let fields = layer.key().fields();
        for (path, content) in files() {
            assert_eq!(fields[path], Digest::of(content.as_bytes()).to_string());
        }
        assert_eq!(fields["rules"], "1");
    }

    #[test]
    fn platforms_share_the_layer_and_differ_in_the_config() {
        let record = LayerRecord {
            descriptor: Descriptor {
                media_type: MediaType::ImageLayerGzip,
                digest: Digest::of(b"blob"),
                size: 4,
                annotations: BTreeMap::new(),
            },
            diff_id: DiffId(Digest::of(b"tar")),
            summary: LayerSummary::default(),
        };
        let amd64 = base(&Platform::linux_amd64(), &record).unwrap();
        let arm64 = base(&"linux/arm64".parse().unwrap(), &record).unwrap();
        assert_eq!(amd64.layers[0].descriptor, arm64.layers[0].descriptor);
        assert_ne!(amd64.digest, arm64.digest);
        assert_eq!(
            Value::Object(amd64.config).to_string(),
            "{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\
             \"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\"],\"User\":\"1001:1001\",\"WorkingDir\":\"/app\"},\
             \"created\":\"1970-01-01T00:00:00Z\",\"history\":[{\"created\":\"1970-01-01T00:00:00Z\",\
             \"created_by\":\"karisimbi embedded:static@1\"}],\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\
             \"sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb\"],\"type\":\"layers\"}}"
        );
    }
}
