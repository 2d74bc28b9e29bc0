//! Every fault of a mirror has its code, and nothing of it is kept.

use karisimbi::base::deb::Expiry;
use karisimbi::digest::Digest;
use pgp::packet::SubpacketData;

use super::mirror::{Mirror, PACKAGES, Package, Release, gzip, package};
use super::signing::{Says, Signer, framed};
use super::{Machine, NOW, names, told};
use crate::support::{run, tool, write};

pub(super) const HELLO: Package = package("hello", "1.0-1", "");

fn flip(path: &std::path::Path, word: &str) {
    let mut bytes = fs_err::read(path).expect("a file");
    let at = bytes
        .windows(word.len())
        .position(|part| part == word.as_bytes())
        .expect("the word");
    bytes[at] ^= 1;
    fs_err::write(path, bytes).expect("a file");
}

fn sign_with(mirror: &Mirror, release: &Release, made: i64, parts: Vec<SubpacketData>) {
    let text = release.text();
    let signature = mirror.signer.signature_with(&text, made, parts);
    write(&mirror.in_release("trixie"), framed(&text, &[signature]));
}

/// A fault: its name, what it does to the mirror, the code, words of the message.
type Fault = (
    &'static str,
    fn(&Mirror, Release),
    &'static str,
    &'static str,
);

const SIGNATURES: [Fault; 10] = [
    (
        "a flipped byte",
        |m, _| flip(&m.in_release("trixie"), "Origin: Test"),
        "BASE-SIG",
        "is bad: the text was altered",
    ),
    (
        "only an unknown signer",
        |m, r| m.sign(&r, &[&Signer::new("stranger")]),
        "BASE-SIG",
        "(unknown key)",
    ),
    (
        "a bad signature beside a good one",
        |m, r| {
            let second = Signer::new("second");
            let both = [m.signer.exported(), second.exported()].concat();
            m.keyring("keys.gpg", &both);
            let text = r.text();
            let signatures = [m.signer.signature(&text), second.signature("other")];
            write(&m.in_release("trixie"), framed(&text, &signatures));
        },
        "BASE-SIG",
        "is bad",
    ),
    (
        "an expired key",
        |m, r| {
            let lifetime = Some(20 * 86_400);
            let old = Signer::that(
                "old",
                Says {
                    lifetime,
                    ..Says::default()
                },
            );
            m.keyring("keys.gpg", &old.exported());
            m.sign(&r, &[&old]);
        },
        "BASE-SIG",
        "(the key has expired)",
    ),
    (
        "a revoked key",
        |m, r| {
            let gone = Signer::that(
                "gone",
                Says {
                    revoked: true,
                    ..Says::default()
                },
            );
            m.keyring("keys.gpg", &gone.exported());
            m.sign(&r, &[&gone]);
        },
        "BASE-SIG",
        "(the key is revoked)",
    ),
    (
        "a key that is for other things",
        |m, r| {
            let other = Signer::that(
                "other",
                Says {
                    no_signing: true,
                    ..Says::default()
                },
            );
            m.keyring("keys.gpg", &other.exported());
            m.sign(&r, &[&other]);
        },
        "BASE-SIG",
        "(the key is not for signing)",
    ),
    (
        "a signature from the future",
        |m, r| sign_with(m, &r, NOW + 86_400, Vec::new()),
        "BASE-SIG",
        "(the signature is from the future)",
    ),
    (
        "a signature older than its key",
        |m, r| sign_with(m, &r, NOW - 90 * 86_400, Vec::new()),
        "BASE-SIG",
        "(the key is younger than the signature)",
    ),
    (
        "a signature that has expired",
        |m, r| {
            let lifetime = pgp::types::Duration::from_secs(60);
            let parts = vec![SubpacketData::SignatureExpirationTime(lifetime)];
            sign_with(m, &r, NOW - 3600, parts);
        },
        "BASE-SIG",
        "(the signature has expired)",
    ),
    (
        "a keyring that is none",
        |m, _| drop(m.keyring("keys.gpg", b"no keys")),
        "BASE-KEYRING",
        "keys.gpg",
    ),
];

const INDICES: [Fault; 14] = [
    (
        "past Valid-Until",
        |m, mut r| {
            r.valid_until = Some(NOW - 60);
            m.sign(&r, &[&m.signer]);
        },
        "BASE-EXPIRED",
        "was valid until 2027-01-15T07:59:00Z, and it is 2027-01-15T08:00:00Z",
    ),
    (
        "a date to come",
        |m, mut r| {
            r.date = NOW + 3 * 86_400;
            m.sign(&r, &[&m.signer]);
        },
        "BASE-EXPIRED",
        "which is to come",
    ),
    (
        "another suite",
        |m, mut r| {
            r.suite = "bookworm";
            m.sign(&r, &[&m.signer]);
            let other = m.in_release("bookworm");
            fs_err::rename(other, m.in_release("trixie")).expect("a file");
        },
        "BASE-SUITE",
        "is the index of bookworm (stable), not of trixie",
    ),
    (
        "no such suite",
        |m, _| fs_err::remove_file(m.in_release("trixie")).expect("a file"),
        "BASE-SUITE",
        "no mirror has the suite trixie",
    ),
    (
        "no such architecture",
        |m, mut r| {
            r.files = r
                .files
                .into_iter()
                .map(|(path, file)| (path.replace("amd64", "riscv64"), file))
                .collect();
            m.sign(&r, &[&m.signer]);
        },
        "BASE-ARCH",
        "no packages for amd64; it has riscv64",
    ),
    (
        "another index",
        |m, _| {
            let other = gzip(b"Package: evil\n");
            write(&m.file(&format!("dists/trixie/{PACKAGES}.gz")), other);
        },
        "BASE-HASH",
        "is not what was signed for",
    ),
    (
        "an index cut short",
        |m, _| {
            let path = m.file(&format!("dists/trixie/{PACKAGES}.gz"));
            let bytes = fs_err::read(&path).expect("a file");
            write(&path, &bytes[..bytes.len() / 2]);
        },
        "BASE-HASH",
        "is not what was signed for",
    ),
    (
        "an index of another size",
        |m, mut r| {
            let (digest, size) = r.files[PACKAGES];
            r.files.insert(PACKAGES.to_owned(), (digest, size + 1));
            m.sign(&r, &[&m.signer]);
        },
        "BASE-HASH",
        "bytes unpacked",
    ),
    (
        "an index that is missing",
        |m, _| {
            let path = m.file(&format!("dists/trixie/{PACKAGES}.gz"));
            fs_err::remove_file(path).expect("a file");
        },
        "BASE-HASH",
        "and is not there",
    ),
    (
        "an unknown compression",
        |m, mut r| {
            let file = r.files.remove(&format!("{PACKAGES}.gz")).expect("a file");
            r.files.remove(PACKAGES);
            r.files.insert(PACKAGES.to_owned(), (Digest::of(b"x"), 1));
            r.files.insert(format!("{PACKAGES}.zst"), file);
            m.sign(&r, &[&m.signer]);
        },
        // The uncompressed file is listed, though no mirror serves it.
        "BASE-HASH",
        "Packages is not what was signed for",
    ),
    (
        "an xz bomb",
        |m, mut r| {
            let bomb = m.file("bomb");
            write(&bomb, vec![0; 64 << 20]);
            run(tool("xz").arg("-1").arg(&bomb));
            let packed = fs_err::read(m.file("bomb.xz")).expect("a file");
            r.files.clear();
            r.list(PACKAGES, b"Package: hello\n");
            r.list(&format!("{PACKAGES}.xz"), &packed);
            write(&m.file(&format!("dists/trixie/{PACKAGES}.xz")), packed);
            m.sign(&r, &[&m.signer]);
        },
        "BASE-HASH",
        "(16 bytes)",
    ),
    (
        "a truncated xz that is signed",
        |m, mut r| {
            write(&m.file("part"), "Package: hello\n".repeat(9000));
            run(tool("xz").arg(m.file("part")));
            let packed = fs_err::read(m.file("part.xz")).expect("a file");
            let packed = &packed[..packed.len() - 40];
            r.list(&format!("{PACKAGES}.xz"), packed);
            write(&m.file(&format!("dists/trixie/{PACKAGES}.xz")), packed);
            m.sign(&r, &[&m.signer]);
        },
        "BASE-",
        "Packages.xz",
    ),
    (
        "a package outside the pool",
        |m, mut r| {
            let index = format!(
                "Package: hello\nVersion: 1\nArchitecture: amd64\nSize: 1\nSHA256: {}\n\
                 Filename: ../../etc/passwd\n",
                "0".repeat(64)
            );
            let packed = gzip(index.as_bytes());
            r.list(PACKAGES, index.as_bytes());
            r.list(&format!("{PACKAGES}.gz"), &packed);
            write(&m.file(&format!("dists/trixie/{PACKAGES}.gz")), packed);
            m.sign(&r, &[&m.signer]);
        },
        "BASE-INDEX",
        "package hello: \"../../etc/passwd\" is no path",
    ),
    (
        "a date that is none",
        |m, r| {
            let text = r.text().replace("Date: ", "Date: x");
            let signature = m.signer.signature(&text);
            write(&m.in_release("trixie"), framed(&text, &[signature]));
        },
        "BASE-INDEX",
        "is no time",
    ),
];

fn check(faults: &[Fault]) {
    for (name, fault, code, words) in faults {
        let mirror = Mirror::new(&[HELLO]);
        fault(&mirror, mirror.index("trixie", &[HELLO]));
        let machine = Machine::of(&mirror);
        let told = told(&machine.resolve(&["hello"]).expect_err(name));
        assert!(told.starts_with(code), "{name}: {told}");
        assert!(told.contains(words), "{name}: {told}");
        assert_eq!(machine.kept(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn signatures_that_do_not_count() {
    check(&SIGNATURES);
}

#[test]
fn indices_that_are_not_what_they_should_be() {
    check(&INDICES);
}

#[test]
fn an_extra_signer_that_is_unknown_does_no_harm() {
    let mirror = Mirror::new(&[HELLO]);
    let release = mirror.index("trixie", &[HELLO]);
    let stranger = Signer::new("stranger");
    mirror.sign(&release, &[&stranger, &mirror.signer]);
    let resolution = Machine::of(&mirror).resolve(&["hello"]).expect("packages");
    assert_eq!(names(&resolution), ["hello 1.0-1"]);
    assert_eq!(
        resolution.sources[0].signed_by,
        [mirror.signer.fingerprint()]
    );
}

#[test]
fn an_expired_index_is_taken_when_that_is_allowed() {
    let mirror = Mirror::new(&[HELLO]);
    let mut release = mirror.index("trixie", &[HELLO]);
    release.valid_until = Some(NOW - 60);
    mirror.sign(&release, &[&mirror.signer]);
    let mut machine = Machine::of(&mirror);
    machine.mirrors.expiry = Expiry::Allow;
    machine.resolve(&["hello"]).expect("packages");
    let warned = machine.warnings();
    let expired = |text: &String| text.starts_with("BASE-EXPIRED") && text.contains("valid until");
    assert!(warned.iter().any(expired), "{warned:?}");
}

#[test]
fn no_mirror_goes_back_in_time() {
    let mirror = Mirror::new(&[HELLO]);
    let machine = Machine::of(&mirror);
    let first = machine.resolve(&["hello"]).expect("packages");
    assert_eq!(first.sources[0].date, "2027-01-15T06:00:00Z");
    let mut release = mirror.index("trixie", &[HELLO]);
    release.date -= 60;
    mirror.sign(&release, &[&mirror.signer]);
    let seen = told(&machine.resolve(&["hello"]).expect_err("an older index"));
    assert!(
        seen.contains("2027-01-15T06:00:00Z was seen by this machine"),
        "{seen}"
    );
    // Another machine knows it from the lock.
    let mut other = Machine::of(&mirror);
    other.earlier = first.sources;
    let locked = told(&other.resolve(&["hello"]).expect_err("an older index"));
    for text in [&seen, &locked] {
        assert!(text.starts_with("BASE-ROLLBACK"), "{text}");
        assert!(text.contains("is of 2027-01-15T05:59:00Z"), "{text}");
    }
    assert!(
        locked.contains("2027-01-15T06:00:00Z is in bases.lock"),
        "{locked}"
    );
    assert_eq!(other.kept(), Vec::<String>::new());
}
