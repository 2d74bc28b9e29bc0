//! The frame around a signed text hides nothing.

use super::mirror::{Mirror, Package, package};
use super::signing::{Signer, framed};
use super::{Machine, names, told};
use crate::support::write;

const HELLO: Package = package("hello", "1.0-1", "");
const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----\n";

/// Its name, what is done to a sound file, and what is said about it.
type Frame = (&'static str, fn(&str) -> String, &'static str);

const FRAMES: [Frame; 15] = [
    (
        "a text before",
        |f| format!("Codename: trixie\n{f}"),
        "does not begin",
    ),
    (
        "an empty line before",
        |f| format!("\n{f}"),
        "does not begin",
    ),
    (
        "a text behind",
        |f| format!("{f}Codename: trixie\n"),
        "something follows",
    ),
    (
        "a second message",
        |f| format!("{f}{f}"),
        "something follows",
    ),
    ("no frame", |f| f.replace(BEGIN, ""), "does not begin"),
    (
        "another header",
        |f| f.replace("Hash: SHA256", "Hash: SHA256\nCodename: x"),
        "a header that is not Hash",
    ),
    (
        "a blank that hides a header",
        |f| f.replace("\n\nOrigin", "\n \nSuite: forky\n\nOrigin"),
        "a header that is not Hash",
    ),
    (
        "a text between",
        |f| {
            f.replace(
                "-----BEGIN PGP SIGNATURE",
                "Suite: x\n-----BEGIN PGP SIGNATURE",
            )
        },
        "is bad: the text was altered",
    ),
    (
        "an unescaped dash",
        |f| f.replace("Origin", "-x: y\nOrigin"),
        "a line that begins with a dash",
    ),
    (
        "a frame within",
        |f| f.replace("Origin", &format!("{BEGIN}Origin")),
        "a line that begins with a dash",
    ),
    (
        "a carriage return instead of a line's end",
        |f| f.replacen("Test\n", "Test\r", 1),
        "a carriage return within a line",
    ),
    ("a NUL", |f| f.replace("Test", "Te\0st"), "NUL bytes"),
    (
        "no end",
        |f| f.replace("-----END PGP SIGNATURE-----\n", ""),
        "has no end",
    ),
    (
        "a second armor in the signature",
        |f| {
            f.replace(
                "-----END PGP SIG",
                "-----BEGIN PGP MESSAGE-----\n-----END PGP SIG",
            )
        },
        "a second frame in its signature",
    ),
    (
        "no signature at all",
        |f| {
            f.split("-----BEGIN PGP SIGNATURE")
                .next()
                .unwrap_or_default()
                .to_owned()
        },
        "has no signature",
    ),
];

#[test]
fn nothing_but_the_signed_lines_is_read() {
    for (name, alter, words) in FRAMES {
        let mirror = Mirror::new(&[HELLO]);
        let path = mirror.in_release("trixie");
        let sound = fs_err::read_to_string(&path).expect("a file");
        let altered = alter(&sound);
        assert_ne!(sound, altered, "{name}");
        write(&path, altered);
        let machine = Machine::of(&mirror);
        let told = told(&machine.resolve(&["hello"]).expect_err(name));
        assert!(told.starts_with("BASE-SIG"), "{name}: {told}");
        assert!(told.contains(words), "{name}: {told}");
        assert_eq!(machine.kept(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_does_not_change_the_text_is_accepted() {
    let alterations: [fn(&str) -> String; 4] = [
        |f| f.replace('\n', "\r\n"),
        |f| f.replace("Components: main\n", "Components: main \t\n"),
        |f| f.replace("Origin", "- Origin"),
        |f| format!("{f}\n\n"),
    ];
    for alter in alterations {
        let mirror = Mirror::new(&[HELLO]);
        let path = mirror.in_release("trixie");
        let sound = fs_err::read_to_string(&path).expect("a file");
        write(&path, alter(&sound));
        let resolution = Machine::of(&mirror).resolve(&["hello"]);
        assert_eq!(names(&resolution.expect("packages")), ["hello 1.0-1"]);
    }
}

#[test]
fn fields_that_are_there_twice_are_refused() {
    let mirror = Mirror::new(&[HELLO]);
    let release = mirror.index("trixie", &[HELLO]);
    for (text, words) in [
        (format!("Codename: x\n{}", release.text()), "codename twice"),
        (
            format!("Codename: trixie\n\n{}", release.text()),
            "more than one stanza",
        ),
    ] {
        let signature = mirror.signer.signature(&text);
        write(&mirror.in_release("trixie"), framed(&text, &[signature]));
        let told = told(&Machine::of(&mirror).resolve(&["hello"]).expect_err(words));
        assert!(
            told.starts_with("BASE-INDEX") && told.contains(words),
            "{told}"
        );
    }
}

#[test]
fn keyrings_are_read_in_both_forms_and_replace_debians_keys() {
    let mirror = Mirror::new(&[HELLO]);
    let mut machine = Machine::of(&mirror);
    let armored = mirror.keyring("keys.asc", mirror.signer.armored().as_bytes());
    let other = mirror.keyring("other.gpg", &Signer::new("other").exported());
    machine.mirrors.keyrings = vec![other.clone(), armored];
    machine.resolve(&["hello"]).expect("packages");
    for keyrings in [vec![other], Vec::new()] {
        machine.mirrors.keyrings = keyrings;
        let told = told(&machine.resolve(&["hello"]).expect_err("a stranger"));
        let print = mirror.signer.fingerprint();
        assert!(told.contains(&format!("{print} (unknown key)")), "{told}");
    }
}
