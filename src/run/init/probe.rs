//! Tries, in a process of its own, what a container needs; writes what it found to a file.

use std::io;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::namespaces::{self, Refused};
use super::{ARGUMENT, mounts};
use crate::run::NetworkMode;
use crate::run::error::RunError;
use crate::run::spec::{Processes, Rights};

/// Parts of the init.
pub(in crate::run) const PROBE: &str = "probe";
pub(super) const INSIDE: &str = "probe-inside";

/// What a container gets here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::run) enum Answer {
    /// All it needs.
    Works(Processes),
    /// A step failed.
    Refused {
        /// The step.
        what: String,
        /// The kernel's error number; 0 when it is none of the kernel's.
        errno: i32,
    },
}

impl Answer {
    fn refused(what: impl Into<String>, error: &io::Error) -> Self {
        Self::Refused {
            what: what.into(),
            errno: error.raw_os_error().unwrap_or_default(),
        }
    }

    fn write(&self, file: &Path) -> Result<u8, RunError> {
        let json = serde_json::to_vec(self).map_err(|error| RunError::Internal {
            what: error.to_string(),
        })?;
        fs_err::write(file, json).map_err(|error| RunError::setup("the probe's answer", error))?;
        Ok(0)
    }
}

/// Joins namespaces and lets a first process go on.
pub(super) fn outer(file: &Path, rights: &str) -> Result<u8, RunError> {
    let rights = match rights {
        "root" => Rights::Root,
        _ => Rights::UserNamespace,
    };
    let entered = namespaces::enter(rights, (1001, 1001), NetworkMode::None)
        .and_then(|()| namespaces::new_processes());
    if let Err(Refused { what, source }) = entered {
        return Answer::refused(what, &source).write(file);
    }
    let inside = Command::new("/proc/self/exe")
        .args([ARGUMENT, INSIDE])
        .arg(file)
        .env_clear()
        .status();
    match inside {
        Ok(status) if status.success() => Ok(0),
        Ok(status) => {
            let what = format!("process 1 of a new process namespace ended with {status}");
            Answer::refused(what, &io::Error::other("")).write(file)
        }
        Err(error) => Answer::refused("starting process 1", &error).write(file),
    }
}

/// The first process: a mount namespace, and a /proc of its own in it.
pub(super) fn inside(file: &Path) -> Result<u8, RunError> {
    let answer = match mounts::own_namespace() {
        Err(RunError::Setup { what, source }) => Answer::refused(what, &source),
        Err(error) => Answer::refused(error.to_string(), &io::Error::other("")),
        Ok(()) => match mounts::mount_proc(Path::new("/proc")) {
            Ok(()) => Answer::Works(Processes::Own),
            // mount_too_revealing: parts of the outer /proc are covered.
            Err(errno) if errno as i32 == Errno::PERM.raw_os_error() => {
                Answer::Works(Processes::Outer)
            }
            Err(errno) => Answer::refused("mounting a new /proc", &errno.into()),
        },
    };
    answer.write(file)
}
