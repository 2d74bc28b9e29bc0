//! From go's own words to a reason. Texts are matched loosely: their spacing differs by version.

use std::path::Path;

use super::env::DEFAULT_PROXY;
use super::failure::Reason;
use crate::plan::{Argument, Step};
use crate::source::scrub;

fn variable(step: &Step, name: &str) -> Option<String> {
    match step.env.get(name)? {
        Argument::Text(value) | Argument::Secret(value) => {
            Some(value.to_string_lossy().into_owned())
        }
        Argument::Output(_) => None,
    }
}

/// The reason that go's own words give.
pub(super) fn classify(step: &Step, said: &str) -> Reason {
    let proxy = || {
        let value = variable(step, "GOPROXY").unwrap_or_else(|| DEFAULT_PROXY.to_owned());
        scrub(&value)
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
    if any(&REFUSALS).is_some() && any(&NO_ROUTE).is_none() {
        return Reason::Private {
            modules: refused_in(said),
            proxy: proxy(),
        };
    }
    if any(&UNREACHABLE).or(any(&NO_ROUTE)).is_some() {
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

/// Modules named in one sentence.
const MOST_MODULES: usize = 10;

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

/// git's words for a network that fails.
const NO_ROUTE: [&str; 3] = [
    "Could not resolve host",
    "Connection timed out",
    "Failed to connect",
];

const UNREACHABLE: [&str; 9] = [
    "reading file://",
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
    if let Some(reason) = sum_reason(said) {
        return Some(reason);
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

/// Reasons that lie in go.mod and go.sum.
fn sum_reason(said: &str) -> Option<Reason> {
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
    None
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

/// The modules on the lines that a refusal stands in: `[FILE:LINE: ]MODULE@VERSION: …`.
fn refused_in(said: &str) -> Vec<String> {
    let refused = said
        .lines()
        .filter(|line| REFUSALS.iter().any(|refusal| line.contains(refusal)));
    let mut modules: Vec<String> = refused
        .filter_map(|line| {
            let word = line
                .split([' ', '\t'])
                .find(|word| word.contains("@v") && !word.contains("://") && word.ends_with(':'))?;
            Some(word.trim_end_matches(':').to_owned())
        })
        .collect();
    modules.sort();
    modules.dedup();
    modules.truncate(MOST_MODULES);
    modules
}

fn modules_in(said: &str) -> Vec<String> {
    let refused = said
        .lines()
        .filter(|line| line.contains("disabled by GOPROXY=off"))
        .filter_map(|line| {
            let versioned = line.split([' ', '\t']).find(|word| word.contains("@v"));
            let provided = line.split_once("providing package ").map(|(_, rest)| rest);
            let word = versioned.or(provided)?;
            Some(word.split(':').next().unwrap_or(word).to_owned())
        });
    let mut modules: Vec<String> = refused.collect();
    if modules.is_empty() {
        // Then the line holds an import's place only. Without a proxy no download succeeds.
        let wanted = said
            .lines()
            .filter_map(|line| line.strip_prefix("go: downloading "))
            .map(|module| module.trim().replace(' ', "@"));
        modules.extend(wanted);
    }
    modules.sort();
    modules.dedup();
    modules.truncate(MOST_MODULES);
    modules
}
