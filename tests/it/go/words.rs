//! What go printed in cases that a test can't bring about cheaply, or in other versions' words.

use std::collections::BTreeMap;

use karisimbi::digest::Digest;
use karisimbi::layer::StepKey;
use karisimbi::plan::{Argument, Network, Step, StepOutcome};
use karisimbi::recipe::Recipe;
use karisimbi::recipe::go::GoRecipe;

use super::assert_says;

/// What go says, the code, and words of our message.
const SAID: [(&str, &str, &[&str]); 22] = [
    (
        "go: go.mod requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)",
        "GO-OLD",
        &["needs go 1.99", "has go 1.27.3"],
    ),
    (
        "go: example.org/a@v1.0.0 requires go >= 1.28.1 (running go1.27.3)",
        "GO-OLD",
        &["needs go 1.28.1", "1.27.3"],
    ),
    (
        "go: download go1.99.0 for linux/amd64: toolchain not available",
        "GO-TC-DL",
        &["go1.99.0", "GOPROXY=https://p.example.org"],
    ),
    (
        "go: cannot find \"go1.99.1\" in PATH",
        "GO-TC-DL",
        &["go1.99.1"],
    ),
    (
        "main.go:3:8: missing go.sum entry for module providing package github.com/a/b; to add:\n\tgo mod download github.com/a/b",
        "GO-SUM",
        &["github.com/a/b", "go mod tidy"],
    ),
    (
        "go: updates to go.mod needed; to update it:\n\tgo mod tidy",
        "GO-SUM",
        &["updates to go.mod needed"],
    ),
    (
        "go: github.com/a/b@v1.2.3: module lookup disabled by GOPROXY=off",
        "GO-OFF",
        &["github.com/a/b@v1.2.3"],
    ),
    (
        "main.go:3:8: cannot find module providing package github.com/a/b: module lookup disabled by GOPROXY=off",
        "GO-OFF",
        &["github.com/a/b"],
    ),
    (
        "go: github.com/a/b@v1.6.0: Get \"https://u:p@p.example.org/a/@v/v1.6.0.zip\": dial tcp: lookup p.example.org: no such host",
        "GO-PROXY",
        &[
            "GOPROXY=https://p.example.org",
            "https://***@p.example.org/a",
        ],
    ),
    (
        "go: github.com/a/b@v1.6.0: reading https://p.example.org/a/b/@v/v1.6.0.zip: 403 Forbidden",
        "GO-PRIVATE",
        &[
            "access to github.com/a/b@v1.6.0 was refused",
            "GOPRIVATE=github.com/a/b ",
            "GONOPROXY=github.com/a/b ",
        ],
    ),
    (
        "go: github.com/a/b@v1.6.0: reading https://p.example.org/a/b/@v/v1.6.0.mod: 410 Gone",
        "GO-PRIVATE",
        &["NETRC"],
    ),
    (
        "go: github.com/a/b@v1.6.0: git ls-remote -q https://github.com/a/b: exit status 128: fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com",
        "GO-PROXY",
        &["HTTPS_PROXY"],
    ),
    (
        "go: inconsistent vendoring in /src:\n\tgithub.com/a/b@v1.0.0: is explicitly required in go.mod, but not marked as explicit in vendor/modules.txt",
        "GO-VENDOR",
        &["go mod vendor"],
    ),
    (
        "error obtaining VCS status: exit status 128\n\tUse -buildvcs=false to disable VCS stamping.",
        "GO-VCS",
        &["safe.directory"],
    ),
    (
        "build cache is required, but could not be located: GOCACHE is not defined and neither $XDG_CACHE_HOME nor $HOME are defined",
        "GO-CACHE",
        &["--cache-dir"],
    ),
    (
        "failed to initialize build cache at /c/build: mkdir /c: read-only file system",
        "GO-CACHE",
        &["--cache-dir"],
    ),
    (
        "main.go:9:12: pattern ui/*: no matching files found",
        "GO-EMBED",
        &["ui/*"],
    ),
    (
        "go: -race requires cgo; enable cgo by setting CGO_ENABLED=1",
        "GO-RACE",
        &["base cc"],
    ),
    (
        "go: example.org/y@v0.0.0 (replaced by ../y): reading ../y/go.mod: open /y/go.mod: no such file or directory",
        "GO-REPLACE",
        &["../y"],
    ),
    (
        "example.org/x: /usr/local/go/pkg/tool/linux_amd64/link: signal: killed",
        "GO-OOM",
        &["1.2 GB", "-p=1"],
    ),
    (
        "package example.org/lib is not a main package",
        "GO-NOTMAIN",
        &["package main"],
    ),
    (
        "main.go:1:1: expected 'package'",
        "GO-BUILD",
        &["expected 'package'", "exit status 1"],
    ),
];

#[test]
fn raw_texts_have_codes() {
    let step = |proxy: &str| Step {
        key: StepKey::new("go-build", 1),
        name: "go build . (linux/amd64)".to_owned(),
        program: "/usr/local/go/bin/go".into(),
        args: Vec::new(),
        env: BTreeMap::from([("GOPROXY".to_owned(), Argument::Text(proxy.into()))]),
        directory: "/src".into(),
        inputs: Vec::new(),
        network: Network::Offline,
        readable: Vec::new(),
        writable: Vec::new(),
        slot: Digest::of(b""),
        outputs: Vec::new(),
    };
    for (said, code, words) in SAID {
        let outcome = StepOutcome {
            code: Some(1),
            stderr: format!(
                "# get https://p.example.org/x\ngo: downloading example.org/z v1.0.0\n{said}\n"
            ),
            ..StepOutcome::default()
        };
        let error = GoRecipe
            .review(&step("https://p.example.org"), &outcome)
            .unwrap_err();
        assert_says(&error, code, words);
        // Go's own words stay, below ours.
        let first = said.lines().next().unwrap().replace("u:p@", "***@");
        assert!(
            error.to_string().contains(&format!("\n  {first}")),
            "{error}"
        );
        assert!(!error.to_string().contains("# get"), "{error}");
        assert!(!error.to_string().contains("downloading"), "{error}");
    }
    let killed = StepOutcome {
        signal: Some(9),
        ..StepOutcome::default()
    };
    assert_says(
        &GoRecipe.review(&step("off"), &killed).unwrap_err(),
        "GO-OOM",
        &["signal 9"],
    );
}
