//! deployment.yaml: a strict parse into valid types, with the place of every value.
//!
//! `tree` keeps the source text of scalars (`1.10`, `no` and `0123` stay what was written),
//! `schema` is the table of keys, `set` puts `--set` over the file, `read` makes typed values by
//! the rules of `rules`. The reference for people is docs/reference/deployment-yaml.md.

mod error;
mod find;
mod quantity;
mod read;
mod rules;
mod schema;
mod set;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use error::{Advice, ConfigError, ConfigErrors, Origin, Shown};
pub use find::{DEPLOYMENT_YAML, File, Found, KARISIMBI_YAML, Recognised, find, recognise};
pub use quantity::{InvalidQuantity, Quantity};
pub(crate) use tree::MAX_BYTES;

use crate::platform::Platform;
use crate::reference::Reference;

/// A deployment: every value is valid, every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// `deployment.name`: a DNS label of at most 53 characters.
    pub name: Option<String>,
    /// `deployment.version`: a semantic version, or any tag with `version_rule: tag`.
    pub version: Option<String>,
    /// `deployment.github_url`
    pub github_url: Option<String>,
    /// `deployment.repo_type`
    pub repo_type: Option<RepoType>,
    /// `deployment.created_at`; never reaches image bytes.
    pub created_at: Option<Timestamp>,
    /// `source.*`
    pub source: Source,
    /// `container.*`
    pub container: Container,
    /// `recipe.use`: the recipe to take instead of the detected one.
    pub recipe_name: Option<String>,
    /// `recipe.<language>.<key>`; a single text is a list of one. The recipe checks the values.
    pub recipe: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// `base`: a short name or an image.
    pub base: Option<String>,
    /// `base_*`, `bases`, `mirror`, `keyring`, `os_packages`, `ca_certs`
    pub bases: Bases,
    /// `platforms`; empty is the default.
    pub platforms: Vec<Platform>,
    /// `files`
    pub files: Vec<FileMapping>,
    /// `environment`, in the order of the file: for the cluster, never for image bytes.
    pub environment: Vec<(String, String)>,
    /// `kubernetes.*`
    pub kubernetes: Kubernetes,
    /// Where each value was written, by dotted path: `container.env.TZ`, `files[0].from`.
    pub origins: BTreeMap<String, Origin>,
    /// The source text of each value, by the same paths.
    pub texts: BTreeMap<String, String>,
}

/// `deployment.repo_type`: what the author says the repository is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepoType {
    /// `nodejs`
    Node,
    /// `python`
    Python,
    /// `golang`
    Go,
}

/// Where the source comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `source.url`: a Git URL without credentials.
    pub url: Option<String>,
    /// `source.ref`: a branch or tag.
    pub reference: Option<String>,
    /// `source.commit`: the whole commit id, in lower case.
    pub commit: Option<String>,
    /// `source.directory`: below the source's root; empty is the root.
    pub directory: String,
}

/// What the image runs and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// `container.image`: registry, repository and mostly a tag; never a digest.
    pub image: Option<Reference>,
    /// `container.port`: not 0.
    pub port: Option<u16>,
    /// `container.entrypoint`: exec form; empty is the recipe's.
    pub entrypoint: Vec<String>,
    /// `container.args`
    pub args: Vec<String>,
    /// `container.env`: variables of the image config, in the order of the file.
    pub env: Vec<(String, String)>,
}

/// Where bases come from, and what goes onto them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bases {
    /// `base_flavour`: `distroless` or `alpine`.
    pub flavour: Option<String>,
    /// `base_registry`: `HOST/PROJECT[/…]`, in which bases are looked for by their short names.
    pub registry: Option<String>,
    /// `bases`: what a short name stands for here.
    pub names: BTreeMap<String, String>,
    /// `mirror`: the address of a Debian mirror.
    pub mirror: Option<String>,
    /// `keyring`: PGP keys in place of the built-in ones; relative to the file's folder.
    pub keyring: Option<String>,
    /// `os_packages`: Debian packages on top of the base, sorted.
    pub os_packages: Vec<String>,
    /// `ca_certs`: PEM files, relative to the file's folder.
    pub ca_certs: Vec<String>,
}

/// `files: [{from, to, mode}]`: a file or folder of the source and its place in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMapping {
    /// Path below the source's root; `.` is all of it.
    pub from: String,
    /// Absolute path in the image.
    pub to: String,
    /// `0644` or `0755`; none keeps the x bit.
    pub mode: Option<u32>,
}

/// `kubernetes.*`: for the objects of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubernetes {
    /// A DNS label.
    pub namespace: Option<String>,
    /// At most 2147483647.
    pub replicas: Option<u32>,
    /// Requests are at most the limits, which are both there.
    pub resources: Option<Resources>,
}

/// `kubernetes.resources`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// What the scheduler reserves.
    pub requests: Amounts,
    /// What the container may use.
    pub limits: Amounts,
}

/// Amounts of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPUs; a multiple of `1m`.
    pub cpu: Option<Quantity>,
    /// Whole bytes.
    pub memory: Option<Quantity>,
}

/// Where the files of a deployment's source are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this folder.
    Folder(PathBuf),
    /// In a Git repository.
    Git {
        /// Its URL.
        url: String,
        /// Branch or tag.
        reference: Option<String>,
        /// The commit to check out.
        commit: Option<String>,
    },
}

impl Deployment {
    /// Parses a file; `file` is its name in messages.
    ///
    /// # Errors
    /// All problems, in the order of their lines.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, ConfigErrors> {
        Self::parse_with(file, text, &[])
    }

    /// Parses a file with `--set PATH=VALUE` over it; of two equal paths the later wins.
    ///
    /// # Errors
    /// All problems: those of the file in the order of their lines, then those of the arguments.
    pub fn parse_with(
        file: &str,
        text: &[u8],
        sets: &[(String, String)],
    ) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let file: Arc<str> = file.into();
        let locate = |line, column| Origin::File {
            file: Arc::clone(&file),
            line,
            column,
        };
        let root = tree::parse(&locate, text, &mut problems)?;
        Self::build(root, sets, problems)
    }

    /// A deployment without a file, from `--set` alone.
    ///
    /// # Errors
    /// All problems.
    pub fn from_sets(sets: &[(String, String)]) -> Result<Self, ConfigErrors> {
        let origin = Origin::Set { path: "".into() };
        Self::build(tree::Node::empty_map(origin), sets, Vec::new())
    }

    fn build(
        mut root: tree::Node,
        sets: &[(String, String)],
        mut problems: Vec<ConfigError>,
    ) -> Result<Self, ConfigErrors> {
        for (path, value) in sets {
            if let Err(problem) = set::apply(&mut root, path, value, &mut problems) {
                problems.push(problem);
            }
        }
        let mut findings = schema::Findings::default();
        findings.section(&root, schema::ROOT, "");
        let mut reader = read::Reader::new(&root, &findings.origins);
        let mut deployment = reader.deployment();
        deployment.texts = std::mem::take(&mut findings.texts);
        problems.append(&mut findings.problems);
        problems.append(&mut reader.problems);
        if problems.is_empty() {
            Ok(deployment)
        } else {
            Err(error::collected(problems))
        }
    }

    /// Where the source is, for a configuration that was read from `file`.
    ///
    /// A `deployment.yaml` belongs to a deployment folder: a folder `source` beside it is the
    /// source. A `karisimbi.yaml` belongs to the source folder itself. `deployment.github_url`
    /// alone is a remark; with a commit or ref it is the URL.
    pub fn place(&self, file: &Path) -> Place {
        let folder = file.parent().unwrap_or(Path::new(""));
        let beside = folder.join("source");
        if file.file_name().is_some_and(|name| name == DEPLOYMENT_YAML) && beside.is_dir() {
            return Place::Folder(beside);
        }
        let pinned = self.source.commit.is_some() || self.source.reference.is_some();
        let remark = self.github_url.as_ref().filter(|_| pinned);
        match self.source.url.as_ref().or(remark) {
            Some(url) => Place::Git {
                url: url.clone(),
                reference: self.source.reference.clone(),
                commit: self.source.commit.clone(),
            },
            None => Place::Folder(folder.to_owned()),
        }
    }

    /// Where a value was written.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.origins.get(path)
    }

    /// The dotted path of every key that a file may have, sections included.
    pub fn keys() -> Vec<String> {
        schema::paths()
    }
}

impl RepoType {
    /// The name of the recipe.
    pub const fn recipe(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Go => "go",
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "nodejs" => Ok(Self::Node),
            "python" => Ok(Self::Python),
            "golang" => Ok(Self::Go),
            _ => Err("write nodejs, python or golang"),
        }
    }
}
