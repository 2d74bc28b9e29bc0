//! Images that lie in the source.

use std::path::Path;

use karisimbi::image::layout::Layout;
use karisimbi::source::Filter;

use super::{Action, paths, tree};
use crate::support::write;

/// A layout as a build leaves it.
pub(super) fn output(folder: &Path) {
    Layout::create(folder).unwrap().mark_as_output().unwrap();
    write(&folder.join("index.json"), "{}");
    write(&folder.join("blobs/sha256").join("0a".repeat(32)), "blob");
}

#[test]
fn a_layout_of_ours_is_left_out() {
    let cases: &[(&str, Action)] = &[
        ("as it is", |_| {}),
        ("being written", |out| write(&out.join(".karisimbi-x"), "")),
        ("no blobs yet", |out| {
            std::fs::remove_dir_all(out.join("blobs/sha256")).unwrap();
        }),
    ];
    for (name, change) in cases {
        let seen = seen(*change);
        assert_eq!(seen, ["main.go"], "{name}");
    }
}

#[test]
fn a_mark_hides_nothing_but_a_layout() {
    let removed = |path: &Path| std::fs::remove_file(path).unwrap();
    for path in [
        "x.go",
        "sub/x.go",
        ".karisimbi-x/x.go",
        "blobs/sha256/x.go",
        "blobs/x/x.go",
        &format!("blobs/sha256/{}/x.go", "f1".repeat(32)),
    ] {
        let seen = seen(|out| write(&out.join(path), ""));
        let path = format!("out/{path}");
        assert!(seen.contains(&path), "{path}: {seen:?}");
    }
    for mark in ["oci-layout", "go.mod", "CACHEDIR.TAG"] {
        let without = seen(|out| removed(&out.join(mark)));
        assert!(without.contains(&"out/index.json".to_owned()), "{mark}");
        let other = seen(|out| write(&out.join(mark), "another"));
        let left_out = mark == "oci-layout"; // Its contents are the reader's business.
        assert_eq!(other == ["main.go"], left_out, "{mark}: {other:?}");
    }
}

/// The tree of a source with an output in it, after a change of the output.
fn seen(change: impl FnOnce(&Path)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("main.go"), "");
    output(&dir.path().join("out"));
    change(&dir.path().join("out"));
    paths(&tree(dir.path()), Filter::All)
}
