//! Tests of deployment: what a file means.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that fails, fails its test"
)]

mod errors;
mod hostile;
mod places;

use karisimbi::deployment::{Deployment, Found, RepoType, find};
use karisimbi::error::{Coded as _, Exit};

use crate::support::repository;

const FILE: &str = "deployment.yaml";

fn parse(text: &str) -> Deployment {
    match Deployment::parse(FILE, text.as_bytes()) {
        Ok(deployment) => deployment,
        Err(errors) => panic!("{text}\n{errors}"),
    }
}

/// Code and message of every problem.
fn problems(text: impl AsRef<[u8]>, sets: &[(&str, &str)]) -> Vec<String> {
    let Err(errors) = Deployment::parse_with(FILE, text.as_ref(), &owned(sets)) else {
        panic!("accepted {}", String::from_utf8_lossy(text.as_ref()));
    };
    assert_eq!(errors.exit(), Exit::Usage);
    assert_eq!(errors.code(), errors.0[0].code());
    errors
        .0
        .iter()
        .map(|problem| format!("{} {problem}", problem.code()))
        .collect()
}

fn owned(sets: &[(&str, &str)]) -> Vec<(String, String)> {
    sets.iter()
        .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
        .collect()
}

fn pairs(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = variables.iter();
    pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

#[test]
fn the_original_sample_parses_unchanged() {
    let path = repository().join("testdata/deployments/original-readme/deployment.yaml");
    let text = fs_err::read_to_string(path).expect("the sample");
    let deployment = parse(&text);
    assert_eq!(deployment.name.as_deref(), Some("mcp-grafana"));
    assert_eq!(deployment.version.as_deref(), Some("v1.0.0"));
    assert_eq!(deployment.repo_type, Some(RepoType::Node));
    let created = deployment.created_at.expect("a time");
    assert_eq!(created.to_string(), "2025-01-15T10:30:00Z");
    let image = deployment.container.image.as_ref().expect("an image");
    assert_eq!(
        image.to_string(),
        "harbor.wefactorit.com/karisimbi/mcp-grafana:v1.0.0"
    );
    assert_eq!(deployment.container.port, Some(8000));
    let kubernetes = &deployment.kubernetes;
    assert_eq!(kubernetes.namespace.as_deref(), Some("mcp-servers"));
    assert_eq!(kubernetes.replicas, Some(2));
    let resources = kubernetes.resources.as_ref().expect("resources");
    let memory = resources.limits.memory.as_ref().expect("a limit");
    assert_eq!(memory.as_str(), "512Mi");
    assert_eq!(
        pairs(&deployment.environment),
        [
            ("MCP_TRANSPORT", "sse"),
            ("MCP_PORT", "8000"),
            ("MCP_HOST", "0.0.0.0"),
        ]
    );
    let at = |path: &str| deployment.origin(path).expect(path).to_string();
    assert_eq!(at("deployment.version"), "deployment.yaml:4:12");
    assert_eq!(at("container.port"), "deployment.yaml:12:9");
    assert_eq!(at("environment.MCP_HOST"), "deployment.yaml:30:13");

    // The same with a byte-order mark and Windows line ends, positions included.
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(parse(&windows), deployment);
}

#[test]
fn every_deployment_of_the_repository_parses() {
    let folder = repository().join("deployments");
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder).expect("deployments") {
        let entry = entry.expect("an entry");
        if !entry.path().is_dir() {
            continue;
        }
        let Found::Configuration(file) = find(&entry.path()).expect("readable") else {
            panic!("{} has no deployment.yaml", entry.path().display());
        };
        let name = file.path.display().to_string();
        let deployment =
            Deployment::parse(&name, &file.text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(
            deployment.name.as_deref(),
            entry.file_name().to_str(),
            "{name}"
        );
        names.extend(deployment.name);
    }
    names.sort();
    assert!(names.contains(&"go-sdk-memory".to_owned()), "{names:?}");
    assert!(names.contains(&"mcp-grafana".to_owned()), "{names:?}");
}

#[test]
fn scalars_keep_their_source_text() {
    let text = "environment:\n  A: 1.10\n  B: no\n  C: 0123\n  D: 12:30\n  E: 1e3\n  F: 12:30:45\n  \
                G: true\n  H: \"\"\n  I: 'null'\n  J: |\n    two\n    lines\n  K: 2025-01-15\n  L: 0x1F\n";
    assert_eq!(
        pairs(&parse(text).environment),
        [
            ("A", "1.10"),
            ("B", "no"),
            ("C", "0123"),
            ("D", "12:30"),
            ("E", "1e3"),
            ("F", "12:30:45"),
            ("G", "true"),
            ("H", ""),
            ("I", "null"),
            ("J", "two\nlines\n"),
            ("K", "2025-01-15"),
            ("L", "0x1F"),
        ]
    );
}

#[test]
fn every_key_has_its_meaning() {
    let deployment = parse(
        "deployment: {name: app, version: nightly, version_rule: tag}
source: {url: https://git.example/a/b.git, ref: v1, commit: 0123456789012345678901234567890123456789, directory: ./svc/}
container:
  image: localhost:5000/p/app:v9
  tag_differs: true
  entrypoint: [/app/x, --serve]
  args: [\"8080\", 1.10]
  env: {ZONE: UTC, ALPHA: 1}
recipe:
  use: go
  go: {main: ./cmd/x, tags: [netgo, osusergo], ldflags: -X main.v=1, goamd64: v3}
base: embedded:static
platforms: [linux/amd64, linux/arm64/v8]
files:
  - {from: conf/, to: /app/conf}
  - {from: ., to: /, mode: 0644}
environment:
kubernetes:
  resources: {limits: {cpu: 1, memory: 1Gi}}
",
    );
    assert_eq!(deployment.version.as_deref(), Some("nightly"));
    assert_eq!(deployment.source.directory, "svc");
    assert_eq!(deployment.source.reference.as_deref(), Some("v1"));
    assert_eq!(deployment.container.entrypoint, ["/app/x", "--serve"]);
    assert_eq!(deployment.container.args, ["8080", "1.10"]);
    assert_eq!(
        pairs(&deployment.container.env),
        [("ZONE", "UTC"), ("ALPHA", "1")]
    );
    assert_eq!(deployment.recipe_name.as_deref(), Some("go"));
    let go = &deployment.recipe["go"];
    assert_eq!(go["main"], ["./cmd/x"]);
    assert_eq!(go["tags"], ["netgo", "osusergo"]);
    assert_eq!(go["ldflags"], ["-X main.v=1"]);
    assert_eq!(deployment.base.as_deref(), Some("embedded:static"));
    let platforms = deployment.platforms.iter().map(ToString::to_string);
    assert_eq!(
        platforms.collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    let files: Vec<_> = deployment
        .files
        .iter()
        .map(|file| (file.from.as_str(), file.to.as_str(), file.mode))
        .collect();
    assert_eq!(
        files,
        [("conf", "/app/conf", None), (".", "/", Some(0o644))]
    );
    assert_eq!(
        deployment.origins["files[1].mode"].to_string(),
        "deployment.yaml:16:28"
    );
    assert_eq!(parse(""), Deployment::default());
    assert_eq!(parse("# nothing\n---\n"), Deployment::default());
}
