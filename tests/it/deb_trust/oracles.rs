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

fn text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A suite in which every package needs some of those behind it, by name, by version, as an
/// alternative or as something that is provided.
fn suite() -> Vec<Package> {
    let mut random: u32 = 7;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % below
    };
    let count = 60;
    (0..count)
        .map(|index| {
            let mut needs = Vec::new();
            for _ in 0..=next(3) {
                let other = index + 1 + next(20);
                if other >= count {
                    continue;
                }
                needs.push(match next(5) {
                    0 => format!("p{other} (>= 1.{other})"),
                    1 => format!("p{other} (<< 2) | nowhere"),
                    2 => format!("nowhere | p{other}"),
                    3 => format!("v{other}"),
                    _ => format!("p{other}"),
                });
            }
            let mut fields = format!("Provides: v{index}, w (= {index})");
            if !needs.is_empty() {
                fields.push_str("\nDepends: ");
                fields.push_str(&needs.join(", "));
            }
            package(
                text(format!("p{index}")),
                text(format!("1.{index}-1")),
                text(fields),
            )
        })
        .collect()
}

#[test]
fn apt_takes_the_same_packages() {
    let mirror = Mirror::new(&suite());
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    write(
        &folder.path().join("sources.list"),
        format!("deb [trusted=yes] {} trixie main\n", mirror.url()),
    );
    // The machine's own hooks apply to private clients too.
    write(
        &folder.path().join("apt.conf"),
        "#clear APT::Update::Post-Invoke-Success;\n#clear APT::Update::Post-Invoke;\n\
         #clear DPkg::Post-Invoke;\n",
    );
    for name in ["lists/partial", "cache/archives/partial"] {
        fs_err::create_dir_all(folder.path().join(name)).expect("a folder");
    }
    let apt = || {
        let mut apt = tool("apt-get");
        apt.env("LC_ALL", "C").args(["-q", "-c", &path("apt.conf")]);
        for option in [
            &format!("Dir::Etc::sourcelist={}", path("sources.list")),
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            &format!("Dir::State::lists={}", path("lists")),
            &format!("Dir::Cache={}", path("cache")),
            "Dir::State::status=/dev/null",
            "Dir::State::extended_states=/dev/null",
            "APT::Architecture=amd64",
            "APT::Sandbox::User=root",
        ] {
            apt.args(["-o", option]);
        }
        apt
    };
    run(apt().arg("update"));
    for roots in [vec!["p0"], vec!["p1", "p2"], vec!["p5", "p9", "p13"]] {
        let said = run(apt().args(["--simulate", "install"]).args(&roots));
        // Inst p1 (1.1-1 Test:stable [amd64])
        let mut theirs: Vec<String> = said
            .lines()
            .filter_map(|line| line.strip_prefix("Inst "))
            .filter_map(|line| {
                let (name, rest) = line.split_once(" (")?;
                Some(format!("{name} {}", rest.split(' ').next()?))
            })
            .collect();
        theirs.sort();
        let ours = names(&Machine::of(&mirror).resolve(&roots).expect("packages"));
        assert!(ours.len() > roots.len() + 3, "{ours:?}");
        assert_eq!(ours, theirs, "{roots:?}");
    }
}
