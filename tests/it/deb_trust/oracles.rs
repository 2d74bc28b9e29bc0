//! gpg and dpkg say the same.

use std::cmp::Ordering;
use std::process::Command;

use karisimbi::base::deb::compare_versions;

use super::mirror::{Mirror, Package, package};
use super::{Machine, NOW, names, told};
use crate::support::{run, tool, write};

const HELLO: Package = package("hello", "1.0-1", "");

/// gpg with a home of its own, at a time of the tests.
fn gpg(home: &std::path::Path, time: i64) -> Command {
    let mut gpg = tool("gpg");
    gpg.env("GNUPGHOME", home)
        .args([
            "--batch",
            "--yes",
            "--quiet",
            "--no-tty",
            "--passphrase",
            "",
        ])
        .args(["--pinentry-mode", "loopback"])
        .arg(format!("--faked-system-time={time}!"));
    gpg
}

/// How gpg makes the key, what it does with it afterwards, and what is said of its signature.
const KEYS: [(&str, &str, &str); 5] = [
    ("ed25519", "never", ""),
    ("rsa2048", "never", ""),
    ("rsa2048", "sha1", "(the hash is weak)"),
    ("ed25519", "20d", "(the key has expired)"),
    ("ed25519", "revoke", "(the key is revoked)"),
];

#[test]
fn gpgs_keys_and_signatures_are_understood() {
    for (kind, life, words) in KEYS {
        let mirror = Mirror::new(&[HELLO]);
        let release = mirror.index("trixie", &[HELLO]);
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path();
        let made = NOW - 30 * 86_400;
        let lifetime = if life == "20d" { life } else { "never" };
        run(gpg(home, made).args(["--quick-generate-key", "archive", kind, "cert", lifetime]));
        let listed = run(gpg(home, made).args(["--list-keys", "--with-colons"]));
        let print = listed
            .lines()
            .find_map(|line| {
                line.strip_prefix("fpr:")?
                    .trim_matches(':')
                    .split(':')
                    .next()
            })
            .expect("a fingerprint")
            .to_owned();
        // Signed by a subkey, as Debian does.
        run(gpg(home, made).args(["--quick-add-key", &print, kind, "sign", lifetime]));
        let text = mirror.file("text");
        write(
            &text,
            format!("{}\nDash: x\n-Escaped: y\nBlanks: z \t\n", release.text()),
        );
        let signed = mirror.in_release("trixie");
        run(gpg(home, made + 86_400)
            .args([
                "--digest-algo",
                if life == "sha1" { "SHA1" } else { "SHA512" },
            ])
            .args(["--clearsign", "--output"])
            .args([&signed, &text]));
        if life == "revoke" {
            let path = home.join(format!("openpgp-revocs.d/{print}.rev"));
            let revocation = fs_err::read_to_string(&path).expect("a revocation");
            write(&path, revocation.replace(":-----BEGIN", "-----BEGIN"));
            run(gpg(home, made).arg("--import").arg(&path));
        }
        let exported = mirror.folder().join("keys.gpg");
        run(gpg(home, made)
            .args(["--export", "--output"])
            .arg(&exported));
        let outcome = Machine::of(&mirror).resolve(&["hello"]);
        if words.is_empty() {
            assert_eq!(names(&outcome.expect(kind)), ["hello 1.0-1"]);
        } else {
            let told = told(&outcome.expect_err(words));
            assert!(
                told.starts_with("BASE-SIG") && told.contains(words),
                "{told}"
            );
        }
        // Ends gpg's agent, which would keep the folder.
        let mut agent = tool("gpgconf");
        run(agent.env("GNUPGHOME", home).args(["--kill", "all"]));
    }
}

/// Versions out of all that the rules speak of.
fn versions() -> Vec<String> {
    let mut found = Vec::new();
    for epoch in ["", "0:", "1:"] {
        for upstream in [
            "1", "1.0", "1.01", "1.10", "1.2~rc1", "1.2", "1.2+b", "1.2a", "1.2.z-9",
        ] {
            for revision in ["", "-0", "-1", "-1+deb13u1", "-1~bpo12+1"] {
                found.push(format!("{epoch}{upstream}{revision}"));
            }
        }
    }
    found
}

#[test]
fn dpkg_compares_versions_alike() {
    tool("dpkg");
    let versions = versions();
    let mut pairs = Vec::new();
    for (index, left) in versions.iter().enumerate() {
        for step in [1, 7, 31] {
            pairs.push((left, &versions[(index + step) % versions.len()]));
        }
    }
    let script = "while read -r left right; do \
                  if dpkg --compare-versions \"$left\" lt \"$right\"; then echo Less; \
                  elif dpkg --compare-versions \"$left\" eq \"$right\"; then echo Equal; \
                  else echo Greater; fi; done < \"$1\"";
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("pairs");
    let lines: Vec<String> = pairs
        .iter()
        .map(|(left, right)| {
            format!(
                "{left} {right}
"
            )
        })
        .collect();
    write(&list, lines.concat());
    let said = run(tool("sh").args(["-c", script, "sh"]).arg(&list));
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), pairs.len());
    for ((left, right), said) in pairs.iter().zip(said) {
        let ours = match compare_versions(left, right) {
            Ordering::Less => "Less",
            Ordering::Equal => "Equal",
            Ordering::Greater => "Greater",
        };
        assert_eq!(ours, said, "{left} {right}");
    }
}
