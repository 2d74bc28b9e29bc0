//! bases.lock: what names stand for, where it is read and written, and what is refused.
//!
//! Bases of a loopback registry show most of it. The tests about packages share one resolution of
//! Debian's own mirror.

mod hostile;
mod packages;
mod places;
mod renewal;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cli::Bench;
use crate::image::{Bytes, image, store_layout};
use crate::registry_server::Registry;
use crate::support::{run, tool, write};

/// A registry with a base, and a source that wants it.
struct World {
    bench: Bench,
    registry: Registry,
}

impl World {
    fn new() -> Self {
        let world = Self {
            bench: Bench::new(),
            registry: Registry::plain(),
        };
        world.publish("bases/python3.13", "latest", "one");
        world
    }

    /// Puts an image that holds a text onto a tag.
    fn publish(&self, repository: &str, tag: &str, text: &str) {
        let mut bytes = Bytes::default();
        let files = [("etc/passwd", "app:x:1001:1001::/:\n"), ("etc/text", text)];
        let images = [image(&mut bytes, "linux/amd64", &files)];
        let dir = self.bench.path(&format!("published-{text}"));
        store_layout(&dir, &images, &bytes, "v1");
        run(tool("skopeo")
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .arg(format!("oci:{}:v1", dir.display()))
            .arg(format!(
                "docker://{}/{repository}:{tag}",
                self.registry.host()
            )));
    }

    /// `base_registry`: the project that holds the base.
    fn project(&self) -> String {
        format!("{}/bases", self.registry.host())
    }

    fn lock(&self, path: &str) -> Value {
        read_lock(&self.bench.path(path))
    }

    /// `build app` on the base, without any packages.
    fn build(&self, args: &[&str]) -> Command {
        self.build_on("python3.13", args)
    }

    fn build_on(&self, base: &str, args: &[&str]) -> Command {
        let mut command = self.bench.command(&["build", "app", "--recipe", "files"]);
        command
            .args(["--base", base, "--entrypoint", "/app/program"])
            .args(["--mirror", "none", "--base-registry", &self.project()])
            .args(args);
        command
    }

    /// `base …` in the folder of the bench.
    fn base(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(&["base"]);
        command
            .args(args)
            .args(["--mirror", "none", "--base-registry", &self.project()]);
        command
    }
}

fn read_lock(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a lock");
    assert!(text.ends_with("}\n"), "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// A deployment for the source `app`.
fn deployment(bench: &Bench, more: &str) {
    let text = format!("deployment: {{name: app, version: 1.0.0}}\nrecipe: {{use: files}}\n{more}");
    write(&bench.path("app/deployment.yaml"), text);
}

/// A lock with one package, which is fine.
fn deb_lock() -> Value {
    let zeros = format!("sha256:{}", "0".repeat(64));
    json!({"version": 1, "bases": {"cc": {
        "kind": "deb", "suite": "trixie", "set": "cc", "filter_version": 1,
        "roots": ["libc6"],
        "sources": [{
            "mirror": "http://deb.debian.org/debian", "suite": "trixie",
            "date": "2026-11-21T09:15:44Z", "inrelease_sha256": zeros,
            "signed_by": ["4CB50190207B4758A3F73A796ED0E7B82643E131"],
            "packages_sha256": {"amd64": zeros},
        }],
        "platforms": {"linux/amd64": {"packages": [{
            "name": "libc6", "version": "2.41-12+deb13u4", "arch": "amd64", "sha256": zeros,
            "size": 1000, "filename": "pool/main/g/glibc/libc6_2.41-12+deb13u4_amd64.deb",
            "source": "glibc", "suite": "trixie", "why": "root",
        }]}},
    }}})
}
