//! The box of runc or crun, inside our namespaces: it gets a root that is ready and our process
//! table and network, and gives the program its file system, user and system calls.

use std::io;
use std::path::Path;
use std::process::Command;

use nix::mount::MsFlags;
use serde_json::{Value, json};

use super::launch::{assemble, spawn};
use super::places::{mount_tmpfs, restrict};
use super::{filter, leftovers, mounts, program};
use crate::image::DEFAULT_PATH;
use crate::run::error::RunError;
use crate::run::spec::Spec;

const BUNDLE: &str = "bundle";
/// Files of it: the runtime's own, and the program's process id.
const STATE: &str = "state";
const NUMBER: &str = "program";

/// Writes a bundle where nobody else sees it and starts the runtime; yields its process id.
pub(super) fn start(spec: &Spec, runtime: &Path) -> Result<u32, RunError> {
    let (_root, found) = assemble(spec)?;
    // Gone with this mount namespace: the environment in it reaches no disk.
    let bundle = spec.folder.join(BUNDLE);
    let setup = |what: &'static str| move |error| RunError::setup(what, error);
    fs_err::create_dir(&bundle).map_err(setup("the bundle's folder"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_tmpfs(&bundle, flags, "mode=0700,size=16m").map_err(setup("the bundle's folder"))?;
    fs_err::create_dir(bundle.join(STATE)).map_err(setup("the runtime's state"))?;
    let config = config(spec, &found).to_string();
    fs_err::write(bundle.join("config.json"), config).map_err(setup("the bundle"))?;
    // The runtime finds itself in the process table that it is in.
    mounts::mount_proc(Path::new("/proc"))
        .map_err(|errno| RunError::setup("mounting /proc", errno))?;
    let hidden = if is_crun(runtime) {
        cover_control_groups()
    } else {
        lock_control_groups()
    };
    hidden.map_err(|error| RunError::setup("hiding control groups", error))?;
    let number = bundle.join(NUMBER);
    let id = spawn(&mut command(runtime, &bundle))
        .map_err(|error| RunError::setup(format!("starting {}", runtime.display()), error))?;
    leftovers::end_with_program(number, id);
    Ok(id)
}

/// Whether the program was started: the runtime's exit code is its own otherwise.
pub(super) fn has_started(spec: &Spec) -> bool {
    spec.folder.join(BUNDLE).join(NUMBER).exists()
}

/// The runtime with its arguments.
fn command(runtime: &Path, bundle: &Path) -> Command {
    let mut command = Command::new(runtime);
    command.arg("--root").arg(bundle.join(STATE));
    if is_crun(runtime) {
        command.arg("--cgroup-manager=disabled");
    } else {
        // It warns of the groups that it can't make.
        command
            .args(["--rootless", "true", "--log"])
            .arg(bundle.join("log"));
    }
    command
        .arg("run")
        .arg("--pid-file")
        .arg(bundle.join(NUMBER))
        .arg("--bundle")
        .arg(bundle)
        .arg("karisimbi")
        .env_clear()
        .env("PATH", DEFAULT_PATH);
    command
}

fn is_crun(runtime: &Path) -> bool {
    runtime.file_name().is_some_and(|name| name == "crun")
}

/// crun is told to make no control groups, and still refuses hosts with both versions of them.
fn cover_control_groups() -> io::Result<()> {
    let groups = Path::new("/sys/fs/cgroup");
    if groups.is_dir() {
        mount_tmpfs(groups, MsFlags::MS_RDONLY, "mode=0755,size=64k")?;
    }
    Ok(())
}

/// runc makes none where they are read only and it is told that it has no rights (`--rootless`).
/// Those it makes would stay after a SIGKILL.
fn lock_control_groups() -> io::Result<()> {
    let groups = Path::new("/sys/fs/cgroup");
    for place in mounts::mounts_below(groups)? {
        restrict(&place, MsFlags::MS_RDONLY)?;
    }
    if groups.is_dir() {
        restrict(groups, MsFlags::MS_RDONLY)?;
    }
    Ok(())
}

/// The bundle's config.json (runtime-spec 1.0.2).
fn config(spec: &Spec, found: &program::Found) -> Value {
    let mut args = vec![found.path.clone()];
    args.extend(found.args.iter().cloned());
    let env: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let none: [&str; 0] = [];
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": spec.root, "readonly": true},
        "process": {
            "terminal": false,
            "user": {"uid": spec.uid, "gid": spec.gid},
            "args": args,
            "env": env,
            "cwd": spec.working_dir,
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": none, "effective": none, "inheritable": none,
                "permitted": none, "ambient": none,
            },
        },
        "mounts": mounts_of(),
        "linux": {
            "namespaces": [{"type": "mount"}],
            "maskedPaths": mounts::MASKED,
            "readonlyPaths": mounts::READ_ONLY,
            "seccomp": seccomp(),
        },
    })
}

fn mounts_of() -> Value {
    let tmpfs = |place: &str, options: &[&str]| {
        let mut all = vec!["nosuid", "nodev"];
        all.extend(options);
        json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": all})
    };
    let mut shm: Vec<&str> = mounts::SHM_OPTIONS.split(',').collect();
    shm.push("noexec");
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc",
         "options": ["nosuid", "nodev", "noexec"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        tmpfs("/dev/shm", &shm),
    ])
}

/// The same system calls as our own filter refuses.
fn seccomp() -> Value {
    let refused: Vec<&str> = filter::REFUSED.iter().map(|(name, _)| *name).collect();
    let mut rules = vec![
        json!({"names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}),
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 0, "value": nix::libc::CLONE_NEWUSER,
             "valueTwo": nix::libc::CLONE_NEWUSER, "op": "SCMP_CMP_MASKED_EQ"},
        ]}),
    ];
    rules.extend(filter::TERMINAL_INPUT.iter().map(|request| {
        json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 1, "value": request, "op": "SCMP_CMP_EQ"},
        ]})
    }));
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})
}
