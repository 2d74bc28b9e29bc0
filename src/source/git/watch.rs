//! How far a fetch is: git tells it in words alone, so the pack that it writes is looked at.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::progress::Meter;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs a fetch into the repository at `root` and reports the bytes received.
pub(super) fn fetch<T>(root: &Path, meter: &Meter<'_>, run: impl FnOnce() -> T) -> T {
    let packs = root.join(".git/objects/pack");
    let (running, ended) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                meter.at(size(&packs));
            }
        });
        let result = run();
        drop(running);
        result
    })
}

/// Bytes of the files in a folder; what vanishes meanwhile counts nothing.
fn size(folder: &Path) -> u64 {
    let files = fs_err::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|data| data.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::progress::{Event, Reporter};

    #[derive(Default)]
    struct Bytes(Mutex<Vec<u64>>);

    impl Reporter for Bytes {
        fn event(&self, event: Event) {
            if let Event::Progress { done, .. } = event {
                self.0.lock().unwrap().push(done);
            }
        }
    }

    #[test]
    fn the_growing_pack_is_what_is_done() {
        let root = tempfile::tempdir().unwrap();
        let pack = root.path().join(".git/objects/pack");
        fs_err::create_dir_all(&pack).unwrap();
        let bytes = Bytes::default();
        let fetched = fetch(root.path(), &Meter::new(&bytes, "clone", None), || {
            fs_err::write(pack.join("tmp_pack_1"), [0; 1000]).unwrap();
            std::thread::sleep(Duration::from_millis(900));
            7
        });
        assert_eq!(fetched, 7);
        let bytes = bytes.0.into_inner().unwrap();
        assert!(
            !bytes.is_empty() && bytes.iter().all(|n| *n == 1000),
            "{bytes:?}"
        );
    }
}
