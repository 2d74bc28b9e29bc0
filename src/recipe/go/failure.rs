//! What go printed when it failed, turned into a code, a sentence and a next step.

use std::fmt;
use std::path::PathBuf;

use super::classify::classify;
use super::error::old_hint;
use crate::plan::{Step, StepOutcome};

/// Lines of go's own output that are shown below our sentence.
const TAIL: usize = 30;

/// A go command that failed.
#[derive(Debug)]
pub struct RunFailure {
    /// What it was, as far as its output tells.
    pub reason: Reason,
    /// The step: `go build ./cmd/server (linux/amd64)`.
    pub step: String,
    /// `exit status 1`, `signal 9`.
    pub ended: String,
    /// Its last lines, without credentials.
    pub output: String,
}

/// Why a go command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum Reason {
    #[error("the module, or one that it requires, needs go {wanted}; this machine has go {host}")]
    Old { wanted: String, host: String },
    #[error("the toolchain {wanted} can't be downloaded (GOPROXY={proxy})")]
    ToolchainDownload { wanted: String, proxy: String },
    #[error("go.sum and go.mod don't cover {what}")]
    Sum { what: String },
    #[error("{module}: what was downloaded is not what go.sum says")]
    Mismatch { module: String },
    #[error("a module was not downloaded before the build: {}", modules.join(", "))]
    Off { modules: Vec<String> },
    #[error("the module proxy can't be reached (GOPROXY={proxy})")]
    Proxy { proxy: String },
    #[error("access to {} was refused (GOPROXY={proxy})", shown(modules))]
    Private { modules: Vec<String>, proxy: String },
    #[error("vendor/modules.txt does not agree with go.mod")]
    Vendor,
    #[error("package {package} needs cgo, which is off")]
    CgoRequired { package: String },
    #[error("go could not read the commit of the source")]
    Vcs,
    #[error("the build cache {path} can't be used: not writable, or full")]
    Cache { path: PathBuf },
    #[error("//go:embed {pattern}: there are no such files in the source")]
    Embed { pattern: String },
    #[error("-race requires cgo; enable cgo by setting CGO_ENABLED=1")]
    Race,
    #[error("a replace line leads to a folder that is not there: {line}")]
    Replace { line: String },
    #[error("the compiler or linker was killed: the machine has too little memory")]
    OutOfMemory,
    #[error("the package is not a command")]
    NotMain,
    #[error("go failed")]
    Build,
}

impl Reason {
    /// The code of docs/guides/go.md.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Old { .. } => "GO-OLD",
            Self::ToolchainDownload { .. } => "GO-TC-DL",
            Self::Sum { .. } | Self::Mismatch { .. } => "GO-SUM",
            Self::Off { .. } => "GO-OFF",
            Self::Proxy { .. } => "GO-PROXY",
            Self::Private { .. } => "GO-PRIVATE",
            Self::Vendor => "GO-VENDOR",
            Self::CgoRequired { .. } => "GO-CGO-REQ",
            Self::Vcs => "GO-VCS",
            Self::Cache { .. } => "GO-CACHE",
            Self::Embed { .. } => "GO-EMBED",
            Self::Race => "GO-RACE",
            Self::Replace { .. } => "GO-REPLACE",
            Self::OutOfMemory => "GO-OOM",
            Self::NotMain => "GO-NOTMAIN",
            Self::Build => "GO-BUILD",
        }
    }

    /// The next step.
    pub(super) fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Old { .. } => return Some(old_hint()),
                Self::ToolchainDownload { .. } => {
                    "install that version, or set GOPROXY to a proxy that serves golang.org/toolchain"
                }
                Self::Sum { .. } => {
                    "run `go mod tidy` in the repository and commit go.mod and go.sum; a build never edits them"
                }
                Self::Mismatch { .. } => {
                    "the module changed after it was first used, or the proxy serves another; do not \
                     ignore it: compare with another proxy"
                }
                Self::Off { .. } => {
                    "build once without --offline; with a private proxy check that go.mod lists these modules"
                }
                Self::Proxy { .. } => {
                    "check GOPROXY, HTTPS_PROXY and --ca-file, or commit the modules: go mod vendor"
                }
                Self::Private { modules, .. } => return Some(private_hint(modules)),
                Self::Vendor => {
                    "run `go mod vendor` and commit vendor/, or ignore vendor/: --set recipe.go.mod=readonly"
                }
                Self::CgoRequired { .. } => {
                    "set recipe.go.cgo: static (musl-gcc or zig), or dynamic with the base cc"
                }
                Self::Vcs => {
                    "run `git config --global --add safe.directory DIR` for the user that builds, or drop vcs_stamp"
                }
                Self::Cache { .. } => "name a writable folder with space: --cache-dir DIR",
                Self::Embed { .. } => {
                    "the repository's own build makes them (a web page, generated code): run that step in a clone, \
                     then build the clone's folder"
                }
                Self::Race => "set recipe.go.cgo: dynamic, with the base cc",
                Self::Replace { .. } => "the folder must lie in the source and hold a go.mod",
                Self::OutOfMemory => {
                    "linking a server with the Kubernetes client takes about 1.2 GB: raise the memory limit, \
                     or compile one package at a time: --set recipe.go.flags=-p=1"
                }
                Self::NotMain => "set recipe.go.main to a package whose files say `package main`",
                Self::Build => return None,
            }
            .to_owned(),
        )
    }
}

impl fmt::Display for RunFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.reason, self.step, self.ended)?;
        self.output
            .lines()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for RunFailure {}

impl RunFailure {
    /// Judges a step that failed.
    pub(super) fn of(step: &Step, outcome: &StepOutcome) -> Self {
        let said = step.scrub(&outcome.stderr);
        let mut reason = classify(step, &said);
        if outcome.signal == Some(9) {
            reason = Reason::OutOfMemory;
        }
        let ended = match (outcome.code, outcome.signal) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "did not start".to_owned(),
        };
        Self {
            reason,
            step: step.name.clone(),
            ended,
            output: tail(&said),
        }
    }
}

fn shown(modules: &[String]) -> String {
    if modules.is_empty() {
        "a module".to_owned()
    } else {
        modules.join(", ")
    }
}

fn private_hint(modules: &[String]) -> String {
    let path = modules
        .first()
        .and_then(|module| module.split('@').next())
        .unwrap_or("HOST/PATH");
    format!(
        "a private module: set GOPRIVATE={path} and give a login in NETRC or GOAUTH (with an internal \
         GOPROXY set GONOSUMDB, or GOPRIVATE with GONOPROXY=none); a public one that this proxy does \
         not serve: GONOPROXY={path} fetches it from its repository; or commit the modules: go mod vendor"
    )
}

/// The last lines, without the downloads that succeeded.
fn tail(said: &str) -> String {
    let failed = |line: &str| line.contains(": 4") || line.contains(": 5");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .filter(|line| !line.starts_with("# get ") || failed(line))
        .filter(|line| !line.starts_with("go: downloading ") && !line.starts_with("go: finding "))
        .collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
