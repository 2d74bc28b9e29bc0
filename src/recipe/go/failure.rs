//! What go printed when it failed, turned into a code, a sentence and a next step.

use std::fmt;
use std::path::{Path, PathBuf};

use super::env::DEFAULT_PROXY;
use super::error::old_hint;
use crate::plan::{Argument, Step, StepOutcome};

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
    #[error("access to a module was refused (GOPROXY={proxy})")]
    Private { proxy: String },
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
                Self::Private { .. } => {
                    "set GOPRIVATE=HOST/PATH and give a login in NETRC or GOAUTH; with an internal GOPROXY \
                     set GONOSUMDB too (or GOPRIVATE with GONOPROXY=none); or commit the modules: go mod vendor"
                }
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
                    "generate the files before the build (pre_build), or commit them"
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
        let said = scrub(&outcome.stderr, step);
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

fn variable(step: &Step, name: &str) -> Option<String> {
    match step.env.get(name)? {
        Argument::Text(value) | Argument::Secret(value) => {
            Some(value.to_string_lossy().into_owned())
        }
        Argument::Output(_) => None,
    }
}

fn classify(step: &Step, said: &str) -> Reason {
    let proxy = || {
        let value = variable(step, "GOPROXY").unwrap_or_else(|| DEFAULT_PROXY.to_owned());
        scrub_urls(&value)
    };
    let line = |needle: &str| {
        said.lines()
            .find(|line| line.contains(needle))
            .map(str::trim)
    };
    let any = |needles: &[&str]| needles.iter().find_map(|needle| line(needle));
    if line("signal: killed").is_some() {
        return Reason::OutOfMemory;
    }
    if let Some(line) = any(&["toolchain not available", "cannot find \"go1."]) {
        return Reason::ToolchainDownload {
            wanted: toolchain_in(line),
            proxy: proxy(),
        };
    }
    if let Some(line) = any(&["requires go >= ", "requires go >="]) {
        return Reason::Old {
            wanted: word_after(line, "requires go >="),
            host: word_after(line, "running go"),
        };
    }
    if let Some(reason) = source_reason(step, said) {
        return reason;
    }
    if line("disabled by GOPROXY=off").is_some() {
        return Reason::Off {
            modules: modules_in(said),
        };
    }
    if any(&REFUSALS).is_some() {
        return Reason::Private { proxy: proxy() };
    }
    if any(&UNREACHABLE).is_some() {
        return Reason::Proxy { proxy: proxy() };
    }
    if any(&[
        "build cache is required",
        "failed to initialize build cache",
        "no space left on device",
    ])
    .is_some()
    {
        let path = variable(step, "GOCACHE").unwrap_or_default().into();
        return Reason::Cache { path };
    }
    Reason::Build
}

const REFUSALS: [&str; 8] = [
    "terminal prompts disabled",
    "could not read Username",
    "git ls-remote",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "410 Gone",
    "Permission denied (publickey)",
];

const UNREACHABLE: [&str; 8] = [
    "dial tcp",
    "connection refused",
    "no such host",
    "i/o timeout",
    "tls: ",
    "x509: ",
    "502 Bad Gateway",
    "503 Service Unavailable",
];

/// Reasons that lie in the source.
fn source_reason(step: &Step, said: &str) -> Option<Reason> {
    let line = |needle: &str| {
        said.lines()
            .find(|line| line.contains(needle))
            .map(str::trim)
    };
    if let Some(line) = line("missing go.sum entry") {
        let what = line
            .split_once("missing go.sum entry")
            .map_or("", |(_, rest)| rest);
        let what = what.split(';').next().unwrap_or_default().trim();
        let what = what
            .trim_start_matches("for ")
            .trim_start_matches("module providing ");
        return Some(Reason::Sum {
            what: what.to_owned(),
        });
    }
    if let Some(line) = line("updates to go.mod needed").or(line("updates to go.sum needed")) {
        return Some(Reason::Sum {
            what: line.trim_start_matches("go: ").to_owned(),
        });
    }
    if let Some(line) = line("checksum mismatch") {
        let module = line
            .split_whitespace()
            .find(|word| word.contains('@'))
            .unwrap_or("a module");
        return Some(Reason::Mismatch {
            module: module.trim_end_matches(':').to_owned(),
        });
    }
    if line("inconsistent vendoring")
        .or(line("lookup disabled by -mod=vendor"))
        .is_some()
    {
        return Some(Reason::Vendor);
    }
    if let Some(package) = cgo_package(said) {
        return Some(Reason::CgoRequired { package });
    }
    if line("error obtaining VCS status").is_some() {
        return Some(Reason::Vcs);
    }
    if let Some(line) = line("no matching files found") {
        let pattern = line.split_once("pattern ").map_or(line, |(_, rest)| rest);
        return Some(Reason::Embed {
            pattern: pattern.split(": ").next().unwrap_or(pattern).to_owned(),
        });
    }
    if line("-race requires cgo").is_some() {
        return Some(Reason::Race);
    }
    if line("is not a main package").is_some() {
        return Some(Reason::NotMain);
    }
    let replaced = line("replacement directory").or_else(|| {
        line("(replaced by ").filter(|line| line.contains("no such file or directory"))
    });
    let root = step.directory.to_string_lossy();
    replaced.map(|line| Reason::Replace {
        line: line.trim_start_matches("go: ").replace(root.as_ref(), "."),
    })
}

/// The package whose files are all excluded *because* they use cgo: the same text comes from
/// `//go:build ignore` and from files of other platforms.
fn cgo_package(said: &str) -> Option<String> {
    const TEXT: &str = "build constraints exclude all Go files in ";
    said.lines()
        .filter(|line| line.contains(TEXT))
        .find_map(|line| {
            let (before, folder) = line.split_once(TEXT)?;
            uses_cgo(Path::new(folder.trim())).then(|| {
                let before = before
                    .trim()
                    .trim_start_matches("package ")
                    .trim_start_matches("imports ");
                let package = before.trim_end_matches([':', ' ']);
                let package = package.rsplit(' ').next().unwrap_or(package);
                if package.is_empty() {
                    folder.trim()
                } else {
                    package
                }
                .to_owned()
            })
        })
}

fn uses_cgo(folder: &Path) -> bool {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return false;
    };
    let files = entries
        .take(2000)
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|ext| ext == "go"))
        .any(|path| {
            let small =
                fs_err::metadata(&path).is_ok_and(|data| data.is_file() && data.len() < 4 << 20);
            small && fs_err::read_to_string(&path).is_ok_and(|text| text.contains("import \"C\""))
        })
}

fn word_after(line: &str, marker: &str) -> String {
    let rest = line
        .split_once(marker)
        .map_or("", |(_, rest)| rest)
        .trim_start();
    rest.split([' ', ';', ')', ','])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn toolchain_in(line: &str) -> String {
    line.split([' ', '"', ':'])
        .find(|word| word.starts_with("go1."))
        .unwrap_or("that go.mod asks for")
        .to_owned()
}

fn modules_in(said: &str) -> Vec<String> {
    let mut modules: Vec<String> = said
        .lines()
        .filter(|line| line.contains("disabled by GOPROXY=off"))
        .filter_map(|line| {
            let versioned = line.split([' ', '\t']).find(|word| word.contains("@v"));
            let provided = line.split_once("providing package ").map(|(_, rest)| rest);
            let word = versioned.or(provided)?;
            Some(word.split(':').next().unwrap_or(word).to_owned())
        })
        .collect();
    modules.sort();
    modules.dedup();
    modules
}

/// The last lines, without the successful requests that `-x` lists.
fn tail(said: &str) -> String {
    let failed = |line: &str| line.contains(": 4") || line.contains(": 5");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .filter(|line| !line.starts_with("# get ") || failed(line))
        .collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn scrub(said: &str, step: &Step) -> String {
    let mut text = scrub_urls(said);
    for value in step.env.values() {
        if let Argument::Secret(secret) = value {
            let secret = secret.to_string_lossy();
            // A very short one would blank unrelated words.
            if secret.len() >= 6 {
                text = text.replace(secret.as_ref(), "***");
            }
        }
    }
    text
}

/// Takes the user and password out of every URL.
pub(super) fn scrub_urls(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        scrubbed.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || "/\"'`|,<>?#".contains(c))
            .unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(user) => {
                scrubbed.push_str("***");
                rest = &after[user..];
            }
            None => rest = after,
        }
    }
    scrubbed.push_str(rest);
    scrubbed
}
