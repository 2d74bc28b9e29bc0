//! What the parts of one run tell each other: a file that `prepare` writes and the init reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::{NetworkMode, Port, Volume};

/// Which rights set the container up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rights {
    /// Root's own.
    Root,
    /// Those of a new user namespace.
    UserNamespace,
}

/// Who builds the box around the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Boxer {
    /// Our own init.
    Own,
    /// runc or crun.
    Runtime(PathBuf),
}

/// The process table that the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Processes {
    /// Its own.
    Own,
    /// That around this machine's own container: the kernel refuses a new one there.
    Outer,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    /// The image, for messages.
    pub(super) image: String,
    /// Its files.
    pub(super) root: PathBuf,
    /// A private folder of this run.
    pub(super) folder: PathBuf,
    pub(super) rights: Rights,
    pub(super) boxer: Boxer,
    pub(super) processes: Processes,
    pub(super) network: NetworkMode,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Entrypoint and arguments.
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_dir: String,
    pub(super) volumes: Vec<Volume>,
    pub(super) ports: Vec<Port>,
    /// Where the emulator of the image's processor lies in the container.
    pub(super) emulator: Option<String>,
    /// The image's processor, as in its config.
    pub(super) architecture: String,
}

impl Spec {
    pub(super) fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = fs_err::read(path)
            .map_err(|source| RunError::setup("the description of the run", source))?;
        serde_json::from_slice(&bytes).map_err(|error| RunError::Internal {
            what: format!("the description of the run is damaged: {error}"),
        })
    }

    /// The pipe that keeps the inner init alive and brings it signals.
    pub(super) fn control(&self) -> PathBuf {
        self.folder.join("control")
    }
}
