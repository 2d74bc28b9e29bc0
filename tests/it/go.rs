//! The Go recipe against the real go: plans, steps, programs, and one test for each error code.

mod cgo;
mod errors;
mod modules;
mod plans;
mod stamps;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use karisimbi::base::{Base, BaseFacts, Target};
use karisimbi::error::AnyError;
use karisimbi::net::Reach;
use karisimbi::plan::{Notice, Plan, Step, StepOutcome};
use karisimbi::progress::Silent;
use karisimbi::recipe::go::GoRecipe;
use karisimbi::recipe::{Context, Options, Recipe};
use karisimbi::sandbox::{Launcher, Policy, Sandbox};
use karisimbi::source::SourceTree;
use karisimbi::store::Store;
use tempfile::TempDir;

use super::support::{karisimbi, tool, write};

const MAIN: &str = "package main\n\nfunc main() { println(\"hello\") }\n";

/// Planning and running without the pipeline. Compilers share one cache, so that the standard
/// library is compiled once.
struct Workbench {
    store: Store,
    env: BTreeMap<String, OsString>,
    reach: Reach,
    sandbox: Sandbox,
}

impl Workbench {
    fn new() -> Self {
        static WARM: OnceLock<()> = OnceLock::new();
        let open = || Self::at(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-recipe"));
        // Processes that start together would each compile the same packages.
        WARM.get_or_init(|| {
            let folder = source(&[("go.mod", "module example.org/w\n"), ("main.go", MAIN)]);
            open().build(folder.path(), &none()).expect("go builds");
        });
        open()
    }

    fn at(store: &Path) -> Self {
        tool("go");
        let names = [
            "PATH",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "HTTPS_PROXY",
            "NO_PROXY",
        ];
        let env = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)));
        Self {
            store: Store::open(store, Arc::new(Silent)).expect("a store"),
            env: env.collect(),
            reach: Reach::Online,
            sandbox: Sandbox::new(Launcher(karisimbi().get_program().into()), Policy::Auto),
        }
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    fn plan_for(
        &self,
        source: &Path,
        options: &Options,
        platforms: &[&str],
    ) -> Result<Plan, AnyError> {
        let tree = SourceTree::open(source, &[], None).expect("a tree");
        let context = Context {
            store: &self.store,
            reporter: &Silent,
            env: &self.env,
            ca_file: None,
            reach: self.reach,
            sandbox: &self.sandbox,
        };
        let targets: Vec<Target> = platforms.iter().map(|platform| target(platform)).collect();
        GoRecipe.plan(&tree, options, &targets, &context)
    }

    fn plan(&self, source: &Path, options: &Options) -> Result<Plan, AnyError> {
        self.plan_for(source, options, &["linux/amd64"])
    }

    /// Runs one step as the pipeline does.
    fn step(&self, step: &Step) -> StepOutcome {
        let slot = self.store.step_slot(&step.slot).expect("a slot");
        let _lock = self.store.lock(&step.slot.hex()).expect("a lock");
        let output = self
            .sandbox
            .confine(&step.command(&slot), &step.confinement(&slot))
            .expect("a sandbox")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        StepOutcome {
            code: output.status.code(),
            signal: None,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            slot,
        }
    }

    /// Runs all steps; yields notices and the slots by step.
    fn run(&self, plan: &Plan) -> Result<(Vec<Notice>, Vec<PathBuf>), AnyError> {
        let mut notices = plan.notices.clone();
        let mut slots = Vec::new();
        for step in &plan.steps {
            let outcome = self.step(step);
            notices.extend(GoRecipe.review(step, &outcome)?);
            slots.push(outcome.slot);
        }
        Ok((notices, slots))
    }

    /// Builds for linux/amd64 and yields the program.
    fn build(&self, source: &Path, options: &Options) -> Result<PathBuf, AnyError> {
        let plan = self.plan(source, options)?;
        let (_, slots) = self.run(&plan)?;
        Ok(slots.last().expect("a step").join("out"))
    }

    /// The error of planning and running.
    fn error(&self, source: &Path, options: &Options) -> AnyError {
        self.build(source, options).expect_err("an error")
    }
}

fn target(platform: &str) -> Target {
    Target {
        platform: platform.parse().expect("a platform"),
        base: Base {
            name: "scratch".to_owned(),
            digest: None,
            config: serde_json::Map::new(),
            layers: Vec::new(),
        },
        facts: BaseFacts::default(),
    }
}

fn source(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, contents) in files {
        write(&folder.path().join(path), contents);
    }
    folder
}

fn option(key: &str, value: &str) -> Options {
    let mut options = Options::default();
    options
        .recipe
        .insert(key.to_owned(), vec![value.to_owned()]);
    options
}

fn none() -> Options {
    Options::default()
}

fn layer_fields(plan: &Plan) -> BTreeMap<String, String> {
    plan.images[0].layers[0].key().fields().clone()
}

/// Fails unless the error has this code and its text and hint hold these words.
#[track_caller]
fn assert_says(error: &AnyError, code: &str, words: &[&str]) {
    let said = format!("{error}\n{}", error.hint().unwrap_or_default());
    assert_eq!(error.code(), code, "{said}");
    for word in words {
        assert!(said.contains(word), "{code} lacks {word:?}:\n{said}");
    }
}

fn answers(program: &Path) -> String {
    use std::io::Write;
    let mut child = Command::new(program)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{request}").expect("a request");
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A dependency of two lines in vendor/.
fn vendored() -> TempDir {
    source(&[
        (
            "go.mod",
            "module example.org/vendored\n\ngo 1.25\n\nrequire example.org/dep v1.0.0\n",
        ),
        (
            "main.go",
            "package main\n\nimport \"example.org/dep\"\n\nfunc main() { println(dep.Name) }\n",
        ),
        (
            "vendor/modules.txt",
            "# example.org/dep v1.0.0\n## explicit; go 1.25\nexample.org/dep\n",
        ),
        (
            "vendor/example.org/dep/dep.go",
            "package dep\n\nconst Name = \"dep\"\n",
        ),
    ])
}
