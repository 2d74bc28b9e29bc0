//! Source trees: the first walk hashes every file, later ones compare stats.

#![expect(
    clippy::expect_used,
    reason = "a bench that can't prepare its files has no result"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use karisimbi::digest::Digest;
use karisimbi::progress::Silent;
use karisimbi::source::{Filter, SourceTree};
use karisimbi::store::Store;
use tempfile::TempDir;

const FOLDERS: usize = 100;
const FILES: usize = 100;

/// Measures opening a tree of 10,000 files of 2 kB and digesting all of it.
pub(crate) fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    populate(folder.path());
    // Files as young as the scan are hashed again by the racy rule.
    std::thread::sleep(Duration::from_secs(2));
    let mut group = criterion.benchmark_group("scan-10k-files");
    group.sample_size(10);
    group.throughput(Throughput::Elements((FOLDERS * FILES) as u64));
    group.bench_function("without-store", |bencher| {
        bencher.iter(|| scan(folder.path(), None));
    });
    group.bench_function("cold", |bencher| {
        bencher.iter_batched(
            store,
            |(cache, store)| (scan(folder.path(), Some(&store)), cache),
            BatchSize::PerIteration,
        );
    });
    let (_cache, store) = store();
    let first = scan(folder.path(), Some(&store));
    group.bench_function("warm", |bencher| {
        bencher.iter(|| assert_eq!(scan(folder.path(), Some(&store)), first));
    });
    group.finish();
}

fn store() -> (TempDir, Arc<Store>) {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(cache.path(), Arc::new(Silent)).expect("a store");
    (cache, Arc::new(store))
}

fn scan(root: &Path, store: Option<&Arc<Store>>) -> Digest {
    let tree = SourceTree::open(root, &[], store.map(AsRef::as_ref)).expect("a tree");
    let members = tree.select("", Filter::All).expect("all files");
    tree.digest(&members).0
}

fn populate(root: &Path) {
    for folder in 0..FOLDERS {
        let folder = root.join(format!("packages/{folder:03}/lib"));
        fs_err::create_dir_all(&folder).expect("a folder");
        for file in 0..FILES {
            let text = format!("export const value = {file};\n").repeat(70);
            fs_err::write(folder.join(format!("{file:03}.js")), text).expect("a file");
        }
    }
}
