//! The build plan: pure data, no recipe knowledge.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde::Serialize;

use crate::base::Target;
use crate::digest::Digest;
pub use crate::image::target::RuntimeConfig;
use crate::layer::{Input, LayerSource, StepKey};
use crate::sandbox::{Confinement, NetworkAccess};
use crate::source::scrub;

/// Why a recipe takes a source, with the file that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The recipe: `go`, `files`, …
    pub recipe: &'static str,
    /// Facts in the order of their weight: `go.mod (module example.org/x, go 1.26.0)`.
    pub facts: Vec<String>,
}

/// Everything that a build will do; printed by `plan`.
#[derive(Debug)]
pub struct Plan {
    /// Why this recipe.
    pub evidence: Evidence,
    /// The name that the source gives itself, for the image's name.
    pub name: Option<String>,
    /// The version that the source gives itself.
    pub version: Option<String>,
    /// Processes to run on a miss, in this order.
    pub steps: Vec<Step>,
    /// One image for each target.
    pub images: Vec<ImagePlan>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// Something that the user should know and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// A stable code such as `GO-CGO-STUB`.
    pub code: &'static str,
    /// One sentence.
    pub text: String,
}

/// One image to be.
#[derive(Debug)]
pub struct ImagePlan {
    /// Platform, base and its facts.
    pub target: Target,
    /// Layers above the base, lowest first.
    pub layers: Vec<Arc<dyn LayerSource>>,
    /// What the config says of the process.
    pub runtime: RuntimeConfig,
}

/// One process to run: a compiler, a bundler, a download tool.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What its outputs depend on.
    #[serde(serialize_with = "key_digest")]
    pub key: StepKey,
    /// For people: `go build ./cmd/server (linux/amd64)`.
    pub name: String,
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<Argument>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, Argument>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Steps that must have run before.
    pub inputs: Vec<Input>,
    /// Whether it may use the network.
    pub network: Network,
    /// What it may read beside the system's programs and libraries, and its slot.
    pub readable: Vec<PathBuf>,
    /// Folders that it may also write, beside its slot.
    pub writable: Vec<PathBuf>,
    /// The folder that it writes to, named so that it stays the same while sources change
    /// (compilers look at their earlier output there).
    pub slot: Digest,
    /// Files that must exist in the slot afterwards; empty when it only fills a cache.
    pub outputs: Vec<String>,
}

impl Step {
    /// Its process, with nothing but its own environment; `slot` is the folder of its outputs.
    pub fn command(&self, slot: &Path) -> Command {
        let resolved = |argument: &Argument| match argument {
            Argument::Text(text) | Argument::Secret(text) => text.clone(),
            Argument::Output(name) => slot.join(name).into_os_string(),
        };
        let env = self.env.iter();
        let mut command = Command::new(&self.program);
        command
            .args(self.args.iter().map(resolved))
            .env_clear()
            .envs(env.map(|(name, value)| (name, resolved(value))))
            .current_dir(&self.directory);
        command
    }

    /// What its process may touch; `slot` as for [`Step::command`].
    pub fn confinement(&self, slot: &Path) -> Confinement {
        let mut write = self.writable.clone();
        // A step that is only asked something has none.
        if slot.is_absolute() {
            write.push(slot.to_owned());
        }
        Confinement {
            read: self.readable.clone(),
            write,
            network: match self.network {
                Network::Offline => NetworkAccess::Denied,
                Network::Online => NetworkAccess::Allowed,
            },
        }
    }

    /// What its program printed, without the secrets that it was given and without the credentials
    /// of URLs.
    pub fn scrub(&self, said: &str) -> String {
        let mut text = scrub(said);
        for value in self.args.iter().chain(self.env.values()) {
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
}

/// An argument or the value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// As written.
    Text(OsString),
    /// As written, but never printed: credentials.
    Secret(OsString),
    /// The absolute path of this file in the step's slot.
    Output(String),
}

/// Whether a step may use the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// No network.
    Offline,
    /// Package registries, with credentials.
    Online,
}

impl Network {
    /// The word as printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online => "online",
        }
    }
}

/// What a step printed and how it ended.
#[derive(Clone, Debug, Default)]
pub struct StepOutcome {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output, at most the last MiB.
    pub stdout: String,
    /// Its standard error, at most the last MiB.
    pub stderr: String,
    /// The slot folder.
    pub slot: PathBuf,
}

impl StepOutcome {
    /// True when it ended with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

fn key_digest<S: serde::Serializer>(key: &StepKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&key.digest())
}

impl Serialize for Argument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(&text.to_string_lossy()),
            Self::Secret(_) => serializer.serialize_str("(secret)"),
            Self::Output(name) => serializer.serialize_str(&format!("(slot)/{name}")),
        }
    }
}
