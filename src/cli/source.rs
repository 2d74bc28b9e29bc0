//! What build, detect and plan share: which source, and the settings that flags give.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::base::BaseArgs;
use crate::base::{Flavour, Locking};
use crate::error::AnyError;
use crate::image::ImageError;
use crate::image::archive::write_file;
use crate::layer::Compression;
use crate::pipeline::{CacheUse, Request, Session};
use crate::platform::Platform;
use crate::reference::without_login;
use crate::settings::env::Environment;
use crate::settings::{self, BaseFlags, Flags, SettingsError, Trust};
use crate::source::SourceName;

/// Arguments that choose the source and its settings.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Deployment folder, source folder, or Git URL: `URL[@REF][#DIRECTORY]`, `URL#REF:DIRECTORY`, or
    /// a pasted `/tree/REF/DIRECTORY` address
    #[arg(value_name = "WHAT", default_value = ".")]
    pub(super) what: Vec<OsString>,
    /// Branch, tag or commit of a Git URL
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Folder of the module below the source's root (`source.directory`)
    #[arg(long, value_name = "DIR")]
    directory: Option<String>,
    /// Recipe: go or files (default: the first that fits)
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// Folder of recipe files; each replaces the built-in one of its name (go.toml, files.toml)
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    /// Base: static, cc, python3.13, node24, deb:SUITE/NAME, embedded:static, scratch, oci:DIR[:TAG],
    /// or an image in a registry
    #[arg(long, value_name = "NAME|IMAGE")]
    base: Option<String>,
    /// Flavour of the base: distroless (default) or alpine
    #[arg(long, value_name = "NAME")]
    flavour: Option<Flavour>,
    #[command(flatten)]
    bases: BaseArgs,
    /// Refuse to resolve a base that bases.lock does not pin
    #[arg(long)]
    locked: bool,
    /// Platforms, separated by commas (default: linux/amd64)
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    platforms: Vec<Platform>,
    /// Entrypoint in exec form: repeat it for each word, or give a JSON array
    #[arg(long, value_name = "WORD|JSON", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// Sets any key of deployment.yaml; a list is written [a, b], a lone text is a list of one
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Obey a deployment.yaml found inside a cloned URL
    #[arg(long)]
    trust_config: bool,
    /// Compression of layers
    #[arg(long, value_enum, default_value_t)]
    compression: CompressionArg,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CompressionArg {
    /// Read by every client
    #[default]
    Gzip,
    /// Smaller and faster; refused by some clients
    Zstd,
}

impl SourceArgs {
    /// One request for each WHAT.
    pub(super) fn requests(
        &self,
        session: &Session,
        environment: &Environment,
        (cache, written): (CacheUse, &[PathBuf]),
    ) -> Result<Vec<Request>, AnyError> {
        let current = self.current_dir(written)?;
        let flags = Flags {
            reference: self.reference.clone(),
            directory: self.directory.clone(),
            recipe: self.recipe.clone(),
            recipes: self.recipes.clone(),
            base: self.base.clone(),
            bases: BaseFlags {
                flavour: self.flavour,
                locking: if self.locked {
                    Locking::Locked
                } else {
                    Locking::Free
                },
                ..self.bases.flags(&current)
            },
            platforms: self.platforms.clone(),
            entrypoint: settings::words(&self.entrypoint)?,
            sets: self
                .sets
                .iter()
                .map(|text| settings::pair(text))
                .collect::<Result<_, _>>()?,
            trust: if self.trust_config {
                Trust::CloneToo
            } else {
                Trust::LocalOnly
            },
            compression: match self.compression {
                CompressionArg::Gzip => Compression::Gzip,
                CompressionArg::Zstd => Compression::Zstd,
            },
            cache,
            written: written.iter().map(|path| current.join(path)).collect(),
        };
        self.what
            .iter()
            .map(|what| settings::request(what, &flags, &current, (session, environment)))
            .collect()
    }

    /// The one WHAT when nothing else says how it is built. One that holds a login is not repeated.
    pub(super) fn alone(&self) -> Option<&str> {
        let Self {
            what,
            reference: None,
            directory: None,
            recipe: None,
            recipes: None,
            base: None,
            flavour: None,
            bases,
            locked: false,
            platforms,
            entrypoint,
            sets,
            trust_config: false,
            compression: CompressionArg::Gzip,
        } = self
        else {
            return None;
        };
        let [what] = what.as_slice() else {
            return None;
        };
        let listed = [platforms.is_empty(), entrypoint.is_empty(), sets.is_empty()];
        let bare = *bases == BaseArgs::default() && listed == [true; 3];
        what.to_str()
            .filter(|what| bare && !what.starts_with('-') && without_login(what) == *what)
    }

    /// The one WHAT of a command that takes one.
    pub(super) fn one_what(&self) -> Result<&OsString, SettingsError> {
        match self.what.as_slice() {
            [what] => Ok(what),
            _ => Err(SettingsError::OneWhat),
        }
    }

    /// The one platform of a command that takes one.
    pub(super) fn one_platform(&self) -> Result<Option<Platform>, SettingsError> {
        match self.platforms.as_slice() {
            [] => Ok(None),
            [platform] => Ok(Some(platform.clone())),
            _ => Err(SettingsError::OneWhat),
        }
    }

    /// `--entrypoint`
    pub(super) fn entrypoint_words(&self) -> Result<Vec<String>, SettingsError> {
        settings::words(&self.entrypoint)
    }

    /// The folder that relative paths count from; it may be gone where there are none.
    fn current_dir(&self, written: &[PathBuf]) -> Result<PathBuf, SettingsError> {
        let is_relative = |what: &OsString| match settings::source_name(what) {
            Ok(SourceName::Folder(folder)) => folder.is_relative(),
            // No path; or refused later, with its own words.
            Ok(SourceName::Git(_)) | Err(_) => false,
        };
        let files = written
            .iter()
            .map(PathBuf::as_path)
            .chain(self.bases.paths());
        if self.what.iter().any(is_relative) || files.into_iter().any(Path::is_relative) {
            Environment::current_dir().map_err(SettingsError::current_dir)
        } else {
            Ok(PathBuf::from("/"))
        }
    }
}

/// A size such as `500MB`, `1GiB` or `1048576`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        unit => {
            return Err(format!(
                "{unit:?} is no unit; use kB, MB, GB, KiB, MiB or GiB"
            ));
        }
    };
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|error| format!("{digits:?}: {error}"))?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "too large".to_owned())
}

/// Writes a small file; a failure leaves what was there.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), AnyError> {
    let written = write_file(path, |out| {
        out.write_all(text.as_bytes())
            .map_err(|source| ImageError::write(path, source))
    });
    written.map_err(|error| match error {
        ImageError::Write { path, source } | ImageError::Full { path, source } => {
            SettingsError::Write { path, source }.into()
        }
        other => other.into(),
    })
}
