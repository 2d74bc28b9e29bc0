//! Stores that can't be opened or written.

use karisimbi::error::Coded as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karisimbi::layer::LayerError;
use karisimbi::progress::Silent;
use karisimbi::store::{CACHEDIR_TAG, Store, StoreError};

use super::{key, open, put};
use crate::support::{run, tool};

/// A mounted file system of this test alone.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path, options: &str) -> Self {
        run(tool("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(path));
        Self(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run(tool("umount").arg("--lazy").arg(&self.0));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_full_disk_is_said_with_path_and_bytes_and_leaves_nothing() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let error = full.unwrap().write_all(b"x").unwrap_err();
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let error = store.explain_write(error, 5_000_000);
    assert_eq!(error.code(), "STORE-FULL");
    let said = error.to_string();
    assert!(said.contains("5.0 MB needed so far, "), "{said}");
    assert!(said.contains(&dir.path().display().to_string()), "{said}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("karisimbi cache prune --max-size")
    );
    let layer = LayerError::from(error);
    assert_eq!((layer.code(), layer.to_string()), ("STORE-FULL", said));
    drop(store);

    if !is_root() {
        return; // Mounting needs root; CI is root.
    }
    let mount = Mount::new(dir.path(), "size=1m");
    let (store, warnings) = open(&mount.0.join("cache"));
    put(&store, "one");
    let mut writer = store.blob_writer().unwrap();
    let error = writer.write_all(&vec![7; 2 << 20]).unwrap_err();
    let error = store.explain_write(error, writer.written());
    let said = error.to_string();
    assert!(matches!(error, StoreError::Full { .. }), "{said}");
    assert!(said.ends_with("needed so far, 0 B free"), "{said}");
    drop(writer);
    assert!(store.record(&key("one")).is_some(), "what was there stays");
    assert!(store.verify().unwrap().problems.is_empty());
    assert!(warnings.take_warnings().is_empty());
    let big = store.put_blob(&vec![7; 2 << 20]).unwrap_err();
    assert_eq!(big.code(), "STORE-FULL");
    drop(store);
}

#[test]
fn a_folder_that_can_not_be_written_is_said_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let (_mount, root) = if is_root() {
        (Some(Mount::new(dir.path(), "ro")), dir.path().join("cache"))
    } else {
        (None, PathBuf::from("/sys/karisimbi"))
    };
    let error = Store::open(&root, Arc::new(Silent)).unwrap_err();
    assert_eq!(error.code(), "STORE-DENIED");
    assert!(error.to_string().contains(&root.display().to_string()));
    assert!(error.hint().unwrap().contains("--cache-dir"));
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_stays_as_it_was() {
    for (what, name, bytes) in [
        ("a source", "tmp/keep/me", ""),
        ("a layout", "oci-layout", ""),
        (
            "another cache",
            "CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55\n",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join(name);
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(&kept, bytes).unwrap();
        if what == "a layout" {
            std::fs::write(folder.path().join("CACHEDIR.TAG"), CACHEDIR_TAG).unwrap();
        }
        let before = std::fs::read_dir(folder.path()).unwrap().count();
        let error = Store::open(folder.path(), Arc::new(Silent)).unwrap_err();
        assert_eq!(error.code(), "STORE-FOREIGN", "{what}: {error}");
        let named = name.split('/').next().unwrap();
        assert!(error.to_string().contains(named), "{what}: {error}");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), bytes, "{what}");
        let after = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(after, before, "{what}: nothing was added");
    }
    let volume = tempfile::tempdir().unwrap();
    std::fs::create_dir(volume.path().join("lost+found")).unwrap();
    open(volume.path());
    open(volume.path());
}
