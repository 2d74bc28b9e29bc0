//! Errors of usage and configuration.

use std::io;
use std::num::ParseIntError;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{Coded, Exit};
use crate::reference::InvalidName;

/// Why settings can't be decided, or data can't be given back.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SettingsError {
    #[error("there is no place for the cache: HOME is not set")]
    NoCacheDir,
    #[error("{name} is \"{value}\", which is no valid number")]
    Number {
        name: &'static str,
        value: String,
        source: ParseIntError,
    },
    #[error("KARISIMBI_SANDBOX is \"{value}\": {problem}")]
    Sandbox { value: String, problem: String },
    #[error("--set {text}: write PATH=VALUE")]
    Set { text: String },
    #[error("--entrypoint {text}: is no JSON array of strings")]
    Words {
        text: String,
        source: serde_json::Error,
    },
    #[error("--entrypoint: a word of it is empty")]
    EmptyWord,
    #[error("{path}: there is no such folder")]
    NoFolder { path: PathBuf },
    #[error("{path}: is no folder")]
    NotFolder { path: PathBuf },
    #[error("{path} can't be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--ref {reference}: {path} is a folder, which is built as it is")]
    RefOfFolder { reference: String, path: PathBuf },
    #[error("{directory}: there is no such folder with files in {source_root}")]
    NoDirectory {
        directory: String,
        source_root: String,
    },
    #[error("{path}: is a {flag} that leaves the source")]
    Outside { path: String, flag: &'static str },
    #[error("the current folder can't be read")]
    CurrentDir { source: io::Error },
    #[error("--push: no registry is named")]
    PushWhere,
    #[error("--digest-file and --record hold one build, but several were asked for")]
    OneFileManyBuilds,
    #[error("{place} would be written by two of the builds")]
    OnePlaceManyBuilds { place: String },
    #[error("{path} would be written twice: by {first} and by {second}")]
    OneFileTwice {
        path: PathBuf,
        first: &'static str,
        second: &'static str,
    },
    #[error("one WHAT or IMAGE, and one --platform, is run at a time")]
    OneWhat,
    #[error("{place}: {problem}")]
    Variable {
        place: String,
        problem: &'static str,
    },
    #[error("--env-file {path} can't be read")]
    VariableFile { path: PathBuf, source: io::Error },
    #[error("{flag} {text}: {problem}")]
    Mapping {
        flag: &'static str,
        text: String,
        problem: &'static str,
    },
    #[error("the path of our own program can't be read")]
    OwnProgram { source: io::Error },
    #[error("only one archive can go to stdout")]
    OneStdout,
    #[error("stdout is a terminal, which can't show an archive")]
    ArchiveOnTerminal,
    #[error("{place}: a docker-archive holds one image, but several platforms were asked for")]
    OnePlatform { place: String },
    #[error("{text}: names a digest, which only the image itself decides")]
    Digest { text: String },
    #[error("{place}: the image has another digest: {digest}")]
    OtherDigest { place: String, digest: Digest },
    #[error("base_registry is no HOST/PROJECT")]
    BaseRegistry { source: InvalidName },
    #[error("bases: {name:?} is no short name of a base")]
    ShortName { name: String },
    #[error("KARISIMBI_REPO is no HOST/PROJECT")]
    Project { source: InvalidName },
    #[error("{set} is set, but {missing} is not")]
    HalfLogin {
        set: &'static str,
        missing: &'static str,
    },
    #[error("REGISTRY_USERNAME is for one registry, but several are pushed to: {hosts}")]
    LoginWhere { hosts: String },
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("can't write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("can't write to stdout")]
    Stdout { source: io::Error },
    #[error("can't encode the result")]
    Json { source: serde_json::Error },
}

impl SettingsError {
    /// The current folder can't be read.
    pub fn current_dir(source: io::Error) -> Self {
        Self::CurrentDir { source }
    }

    /// Stdout failed.
    pub fn stdout(source: io::Error) -> Self {
        Self::Stdout { source }
    }

    /// A result that is no JSON.
    pub fn json(source: serde_json::Error) -> Self {
        Self::Json { source }
    }
}

impl Coded for SettingsError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCacheDir => "CFG-CACHE-DIR",
            Self::Number { .. } => "CFG-NUMBER",
            Self::Sandbox { .. } => "USE-SANDBOX",
            Self::Set { .. } => "USE-SET",
            Self::Words { .. } | Self::EmptyWord => "USE-ENTRYPOINT",
            Self::NoFolder { .. } | Self::NotFolder { .. } => "SRC-NONE",
            Self::NoDirectory { .. } => "SRC-DIRECTORY",
            Self::Unreadable { .. } => "SRC-READ",
            Self::RefOfFolder { .. } => "USE-REF",
            Self::Outside { .. } => "SRC-OUTSIDE",
            Self::CurrentDir { .. } => "SRC-CURRENT",
            Self::PushWhere => "USE-PUSH",
            Self::OneFileManyBuilds => "USE-RECORD",
            Self::OnePlaceManyBuilds { .. } | Self::OneFileTwice { .. } => "USE-OUTPUT",
            Self::Variable { .. } | Self::VariableFile { .. } => "USE-ENV",
            Self::Mapping { .. } => "USE-MAPPING",
            Self::OneWhat => "USE-ARGUMENT",
            Self::OwnProgram { .. } => "RUN-SETUP",
            Self::OneStdout | Self::ArchiveOnTerminal => "USE-STDOUT",
            Self::OnePlatform { .. } => "OUT-PLATFORMS",
            Self::Digest { .. } | Self::OtherDigest { .. } => "USE-DIGEST",
            Self::Project { .. } => "USE-REPO",
            Self::BaseRegistry { .. } => "USE-BASE-REGISTRY",
            Self::ShortName { .. } => "BASE-ALIAS",
            Self::HalfLogin { .. } | Self::LoginWhere { .. } => "USE-LOGIN",
            Self::Name(error) => error.code(),
            Self::Write { .. } | Self::Stdout { .. } => "OUT-WRITE",
            Self::Json { .. } => "OUT-JSON",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. }
            | Self::Stdout { .. }
            | Self::Unreadable { .. }
            | Self::NoDirectory { .. } => Exit::Failed,
            Self::Json { .. } => Exit::Bug,
            _ => Exit::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCacheDir => "pass --cache-dir DIR, or set KARISIMBI_CACHE_DIR",
            Self::Number { .. } => "write digits alone, or unset it",
            Self::Set { .. } => "for example --set container.port=8080",
            Self::Words { .. } | Self::EmptyWord => {
                r#"write --entrypoint '["PROGRAM", "ARGUMENT"]', or repeat --entrypoint"#
            }
            Self::Variable { .. } => {
                "write -e NAME=VALUE, -e NAME to pass one on, or such lines in --env-file"
            }
            Self::NotFolder { .. } => "name the folder that the file is in",
            Self::NoDirectory { .. } => {
                "correct --directory, source.directory or the part of the URL behind #"
            }
            Self::Unreadable { .. } => "check the permissions of it and of the folders above",
            Self::Outside { .. } => "write a path below the source's root",
            Self::CurrentDir { .. } => "change to a folder that exists",
            Self::Write { .. } => "check that its folder exists and may be written",
            Self::NoFolder { .. } => {
                "name a folder, or a Git URL such as https://HOST/OWNER/REPO; run and smoke take \
                 images as well: HOST/PROJECT/NAME:TAG, oci:DIR, docker-archive:FILE"
            }
            Self::RefOfFolder { .. } => "check the reference out there, or name a Git URL",
            Self::PushWhere => {
                "pass -t HOST/PROJECT/NAME:TAG, set KARISIMBI_REPO=HOST/PROJECT, or set container.image"
            }
            Self::OneFileManyBuilds => "build one source at a time",
            Self::OnePlaceManyBuilds { .. } => {
                "leave --tag and --output out, or build one source at a time"
            }
            Self::OneFileTwice { .. } => "give each a file of its own",
            Self::Mapping { .. } => {
                "write -v /FOLDER/HERE:/FOLDER/IN/CONTAINER[:ro], -p [ADDRESS:]PORT-HERE:PORT-IN-CONTAINER"
            }
            Self::OneWhat => "arguments of the program stand behind --",
            Self::VariableFile { .. } => "check its name and permissions",
            Self::OneStdout => "write the others to files",
            Self::ArchiveOnTerminal => "pipe it into `docker load`, or write docker-archive:FILE",
            Self::OnePlatform { .. } => "use oci-archive:FILE, or build one --platform",
            Self::Digest { .. } => "write HOST/PROJECT/NAME:TAG",
            Self::OtherDigest { .. } => "write the tag alone, or name the right source",
            Self::BaseRegistry { .. } => "write HOST/PROJECT, such as harbor.example/bases",
            Self::ShortName { .. } => {
                "short names are static, cc, python3.N and nodeN, or those with -alpine behind"
            }
            Self::Project { .. } => "write HOST/PROJECT, such as harbor.example/apps",
            Self::HalfLogin { .. } => "set both, or neither and use `docker login`",
            Self::LoginWhere { .. } => "push to one registry at a time, or use `docker login`",
            Self::Name(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
