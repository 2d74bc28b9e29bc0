//! The errors of the Go recipe, with the codes of docs/guides/go.md.

use std::io;
use std::path::{Path, PathBuf};

use super::candidate::{Candidate, Verdict};
use super::excluded;
use super::failure::{Reason, RunFailure};
use crate::error::{Coded, Exit};
use crate::program::RunError;
use crate::recipe::SpecError;
use crate::sandbox::SandboxError;
use crate::source::SourceError;
use crate::store::StoreError;

/// Why a Go module can't be planned or built.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum GoError {
    #[error("Go is not on PATH; {module} needs go {wanted} or newer")]
    None { module: String, wanted: String },
    #[error("{path}: can't be run")]
    Toolchain { path: PathBuf, source: io::Error },
    #[error("{path}: is not a go command: {said}")]
    NotGo { path: PathBuf, said: String },
    #[error("{0}")]
    Stopped(String),
    #[error("{file}:{line}: the module needs go {wanted}, this machine has go {host}")]
    Old {
        file: String,
        line: usize,
        wanted: String,
        host: String,
    },
    #[error("{file}:{line}: {problem}")]
    Parse {
        file: String,
        line: usize,
        problem: String,
    },
    #[error("there is no go.mod in {}", shown_folder(directory))]
    NoModule { directory: String },
    #[error("the source has several Go modules: {}", directories.join(", "))]
    Modules { directories: Vec<String> },
    #[error("{file}:{line}: replace {module} => {target}: {problem}")]
    Replace {
        file: String,
        line: usize,
        module: String,
        target: String,
        problem: &'static str,
    },
    #[error("{path}: is a symbolic link that leaves the source ({target})")]
    Link { path: String, target: String },
    #[error("{problem}{}", listed(candidates))]
    Main {
        problem: String,
        candidates: Vec<Candidate>,
        modules: Vec<String>,
    },
    #[error("package {package} is a library, not a command: building it gives no program")]
    NotMain { package: String },
    #[error("{path}: the program was built for {found}, not for {wanted}")]
    Machine {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    #[error(
        "the program of package {package} needs {needed} of the base, which a static base lacks"
    )]
    Dynamic { package: String, needed: String },
    #[error("recipe.go.{key}: {problem}")]
    Option { key: String, problem: String },
    #[error("recipe.go.ldflags: {{{{{template}}}}}: {problem}")]
    Template { template: String, problem: String },
    #[error("-race requires cgo; enable cgo by setting CGO_ENABLED=1 (recipe.go.cgo: dynamic)")]
    Race,
    #[error("recipe.go.cgo: {mode} for {platform} needs a C compiler; looked for {} on PATH", looked.join(", "))]
    Compiler {
        mode: &'static str,
        platform: String,
        looked: Vec<String>,
    },
    #[error("recipe.go.vcs_stamp: the commit of the source is not known")]
    Vcs,
    #[error("linux/{architecture} is not a platform of the Go toolchain")]
    Platform { architecture: String },
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Run(Box<RunFailure>),
    #[error("{path}: can't be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: can't be used by go; its caches live there")]
    Cache { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
    #[error(transparent)]
    Files(#[from] crate::recipe::files::FilesError),
}

impl GoError {
    /// Of a program that gave no outcome.
    pub(super) fn of_run(program: &Path, error: RunError) -> Self {
        match error {
            RunError::Io(source) => Self::Toolchain {
                path: program.to_owned(),
                source,
            },
            RunError::Stopped(what) => Self::Stopped(what),
        }
    }
}

fn shown_folder(directory: &str) -> String {
    if directory.is_empty() {
        "the source".to_owned()
    } else {
        format!("{directory} of the source")
    }
}

fn listed(candidates: &[Candidate]) -> String {
    use std::fmt::Write as _;
    candidates
        .iter()
        .fold(String::new(), |mut text, candidate| {
            // Writing to a String can't fail.
            let _infallible = write!(text, "\n  {}  ({})", candidate.path, candidate.verdict);
            text
        })
}

impl Coded for GoError {
    fn code(&self) -> &'static str {
        match self {
            Self::None { .. } | Self::Toolchain { .. } | Self::NotGo { .. } => "GO-NONE",
            Self::Stopped(_) => "GO-TIMEOUT",
            Self::Old { .. } => "GO-OLD",
            Self::Parse { .. } => "GO-MOD",
            Self::NoModule { .. } | Self::Modules { .. } => "GO-MODULES",
            Self::Replace { .. } => "GO-REPLACE",
            Self::Link { .. } => "GO-LINK",
            Self::Main { .. } => "GO-MAIN",
            Self::NotMain { .. } => "GO-NOTMAIN",
            Self::Machine { .. } => "GO-MACHINE",
            Self::Dynamic { .. } => "GO-DYNAMIC",
            Self::Option { .. } => "GO-OPTION",
            Self::Template { .. } => "GO-TEMPLATE",
            Self::Race => "GO-RACE",
            Self::Compiler { .. } => "GO-CC",
            Self::Vcs => "GO-VCS",
            Self::Platform { .. } => "GO-PLATFORM",
            Self::Run(failure) => failure.reason.code(),
            Self::Read { .. } => "GO-READ",
            Self::Cache { .. } => "GO-CACHE",
            Self::Spec(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::Sandbox(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Layer(error) => error.code(),
            Self::Files(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Option { .. } | Self::Template { .. } | Self::Modules { .. } => Exit::Usage,
            Self::Run(failure) if matches!(failure.reason, Reason::Proxy { .. }) => Exit::Network,
            Self::Run(failure) if matches!(failure.reason, Reason::Private { .. }) => {
                Exit::Authentication
            }
            Self::Spec(error) => error.exit(),
            Self::Source(error) => error.exit(),
            Self::Sandbox(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Layer(error) => error.exit(),
            Self::Files(error) => error.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::None { .. } => {
                "install Go, or name its command: --set recipe.go.go_bin=/usr/local/go/bin/go"
                    .to_owned()
            }
            Self::Toolchain { .. } | Self::NotGo { .. } => {
                "repair that installation, or set recipe.go.go_bin to another".to_owned()
            }
            Self::Stopped(_) => {
                "run it by hand to see what it waits for; recipe.go.go_bin names another go"
                    .to_owned()
            }
            Self::Old { .. } => old_hint(),
            Self::Parse { file, .. } => {
                format!("correct that line of {file} in the repository: https://go.dev/ref/mod")
            }
            Self::NoModule { .. } | Self::Modules { .. } => {
                "choose the folder of the module: --directory DIR (source.directory)".to_owned()
            }
            Self::Replace { .. } => {
                "build from the folder that holds both modules, and set source.directory".to_owned()
            }
            Self::Link { path, .. } => format!("replace {path} by the file that it stands for"),
            Self::Main {
                candidates,
                modules,
                ..
            } => main_hint(candidates, modules),
            Self::NotMain { .. } => {
                "set recipe.go.main to a package whose files say `package main`".to_owned()
            }
            Self::Dynamic { .. } => "set recipe.go.cgo to off or static, or --base cc".to_owned(),
            Self::Race => "with recipe.go.cgo: dynamic the base must be cc".to_owned(),
            Self::Compiler { .. } => {
                "install one of them (Debian: musl-tools; PyPI: ziglang), or set recipe.go.cgo: off"
                    .to_owned()
            }
            Self::Vcs => "build from a git checkout, or drop vcs_stamp".to_owned(),
            Self::Run(failure) => return failure.reason.hint(),
            Self::Cache { .. } => "name a writable folder: --cache-dir DIR".to_owned(),
            Self::Spec(error) => return error.hint(),
            Self::Source(error) => return error.hint(),
            Self::Sandbox(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Layer(error) => return error.hint(),
            Self::Files(error) => return error.hint(),
            Self::Machine { .. }
            | Self::Option { .. }
            | Self::Template { .. }
            | Self::Platform { .. }
            | Self::Read { .. } => return None,
        })
    }
}

/// What helps when the toolchain is older than the module.
pub(super) fn old_hint() -> String {
    "install a newer Go, or let go download it: --set recipe.go.toolchain=auto".to_owned()
}

fn main_hint(candidates: &[Candidate], modules: &[String]) -> String {
    if candidates.is_empty() {
        let library = "a library has nothing to run".to_owned();
        return match modules {
            [] => library,
            modules => format!(
                "{library}; choose another module of the source: --directory DIR, such as {}",
                modules.join(", ")
            ),
        };
    }
    if let Some(hint) = candidates.iter().find_map(left_out_hint) {
        return hint;
    }
    let path = candidates
        .iter()
        .find(|candidate| candidate.verdict.is_kept())
        .or_else(|| candidates.first())
        .map_or("./cmd/server", |candidate| candidate.path.as_str());
    format!(
        "choose one in deployment.yaml:\n  recipe:\n    go:\n      main: {path}\nor: --set recipe.go.main={path}"
    )
}

/// What brings back a command that go leaves out.
fn left_out_hint(candidate: &Candidate) -> Option<String> {
    match &candidate.verdict {
        Verdict::Tags { constraint, .. } => Some(match excluded::tags(constraint).as_str() {
            "" => format!("change recipe.go.tags so that `{constraint}` is true"),
            tags => format!("set its build tags: --set recipe.go.tags={tags}"),
        }),
        Verdict::Cgo { .. } => Some(
            "set recipe.go.cgo: static (musl-gcc or zig), or dynamic with the base cc".to_owned(),
        ),
        Verdict::Kept | Verdict::Dropped(_) | Verdict::Tool => None,
    }
}
