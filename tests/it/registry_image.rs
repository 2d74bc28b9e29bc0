//! A small image and a client: what the tests of registries push and pull with.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what does not work fails the test"
)]

use std::path::PathBuf;
use std::sync::Arc;

use karisimbi::digest::Digest;
use karisimbi::layer::Descriptor;
use karisimbi::net::{Net, NetSettings};
use karisimbi::reference::Reference;
use karisimbi::registry::{
    BlobOutcome, BlobSource, Client, CredentialPlaces, Credentials, RegistryError,
};
use oci_spec::image::MediaType;
use tempfile::TempDir;

use crate::support::{Heard, run, tool};

/// A client with given settings and at most one credentials file.
pub(crate) fn client(settings: &NetSettings, authfile: Option<PathBuf>) -> (Client, Arc<Heard>) {
    let seen = Arc::new(Heard::default());
    let places = CredentialPlaces {
        authfile,
        ..CredentialPlaces::default()
    };
    let credentials = Credentials::load(places, &*seen).expect("credentials");
    let net = Arc::new(Net::new(settings).expect("a network"));
    (Client::new(net, credentials, seen.clone()), seen)
}

/// A small image: a config, a layer in a file, a manifest.
pub(crate) struct Image {
    _dir: TempDir,
    pub(crate) layer_file: PathBuf,
    pub(crate) layer: Descriptor,
    pub(crate) config: Descriptor,
    pub(crate) config_bytes: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("hello"), "x".repeat(300_000)).unwrap();
        let layer_file = dir.path().join("layer.tar");
        run(tool("tar")
            .args(["--owner=0", "--group=0", "-cf"])
            .arg(&layer_file)
            .arg("-C")
            .arg(dir.path())
            .arg("hello"));
        let bytes = fs_err::read(&layer_file).unwrap();
        let config_bytes = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            Digest::of(&bytes)
        )
        .into_bytes();
        let layer = descriptor(MediaType::ImageLayer, &bytes);
        let config = descriptor(MediaType::ImageConfig, &config_bytes);
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::ImageManifest.to_string(),
            "config": config, "layers": [layer],
        });
        Self {
            _dir: dir,
            layer_file,
            layer,
            config,
            config_bytes,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// Blobs, manifest by digest, then the tag.
    pub(crate) fn push(
        &self,
        client: &Client,
        reference: &Reference,
    ) -> Result<Vec<BlobOutcome>, RegistryError> {
        let repository = &reference.repository;
        let file = BlobSource::File(self.layer_file.clone());
        let bytes = BlobSource::Bytes(self.config_bytes.clone());
        client.check_push(repository, &[])?;
        let outcomes = vec![
            client.push_blob(repository, &self.layer, &file)?,
            client.push_blob(repository, &self.config, &bytes)?,
        ];
        let kind = MediaType::ImageManifest;
        client.push_manifest(repository, &self.manifest, &kind, None)?;
        client.push_manifest(repository, &self.manifest, &kind, reference.tag.as_ref())?;
        Ok(outcomes)
    }

    /// Everything again, byte for byte.
    pub(crate) fn check_pull(&self, client: &Client, reference: &Reference) {
        let manifest = client.fetch_manifest(reference).unwrap();
        assert_eq!(manifest.bytes, self.manifest);
        assert_eq!(manifest.media_type, MediaType::ImageManifest);
        let mut layer = Vec::new();
        let Descriptor { digest, size, .. } = &self.layer;
        client
            .fetch_blob(&reference.repository, digest, *size, &mut layer)
            .unwrap();
        assert_eq!(layer, fs_err::read(&self.layer_file).unwrap());
    }
}

pub(crate) fn descriptor(media_type: MediaType, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type,
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}
