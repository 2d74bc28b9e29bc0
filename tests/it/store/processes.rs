//! Several processes, and processes that are killed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use karisimbi::digest::Digest;

use super::{blob_file, contents, key, open, put};
use crate::support;

/// Runs [`act`] in a process of its own: this test program, running one test that acts as told.
fn spawn(root: &Path, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::processes::processes_at_once_share_a_store",
            "--nocapture",
        ])
        .env("STORE_TEST_ROOT", root)
        .env("STORE_TEST_ACT", role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a child says that it is where the test wants it.
fn await_ready(child: &mut Child) {
    use std::io::BufRead as _;
    let lines = std::io::BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .any(|line| line.contains("ready"));
    assert!(ready, "the child ended early");
}

/// The other process of the tests below.
#[expect(clippy::print_stdout, reason = "the parent waits for the line")]
fn act(role: &str) {
    let root = PathBuf::from(std::env::var_os("STORE_TEST_ROOT").expect("set by the parent"));
    let (store, warnings) = open(&root);
    let wait = || {
        println!("\nready");
        std::thread::sleep(std::time::Duration::from_mins(1));
    };
    match role {
        "die between blob and record" => {
            store.put_blob(&contents("one")).unwrap();
            let mut writer = store.blob_writer().unwrap();
            writer.write_all(b"half a blob").unwrap();
            let _lock = store.lock("step").unwrap();
            wait();
        }
        "build" => {
            for round in 0..40 {
                let name = format!("layer {}", round % 10);
                let record = put(&store, &name);
                assert_eq!(store.record(&key(&name)), Some(record));
                store.put_memo(&Digest::of(b"m"), name.as_bytes()).unwrap();
                assert!(store.memo(&Digest::of(b"m")).is_some());
            }
            assert_eq!(warnings.take_warnings(), Vec::<String>::new());
        }
        "count" => {
            for _ in 0..50 {
                let _lock = store.lock("counter").unwrap();
                let path = root.join("counter");
                let count: u64 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
                std::fs::write(&path, (count + 1).to_string()).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn kill_9_between_blob_and_record_leaves_a_sound_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(dir.path(), "die between blob and record");
    await_ready(&mut child);
    kill(child);
    let half = dir.path().join("tmp/0");
    assert!(half.exists(), "the killed process leaves its files");

    let (store, warnings) = open(dir.path());
    assert!(!half.join("0.part").exists(), "leftovers are swept at open");
    let _lock = store.lock("step").unwrap();
    assert!(store.record(&key("one")).is_none());
    assert_eq!(store.verify().unwrap().problems, []);
    let record = put(&store, "one");
    assert_eq!(store.record(&key("one")), Some(record));
    assert!(warnings.take_warnings().is_empty());
}

#[test]
fn processes_at_once_share_a_store() {
    if let Ok(role) = std::env::var("STORE_TEST_ACT") {
        return act(&role);
    }
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3).map(|_| spawn(dir.path(), "build")).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", support::shown(&output));
    }
    let (store, warnings) = open(dir.path());
    for n in 0..10 {
        assert!(store.record(&key(&format!("layer {n}"))).is_some());
    }
    assert_eq!(store.verify().unwrap().problems, []);
    assert!(warnings.take_warnings().is_empty());
    assert_eq!(
        std::fs::read_dir(dir.path().join("tmp")).unwrap().count(),
        1
    );
}

#[test]
fn a_lock_excludes_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    // The store's own files first: a folder that holds other things is refused.
    drop(open(dir.path()));
    std::fs::write(dir.path().join("counter"), "0").unwrap();
    let children: Vec<Child> = (0..3).map(|_| spawn(dir.path(), "count")).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let count = std::fs::read_to_string(dir.path().join("counter")).unwrap();
    assert_eq!(count, "150");
}

#[test]
fn prune_waits_for_a_running_build_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(dir.path(), "die between blob and record");
    await_ready(&mut child);
    let (store, warnings) = open(dir.path());
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| store.prune(0).unwrap());
        while warnings.warnings().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(
            blob_file(dir.path(), "one").exists(),
            "removed under a running build"
        );
        kill(child);
        assert_eq!(pruning.join().unwrap().count, 1);
    });
    let said = warnings.take_warnings().join("\n");
    assert!(
        said.starts_with("STORE-BUSY: waiting for the cache "),
        "{said}"
    );
    assert!(said.ends_with("another process uses it"), "{said}");
}
