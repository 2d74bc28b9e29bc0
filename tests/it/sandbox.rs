//! The sandbox against programs that mean harm, and against those that build: as root and as a
//! user without any right.

mod attack_list;
mod attacks;
mod builds;
mod levels;
mod limits;
mod supervisor;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use karisimbi::sandbox::{Confinement, Launcher, Limits, NetworkAccess, Policy, Sandbox};
use tempfile::TempDir;

use super::support::{karisimbi, tool, write};

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Root,
    Plain,
}

const USERS: [User; 2] = [User::Root, User::Plain];
const PLAIN: u32 = 1001;

/// A box with one writable folder, `work`, and folders that the program has no business in.
struct Rig {
    dir: TempDir,
    user: User,
    sandbox: Sandbox,
    network: NetworkAccess,
}

impl Rig {
    fn new(user: User) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let launcher = PathBuf::from(karisimbi().get_program());
        let rig = Self {
            dir,
            user,
            sandbox: Sandbox::new(Launcher(launcher), Policy::Auto),
            network: NetworkAccess::Denied,
        };
        for folder in ["work", "home", "source"] {
            std::fs::create_dir(rig.path(folder)).expect("a folder");
        }
        write(&rig.path("home/.ssh/id"), "the private key\n");
        write(&rig.path("source/main.c"), "int main(void) { return 0; }\n");
        if user == User::Plain {
            for path in ["work", "home", "home/.ssh", "home/.ssh/id", "source"] {
                chown(rig.path(path), Some(PLAIN), Some(PLAIN)).expect("an owner");
            }
        }
        rig
    }

    fn limits(mut self, limits: Limits) -> Self {
        self.sandbox = self.sandbox.with_limits(limits);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command in the box, started by this process as the rig's user.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut plain = tool(program);
        plain
            .args(args)
            .env("PATH", "/usr/bin:/bin")
            .env("OUTSIDE", self.dir.path())
            .current_dir(self.path("work"));
        let confinement = Confinement {
            read: vec![self.path("source")],
            write: vec![self.path("work")],
            network: self.network,
        };
        let boxed = self.sandbox.confine(&plain, &confinement).expect("a box");
        let mut command = as_user(self.user, &boxed);
        command.stdin(Stdio::null());
        command
    }

    fn python(&self, script: &str) -> Output {
        let mut command = self.command("/usr/bin/python3", &["-c", script]);
        command.output().expect("the launcher")
    }

    fn sh(&self, script: &str) -> Output {
        let mut command = self.command("/bin/sh", &["-c", script]);
        command.output().expect("the launcher")
    }
}

/// The same command as another user.
fn as_user(user: User, command: &Command) -> Command {
    let mut other = match user {
        User::Root => Command::new(command.get_program()),
        User::Plain => {
            let id = PLAIN.to_string();
            let mut other = tool("setpriv");
            other
                .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
                .arg(command.get_program());
            other
        }
    };
    other.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        other.env(name, value.expect("a value"));
    }
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// A cache that tests share: compiling the standard library takes longer than what they ask.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox-cache")
}

/// Both streams, in this order.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether a process that was started with this argument still runs.
fn runs(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    processes.filter_map(Result::ok).any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        // Shells and launchers hold it inside of longer arguments.
        line.split(|byte| *byte == 0)
            .any(|word| word == argument.as_bytes())
    })
}

/// A number of seconds that no other test sleeps.
fn unique(path: &Path) -> String {
    let name = path.file_name().expect("a name").to_string_lossy();
    let sum: u64 = name
        .bytes()
        .fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
    (600_000 + sum).to_string()
}
