//! Bases: layouts, registries, the embedded one, and what they say of themselves.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, but clippy's allowance covers #[test] functions alone"
)]

mod broken;
mod facts;
mod registry;

use std::path::Path;
use std::sync::Arc;

use karisimbi::base::{self, Base, BaseContext, BaseError, BaseName, ManifestSource, resolve};
use karisimbi::error::Coded as _;
use karisimbi::image::{Image, Layer, Stamp};
use karisimbi::layer::{Encoder, EntryKind};
use karisimbi::plan::RuntimeConfig;
use karisimbi::platform::Platform;
use karisimbi::progress::Silent;
use karisimbi::store::Store;

use crate::image::{Bytes, image, store_layout};
use crate::support::{run, tool};

/// What resolving needs, in a folder of its own.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    encoder: Encoder,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache"), Arc::new(Silent)).unwrap();
        Self {
            folder,
            store,
            encoder: Encoder::new(1),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn context<'a>(&'a self, registry: Option<&'a ManifestSource<'a>>) -> BaseContext<'a> {
        BaseContext {
            store: &self.store,
            encoder: &self.encoder,
            registry,
            reporter: &Silent,
        }
    }

    fn resolve(&self, name: &str, platforms: &[&str]) -> Result<Vec<Base>, BaseError> {
        let platforms: Vec<Platform> = platforms.iter().map(|p| p.parse().unwrap()).collect();
        resolve(&name.parse::<BaseName>()?, &platforms, &self.context(None))
    }

    /// A layout whose tag `v1` is an index of two platforms.
    fn two_platforms(&self) -> (String, [Image; 2]) {
        let mut bytes = Bytes::default();
        let passwd = "app:x:1001:1001::/:\n";
        let images = ["linux/amd64", "linux/arm64"].map(|platform| {
            let files = [("etc/passwd", passwd), ("app/which", platform)];
            image(&mut bytes, platform, &files)
        });
        let dir = self.path().join("layout");
        store_layout(&dir, &images, &bytes, "v1");
        (format!("oci:{}:v1", dir.display()), images)
    }
}

#[test]
fn a_layout_gives_a_base_for_each_platform() {
    let world = World::new();
    let (name, images) = world.two_platforms();
    let bases = world
        .resolve(&name, &["linux/arm64", "linux/amd64"])
        .unwrap();
    for (base, image) in bases.iter().zip([&images[1], &images[0]]) {
        assert_eq!(base.digest, Some(image.manifest.digest));
        assert_eq!(base.layers.len(), 1);
        assert_eq!(base.layers[0].diff_id, image.layers[0].diff_id);
        assert_eq!(base.config["config"]["User"], "1001:1001");
    }
    let error = world.resolve(&name, &["linux/riscv64"]).unwrap_err();
    assert_eq!(error.code(), "BASE-PLATFORM");
    assert!(
        error
            .to_string()
            .ends_with("it has linux/amd64, linux/arm64"),
        "{error}"
    );
    let error = world
        .resolve(&name.replace(":v1", ":v2"), &["linux/amd64"])
        .unwrap_err();
    assert_eq!(error.code(), "IMAGE-TAG");
}

#[test]
fn scratch_names_its_platform() {
    let world = World::new();
    let base = world
        .resolve("scratch", &["linux/arm64"])
        .unwrap()
        .remove(0);
    let mut bytes = Bytes::default();
    let layer = bytes.layer(&[("app/server", "x")]);
    let platform = "linux/arm64".parse().unwrap();
    let runtime = RuntimeConfig::default();
    let image = Image::assemble(&platform, &base, &[layer], &runtime, &Stamp::default()).unwrap();
    let dir = world.path().join("out");
    store_layout(&dir, std::slice::from_ref(&image), &bytes, "v1");
    let name = format!("oci:{}:v1", dir.display());
    let config = run(tool("skopeo").args(["inspect", "--config", &name]));
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["architecture"], "arm64");
    let manifest = String::from_utf8(image.manifest.bytes).unwrap();
    assert!(!manifest.contains("image.base"), "{manifest}");
}

#[test]
fn facts_of_a_layout_are_read_once() {
    let world = World::new();
    let (name, _) = world.two_platforms();
    let base = world.resolve(&name, &["linux/amd64"]).unwrap().remove(0);
    let first = base::facts(&base, &world.context(None)).unwrap();
    assert_eq!(first.users[&1001], "app");
    assert_eq!(first.libc, None);
    assert!(first.entries.contains_key("app/which"));
    fs_err::remove_dir_all(world.path().join("layout")).unwrap();
    assert_eq!(base::facts(&base, &world.context(None)).unwrap(), first);
}

#[test]
fn the_embedded_base_is_whole_and_the_same_everywhere() {
    let world = World::new();
    let platforms = ["linux/amd64", "linux/arm64"];
    let bases = world.resolve("embedded:static", &platforms).unwrap();
    assert_eq!(
        bases,
        World::new().resolve("embedded:static", &platforms).unwrap()
    );
    assert_eq!(bases[0].layers, bases[1].layers);
    // Bytes that images are built on: they may change only with new roots of Mozilla or new rules,
    // and with a CHANGELOG line under "Image bytes".
    let layer = &bases[0].layers[0];
    assert_eq!(
        (
            layer.diff_id.to_string(),
            layer.descriptor.digest.to_string()
        ),
        (
            "sha256:e3c48d0997741325f6bda855b1641806b682825ad0fcb75d435e06f062ef7b93".to_owned(),
            "sha256:c25b66a753091f9215a40bda5606ef22535b779ef2c200c1535c1bcf3aaeff04".to_owned()
        )
    );
    let context = world.context(None);
    let facts = base::facts(&bases[0], &context).unwrap();
    assert_eq!(facts.users[&1001], "app");
    assert_eq!(facts.users[&0], "root");
    assert_eq!(facts.libc, None);
    assert_eq!(facts.entries["tmp"].kind, EntryKind::Directory);
    let descriptor = &bases[0].layers[0].descriptor;
    let blob = world
        .store
        .blob(&descriptor.digest, descriptor.size)
        .unwrap();
    let listing = run(tool("tar").arg("--numeric-owner").arg("-tvzf").arg(&blob));
    for line in [
        "drwxrwxrwt 0/0               0 1980-01-01 00:00 tmp/",
        "drwxr-x--- 1001/1001         0 1980-01-01 00:00 home/app/",
        "drwx------ 0/0               0 1980-01-01 00:00 root/",
    ] {
        assert!(listing.contains(line), "{line}\n{listing}");
    }
}

/// The image of the embedded base alone is one that others unpack.
#[test]
fn the_certificates_of_the_embedded_base_are_read_by_openssl() {
    let world = World::new();
    let base = world
        .resolve("embedded:static", &["linux/amd64"])
        .unwrap()
        .remove(0);
    let context = world.context(None);
    let runtime = RuntimeConfig::default();
    let platform = Platform::linux_amd64();
    let image = Image::assemble(&platform, &base, &[], &runtime, &Stamp::default()).unwrap();
    let dir = world.path().join("out");
    let open = |_: &Layer| context.open_layer(&base.layers[0]);
    let layout = karisimbi::image::Layout::create(&dir).unwrap();
    let tag = "v1".parse().unwrap();
    layout.write(&[image], None, Some(&tag), &open).unwrap();
    let bundle = world.path().join("bundle");
    let name = format!("{}:v1", dir.display());
    run(tool("umoci")
        .args(["unpack", "--rootless", "--image", &name])
        .arg(&bundle));
    let bundle = bundle.join("rootfs/etc/ssl/certs/ca-certificates.crt");
    let certificates = run(tool("openssl")
        .args(["storeutl", "-noout", "-certs"])
        .arg(bundle));
    let total = certificates.lines().last().unwrap();
    let count: u32 = total.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count > 100, "{total}");
}
