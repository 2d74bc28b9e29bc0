//! Bases in registries: the registry is a folder that skopeo wrote, with Docker's own documents.

use std::cell::Cell;
use std::path::Path;

use karisimbi::base::{BaseName, ManifestSource, facts, resolve};
use karisimbi::digest::Digest;
use karisimbi::error::{AnyError, Coded as _};
use karisimbi::image::{Blob, Document, ImageError};
use karisimbi::layer::Descriptor;
use karisimbi::platform::Platform;
use karisimbi::reference::{Reference, Repository};
use oci_spec::image::MediaType;

use super::World;
use crate::support::{run, tool};

fn read(path: &Path) -> Result<Vec<u8>, AnyError> {
    let read = fs_err::read(path);
    Ok(read.map_err(|source| ImageError::Read {
        what: path.display().to_string(),
        source,
    })?)
}

#[test]
fn docker_images_become_oci_bases_and_pinned_ones_need_no_registry() {
    let world = World::new();
    let (name, images) = world.two_platforms();
    let dir = world.path().join("docker");
    let to = format!("dir:{}", dir.display());
    run(tool("skopeo")
        .args(["--insecure-policy", "--override-arch", "amd64"])
        .args(["copy", "--format", "v2s2", &name, &to]));
    let requests = Cell::new(0);
    let manifest = |_: &Reference| -> Result<Document, AnyError> {
        requests.set(requests.get() + 1);
        let media_type = "application/vnd.docker.distribution.manifest.v2+json";
        let bytes = read(&dir.join("manifest.json"))?;
        Ok(Document::from_bytes(bytes, MediaType::from(media_type)))
    };
    let blob = |_: &Repository,
                descriptor: &Descriptor,
                out: &mut (dyn std::io::Write + Send)|
     -> Result<(), AnyError> {
        requests.set(requests.get() + 1);
        let bytes = read(&dir.join(descriptor.digest.hex()))?;
        Ok(out.write_all(&bytes).map_err(|source| ImageError::Read {
            what: "a pipe".to_owned(),
            source,
        })?)
    };
    let source = ManifestSource {
        manifest: &manifest,
        blob: &blob,
    };
    let online = world.context(Some(&source));
    let digest = Digest::of(&read(&dir.join("manifest.json")).unwrap());
    let platforms = [Platform::linux_amd64()];
    for name in ["h.example/x:1".to_owned(), format!("h.example/x@{digest}")] {
        let name: BaseName = name.parse().unwrap();
        let base = resolve(&name, &platforms, &online).unwrap().remove(0);
        assert_eq!(base.name, name.to_string());
        assert_eq!(base.digest, Some(digest));
        let layer = &base.layers[0];
        assert_eq!(layer.descriptor.media_type, MediaType::ImageLayerGzip);
        assert_eq!(layer.diff_id, images[0].layers[0].diff_id);
        assert!(matches!(&layer.blob, Blob::Registry(_)));
        assert_eq!(facts(&base, &online).unwrap().users[&1001], "app");
    }
    // Everything of the pinned base is here now; a tag must be asked for.
    let before = requests.get();
    let pinned: BaseName = format!("h.example/x@{digest}").parse().unwrap();
    let base = resolve(&pinned, &platforms, &world.context(None))
        .unwrap()
        .remove(0);
    facts(&base, &world.context(None)).unwrap();
    let tagged = "h.example/x:1".parse().unwrap();
    let error = resolve(&tagged, &platforms, &world.context(None)).unwrap_err();
    assert_eq!(error.code(), "BASE-OFFLINE");
    assert_eq!(requests.get(), before);
    // Another manifest than the one that was asked for.
    let other: BaseName = format!("h.example/x@{}", Digest::of(b"other"))
        .parse()
        .unwrap();
    let error = resolve(&other, &platforms, &online).unwrap_err();
    assert_eq!(error.code(), "BASE-CONFIG", "{error}");
}

#[test]
fn a_registry_that_sends_other_bytes_is_refused() {
    let world = World::new();
    let (_, images) = world.two_platforms();
    let image = &images[0];
    let manifest = |_: &Reference| -> Result<Document, AnyError> { Ok(image.manifest.clone()) };
    for config in [
        &image.config.bytes[1..],
        b"",
        &[&image.config.bytes[..], b" "].concat(),
    ] {
        let blob = |_: &Repository,
                    _: &Descriptor,
                    out: &mut (dyn std::io::Write + Send)|
         -> Result<(), AnyError> {
            out.write_all(config).unwrap();
            Ok(())
        };
        let source = ManifestSource {
            manifest: &manifest,
            blob: &blob,
        };
        let name: BaseName = "h.example/x".parse().unwrap();
        let context = world.context(Some(&source));
        let error = resolve(&name, &[Platform::linux_amd64()], &context).unwrap_err();
        assert_eq!(error.code(), "BASE-LAYER", "{error}");
    }
}
