//! Archives, written and read.

use karisimbi::error::Coded as _;
use karisimbi::image::archive::{OciArchive, write_docker, write_file, write_oci};
use karisimbi::image::{Blobs, Layer, Layout, verify};
use karisimbi::layer::Descriptor;
use serde_json::Value;

use super::{Bytes, digest_of, image, index_of, oci, skopeo, store_layout, tag};
use crate::support::{run, tool};

#[test]
fn archives_are_equal_each_time_and_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    let images = [
        image(&mut bytes, "linux/amd64", &[("app/server", "hello")]),
        image(&mut bytes, "linux/arm64", &[("app/server", "hullo")]),
    ];
    let open = |layer: &Layer| Ok(bytes.open(layer));
    for (name, images) in [("one", &images[..1]), ("two", &images[..])] {
        let file = temp.path().join(format!("{name}.tar"));
        let mut root = None;
        let write = |out: &mut dyn std::io::Write| {
            root = Some(write_oci(
                images,
                index_of(images).as_ref(),
                Some(&tag("v1")),
                &open,
                out,
            )?);
            Ok(())
        };
        write_file(&file, write).unwrap();
        let root = root.unwrap();
        let mut again = Vec::new();
        write_oci(
            images,
            index_of(images).as_ref(),
            Some(&tag("v1")),
            &open,
            &mut again,
        )
        .unwrap();
        assert!(fs_err::read(&file).unwrap() == again, "two archives differ");

        let copy = temp.path().join(name);
        let archive = format!("oci-archive:{}:v1", file.display());
        skopeo(&["copy", "--all", &archive, &oci(&copy, "v1")]);
        assert_eq!(digest_of(&copy, "v1"), root.digest);

        let archive = OciArchive::open(&file).unwrap();
        assert_eq!(
            archive.resolve(Some(&tag("v1"))).unwrap().digest,
            root.digest
        );
        let open = |descriptor: &Descriptor| Ok(archive.open_blob(descriptor)?);
        assert_eq!(verify(&root, &Blobs::new(&open)), []);
        let names = run(tool("tar").arg("-tf").arg(&file));
        let mut sorted: Vec<&str> = names.lines().collect();
        sorted.sort_unstable();
        assert_eq!(names.lines().collect::<Vec<_>>(), sorted);
    }
}

#[test]
fn archives_of_skopeo_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("a", "1")]);
    let dir = temp.path().join("layout");
    store_layout(&dir, std::slice::from_ref(&image), &bytes, "v1");
    let file = temp.path().join("x.tar");
    let archive = format!("oci-archive:{}:v9", file.display());
    skopeo(&["copy", &oci(&dir, "v1"), &archive]);
    let archive = OciArchive::open(&file).unwrap();
    let root = archive.resolve(None).unwrap();
    assert_eq!(root.digest, image.manifest.digest);
    let error = archive.resolve(Some(&tag("v1"))).unwrap_err();
    assert_eq!(error.code(), "IMAGE-TAG");
    assert!(error.to_string().contains("it has v9"), "{error}");
}

#[test]
fn docker_archives_are_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    let image = image(&mut bytes, "linux/amd64", &[("app/server", "hello")]);
    let file = temp.path().join("x.tar");
    let open = |layer: &Layer| Ok(bytes.open(layer));
    write_file(&file, |out| {
        write_docker(&image, Some("h.example:5000/app"), &open, out)
    })
    .unwrap();
    let archive = format!("docker-archive:{}", file.display());
    let config = skopeo(&["inspect", "--config", "--raw", &archive]);
    assert_eq!(config.as_bytes(), image.config.bytes);
    let named = format!("{archive}:h.example:5000/app:latest");
    let copy = temp.path().join("copy");
    skopeo(&["copy", &named, &oci(&copy, "v1")]);
    let layout = Layout::open(&copy).unwrap();
    let open = |descriptor: &Descriptor| Ok(layout.open_blob(descriptor)?);
    let root = layout.resolve(None).unwrap();
    assert_eq!(verify(&root, &Blobs::new(&open)), []);
    // Kept in Docker's form, config and so image id survive.
    let kept = temp.path().join("kept");
    skopeo(&["copy", &named, &format!("dir:{}", kept.display())]);
    let manifest = fs_err::read(kept.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        manifest["config"]["digest"],
        image.config.digest.to_string()
    );
}
