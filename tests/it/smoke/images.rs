//! Sources that are built first, and images, run here without an engine.

use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::{check, finished};
use crate::support::{karisimbi, repository, run, tool, write};

const DEPLOYMENT: &str = "\
deployment:
  name: small
  version: 1.0.0
recipe:
  use: files
base: scratch
files:
  - {from: server, to: /server}
container:
  entrypoint: [/server]
";

/// A deployment folder with a server that needs nothing but itself.
struct Deployment {
    folder: TempDir,
}

impl Deployment {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run(tool("go")
            .args(["build", "-ldflags", "-s -w", "-o"])
            .arg(folder.path().join("server"))
            .arg(repository().join("testdata/smoke/server.go"))
            .env("CGO_ENABLED", "0"));
        write(&folder.path().join("deployment.yaml"), DEPLOYMENT);
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn smoke(&self, words: &[&str]) -> Output {
        let mut command = karisimbi();
        command
            .arg("--cache-dir")
            .arg(self.path().join("cache"))
            .arg("smoke")
            .args(words)
            .current_dir(self.path());
        finished(&mut command)
    }
}

#[test]
fn a_deployment_is_built_and_asked() {
    let deployment = Deployment::new();
    let modern = "answered: small 1, protocol 2026-07-28 (modern, stdio), 1 tool in ";
    let output = deployment.smoke(&["--call", "whoami", "{}"]);
    let words: &[&str] = &[
        modern,
        ": uid 1001\n",
        "asked    the server over stdio: the image exposes no port\n",
        "no network (loopback only), uid 1001, no capabilities",
    ];
    check(&output, ("stdio", 0, words));
    // Each start of a server is a container of its own.
    let picky = deployment.smoke(&[".", "--", "picky"]);
    check(&picky, ("picky", 0, &["(legacy, stdio), 1 tool"]));
    let token = deployment.smoke(&[".", "--", "token"]);
    let words: &[&str] = &[
        "configuration: TOKEN\n",
        "exit code 1",
        "    TOKEN must be set\n",
    ];
    check(&token, ("token", 3, words));
    let given = deployment.smoke(&[".", "-e", "TOKEN=x", "--", "token"]);
    check(&given, ("token", 0, &[modern]));
    // tools.json beside deployment.yaml is the default.
    let accepted = deployment.smoke(&["--accept"]);
    check(
        &accepted,
        ("accept", 0, &["wrote    ./tools.json, 1 tool, sha256:"]),
    );
    check(&deployment.smoke(&[]), ("same", 0, &[modern]));
    write(
        &deployment.path().join("tools.json"),
        r#"[{"name":"other"}]"#,
    );
    let drift = deployment.smoke(&[]);
    check(&drift, ("drift", 1, &["added whoami; removed other"]));
}

#[test]
fn a_container_that_listens_is_asked_on_its_loopback() {
    let deployment = Deployment::new();
    let http = "answered: small 1, protocol 2026-07-28 (modern, http), 1 tool in ";
    let typed = deployment.smoke(&[".", "--port", "8080", "--", "http"]);
    check(
        &typed,
        ("--port", 0, &[http, "port 8080 of the container: --port\n"]),
    );
    let exposed = DEPLOYMENT.replace("container:\n", "container:\n  port: 8080\n");
    write(&deployment.path().join("deployment.yaml"), exposed);
    let configured = deployment.smoke(&[".", "--", "http"]);
    let words: &[&str] = &[http, "port 8080 of the container: container.port\n"];
    check(&configured, ("container.port", 0, words));
    let image = format!("oci:{}", deployment.path().join("out:small").display());
    run(karisimbi()
        .arg("--cache-dir")
        .arg(deployment.path().join("cache"))
        .args(["build", "-q", "-o", &image])
        .arg(deployment.path()));
    let pulled = deployment.smoke(&[&image, "--", "http"]);
    let words: &[&str] = &[http, "port 8080 of the container: the image exposes it\n"];
    check(&pulled, ("exposed", 0, words));
    let host = deployment.smoke(&[&image, "--host", "small.apps.svc", "--", "http"]);
    let words: &[&str] = &[
        "error[SRV-HOST-REJECTED]",
        "refuses the Host header small.apps.svc",
    ];
    check(&host, ("host", 1, words));
    // A server that reads its input ends when it is taken for one that listens.
    let wrong = deployment.smoke(&[&image]);
    check(
        &wrong,
        ("wrong", 1, &["error[SRV-EXITED]", "--transport stdio"]),
    );
    let stdio = deployment.smoke(&[&image, "--transport", "stdio"]);
    check(&stdio, ("stdio", 0, &["(modern, stdio), 1 tool"]));
}
