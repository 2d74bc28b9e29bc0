//! Images for another processor: the kernel's own registration, else qemu-user inside the image.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::choose::host_platform;
use super::error::RunError;
use super::{Access, Volume};
use crate::layer::elf;
use crate::platform::Platform;
use crate::program::on_path;

/// Where the emulator lies in the container.
const PLACE: &str = "/.karisimbi/qemu";

/// How a foreign program is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Emulation {
    /// It is this machine's own, or one that it runs as well.
    None,
    /// The kernel knows an emulator and has it open already.
    Kernel,
    /// This one is mounted into the container.
    Mounted(Volume, String),
}

/// What running an image of this platform needs.
pub(super) fn choose(
    image: &str,
    platform: &Platform,
    path: Option<&OsStr>,
) -> Result<Emulation, RunError> {
    let host = host_platform().architecture;
    let wanted = platform.architecture.as_str();
    let native = wanted == host || (host == "amd64" && wanted == "386");
    if native {
        return Ok(Emulation::None);
    }
    let name = match wanted {
        "amd64" => "x86_64",
        "386" => "i386",
        "arm64" => "aarch64",
        "loong64" => "loongarch64",
        other => other,
    };
    // F: opened when it was registered, so that it need not be in the image.
    let registered = format!("/proc/sys/fs/binfmt_misc/qemu-{name}");
    if let Ok(text) = fs_err::read_to_string(registered)
        && text.starts_with("enabled")
        && text
            .lines()
            .any(|line| line.starts_with("flags:") && line.contains('F'))
    {
        return Ok(Emulation::Kernel);
    }
    let program = format!("qemu-{name}-static");
    let find = |name: &str| on_path(path?, name);
    let found = find(&program).or_else(|| find(&format!("qemu-{name}")));
    let Some(source) = found else {
        return Err(RunError::Emulator {
            image: image.to_owned(),
            platform: platform.to_string(),
            program,
        });
    };
    let source = static_program(&source)?;
    let volume = Volume {
        source,
        target: PLACE.to_owned(),
        access: Access::ReadOnly,
    };
    Ok(Emulation::Mounted(volume, PLACE.to_owned()))
}

fn static_program(path: &Path) -> Result<PathBuf, RunError> {
    let unreadable = |error| RunError::setup(path.display().to_string(), error);
    let path = fs_err::canonicalize(path).map_err(unreadable)?;
    let file = fs_err::File::open(&path).map_err(|error| RunError::setup("the emulator", error))?;
    let summary = elf::summarise("qemu", file.file());
    if summary.is_some_and(|summary| summary.interpreter.is_some()) {
        return Err(RunError::DynamicEmulator { program: path });
    }
    Ok(path)
}
