//! Bases of Debian packages: the lock checks itself, and a renewal shows what changed.

use std::process::Command;

use serde_json::{Value, json};

use crate::cli::{Bench, both};
use crate::support::{fail, repository, run, tool, write};

/// `static` of the mirror that this machine uses, locked and assembled.
struct Assembled {
    bench: Bench,
}

impl Assembled {
    fn new() -> Self {
        let bench = Bench::new();
        let assembled = Self { bench };
        let platforms = ["--platform", "linux/amd64,linux/arm64"];
        let (stdout, stderr) = both(assembled.base(&["build", "static"]).args(platforms));
        assert_eq!(stdout, "oci:karisimbi-out/static:trixie\n", "{stderr}");
        assembled
    }

    fn base(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(&["base"]);
        command.args(args);
        // What this network needs to reach a mirror.
        for name in [
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    fn lock(&self) -> Value {
        super::read_lock(&self.bench.path("bases.lock"))
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut lock = self.lock();
        edit(&mut lock["bases"]["static"]["platforms"]);
        write(&self.bench.path("bases.lock"), format!("{lock}\n"));
    }
}

#[test]
fn an_assembled_base_is_locked_verified_and_renewed() {
    let assembled = Assembled::new();
    let lock = assembled.lock();
    let platforms = lock["bases"]["static"]["platforms"].as_object().unwrap();
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(
            platforms[platform]["layers"][0]["name"], "packages",
            "{platform}"
        );
    }
    an_earlier_resolution_counts_for_the_same_keys_only(&assembled);
    write(&assembled.bench.path("bases.lock"), format!("{lock}\n"));
    published_is_what_images_name(&assembled);
    let verified = run(&mut assembled.base(&["verify", "--offline"]));
    assert_eq!(verified.lines().count(), 2, "{verified}");
    let shown = run(&mut assembled.base(&["show", "static", "--offline"]));
    for part in [
        "origin     locked, deb:trixie, 5 packages",
        "signed by  ",
        "package    tzdata",
        "app 1001",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let with_packages = packages_and_authorities_go_onto_it(&assembled);
    renewal_leaves_packages_with_their_base(&assembled, [&with_packages, &lock]);
    drift_is_refused(&assembled);
    write(&assembled.bench.path("bases.lock"), format!("{lock}\n"));
    renewal_shows_versions(&assembled, &lock);
}

/// What one keyring vouched for is not taken under another.
fn an_earlier_resolution_counts_for_the_same_keys_only(assembled: &Assembled) {
    let lock = assembled.bench.path("bases.lock");
    std::fs::remove_file(&lock).unwrap();
    let again = ["lock", "static", "--offline"];
    let keyring = repository().join("src/base/deb/debian-archive.gpg");
    // Nothing else is at hand, so the base of last resort is taken, which no lock holds.
    let (stdout, stderr) = both(assembled.base(&again).arg("--keyring").arg(keyring));
    assert!(stderr.contains("just now, embedded:static"), "{stderr}");
    assert!(stdout.is_empty() && !lock.exists(), "{stdout}");
    let (_, stderr) = both(&mut assembled.base(&again));
    assert!(stderr.contains("ago on this machine"), "{stderr}");
}

/// The manifest's digest is what images on the base carry, and two of them are one base.
fn published_is_what_images_name(assembled: &Assembled) {
    let bench = &assembled.bench;
    let layout = bench.path("karisimbi-out/static");
    let image = format!("oci:{}:trixie", layout.display());
    let index = run(tool("skopeo").args(["inspect", "--raw", &image]));
    let index: Value = serde_json::from_str(&index).unwrap();
    let amd64 = index["manifests"][0]["digest"].as_str().unwrap();
    let mut build = bench.command(&["build", "app", "--recipe", "files", "--offline"]);
    build.args([
        "--base",
        "static",
        "--entrypoint",
        "/app/program",
        "-o",
        "oci:app-out:v1",
    ]);
    let (_, stderr) = both(build.args(["--lock", "bases.lock", "--locked"]));
    assert!(
        stderr.contains("resolved base static: locked, deb:trixie, 5 packages, "),
        "{stderr}"
    );
    let out = format!("oci:{}:v1", bench.path("app-out").display());
    let manifest = run(tool("skopeo").args(["inspect", "--raw", &out]));
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.digest"], amd64);
    assert_eq!(
        annotations["org.opencontainers.image.base.name"],
        "deb:trixie/static"
    );
}

/// As layers of their own, in the order of the lock.
fn packages_and_authorities_go_onto_it(assembled: &Assembled) -> Value {
    let bench = &assembled.bench;
    let certificate = bench.path("app/corp.pem");
    run(tool("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=corp", "-keyout", "/dev/null", "-out"])
        .arg(&certificate));
    let text = "deployment: {name: more, version: 1.0.0}\nrecipe: {use: files}\nbase: static\n\
                os_packages: [tzdata-legacy]\nca_certs: [corp.pem]\n\
                container: {entrypoint: [/app/program]}\n";
    write(&bench.path("app/deployment.yaml"), text);
    let mut build = bench.command(&["build", "app"]);
    let (_, stderr) = both(&mut build);
    assert!(stderr.contains("built    os-packages, "), "{stderr}");
    let lock = super::read_lock(&bench.path("app/bases.lock"));
    let platform = &lock["bases"]["static"]["platforms"]["linux/amd64"];
    assert_eq!(platform["os_packages"][0]["name"], "tzdata-legacy");
    assert_eq!(platform["layers"][1]["name"], "os-packages");
    let bundle = bench.path("bundle");
    let image = bench.path("karisimbi-out/more");
    run(tool("umoci")
        .args(["unpack", "--image", &format!("{}:1.0.0", image.display())])
        .arg(&bundle));
    let root = bundle.join("rootfs");
    let authorities =
        std::fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let added = std::fs::read_to_string(&certificate).unwrap();
    assert!(authorities.contains(added.trim_end()), "{added}");
    assert!(root.join("usr/share/zoneinfo/US/Pacific").exists());
    assert!(root.join("var/lib/dpkg/status.d/tzdata-legacy").exists());
    // Other bytes of that layer are seen, too; --locked never writes.
    let mut other = lock.clone();
    let zeros = format!("sha256:{}", "0".repeat(64));
    other["bases"]["static"]["platforms"]["linux/amd64"]["layers"][1]["diff_id"] = json!(zeros);
    write(&bench.path("app/bases.lock"), other.to_string());
    let (_, stderr) = fail(&mut bench.command(&["build", "app", "--offline"]));
    assert!(stderr.contains("error[BASE-DRIFT]"), "{stderr}");
    let layers = &mut other["bases"]["static"]["platforms"]["linux/amd64"]["layers"];
    *layers = json!([]);
    write(&bench.path("app/bases.lock"), other.to_string());
    both(&mut bench.command(&["build", "app", "--offline", "--locked"]));
    assert_eq!(
        std::fs::read_to_string(bench.path("app/bases.lock")).unwrap(),
        other.to_string()
    );
    both(&mut bench.command(&["build", "app", "--offline"]));
    assert_eq!(super::read_lock(&bench.path("app/bases.lock")), lock);
    std::fs::remove_file(bench.path("app/deployment.yaml")).unwrap();
    std::fs::remove_file(bench.path("app/bases.lock")).unwrap();
    lock
}

/// Each entry of a lock keeps its own `os_packages`, whatever stands before it.
fn renewal_leaves_packages_with_their_base(assembled: &Assembled, [with, without]: [&Value; 2]) {
    let mut both_bases = without.clone();
    both_bases["bases"]["deb:trixie/static"] = with["bases"]["static"].clone();
    let path = assembled.bench.path("two.lock");
    write(&path, format!("{both_bases}\n"));
    let (stdout, stderr) = both(&mut assembled.base(&["update", "--lock", "two.lock"]));
    assert!(stdout.is_empty(), "{stdout}");
    assert_eq!(stderr.matches("nothing is newer").count(), 2, "{stderr}");
    assert_eq!(super::read_lock(&path), both_bases);
}

fn drift_is_refused(assembled: &Assembled) {
    let zeros = format!("sha256:{}", "0".repeat(64));
    assembled.edit(|platforms| platforms["linux/amd64"]["layers"][0]["diff_id"] = json!(zeros));
    for args in [
        &["verify", "--offline"][..],
        &["build", "static", "--offline"],
    ] {
        let (exit, stderr) = fail(&mut assembled.base(args));
        assert_eq!(exit, 1, "{stderr}");
        assert!(
            stderr.contains(
                "error[BASE-DRIFT]: base deb:trixie/static, layer packages (linux/amd64)"
            ),
            "{stderr}"
        );
        assert!(
            stderr.contains(&format!("locked    {zeros}\n  assembled sha256:")),
            "{stderr}"
        );
    }
}

fn renewal_shows_versions(assembled: &Assembled, lock: &Value) {
    assembled.edit(|platforms| {
        for platform in ["linux/amd64", "linux/arm64"] {
            let packages = platforms[platform]["packages"].as_array_mut().unwrap();
            packages.retain(|package| package["name"] != "netbase");
            for package in packages {
                if package["name"] == "tzdata" {
                    package["version"] = json!("2020a-0");
                }
            }
        }
    });
    let (exit, stderr) = fail(&mut assembled.base(&["outdated"]));
    assert_eq!(exit, 1);
    assert!(stderr.contains("BASE-OUTDATED"), "{stderr}");
    let table = run(&mut assembled.base(&["update"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("static  netbase  added "), "{table}");
    assert!(
        lines[1].starts_with("static  tzdata   2020a-0 → "),
        "{table}"
    );
    assert!(lines[1].ends_with("linux/amd64, linux/arm64"), "{table}");
    let renewed = assembled.lock();
    let packages = |lock: &Value| {
        let list = lock["bases"]["static"]["platforms"]["linux/amd64"]["packages"].clone();
        list.as_array().unwrap().len()
    };
    assert_eq!(packages(&renewed), packages(lock));
}
