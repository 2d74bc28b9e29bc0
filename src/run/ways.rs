//! Which way an image can be run on this machine, tried out before anything else is done.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::termios::isatty;

use super::error::RunError;
use super::init::probe::{Answer, PROBE};
use super::spec::{Boxer, Processes, Rights};
use super::{Context, NetworkMode, init};
use crate::program::on_path;

/// A way that was tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) rights: Rights,
    pub(super) boxer: Boxer,
    pub(super) processes: Processes,
}

impl Way {
    /// The way and what it isolates, for people.
    pub(super) fn describe(&self, network: NetworkMode, uid: u32) -> String {
        let name = match (&self.boxer, self.rights) {
            (Boxer::Runtime(program), _) => program
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            (Boxer::Own, Rights::Root) => "namespaces".to_owned(),
            (Boxer::Own, Rights::UserNamespace) => "user namespace".to_owned(),
        };
        let processes = match self.processes {
            Processes::Own => "own process table",
            Processes::Outer => "process table of the container around",
        };
        let network = match network {
            NetworkMode::None => "no network (loopback only)",
            NetworkMode::Host => "this machine's network",
        };
        format!("{name}: files read-only, {processes}, {network}, uid {uid}, no capabilities")
    }
}

/// The best way of this machine: as root runc, crun or our own namespaces; else a user namespace.
pub(super) fn choose(image: &str, folder: &Path, context: &Context<'_>) -> Result<Way, RunError> {
    let root = rustix::process::geteuid().is_root();
    let mut tried = Vec::new();
    let kinds = [(Rights::Root, "root"), (Rights::UserNamespace, "user")];
    for (rights, name) in kinds
        .iter()
        .filter(|(rights, _)| root || *rights != Rights::Root)
    {
        match probe(name, folder, context)? {
            Answer::Works(processes) => {
                let runtime = (*rights == Rights::Root && processes == Processes::Own)
                    .then(|| runtime(context.path))
                    .flatten();
                return Ok(Way {
                    rights: *rights,
                    boxer: runtime.map_or(Boxer::Own, Boxer::Runtime),
                    processes,
                });
            }
            Answer::Refused { what, errno } => {
                let error = std::io::Error::from_raw_os_error(errno);
                let text = if errno == 0 {
                    what
                } else {
                    format!("{what}: {error}")
                };
                tried.push(match rights {
                    Rights::Root => format!("as root, {text}"),
                    Rights::UserNamespace => format!("without rights, {text}"),
                });
            }
        }
    }
    Err(RunError::Impossible {
        image: image.to_owned(),
        why: format!(
            "the kernel gives no container to this process ({}){}",
            tried.join("; "),
            reasons()
        ),
        hint: "run it where user namespaces are allowed or as root, deploy it and ask it with \
               `karisimbi smoke URL`, or use `kubectl run`"
            .to_owned(),
    })
}

fn probe(rights: &str, folder: &Path, context: &Context<'_>) -> Result<Answer, RunError> {
    let file = folder.join(format!("probe-{rights}"));
    let status = Command::new(&context.launcher.0)
        .args([init::ARGUMENT, PROBE])
        .arg(&file)
        .arg(rights)
        .env_clear()
        .status()
        .map_err(|error| RunError::setup("starting the probe", error))?;
    let json = fs_err::read(&file).map_err(|error| RunError::Setup {
        what: format!("the probe ended with {status}"),
        source: error,
    })?;
    serde_json::from_slice(&json).map_err(|error| RunError::Internal {
        what: format!("the probe's answer: {error}"),
    })
}

/// What on this machine explains a refusal.
fn reasons() -> String {
    let says = |path: &str, value: &str| {
        fs_err::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    let mut reasons = Vec::new();
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    };
    if field("Seccomp:").as_deref() == Some("2") {
        reasons.push("a seccomp filter is in force, as in a Kubernetes pod or under Docker");
    }
    if field("NoNewPrivs:").as_deref() == Some("1") {
        reasons.push("no_new_privs is set");
    }
    if says(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        reasons.push("AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns=1)");
    }
    if says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        reasons.push("kernel.unprivileged_userns_clone is 0");
    }
    if says("/proc/sys/user/max_user_namespaces", "0") {
        reasons.push("user.max_user_namespaces is 0");
    }
    if reasons.is_empty() {
        return String::new();
    }
    format!("; here {}", reasons.join(", "))
}

fn runtime(path: Option<&OsStr>) -> Option<PathBuf> {
    // Run in the foreground, runc gives its program pipes even where we have a terminal.
    let terminal = isatty(rustix::stdio::stdin()) || isatty(rustix::stdio::stdout());
    let find = |name| on_path(path?, name);
    let runc = (!terminal).then(|| find("runc")).flatten();
    runc.or_else(|| find("crun"))
}
