//! Recipes: they read a source tree and produce plans.

pub mod files;
pub mod go;
mod paths;
mod spec;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::base::Target;
pub use crate::deployment::FileMapping;
use crate::digest::Digest;
use crate::error::AnyError;
use crate::layer::TreeDigest;
use crate::plan::{Evidence, Notice, Plan, Step, StepOutcome};
use crate::platform::Platform;
use crate::progress::Reporter;
use crate::sandbox::Sandbox;
pub use crate::source::Revision;
use crate::source::{SourceTree, listing};
use crate::store::Store;

pub use self::spec::{SpecError, Specs};

/// What a recipe wants to know before its plan: the base that fits, unless the user names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Short name of the default base: `static`, `cc`, `python3.13`, …
    pub base: String,
}

/// Options of one build, already merged from flags, environment, deployment.yaml and defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of the deployment, when there is one.
    pub name: Option<String>,
    /// Version of the deployment, when there is one.
    pub version: Option<String>,
    /// Last path element of the Git URL, when there is one: a hint for choosing a main package.
    pub repository: Option<String>,
    /// Folder of the module below the tree's root (`source.directory`); empty is the root.
    pub directory: String,
    /// `container.entrypoint`
    pub entrypoint: Vec<String>,
    /// `container.args`
    pub args: Vec<String>,
    /// `container.env`
    pub env: BTreeMap<String, String>,
    /// `container.port`
    pub port: Option<u16>,
    /// `recipe.<language>.<key>`: `main`, `ldflags`, `tags`, `cgo`, …; lists keep their order.
    pub recipe: BTreeMap<String, Vec<String>>,
    /// `files: [{from, to, mode}]`
    pub files: Vec<FileMapping>,
    /// Commit of the source, when it is known: for version stamping and annotations.
    pub revision: Option<Revision>,
    /// `SOURCE_DATE_EPOCH`, else the commit's time: seconds since 1970.
    pub created: Option<i64>,
    /// `--recipes DIR`
    pub specs: Specs,
}

/// What recipes may use of the world.
pub struct Context<'a> {
    /// Memos of tools, slots, caches.
    pub store: &'a Store,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
    /// The variables that settings lets recipes see (PATH, GOPROXY, proxies, certificates, …).
    pub env: &'a BTreeMap<String, OsString>,
    /// `--ca-file` and its like, for child processes.
    pub ca_file: Option<PathBuf>,
    /// `--offline`
    pub reach: crate::net::Reach,
    /// Where tools that read the source run.
    pub sandbox: &'a Sandbox,
}

impl Context<'_> {
    /// The digest of members of a tree; their listing is kept, so that `--explain` can name the
    /// files that changed.
    pub fn tree_digest(&self, members: &[&crate::source::TreeFile]) -> TreeDigest {
        let listing = listing::listing(members);
        let digest = Digest::of(&listing);
        self.store
            .remember("the list of source files", &digest, &listing);
        TreeDigest(digest)
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// A recipe's error: every recipe has an enum of its own behind it.
pub type RecipeError = AnyError;

/// Reads source trees of one language.
pub trait Recipe: Sync {
    /// `go`, `files`, …
    fn name(&self) -> &'static str;

    /// Whether this tree is one of its language, with the evidence.
    ///
    /// # Errors
    /// Files that can't be read or parsed.
    fn detect(&self, tree: &SourceTree, options: &Options)
    -> Result<Option<Evidence>, RecipeError>;

    /// The base that fits.
    ///
    /// # Errors
    /// As [`Recipe::detect`].
    fn needs(&self, tree: &SourceTree, options: &Options) -> Result<Needs, RecipeError>;

    /// The plan for all targets.
    ///
    /// # Errors
    /// All problems of all targets at once where they are of one kind.
    fn plan(
        &self,
        tree: &SourceTree,
        options: &Options,
        targets: &[Target],
        context: &Context<'_>,
    ) -> Result<Plan, RecipeError>;

    /// Judges a step that ended: turns a failure into an error with a code, checks what it
    /// wrote, and yields what the user should know.
    ///
    /// # Errors
    /// The recipe's code for the failure.
    fn review(&self, step: &Step, outcome: &StepOutcome) -> Result<Vec<Notice>, RecipeError>;
}

/// The built-in recipes, in the order of detection.
pub fn all() -> &'static [&'static dyn Recipe] {
    &[&go::GoRecipe, &files::FilesRecipe]
}

/// Whether a platform can be built at all by any recipe.
pub fn supported(platform: &Platform) -> bool {
    const ARCHITECTURES: &[&str] = &[
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
        "ppc64le", "riscv64", "s390x",
    ];
    platform.os == "linux" && ARCHITECTURES.contains(&platform.architecture.as_str())
}
