//! Which configuration a folder has.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::tree::{self, Node};

/// The name of our file in a deployment folder.
pub const DEPLOYMENT_YAML: &str = "deployment.yaml";
/// Its other name, for source folders where `deployment.yaml` is a Kubernetes object.
pub const KARISIMBI_YAML: &str = "karisimbi.yaml";

/// The configuration of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// None.
    Nothing,
    /// Ours.
    Configuration(File),
    /// A `deployment.yaml` that Kubernetes reads; the folder has no configuration of ours.
    KubernetesObject {
        /// The file.
        path: PathBuf,
        /// Its `kind`, such as `Deployment`.
        kind: String,
    },
}

/// A configuration file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path: the folder given to [`find`] and the file's name.
    pub path: PathBuf,
    /// Its bytes, at most one more than the limit of 1 MiB, so that the parser can refuse it.
    pub text: Vec<u8>,
}

/// What a `deployment.yaml` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Ours, or broken.
    Deployment,
    /// It has `apiVersion` and `kind` at the top.
    KubernetesObject {
        /// Its `kind`, such as `Deployment`.
        kind: String,
    },
}

/// Looks for `deployment.yaml` and `karisimbi.yaml` in a folder.
///
/// # Errors
/// CFG-READ when one can't be read, CFG-BOTH when both are ours.
pub fn find(folder: &Path) -> Result<Found, ConfigError> {
    let deployment = read(folder.join(DEPLOYMENT_YAML))?;
    let karisimbi = read(folder.join(KARISIMBI_YAML))?;
    let recognised = deployment.map(|file| (recognise(&file.text), file));
    match (recognised, karisimbi) {
        (Some((Recognised::Deployment, first)), Some(second)) => Err(ConfigError::Both {
            first: first.path,
            second: second.path,
        }),
        (Some((Recognised::Deployment, file)), None) | (_, Some(file)) => {
            Ok(Found::Configuration(file))
        }
        (Some((Recognised::KubernetesObject { kind }, file)), None) => {
            Ok(Found::KubernetesObject {
                path: file.path,
                kind,
            })
        }
        (None, None) => Ok(Found::Nothing),
    }
}

/// Tells a Kubernetes object from a configuration of ours, which has neither of the two keys.
pub fn recognise(text: &[u8]) -> Recognised {
    match kind_of_tree(text).or_else(|| kind_by_lines(text)) {
        Some(kind) => Recognised::KubernetesObject { kind },
        None => Recognised::Deployment,
    }
}

fn kind_of_tree(text: &[u8]) -> Option<String> {
    let nowhere = |_, _| Origin::Set { path: "".into() };
    let root = tree::parse(&nowhere, text, &mut Vec::new()).ok()?;
    root.at("apiVersion")?;
    root.at("kind").and_then(Node::text).map(printable)
}

/// Objects are often templates (`{{ … }}`), which is not YAML, or several documents.
fn kind_by_lines(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    value("apiVersion:")?;
    value("kind:").map(printable)
}

fn printable(kind: &str) -> String {
    let kind = kind.trim().trim_matches(['"', '\'']);
    let word = kind.chars().take_while(char::is_ascii_alphanumeric);
    word.take(64).collect()
}

fn read(path: PathBuf) -> Result<Option<File>, ConfigError> {
    let failed = |path: &Path, source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs_err::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path, error)),
    };
    // Opening a fifo would wait for ever.
    if !metadata.is_file() {
        return Err(ConfigError::NotAFile { path });
    }
    let mut text = Vec::new();
    let limit = tree::MAX_BYTES as u64 + 1;
    fs_err::File::open(&path)
        .and_then(|file| file.take(limit).read_to_end(&mut text))
        .map_err(|error| failed(&path, error))?;
    Ok(Some(File { path, text }))
}
