//! Tests of images: layouts and archives as other tools see them, verification, hostile input.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, but clippy's allowance covers #[test] functions alone"
)]

mod archives;
mod faults;
mod hostile;

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use karisimbi::base::Base;
use karisimbi::digest::{DiffId, Digest};
use karisimbi::error::{AnyError, Coded as _};
use karisimbi::image::archive::{write_docker, write_file, write_oci};
use karisimbi::image::{Blob, BlobReader, Document, Image, Layer, Layout, Stamp, index};
use karisimbi::layer::Descriptor;
use karisimbi::plan::RuntimeConfig;
use karisimbi::platform::Platform;
use karisimbi::reference::Tag;
use oci_spec::image::MediaType;
use serde_json::Value;

use crate::support::{run, tool, write};

/// Layers by digest: what a store would keep.
#[derive(Default)]
pub(crate) struct Bytes(BTreeMap<Digest, Vec<u8>>);

impl Bytes {
    /// Adds a gzip layer of some files.
    pub(crate) fn layer(&mut self, files: &[(&str, &str)]) -> Layer {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o755);
            header.set_mtime(1);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let blob = gzip.finish().unwrap();
        let layer = Layer {
            descriptor: Descriptor {
                media_type: MediaType::ImageLayerGzip,
                digest: Digest::of(&blob),
                size: blob.len() as u64,
                annotations: BTreeMap::new(),
            },
            diff_id: DiffId(Digest::of(&tar)),
            blob: Blob::Store,
            key: Some(Digest::of(b"key")),
            history: "karisimbi test@1".to_owned(),
        };
        self.0.insert(layer.descriptor.digest, blob);
        layer
    }

    pub(crate) fn open(&self, layer: &Layer) -> BlobReader {
        Box::new(Cursor::new(self.0[&layer.descriptor.digest].clone()))
    }
}

/// An image of one small layer on nothing.
pub(crate) fn image(bytes: &mut Bytes, platform: &str, files: &[(&str, &str)]) -> Image {
    let layer = bytes.layer(files);
    let base = Base {
        name: "scratch".to_owned(),
        digest: None,
        config: serde_json::Map::new(),
        layers: Vec::new(),
    };
    let runtime = RuntimeConfig {
        entrypoint: vec!["/app/server".to_owned()],
        user: "1001:1001".to_owned(),
        working_dir: "/app".to_owned(),
        ports: vec![8080],
        ..RuntimeConfig::default()
    };
    let stamp = Stamp {
        created: 1_700_000_000,
        version: Some("1.0".to_owned()),
        ..Stamp::default()
    };
    let platform: Platform = platform.parse().unwrap();
    Image::assemble(&platform, &base, &[layer], &runtime, &stamp).unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) fn store_layout(dir: &Path, images: &[Image], bytes: &Bytes, name: &str) -> Descriptor {
    let layout = Layout::create(dir).unwrap();
    let open = |layer: &Layer| Ok(bytes.open(layer));
    layout
        .write(images, index_of(images).as_ref(), Some(&tag(name)), &open)
        .unwrap()
}

/// The index that several images need.
fn index_of(images: &[Image]) -> Option<Document> {
    (images.len() > 1).then(|| index(images, BTreeMap::new()).unwrap())
}

fn oci(dir: &Path, name: &str) -> String {
    format!("oci:{}:{name}", dir.display())
}

fn skopeo(arguments: &[&str]) -> String {
    run(tool("skopeo").arg("--insecure-policy").args(arguments))
}

/// The digest of the manifest that a layout has under a tag.
fn digest_of(dir: &Path, name: &str) -> Digest {
    let layout = Layout::open(dir).unwrap();
    layout.resolve(Some(&tag(name))).unwrap().digest
}

#[test]
fn skopeo_umoci_and_buildah_accept_layouts() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("layout");
    let mut bytes = Bytes::default();
    let one = image(&mut bytes, "linux/amd64", &[("app/server", "hello")]);
    store_layout(&dir, std::slice::from_ref(&one), &bytes, "v1");
    let raw = skopeo(&["inspect", "--raw", &oci(&dir, "v1")]);
    assert_eq!(raw.as_bytes(), one.manifest.bytes);
    let config: Value =
        serde_json::from_str(&skopeo(&["inspect", "--config", &oci(&dir, "v1")])).unwrap();
    assert_eq!(config["config"]["User"], "1001:1001");
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");

    let copy = temp.path().join("copy");
    skopeo(&["copy", &oci(&dir, "v1"), &oci(&copy, "v1")]);
    assert_eq!(digest_of(&copy, "v1"), one.manifest.digest);

    let bundle = temp.path().join("bundle");
    let image_name = format!("{}:v1", dir.display());
    run(tool("umoci")
        .args(["unpack", "--rootless", "--image", &image_name])
        .arg(&bundle));
    let unpacked = fs_err::read_to_string(bundle.join("rootfs/app/server")).unwrap();
    assert_eq!(unpacked, "hello");

    let storage = temp.path().join("storage");
    let id = run(tool("buildah")
        .arg("--root")
        .arg(storage.join("root"))
        .arg("--runroot")
        .arg(storage.join("run"))
        // buildah wants a name in lower case, which a temporary folder does not have.
        .current_dir(temp.path())
        .args(["--storage-driver", "vfs", "pull", "-q", "oci:layout:v1"]));
    assert_eq!(id.trim(), one.config.digest.hex());
}

#[test]
fn several_platforms_and_tags_live_in_one_layout() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("layout");
    let mut bytes = Bytes::default();
    let amd64 = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    let arm64 = image(&mut bytes, "linux/arm64", &[("a", "1")]);
    let other = image(&mut bytes, "linux/amd64", &[("a", "2")]);
    let index = store_layout(&dir, &[amd64.clone(), arm64.clone()], &bytes, "multi");
    store_layout(&dir, std::slice::from_ref(&amd64), &bytes, "v1");
    store_layout(&dir, std::slice::from_ref(&other), &bytes, "v1");
    assert_eq!(digest_of(&dir, "multi"), index.digest);
    assert_eq!(digest_of(&dir, "v1"), other.manifest.digest);
    for (architecture, image) in [("amd64", &amd64), ("arm64", &arm64)] {
        let config = skopeo(&[
            "--override-arch",
            architecture,
            "inspect",
            "--config",
            "--raw",
            &oci(&dir, "multi"),
        ]);
        assert_eq!(config.as_bytes(), image.config.bytes);
    }
    let copy = temp.path().join("copy");
    skopeo(&["copy", "--all", &oci(&dir, "multi"), &oci(&copy, "m")]);
    assert_eq!(digest_of(&copy, "m"), index.digest);
}

#[test]
fn tags_that_are_written_at_once_all_arrive() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("layout");
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (dir, image, bytes) = (&dir, &image, &bytes);
            scope.spawn(move || {
                store_layout(
                    dir,
                    std::slice::from_ref(image),
                    bytes,
                    &format!("t{number}"),
                );
            });
        }
    });
    for number in 0..8 {
        assert_eq!(
            digest_of(&dir, &format!("t{number}")),
            image.manifest.digest
        );
    }
    let left: Vec<PathBuf> = fs_err::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".karisimbi-"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn an_output_folder_is_marked_and_a_foreign_one_refused() {
    let temp = tempfile::tempdir().unwrap();
    let layout = Layout::create(&temp.path().join("out")).unwrap();
    layout.mark_as_output().unwrap();
    let read = |name: &str| fs_err::read_to_string(temp.path().join("out").join(name)).unwrap();
    assert_eq!(read(".gitignore"), "*\n");
    assert!(read("CACHEDIR.TAG").starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));

    let foreign = temp.path().join("photos");
    write(&foreign.join("cat.jpg"), "x");
    let error = Layout::create(&foreign).unwrap_err();
    assert_eq!(error.code(), "IMAGE-LAYOUT");
    assert!(error.to_string().contains("cat.jpg"), "{error}");
    assert_eq!(fs_err::read_dir(&foreign).unwrap().count(), 1);

    let linked = temp.path().join("linked");
    write(
        &linked.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    );
    std::os::unix::fs::symlink(&foreign, linked.join("blobs")).unwrap();
    let error = Layout::create(&linked).unwrap_err();
    assert!(
        error.to_string().contains("blobs is not a folder"),
        "{error}"
    );
}

#[test]
fn wrong_bytes_are_never_written() {
    let temp = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    let good = bytes.0[&image.layers[0].descriptor.digest].clone();
    let longer = [good.as_slice(), b"x"].concat();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    for wrong in [&good[..good.len() - 1], &longer, &flipped] {
        let open = |_: &Layer| -> Result<BlobReader, AnyError> {
            Ok(Box::new(Cursor::new(wrong.to_vec())))
        };
        let out = tempfile::tempdir_in(temp.path()).unwrap();
        let layout = Layout::create(&out.path().join("l")).unwrap();
        let images = std::slice::from_ref(&image);
        let error = layout
            .write(images, index_of(images).as_ref(), None, &open)
            .unwrap_err();
        assert_eq!(error.code(), "IMAGE-DIGEST", "{error}");
        assert!(!out.path().join("l/index.json").exists());
        let blobs = fs_err::read_dir(out.path().join("l/blobs/sha256")).unwrap();
        assert_eq!(blobs.count(), 0);

        let archive = out.path().join("x.tar");
        let produce = |to: &mut dyn std::io::Write| {
            write_oci(images, index_of(images).as_ref(), None, &open, to).map(|_| ())
        };
        let error = write_file(&archive, produce).unwrap_err();
        assert_eq!(error.code(), "IMAGE-DIGEST");
        assert!(!archive.exists());
    }
}

#[test]
fn a_full_disk_and_a_missing_folder_are_told_apart() {
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    let open = |layer: &Layer| Ok(bytes.open(layer));
    let mut full = fs_err::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = write_docker(&image, None, &open, &mut full).unwrap_err();
    assert_eq!(error.code(), "IMAGE-FULL", "{error}");
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("none/x.tar");
    let error = write_file(&file, |out| write_docker(&image, None, &open, out)).unwrap_err();
    assert_eq!(error.code(), "IMAGE-WRITE", "{error}");
    assert!(error.to_string().contains("none/x.tar"), "{error}");
}

#[test]
fn a_layout_with_several_tags_asks_which() {
    let temp = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    for name in ["v1", "v2"] {
        store_layout(temp.path(), std::slice::from_ref(&image), &bytes, name);
    }
    let layout = Layout::open(temp.path()).unwrap();
    let error = layout.resolve(None).unwrap_err();
    assert_eq!(error.code(), "IMAGE-TAG");
    assert_eq!(error.hint().unwrap(), "name one of its tags: v1, v2");
    let error = layout.resolve(Some(&tag("v3"))).unwrap_err();
    assert!(
        error.to_string().ends_with("has no tag v3; it has v1, v2"),
        "{error}"
    );
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_is_being_written_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    Layout::create(dir).unwrap();
    write(&dir.join(".karisimbi-left"), "half a layer");
    let writing = fs_err::File::create(dir.join(".karisimbi-now")).unwrap();
    writing.lock().unwrap();
    Layout::create(dir).unwrap();
    assert!(!dir.join(".karisimbi-left").exists());
    assert!(dir.join(".karisimbi-now").exists());
}
