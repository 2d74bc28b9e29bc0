//! Layouts and archives that somebody broke.

use std::path::Path;

use karisimbi::digest::Digest;
use karisimbi::error::Coded as _;
use karisimbi::image::archive::OciArchive;
use karisimbi::image::manifest::Root;
use karisimbi::image::{Blobs, Document, ImageError, Layout};
use karisimbi::layer::Descriptor;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{run, tool, write};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The index of a layout with one entry.
fn index(size: u64, digest: &str, media_type: &str) -> String {
    let entry = json!({"mediaType": media_type, "digest": digest, "size": size});
    json!({"schemaVersion": 2, "manifests": [entry]}).to_string()
}

/// The digest of the one blob, whose bytes are `x`.
fn digest() -> Digest {
    Digest::of(b"x")
}

fn layout(index: &str, blob: Option<&str>) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    );
    write(&temp.path().join("index.json"), index);
    if let Some(blob) = blob {
        write(&temp.path().join("blobs/sha256").join(digest().hex()), blob);
    }
    temp
}

fn read(dir: &Path) -> Result<Document, ImageError> {
    let layout = Layout::open(dir)?;
    let open = |descriptor: &Descriptor| Ok(layout.open_blob(descriptor)?);
    let document = Blobs::new(&open).document(&layout.resolve(None)?)?;
    Root::read(&document)?;
    Ok(document)
}

#[test]
fn hostile_layouts_are_refused() {
    let own = digest().to_string();
    let good = index(1, &own, MANIFEST);
    for (index, blob, code) in [
        (good.clone(), None, "IMAGE-MISSING"),
        (good.clone(), Some("y"), "IMAGE-DIGEST"),
        (good.clone(), Some("xx"), "IMAGE-DIGEST"),
        (good, Some("x"), "IMAGE-JSON"),
        (index(1, &own, "text/html"), Some("x"), "IMAGE-MEDIA"),
        (
            index(1, "sha256:../../../../etc/passwd", MANIFEST),
            None,
            "IMAGE-JSON",
        ),
        (index(1 << 40, &own, MANIFEST), Some("x"), "IMAGE-TOO-LARGE"),
        (index(0, &own, MANIFEST), Some("x"), "IMAGE-DIGEST"),
        ("{".to_owned(), None, "IMAGE-JSON"),
        ("[".repeat(100_000), None, "IMAGE-JSON"),
        (" ".repeat(5 << 20), None, "IMAGE-READ"),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
            None,
            "IMAGE-TAG",
        ),
    ] {
        let temp = layout(&index, blob);
        let error = read(temp.path()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn blobs_that_are_links_or_pipes_are_refused() {
    let temp = layout(&index(1, &digest().to_string(), MANIFEST), Some("x"));
    let path = temp.path().join("blobs/sha256").join(digest().hex());
    fs_err::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(read(temp.path()).unwrap_err().code(), "IMAGE-READ");
    fs_err::remove_file(&path).unwrap();
    run(tool("mkfifo").arg(&path));
    assert_eq!(read(temp.path()).unwrap_err().code(), "IMAGE-READ");
}

#[test]
fn what_is_no_layout_or_archive_is_named() {
    let temp = layout("{}", None);
    let error = Layout::open(&temp.path().join("none")).unwrap_err();
    assert_eq!(error.code(), "IMAGE-LAYOUT");
    write(
        &temp.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    );
    let error = Layout::open(temp.path()).unwrap_err();
    assert!(error.to_string().contains("layout version"), "{error}");
    for (content, code) in [
        (&b"this is no archive"[..], "IMAGE-READ"),
        (&[0; 1024], "IMAGE-ARCHIVE"),
    ] {
        let file = temp.path().join("x.tar");
        write(&file, content);
        let error = OciArchive::open(&file).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}
