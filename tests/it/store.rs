//! Tests of store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "what a test's helper can't do fails the test"
)]

mod processes;
mod refused;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karisimbi::digest::{DiffId, Digest};
use karisimbi::error::Coded as _;
use karisimbi::layer::{Descriptor, LayerKey, LayerRecord, LayerSummary};
use karisimbi::store::upkeep::What;
use karisimbi::store::{CACHEDIR_TAG, Store};
use oci_spec::image::MediaType;

use crate::support::{self, Heard};

fn open(root: &Path) -> (Store, Arc<Heard>) {
    let warnings = Arc::new(Heard::default());
    (Store::open(root, warnings.clone()).unwrap(), warnings)
}

fn key(name: &str) -> LayerKey {
    LayerKey::new("test", 1).with("name", name)
}

fn contents(name: &str) -> Vec<u8> {
    format!("layer {name} ").repeat(100).into_bytes()
}

fn put(store: &Store, name: &str) -> LayerRecord {
    let bytes = contents(name);
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(&bytes).unwrap();
    let digest = Digest::of(&bytes);
    store.commit_blob(writer, &digest).unwrap();
    let record = LayerRecord {
        descriptor: Descriptor {
            media_type: MediaType::ImageLayerGzip,
            digest,
            size: bytes.len() as u64,
            annotations: [("a".to_owned(), "b".to_owned())].into(),
        },
        diff_id: DiffId(Digest::of(name.as_bytes())),
        summary: LayerSummary::default(),
    };
    store.put_record(&key(name), &record).unwrap();
    record
}

fn blob_file(root: &Path, name: &str) -> PathBuf {
    root.join("blobs/sha256")
        .join(Digest::of(&contents(name)).hex())
}

fn record_file(root: &Path, name: &str) -> PathBuf {
    root.join("records").join(key(name).digest().hex())
}

fn memo_file(root: &Path, name: &str) -> PathBuf {
    root.join("memos").join(Digest::of(name.as_bytes()).hex())
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    // In place, as a failing disk or an editor would, and with the old mtime put back.
    let mtime = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(mtime).unwrap();
}

#[test]
fn a_memo_that_can_not_be_kept_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let (store, warnings) = open(dir.path());
    let memos = dir.path().join("memos");
    std::fs::remove_dir(&memos).unwrap();
    std::fs::write(&memos, "no folder").unwrap();
    store.remember("the version of go", &Digest::of(b"m"), b"value");
    let heard = warnings.take_warnings().join(" ");
    assert!(heard.contains("the version of go is not kept"), "{heard}");
}

#[test]
fn what_was_stored_is_found_again_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a/cache");
    let (store, _) = open(&root);
    let record = put(&store, "one");
    store.put_memo(&Digest::of(b"m"), b"value").unwrap();
    let config = store.put_blob(b"{}").unwrap();
    drop(store);

    let (store, warnings) = open(&root);
    assert_eq!(store.record(&key("one")), Some(record));
    assert_eq!(store.record(&key("two")), None);
    assert_eq!(store.memo(&Digest::of(b"m")).unwrap(), b"value");
    assert_eq!(store.memo(&Digest::of(b"n")), None);
    let path = store.blob(&config, 2).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"{}");
    assert_eq!(store.blob(&Digest::of(b"x"), 1), None);
    assert!(warnings.take_warnings().is_empty());

    let mode = std::fs::metadata(&root).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let tag = std::fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
    assert_eq!(tag, CACHEDIR_TAG);
    let before = std::fs::read_dir(root.join("tmp")).unwrap().count();
    drop(store);
    let after = std::fs::read_dir(root.join("tmp")).unwrap().count();
    assert_eq!((before, after), (1, 0));
}

/// What is done to a store with the layers `one` and `two` and the memo `m`, and what is said.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: [Damage; 10] = [
    (
        "blob cut",
        |root| {
            std::fs::write(blob_file(root, "one"), b"short").unwrap();
        },
        "it has 5 bytes instead of 1000",
    ),
    (
        "blob flipped, same size and mtime",
        |root| flip(&blob_file(root, "one"), 7),
        "its contents have the digest sha256:",
    ),
    (
        "blob gone",
        |root| std::fs::remove_file(blob_file(root, "one")).unwrap(),
        "is not there",
    ),
    (
        "blob is a folder",
        |root| {
            std::fs::remove_file(blob_file(root, "one")).unwrap();
            std::fs::create_dir(blob_file(root, "one")).unwrap();
        },
        "it is not a file",
    ),
    (
        "record cut",
        |root| std::fs::write(record_file(root, "one"), b"{}").unwrap(),
        "it is cut short",
    ),
    (
        "record empty",
        |root| std::fs::write(record_file(root, "one"), b"").unwrap(),
        "it is cut short",
    ),
    (
        "record flipped",
        |root| flip(&record_file(root, "one"), 200),
        "its checksum does not fit",
    ),
    (
        "record of another key",
        |root| {
            std::fs::copy(record_file(root, "two"), record_file(root, "one")).unwrap();
        },
        "it was stored for another key",
    ),
    (
        "record sealed but not JSON",
        |root| {
            let sealed = format!("{}\nnot json", Digest::of(b"not json"));
            std::fs::write(record_file(root, "one"), sealed).unwrap();
        },
        "it is not a layer record",
    ),
    (
        "memo flipped",
        |root| flip(&memo_file(root, "m"), 75),
        "its checksum does not fit",
    ),
];

#[test]
fn damage_is_a_warning_a_miss_and_healed() {
    for (name, damage, why) in DAMAGES {
        let dir = tempfile::tempdir().unwrap();
        let fill = |store: &Store| {
            store.put_memo(&Digest::of(b"m"), b"value").unwrap();
            put(store, "two");
            put(store, "one")
        };
        let (store, warnings) = open(dir.path());
        let record = fill(&store);
        damage(dir.path());

        let memo = store.memo(&Digest::of(b"m"));
        let found = store.record(&key("one"));
        assert!(memo.is_none() || found.is_none(), "{name}: found all");
        let said = warnings.take_warnings();
        assert!(said[0].starts_with("CACHE-CORRUPT: "), "{name}: {said:?}");
        assert!(
            said.iter().any(|text| text.contains(why)),
            "{name}: {said:?}"
        );

        assert_eq!(fill(&store), record, "{name}");
        assert_eq!(store.record(&key("one")), Some(record), "{name}");
        assert_eq!(store.memo(&Digest::of(b"m")).unwrap(), b"value", "{name}");
        assert_eq!(warnings.take_warnings(), Vec::<String>::new(), "{name}");
        assert!(store.verify().unwrap().problems.is_empty(), "{name}");
    }
}

#[test]
fn a_lost_stamp_or_a_touched_blob_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, warnings) = open(dir.path());
    let record = put(&store, "one");
    let stamp = dir
        .path()
        .join("stamps")
        .join(record.descriptor.digest.hex());
    std::fs::write(&stamp, b"damaged").unwrap();
    assert_eq!(store.record(&key("one")).as_ref(), Some(&record));
    std::fs::remove_file(&stamp).unwrap();
    assert_eq!(store.record(&key("one")).as_ref(), Some(&record));
    // A sink may hard-link a blob into its output: the ctime moves.
    std::fs::hard_link(blob_file(dir.path(), "one"), dir.path().join("link")).unwrap();
    assert_eq!(store.record(&key("one")), Some(record));
    assert!(warnings.take_warnings().is_empty());
}

#[test]
fn verify_reports_and_removes_every_damaged_file() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for name in ["one", "two", "three"] {
        put(&store, name);
    }
    store.put_memo(&Digest::of(b"m"), b"value").unwrap();
    assert_eq!(store.verify().unwrap().checked, 7);
    flip(&blob_file(dir.path(), "one"), 0);
    flip(&record_file(dir.path(), "two"), 100);
    flip(&memo_file(dir.path(), "m"), 73);
    std::fs::write(dir.path().join("blobs/sha256/foreign"), b"x").unwrap();

    let report = store.verify().unwrap();
    let shown: Vec<String> = report
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.path.display(), problem.why))
        .collect();
    let all = shown.join("\n");
    assert_eq!(shown.len(), 5, "{all}");
    assert!(all.contains("its contents have the digest"), "{all}");
    assert!(
        all.contains("blobs/sha256/foreign: its name is not a digest"),
        "{all}"
    );
    assert!(all.contains("is not there"), "{all}");
    assert!(all.contains("memos/"), "{all}");
    let again = store.verify().unwrap();
    assert_eq!((again.checked, again.problems.len()), (3, 0));
}

#[test]
fn prune_removes_what_was_used_longest_ago() {
    let dir = tempfile::tempdir().unwrap();
    let (store, warnings) = open(dir.path());
    for name in ["one", "two", "three"] {
        put(&store, name);
        std::thread::sleep(std::time::Duration::from_millis(12));
    }
    // A hit makes the oldest the youngest.
    assert!(store.record(&key("one")).is_some());
    let stats = store.stats().unwrap();
    let blobs = stats
        .kinds
        .iter()
        .find(|kind| kind.kind == "blobs")
        .unwrap();
    assert_eq!((blobs.count, blobs.bytes), (3, 3200));

    let removed = store.prune(stats.bytes - 100).unwrap();
    assert_eq!(removed.count, 2, "the blob and its record");
    assert!(store.record(&key("two")).is_none());
    assert!(store.record(&key("one")).is_some());
    assert!(store.record(&key("three")).is_some());
    assert_eq!(store.prune(0).unwrap().left, 0);
    assert_eq!(store.stats().unwrap().bytes, 0);
    assert!(warnings.take_warnings().is_empty());
}

#[test]
fn who_asks_with_a_wrong_size_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, warnings) = open(dir.path());
    let digest = store.put_blob(b"whole").unwrap();
    assert_eq!(store.blob(&digest, 4), None);
    assert!(store.blob(&digest, 5).is_some());
    assert!(warnings.take_warnings().is_empty());
}

#[test]
fn clear_removes_layers_inputs_or_all() {
    for (what, layers, inputs) in [
        (What::Layers, false, true),
        (What::Inputs, true, false),
        (What::All, false, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        put(&store, "one");
        // Go's module cache holds read-only folders.
        let module = store.folder("go").unwrap().join("mod/x@v1");
        support::write(&module.join("x.go"), "package x");
        std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o555)).unwrap();
        let slot = store.step_slot(&Digest::of(b"slot")).unwrap();
        support::write(&slot.join("server"), "ELF");
        let fetched = Digest::of(b"a package");
        let mut writer = store.blob_writer().unwrap();
        writer.write_all(b"a package").unwrap();
        store.commit_input(writer, &fetched).unwrap();
        let place = Digest::of(b"where the package is");
        store.remember_input("a package", &place, b"there");

        store.clear(what).unwrap();
        assert_eq!(store.blob(&fetched, 9).is_some(), inputs, "{what:?}");
        assert_eq!(store.memo(&place).is_some(), inputs, "{what:?}");
        assert_eq!(store.record(&key("one")).is_some(), layers, "{what:?}");
        assert_eq!(slot.exists(), layers, "{what:?}");
        assert_eq!(module.exists(), inputs, "{what:?}");
        put(&store, "two");
        assert!(store.record(&key("two")).is_some(), "{what:?}");
    }
}

#[test]
fn names_of_folders_can_not_leave_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for name in ["", "..", "a/b", "/etc", ".x"] {
        assert_eq!(
            store.folder(name).unwrap_err().code(),
            "STORE-USE",
            "{name}"
        );
    }
}
