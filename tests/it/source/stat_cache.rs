//! The stat cache: it saves hashing, and never changes a digest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karisimbi::layer::TreeDigest;
use karisimbi::progress::Silent;
use karisimbi::source::SourceTree;
use karisimbi::store::Store;

use super::{Action, Lines, digest, tree};
use crate::support::write;

fn cached(root: &Path, store: &Store) -> TreeDigest {
    digest(&SourceTree::open(root, &[], Some(store)).unwrap())
}

fn stat_file(cache: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(cache.join("stat")).unwrap();
    files.next().expect("a stat cache").unwrap().path()
}

/// Long enough for the file system's clock to have moved on.
fn tick() {
    std::thread::sleep(std::time::Duration::from_millis(25));
}

#[test]
fn an_edit_of_the_same_size_and_mtime_changes_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    write(&root.join("a"), "one");
    tick();
    let before = cached(&root, &store);
    tick();
    let mtime = std::fs::metadata(root.join("a"))
        .unwrap()
        .modified()
        .unwrap();
    write(&root.join("a"), "two");
    let file = std::fs::File::options()
        .write(true)
        .open(root.join("a"))
        .unwrap();
    file.set_modified(mtime).unwrap();
    let now = cached(&root, &store);
    assert_ne!(before, now);
    assert_eq!(now, digest(&tree(&root)));
}

#[test]
fn hashing_much_tells_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let lines = Arc::new(Lines::default());
    let store = Store::open(&dir.path().join("cache"), Arc::clone(&lines) as _).unwrap();
    let root = dir.path().join("source");
    write(&root.join("a"), "small");
    cached(&root, &store);
    assert_eq!(*lines.0.lock().unwrap(), [""; 0]);
    // Holes: no disk is filled, but all of it is hashed.
    let file = std::fs::File::create(root.join("b")).unwrap();
    file.set_len(2 << 30).unwrap();
    cached(&root, &store);
    let lines = lines.0.lock().unwrap();
    // The small file may have been written in the tick of its scan, and count again.
    let told = |line: &String| line.starts_with("hash the source Some(21474836");
    assert!(!lines.is_empty() && lines.iter().all(told), "{lines:?}");
}

#[test]
fn an_edit_in_the_tick_of_the_scan_changes_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let store = Store::open(&cache, Arc::new(Silent)).unwrap();
    for round in 0..200 {
        // Without any wait: the times often stay the same over the write.
        write(&root.join("a"), format!("{round:03}"));
        assert_eq!(cached(&root, &store), digest(&tree(&root)), "{round}");
    }
}

#[test]
fn the_stat_cache_saves_hashing_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    let warnings = Arc::new(Lines::default());
    let store = Store::open(&cache, warnings.clone()).unwrap();
    write(&root.join("big"), vec![7; 1 << 20]);
    write(&root.join("b/c"), "c");
    tick();
    let expected = cached(&root, &store);
    let first = std::fs::read(stat_file(&cache)).unwrap();
    assert_eq!(cached(&root, &store), expected);
    let second = std::fs::read(stat_file(&cache)).unwrap();
    assert_eq!(first, second, "nothing was hashed, so nothing was written");

    let cases: [(Action, bool); 4] = [
        (|file| std::fs::remove_file(file).unwrap(), false),
        (|file| std::fs::write(file, b"").unwrap(), true),
        (
            |file| {
                let mut bytes = std::fs::read(file).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1; // a digest
                std::fs::write(file, bytes).unwrap();
            },
            true,
        ),
        (
            |file| {
                let other = b"karisimbi stat cache 9\n";
                let mut sealed = format!("{}\n", karisimbi::digest::Digest::of(other)).into_bytes();
                sealed.extend_from_slice(other);
                std::fs::write(file, sealed).unwrap();
            },
            true,
        ),
    ];
    for (damage, warned) in cases {
        damage(&stat_file(&cache));
        assert_eq!(cached(&root, &store), expected);
        let said = std::mem::take(&mut *warnings.0.lock().unwrap());
        assert_eq!(said.len(), usize::from(warned), "{said:?}");
        assert!(
            said.iter().all(|text| text.starts_with("CACHE-CORRUPT: ")),
            "{said:?}"
        );
    }
    assert_eq!(store.verify().unwrap().problems, []);
}

#[test]
fn two_scans_at_once_share_a_stat_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("source"), dir.path().join("cache"));
    for n in 0..200 {
        write(&root.join(format!("d{}/f{n}", n % 7)), n.to_string());
    }
    let expected = digest(&tree(&root));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = Store::open(&cache, Arc::new(Silent)).unwrap();
                for _ in 0..5 {
                    assert_eq!(cached(&root, &store), expected);
                }
            });
        }
    });
}
