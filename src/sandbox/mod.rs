//! Foreign code in a box: Landlock, seccomp, limits and a closed environment, by re-executing
//! our own program as the launcher. Works where user namespaces do not (docs/concepts/sandbox.md).
//!
//! Two processes stand before the program: the *supervisor*, which ends whatever the program
//! leaves behind and watches the limits that the kernel has none for, and its child, which
//! confines itself and then becomes the program.

mod enter;
mod error;
mod files;
mod launch;
mod order;
mod privileges;
mod probe;
mod supervise;
mod syscalls;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use self::order::{Order, SUPERVISE};
use self::probe::Probe;

pub use self::error::SandboxError;
pub use self::launch::launch;
pub(crate) use self::privileges::close_files;

/// Path of the program that is re-executed as the launcher: our own, or the built one in tests.
#[derive(Clone, Debug)]
pub struct Launcher(pub PathBuf);

/// `--sandbox`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Fail below the full level.
    Require,
    /// Take the best level of this machine.
    #[default]
    Auto,
    /// None.
    Off,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "require" => Ok(Self::Require),
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err("write require, auto or off".to_owned()),
        }
    }
}

/// What was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing but limits and the closed environment.
    None,
    /// System calls are filtered, files are not.
    SyscallsOnly,
    /// Files are confined, system calls are not filtered.
    FsOnly,
    /// Files, network and system calls.
    Full,
}

impl Level {
    const ALL: [Self; 4] = [Self::None, Self::SyscallsOnly, Self::FsOnly, Self::Full];

    /// The word as printed and recorded.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SyscallsOnly => "syscalls-only",
            Self::FsOnly => "fs-only",
            Self::Full => "full",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    fn files(self) -> bool {
        matches!(self, Self::FsOnly | Self::Full)
    }

    fn syscalls(self) -> bool {
        matches!(self, Self::SyscallsOnly | Self::Full)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What a process in the box may touch, beside what every program needs: the system's programs
/// and libraries, `/proc`, `/dev/null` and its like. Paths that don't exist are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Files and folders that it may read and execute.
    pub read: Vec<PathBuf>,
    /// Folders that it may also write.
    pub write: Vec<PathBuf>,
    /// Whether it may use the network.
    pub network: NetworkAccess,
}

/// Whether a process in the box may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkAccess {
    /// No socket but `AF_UNIX` streams and socketpairs, and no connection to anybody.
    #[default]
    Denied,
    /// As the machine allows.
    Allowed,
}

/// What a program in the box may take, with all that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that it may add to the file systems of its writable folders, and of one file.
    pub disk: u64,
    /// Processes at a time.
    pub processes: u32,
    /// From its start to its end.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            disk: 32 << 30,
            processes: 4096,
            time: None,
        }
    }
}

/// What the program's standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// The one that the caller sets.
    Passed,
    /// Empty.
    Nothing,
}

/// The box.
#[derive(Clone, Debug)]
pub struct Sandbox {
    launcher: Launcher,
    policy: Policy,
    limits: Limits,
    input: Input,
    probe: Arc<OnceLock<Probe>>,
    noticed: Arc<AtomicBool>,
}

impl Sandbox {
    /// A box of this policy; nothing is probed yet.
    pub fn new(launcher: Launcher, policy: Policy) -> Self {
        Self {
            launcher,
            policy,
            limits: Limits::default(),
            input: Input::Passed,
            probe: Arc::default(),
            noticed: Arc::default(),
        }
    }

    /// The same box with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same box for programs that read nothing: standard input is the supervisor's alone.
    #[must_use]
    pub fn without_input(mut self) -> Self {
        self.input = Input::Nothing;
        self
    }

    /// The launcher.
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// The level that this machine and the policy give; probed once.
    pub fn level(&self) -> Level {
        match self.policy {
            Policy::Off => Level::None,
            Policy::Require | Policy::Auto => self.probe().level,
        }
    }

    fn probe(&self) -> &Probe {
        self.probe.get_or_init(|| Probe::of(&self.launcher.0))
    }

    /// What the user should know of this box, as a code and a sentence: once, and only when it is
    /// less than full.
    pub fn notice(&self) -> Option<(&'static str, String)> {
        let level = self.level();
        if level == Level::Full || self.noticed.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(match self.policy {
            Policy::Off => (
                "SBX-OFF",
                "--sandbox off: tools that build this source may read your files and use the network"
                    .to_owned(),
            ),
            Policy::Require | Policy::Auto => (
                "SBX-LEVEL",
                format!("the sandbox has level {level}: {}", self.probe().missing),
            ),
        })
    }

    /// The same program, arguments, environment and folder inside the box. Only the environment
    /// that the command was given is passed on. Streams are the caller's to set; exit code and
    /// signal are the program's, except that a program that the box stopped ends with 125 after a
    /// line on standard error ([`stopped`]). Whatever the program leaves running is killed when it
    /// ends, and all of it when this process ends: the command must be spawned by this process.
    ///
    /// # Errors
    /// SBX-REQUIRED when the policy asks for more than the machine has; SBX-LAUNCHER when the
    /// launcher can't be run.
    pub fn confine(
        &self,
        command: &Command,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let mut boxed = match self.policy {
            Policy::Off => {
                let mut plain = Command::new(command.get_program());
                plain.args(command.get_args());
                plain
            }
            Policy::Require | Policy::Auto => self.launcher_for(command, confinement)?,
        };
        boxed.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                boxed.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            boxed.current_dir(folder);
        }
        Ok(boxed)
    }

    fn launcher_for(
        &self,
        command: &Command,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let probe = self.probe();
        if let Some(error) = &probe.error {
            return Err(SandboxError::Launcher {
                launcher: self.launcher.0.clone(),
                source: std::io::Error::new(error.kind(), error.to_string()),
            });
        }
        if self.policy == Policy::Require && probe.level < Level::Full {
            return Err(SandboxError::Required {
                level: probe.level,
                missing: probe.missing.clone(),
            });
        }
        let program = command.get_program().to_owned();
        let order = Order {
            parent: std::process::id(),
            level: probe.level,
            limits: self.limits,
            input: self.input,
            confinement: confinement.clone(),
            command: std::iter::once(program)
                .chain(command.get_args().map(ToOwned::to_owned))
                .collect(),
        };
        let mut launcher = Command::new(&self.launcher.0);
        launcher.args(order.arguments(SUPERVISE));
        Ok(launcher)
    }
}

/// What the box says on a program's standard error begins with this.
const MARK: &str = "karisimbi sandbox: ";
/// What it says of a program that it stopped.
const STOPPED: &str = "stopped: ";

/// Why the box stopped a program, from what was printed on its standard error. A program can
/// print such a line too: then it accuses itself.
pub fn stopped(stderr: &str) -> Option<String> {
    stderr
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix(MARK)?.strip_prefix(STOPPED))
        .map(ToOwned::to_owned)
        .next()
}

/// Whether a program's words are those of somebody to whom something was refused.
pub fn refused(said: &str) -> bool {
    const WORDS: [&str; 6] = [
        "ermission denied",
        "peration not permitted",
        "ermissionError",
        "EACCES",
        "EPERM",
        "ermissionDenied",
    ];
    WORDS.iter().any(|word| said.contains(word))
}

/// The folder that a program is installed in, to be named in [`Confinement::read`]: the parent of
/// its `bin`, else its own folder; never one that holds the user's home.
pub fn installation(program: &Path, home: Option<&Path>) -> PathBuf {
    let real = fs_err::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let own = real.parent().unwrap_or(&real);
    let holds_home = |folder: &Path| home.is_some_and(|home| home.starts_with(folder));
    let above = own
        .parent()
        .filter(|above| own.ends_with("bin") && above.parent().is_some() && !holds_home(above));
    match above {
        Some(above) => above.to_owned(),
        None if holds_home(own) => real,
        None => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_never_holds_the_home() {
        for (program, expected) in [
            ("/nonexistent/go/bin/go", "/nonexistent/go"),
            ("/home/u/go/bin/go", "/home/u/go"),
            ("/home/u/bin/zig", "/home/u/bin"),
            ("/home/u/zig", "/home/u/zig"),
            ("/opt/zig-0.15/zig", "/opt/zig-0.15"),
            ("/bin-of-nobody/x", "/bin-of-nobody"),
        ] {
            let home = Path::new("/home/u");
            let found = installation(Path::new(program), Some(home));
            assert_eq!(found, Path::new(expected), "{program}");
        }
    }

    #[test]
    fn the_last_word_of_the_box_counts() {
        let said = "make: error\nkaribu\nkarisimbi sandbox: killed sleep\n\
                    karisimbi sandbox: stopped: it wrote too much\n";
        assert_eq!(stopped(said).as_deref(), Some("it wrote too much"));
        assert_eq!(stopped("x karisimbi sandbox: stopped: y"), None);
    }
}
