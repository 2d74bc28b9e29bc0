//! Why an image does not run.

use std::io;
use std::path::PathBuf;

use crate::error::{Coded, Exit};

/// Why an image does not run. Each ends the process with 125, 126 or 127, never with a code that
/// the program itself might have given.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum RunError {
    #[error("{image} can't be run here: {why}")]
    Impossible {
        image: String,
        why: String,
        hint: String,
    },
    #[error("{image} has no image for {wanted}; it has {present}")]
    Platform {
        image: String,
        wanted: String,
        present: String,
    },
    #[error("{image} is no image that can be run: {why}")]
    Image { image: String, why: String },
    #[error("{image} says no program, and none was named")]
    Nothing { image: String },
    #[error("{image} is for {platform}, and no emulator for it is here")]
    Emulator {
        image: String,
        platform: String,
        program: String,
    },
    #[error("{program} is no static program, so it can't run inside an image")]
    DynamicEmulator { program: PathBuf },
    #[error("layer {layer}: {path} can't be unpacked")]
    Unpack {
        layer: String,
        path: String,
        source: io::Error,
    },
    #[error("the image can't be unpacked into {folder}")]
    Unpacked { folder: PathBuf, source: io::Error },
    #[error("-v {volume}: {why}")]
    Volume { volume: String, why: String },
    #[error("-p {port}: {why}")]
    Port { port: String, why: String },
    #[error("can't listen on {address}")]
    Listen { address: String, source: io::Error },
    #[error("the container can't be set up: {what}")]
    Setup { what: String, source: io::Error },
    #[error("the container can't be set up: {what}")]
    Internal { what: String },
    #[error("the working folder {folder} can't be entered")]
    Folder { folder: String, source: io::Error },
    #[error("{program} can't be executed: {why}")]
    NotExecutable { program: String, why: String },
    #[error("{program}: {why}")]
    NotFound {
        program: String,
        why: String,
        hint: String,
    },
}

impl RunError {
    /// A step of the set-up that the kernel refused.
    pub(crate) fn setup(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Setup {
            what: what.into(),
            source: source.into(),
        }
    }
}

impl Coded for RunError {
    fn code(&self) -> &'static str {
        match self {
            Self::Impossible { .. } => "RUN-IMPOSSIBLE",
            Self::Platform { .. } => "RUN-PLATFORM",
            Self::Image { .. } => "RUN-IMAGE",
            Self::Nothing { .. } => "RUN-NOTHING",
            Self::Emulator { .. } | Self::DynamicEmulator { .. } => "RUN-QEMU",
            Self::Unpack { .. } | Self::Unpacked { .. } => "RUN-UNPACK",
            Self::Volume { .. } => "RUN-VOLUME",
            Self::Port { .. } | Self::Listen { .. } => "RUN-PORT",
            Self::Setup { .. } | Self::Internal { .. } => "RUN-SETUP",
            Self::Folder { .. } => "RUN-WORKDIR",
            Self::NotExecutable { .. } => "RUN-NOT-EXECUTABLE",
            Self::NotFound { .. } => "RUN-NOT-FOUND",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotExecutable { .. } => Exit::NotExecutable,
            Self::NotFound { .. } => Exit::NotFound,
            _ => Exit::NotRun,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Impossible { hint, .. } | Self::NotFound { hint, .. } => {
                return Some(hint.clone()).filter(|hint| !hint.is_empty());
            }
            Self::Platform { .. } => "name one of them with --platform",
            Self::Nothing { .. } => "name it behind --, for example `-- /bin/server`",
            Self::Emulator { program, .. } => {
                return Some(format!(
                    "install {program} (Debian and Ubuntu: apt-get install qemu-user-static), \
                     or register it in binfmt_misc with the F flag"
                ));
            }
            Self::DynamicEmulator { .. } => "apt-get install qemu-user-static",
            Self::Unpack { .. } => "the layer is damaged or hostile: ask who made the image",
            Self::Unpacked { .. } => "free space there, or name another folder with --cache-dir",
            Self::Volume { .. } => "write -v /FOLDER/HERE:/FOLDER/IN/CONTAINER[:ro]",
            Self::Port { .. } => "write -p [ADDRESS:]PORT-HERE:PORT-IN-CONTAINER",
            Self::Listen { .. } => "choose a free port",
            Self::Folder { .. } => "choose another with --workdir",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
