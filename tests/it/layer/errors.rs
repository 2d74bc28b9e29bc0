//! One test for each refusal of the engine.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use karisimbi::digest::Digest;
use karisimbi::error::Coded as _;
use karisimbi::layer::{
    Compression, Content, Encoder, Entry, EntryPath, Executable, Expected, LayerError, Node, Owner,
    Stamp, Streamed,
};

use super::{MIB, directory, encode, file, link, on_disk};
use crate::support::{run, tool, write};

/// The code, and the message with its hint, of a layer that can't be made.
fn refused(entries: &[Entry]) -> (&'static str, String) {
    let error = encode(entries).map(|_| ()).expect_err("a refusal");
    described(&error)
}

fn described(error: &LayerError) -> (&'static str, String) {
    let source = std::error::Error::source(error);
    let source = source.map(ToString::to_string).unwrap_or_default();
    let hint = error.hint().unwrap_or_default();
    (error.code(), format!("{error}; {source}; {hint}"))
}

fn assert_refused(entries: &[Entry], code: &str, parts: &[&str]) {
    let (found, message) = refused(entries);
    assert_eq!(found, code, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Bytes are compared with the key's digest unless the file is what it was when it was hashed.
#[test]
fn a_file_with_other_bytes_of_the_same_length_is_refused() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    write(&path, "now\n");
    let found = std::fs::metadata(&path).expect("a file");
    let stamp = Stamp {
        mtime: (
            found.mtime(),
            u32::try_from(found.mtime_nsec()).expect("below 10^9"),
        ),
        ctime: (
            found.ctime(),
            u32::try_from(found.ctime_nsec()).expect("below 10^9"),
        ),
        inode: found.ino(),
    };
    let moved = Stamp {
        ctime: (stamp.ctime.0 - 1, stamp.ctime.1),
        ..stamp
    };
    let entry = |text: &str, stamp| {
        let digest = Digest::of(text.as_bytes());
        let mut entry = on_disk("f", &path, 4);
        if let Node::File {
            content: Content::File { expected, .. },
            ..
        } = &mut entry.node
        {
            *expected = Some(Expected { digest, stamp });
        }
        entry
    };
    for stamp in [None, Some(moved)] {
        assert_refused(
            &[entry("old\n", stamp)],
            "LAYER-CHANGED",
            &["other ones found"],
        );
        assert!(
            encode(&[entry("now\n", stamp)]).is_ok(),
            "the bytes of the key"
        );
    }
    // Nothing wrote to it since it was hashed: the kernel says so.
    assert!(encode(&[entry("now\n", Some(stamp))]).is_ok());
}

#[test]
fn a_file_that_is_not_as_long_as_it_was_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grows");
    write(&path, "12345");
    for (size, sizes) in [
        (4, "4 bytes expected, 5 found"),
        (6, "6 bytes expected, 5 found"),
        (0, "0 bytes expected, 5 found"),
    ] {
        let entries = [on_disk("f", &path, size)];
        assert_refused(
            &entries,
            "LAYER-CHANGED",
            &["grows", sizes, "quiet checkout"],
        );
    }
    let linked = folder.path().join("linked");
    std::os::unix::fs::symlink(&path, &linked).expect("a link");
    let entries = [on_disk("f", &linked, 5)];
    assert_refused(
        &entries,
        "LAYER-CHANGED",
        &["linked", "a symbolic link found"],
    );
}

#[test]
fn a_stream_of_another_length_is_refused() {
    for (size, sizes) in [
        (2, "2 bytes expected, more found"),
        (9, "9 bytes expected, 3 found"),
    ] {
        let streamed = Streamed {
            path: EntryPath::new("lib/x.js").expect("a path"),
            executable: Executable::No,
            size,
            package: Some("left-pad".into()),
        };
        let error = Encoder::new(1)
            .encode(Vec::new(), Compression::Gzip, |out| {
                out.append_reader(&streamed, &mut &b"abc"[..])
            })
            .map(|_| ())
            .expect_err("a refusal");
        let (code, message) = described(&error);
        assert_eq!(code, "LAYER-CHANGED");
        assert!(
            message.contains("lib/x.js") && message.contains(sizes),
            "{message}"
        );
    }
}

#[test]
fn a_file_whose_times_move_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("busy");
    write(&path, vec![7; 48 * MIB]);
    let stop = AtomicBool::new(false);
    let (code, message) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs_err::OpenOptions::new()
                .write(true)
                .open(&path)
                .expect("the file");
            let mut time = SystemTime::UNIX_EPOCH;
            while !stop.load(Ordering::Relaxed) {
                time += Duration::from_secs(1);
                file.file().set_modified(time).expect("another time");
            }
        });
        let result = encode(&[on_disk("f", &path, 48 << 20)]).map(|_| ());
        stop.store(true, Ordering::Relaxed);
        described(&result.expect_err("a refusal"))
    });
    assert_eq!(code, "LAYER-CHANGED");
    assert!(
        message.contains("busy") && message.contains("other times"),
        "{message}"
    );
}

#[test]
fn special_files_are_refused_without_waiting_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    run(tool("mkfifo").arg(&fifo));
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let device = Path::new("/dev/null");
    let kind = fs_err::metadata(device).expect("a device").file_type();
    assert!(kind.is_char_device());
    for (path, kind) in [
        (fifo.as_path(), "fifo"),
        (&socket, "socket"),
        (device, "character device"),
    ] {
        let entries = [on_disk("f", path, 0)];
        let shown = path.display().to_string();
        assert_refused(&entries, "LAYER-SPECIAL", &[&shown, kind, ".dockerignore"]);
    }
}

#[test]
fn set_id_bits_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sudo");
    for mode in [0o4755, 0o2755] {
        write(&path, "x");
        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(&path, permissions).expect("a mode");
        let shown = format!("{mode:04o}");
        assert_refused(
            &[on_disk("f", &path, 1)],
            "LAYER-SETID",
            &["sudo", &shown, "chmod"],
        );
    }
    let entries = [directory("d", 0o2775, Owner::APP)];
    assert_refused(&entries, "LAYER-SETID", &["d", "2775"]);
}

#[test]
fn link_targets_that_no_system_can_hold_are_refused() {
    for target in ["", "a\0b"] {
        assert_refused(
            &[link("l", target)],
            "LAYER-PATH",
            &["\"l\"", "link target"],
        );
    }
}

#[test]
fn one_path_from_two_sources_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one");
    write(&path, "1");
    let shown = path.display().to_string();
    let cases = [
        (vec![on_disk("a/b", &path, 1), file("a/b", *b"2")], "a/b"),
        (
            vec![directory("a", 0o755, Owner::ROOT), file("a", *b"2")],
            "a:",
        ),
        // `a-b` sorts between a file and what lies below it.
        (
            vec![file("a", *b"1"), file("a-b", *b"2"), file("a/b", *b"3")],
            "a:",
        ),
        (vec![link("a", "c"), file("a/b/c/d", *b"3")], "a:"),
    ];
    for (entries, part) in cases {
        assert_refused(&entries, "LAYER-DUPLICATE", &[part, "two sources"]);
    }
    let entries = [on_disk("a/b", &path, 1), file("a/b", *b"2")];
    assert_refused(&entries, "LAYER-DUPLICATE", &[&shown, "generated bytes"]);
}

#[test]
fn files_of_8_gib_are_refused_without_reading_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge");
    let sparse = fs_err::File::create(&path).expect("a file");
    sparse.set_len(8 << 30).expect("a sparse file");
    let started = std::time::Instant::now();
    let entries = [on_disk("f", &path, 8 << 30)];
    assert_refused(&entries, "LAYER-TOO-LARGE", &["huge", "8589934592"]);
    let entries = [on_disk("f", &path, 5)];
    assert_refused(&entries, "LAYER-TOO-LARGE", &["huge", "8589934592"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn files_that_can_not_be_read_are_refused_with_the_uid() {
    let folder = tempfile::tempdir().expect("a folder");
    let uid = format!("as uid {}", rustix::process::geteuid().as_raw());
    let gone = folder.path().join("gone");
    let entries = [on_disk("f", &gone, 1)];
    assert_refused(&entries, "LAYER-READ", &["gone", &uid, "No such file"]);
    let entries = [on_disk("f", folder.path(), 1)];
    assert_refused(&entries, "LAYER-READ", &[&uid, "Is a directory"]);
}

#[test]
fn entries_out_of_order_are_our_bug() {
    let entries = [file("b", *b"1"), file("a", *b"2")];
    let (code, message) = refused(&entries);
    assert_eq!(code, "LAYER-FORMAT");
    assert!(
        message.contains("a comes after b") && message.contains("a bug"),
        "{message}"
    );
}

#[test]
fn a_full_disk_is_named_as_such() {
    let full = fs_err::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let error = Encoder::new(2)
        .encode(full, Compression::Gzip, |out| {
            out.append(&file("f", vec![1; 9 * MIB]))
        })
        .map(|_| ())
        .expect_err("a refusal");
    let LayerError::Write { source } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(error.code(), "LAYER-WRITE");
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
