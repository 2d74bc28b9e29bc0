//! Every fault of a package's file has its code, and nothing of it is kept.

use super::faults::HELLO;
use super::mirror::{Mirror, package};
use super::{Machine, told};
use crate::support::write;

/// A fault of a package's file: its name, what it does, the code, words of the message.
type FileFault = (&'static str, fn(&Mirror), &'static str, &'static str);

const FILES: [FileFault; 5] = [
    (
        "another file",
        |m| {
            write(
                &m.file(&HELLO.path()),
                HELLO.contents().replace("1.0", "6.6"),
            );
        },
        "BASE-HASH",
        "hello_1.0-1_amd64.deb is not what was signed for: it should be sha256:",
    ),
    (
        "a longer file",
        |m| write(&m.file(&HELLO.path()), HELLO.contents() + "x"),
        "BASE-HASH",
        "is longer",
    ),
    (
        "a shorter file",
        |m| write(&m.file(&HELLO.path()), "!<arch>"),
        "BASE-HASH",
        "(7 bytes)",
    ),
    (
        "a file that vanished, with a newer version",
        |m| {
            fs_err::remove_file(m.file(&HELLO.path())).expect("a file");
            let release = m.index("trixie", &[package("hello", "1.0-2", "")]);
            m.sign(&release, &[&m.signer]);
        },
        "BASE-404",
        "hello 1.0-1 (amd64) is on no mirror any more (file:",
    ),
    (
        "a file that vanished, with its package",
        |m| {
            fs_err::remove_file(m.file(&HELLO.path())).expect("a file");
            let release = m.index("trixie", &[package("other", "1", "")]);
            m.sign(&release, &[&m.signer]);
        },
        "BASE-404",
        "; trixie has no such package any more",
    ),
];

#[test]
fn files_that_are_not_what_was_locked() {
    for (name, fault, code, words) in FILES {
        let mirror = Mirror::new(&[HELLO]);
        let machine = Machine::of(&mirror);
        let resolution = machine.resolve(&["hello"]).expect("packages");
        fault(&mirror);
        // A machine with nothing but the lock.
        let machine = Machine::of(&mirror);
        let told = told(&machine.fetch(&resolution).expect_err(name));
        assert!(
            told.starts_with(code) && told.contains(words),
            "{name}: {told}"
        );
        if name.ends_with("newer version") {
            assert!(told.contains("; trixie has 1.0-2 now"), "{told}");
        }
        let kept = machine.kept();
        let blobs = kept.iter().filter(|name| !name.starts_with("memos/"));
        // The index that told what the suite has now is one.
        let expected = usize::from(name.starts_with("a file that vanished, with"));
        assert_eq!(blobs.count(), expected, "{name}: {kept:?}");
    }
}
