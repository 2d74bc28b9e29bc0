//! The processes of a Go build: modules with the network, then everything else without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::compiler::Compiler;
use super::env::{self, Env, Folders, text};
use super::error::GoError;
use super::main_package::MainPackage;
use super::module::Module;
use super::options::{Cgo, GoOptions, ModMode, VcsStamp};
use super::packages::LIST_FORMAT;
use super::places;
use super::toolchain::{Selected, Toolchain};
use crate::digest::Digest;
use crate::layer::{Input, StepKey, TreeDigest};
use crate::plan::{Argument, Network, Step};
use crate::platform::Platform;
use crate::recipe::spec::GoSpec;
use crate::recipe::{Context, Options};
use crate::sandbox::installation;
use crate::source::SourceTree;

/// Raised when the way of building changes, so that older results are not reused.
pub(super) const RULES: u32 = 1;
/// The file that `go build` writes into its slot.
pub(super) const OUTPUT: &str = "out";
/// Kinds of steps, as the key's field `kind` holds them.
pub(super) const BUILD: &str = "go-build";
pub(super) const PROBE: &str = "go-cgo-probe";
const MODULES: &str = "go-modules";
const LIST: &str = "go-list";
/// Packages with cgo files that are not the standard library's.
const CGO_FORMAT: &str = "{{if and (not .Standard) .CgoFiles}}{{.ImportPath}}{{end}}";

/// Everything that the steps of one plan share.
#[derive(Debug)]
pub(super) struct Workshop<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) module: &'a Module,
    pub(super) options: &'a GoOptions,
    pub(super) spec: &'a GoSpec,
    pub(super) build: &'a Options,
    pub(super) context: &'a Context<'a>,
    pub(super) toolchain: &'a Toolchain,
    pub(super) selected: &'a Selected,
    pub(super) folders: &'a Folders,
    pub(super) source: TreeDigest,
}

/// What is compiled for one platform.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) main: &'a MainPackage,
    pub(super) platform: &'a Platform,
    pub(super) compiler: Option<Compiler>,
    /// Templates are resolved.
    pub(super) ldflags: String,
}

fn texts(values: &[&str]) -> Vec<Argument> {
    values.iter().map(text).collect()
}

impl Workshop<'_> {
    fn directory(&self) -> PathBuf {
        self.tree.root().join(&self.module.directory)
    }

    fn base_env(&self) -> Env {
        let work = self.module.work.as_ref();
        let gowork = work.map(|work| self.tree.root().join(&work.directory).join("go.work"));
        env::base(
            self.folders,
            self.context,
            &self.selected.gotoolchain,
            gowork.as_deref(),
        )
    }

    /// The environment of a compilation: no network, no credentials.
    fn compile_env(&self, compile: &BTreeMap<String, String>) -> Env {
        let mut env = self.base_env();
        env.insert("GOPROXY".to_owned(), text("off"));
        env.extend(
            compile
                .iter()
                .map(|(name, value)| (name.clone(), text(value))),
        );
        env
    }

    /// What go may read: the source, itself, and what downloads are configured with.
    fn readable(&self, network: Network) -> Vec<PathBuf> {
        let go = self.installed(&self.toolchain.program);
        let mut paths = vec![self.tree.root().to_owned(), go];
        if network == Network::Online {
            paths.extend(places::of_downloads(self.context));
        }
        paths
    }

    fn readable_to_build(&self, job: &Job<'_>) -> Vec<PathBuf> {
        let mut paths = self.readable(Network::Offline);
        let compiler = job.compiler.iter();
        paths.extend(compiler.map(|compiler| self.installed(&compiler.program)));
        if self.options.vcs_stamp == VcsStamp::Yes {
            paths.extend(places::repository(self.tree.root()));
        }
        paths
    }

    fn writable(&self) -> Vec<PathBuf> {
        vec![self.folders.root().to_owned()]
    }

    fn installed(&self, program: &Path) -> PathBuf {
        installation(program, places::home(self.context))
    }

    /// A folder of its own for what this step writes; the same while sources change.
    fn slot(&self, kind: &str, parts: &[String]) -> Digest {
        let directory = self.directory();
        let text = serde_json::json!([kind, RULES, directory.to_string_lossy(), parts]).to_string();
        Digest::of(text.as_bytes())
    }

    fn mod_flag(&self) -> String {
        format!("-mod={}", self.module.modules.flag())
    }

    fn tags_flag(&self) -> Option<String> {
        let tags = &self.options.tags;
        (!tags.is_empty()).then(|| format!("-tags={}", tags.join(",")))
    }

    /// Downloads what the program of one platform needs; none when the source brings all of it.
    ///
    /// `go mod download` would fetch the modules of tests too, and it writes go.sum and
    /// go.work.sum where they are incomplete; `go list` does neither.
    pub(super) fn modules(&self, job: &Job<'_>) -> Result<Option<Step>, GoError> {
        let complete = self.module.modules == ModMode::Vendor || !self.module.has_requirements();
        if complete && self.selected.gotoolchain == "local" {
            return Ok(None);
        }
        let compile = env::compile(job.platform, self.options)?;
        let mut env = self.base_env();
        env.extend(
            compile
                .iter()
                .map(|(name, value)| (name.clone(), text(value))),
        );
        let args = if complete {
            // Any command makes go fetch its toolchain.
            texts(&["version"])
        } else {
            self.deps(job, "{{if .Error}}{{.ImportPath}}{{end}}")
        };
        Ok(Some(Step {
            name: format!("go modules of {} ({})", job.main.path, job.platform),
            program: self.toolchain.program.clone(),
            args,
            env: env::download(env, self.context),
            directory: self.directory(),
            inputs: Vec::new(),
            network: Network::Online,
            readable: self.readable(Network::Online),
            writable: self.writable(),
            slot: self.slot(MODULES, &[job.platform.to_string(), job.main.path.clone()]),
            outputs: Vec::new(),
            key: self.deps_key(MODULES, job).with("env", &shown(&compile)),
        }))
    }

    /// `go list` over the program's packages.
    fn deps(&self, job: &Job<'_>, format: &str) -> Vec<Argument> {
        let mut args = texts(&["list", "-deps"]);
        args.push(text(self.mod_flag()));
        args.extend(self.tags_flag().map(text));
        args.extend(texts(&["-f", format, &job.main.path]));
        args
    }

    fn deps_key(&self, kind: &str, job: &Job<'_>) -> StepKey {
        StepKey::new(kind, RULES)
            .with("go", &self.selected.version)
            .with("platform", job.platform)
            .with("main", &job.main.path)
            .with("tags", &self.options.tags.join(","))
            .with("mod", self.module.modules.flag())
            .with("source", &self.source.0)
    }

    /// Lists the packages of the module: needs no dependency and no network.
    pub(super) fn list(&self, compile: &BTreeMap<String, String>) -> Step {
        let mut args = texts(&["list", "-e", "-find"]);
        args.push(text(self.mod_flag()));
        args.extend(self.tags_flag().map(text));
        args.extend(texts(&["-f", LIST_FORMAT, "./..."]));
        let mut env = self.compile_env(compile);
        let mut network = Network::Offline;
        if self.selected.gotoolchain != "local" {
            network = Network::Online;
            // The toolchain itself may have to be downloaded first.
            env.remove("GOPROXY");
            env = env::download(env, self.context);
        }
        let key = StepKey::new(LIST, RULES)
            .with("go", &self.selected.version)
            .with("env", &shown(compile))
            .with("tags", &self.options.tags.join(","))
            .with("mod", self.module.modules.flag())
            .with("directory", &self.module.directory)
            .with(
                "work",
                self.module
                    .work
                    .as_ref()
                    .map_or("off", |work| work.directory.as_str()),
            )
            .with("source", &self.source.0);
        Step {
            name: "go list ./...".to_owned(),
            program: self.toolchain.program.clone(),
            args,
            env,
            directory: self.directory(),
            inputs: Vec::new(),
            network,
            readable: self.readable(network),
            writable: self.writable(),
            slot: self.slot(LIST, &[]),
            outputs: Vec::new(),
            key,
        }
    }

    /// Lists the dependencies that have cgo files: some of them compile without cgo into stubs
    /// that fail at run time.
    pub(super) fn probe(&self, job: &Job<'_>, modules: Option<&Step>) -> Result<Step, GoError> {
        let mut compile = env::compile(job.platform, self.options)?;
        compile.insert("CGO_ENABLED".to_owned(), "1".to_owned());
        Ok(Step {
            name: format!("go list -deps {} ({})", job.main.path, job.platform),
            program: self.toolchain.program.clone(),
            args: self.deps(job, CGO_FORMAT),
            env: self.compile_env(&compile),
            directory: self.directory(),
            inputs: modules
                .map(|step| Input::Step(step.key.digest()))
                .into_iter()
                .collect(),
            network: Network::Offline,
            readable: self.readable(Network::Offline),
            writable: self.writable(),
            slot: self.slot(PROBE, &[job.platform.to_string(), job.main.path.clone()]),
            outputs: Vec::new(),
            key: self.deps_key(PROBE, job),
        })
    }

    /// Compiles and links the program.
    pub(super) fn build(&self, job: &Job<'_>, before: &[&Step]) -> Result<Step, GoError> {
        let mut compile = env::compile(job.platform, self.options)?;
        let fields = self.fields(job, &compile);
        let mut env_compiler = compile.clone();
        if let Some(compiler) = &job.compiler {
            env_compiler.insert("CC".to_owned(), compiler.cc.clone());
        }
        std::mem::swap(&mut compile, &mut env_compiler);
        let mut env = self.compile_env(&compile);
        if job.compiler.is_some() {
            let cache = self.folders.root().join("zig");
            env.insert("ZIG_GLOBAL_CACHE_DIR".to_owned(), text(cache));
        }
        let vcs = match self.options.vcs_stamp {
            VcsStamp::No => "-buildvcs=false",
            VcsStamp::Yes => "-buildvcs=true",
        };
        let mut args = texts(&["build", "-trimpath", vcs]);
        args.push(text(self.mod_flag()));
        args.extend(self.tags_flag().map(text));
        args.extend(self.options.flags.iter().map(text));
        args.push(text(format!("-ldflags={}", job.ldflags)));
        args.extend([
            text("-o"),
            Argument::Output(OUTPUT.to_owned()),
            text(&job.main.path),
        ]);
        // Go's own up-to-date test looks at the earlier output, so the source is no part of it.
        let slot: Vec<String> = fields
            .iter()
            .filter(|(name, _)| **name != "source")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let key = fields
            .iter()
            .fold(StepKey::new(BUILD, RULES), |key, (name, value)| {
                key.with(name, value)
            });
        Ok(Step {
            name: format!("go build {} ({})", job.main.path, job.platform),
            program: self.toolchain.program.clone(),
            args,
            env,
            directory: self.directory(),
            inputs: before
                .iter()
                .map(|step| Input::Step(step.key.digest()))
                .collect(),
            network: Network::Offline,
            readable: self.readable_to_build(job),
            writable: self.writable(),
            slot: self.slot(BUILD, &slot),
            outputs: vec![OUTPUT.to_owned()],
            key,
        })
    }

    /// Everything that decides the program's bytes, each under its own name, so that
    /// `--explain` can say which of them changed.
    fn fields(
        &self,
        job: &Job<'_>,
        compile: &BTreeMap<String, String>,
    ) -> BTreeMap<&'static str, String> {
        let cgo = match &job.compiler {
            Some(compiler) => format!("{} {}", self.options.cgo.name(), compiler.version),
            None => self.options.cgo.name().to_owned(),
        };
        let mut fields = BTreeMap::from([
            ("go", self.selected.version.clone()),
            ("platform", job.platform.to_string()),
            ("env", shown(compile)),
            ("main", job.main.path.clone()),
            ("ldflags", job.ldflags.clone()),
            ("tags", self.options.tags.join(",")),
            ("flags", self.options.flags.join(" ")),
            ("mod", self.module.modules.flag().to_owned()),
            ("cgo", cgo),
            ("directory", self.module.directory.clone()),
            (
                "work",
                self.module.work.as_ref().map_or("off", |_| "on").to_owned(),
            ),
            ("source", self.source.0.to_string()),
        ]);
        if self.options.vcs_stamp == VcsStamp::Yes
            && let Some(revision) = &self.build.revision
        {
            let dirty = if revision.dirty { " dirty" } else { "" };
            let tag = revision.tag.as_deref().unwrap_or_default();
            fields.insert(
                "vcs",
                format!("{} {} {tag}{dirty}", revision.commit, revision.time),
            );
        }
        fields
    }
}

fn shown(compile: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = compile
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// The linker's flags that a mode of cgo adds.
pub(super) const fn cgo_ldflags(cgo: Cgo) -> &'static str {
    match cgo {
        Cgo::Static => " -linkmode external -extldflags \"-static\"",
        Cgo::Off | Cgo::Dynamic => "",
    }
}
