//! The command line as people and scripts see it.

mod build;
mod copy;
mod explain;
mod help;
mod mistakes;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::support::{karisimbi, write};

/// A folder with a source `app`, a cache and room for outputs.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().expect("a folder"),
        };
        bench.source("app");
        bench
    }

    /// A source with one executable file, which no processor is too different for.
    pub(crate) fn source(&self, name: &str) {
        let program = self.path(name).join("program");
        write(&program, "no machine code\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, mode).expect("a mode");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The program in this folder, with a closed environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = karisimbi();
        command
            .args(args)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("KARISIMBI_CACHE_DIR", self.path("cache"));
        command
    }

    /// `build app` with the files recipe on an empty base.
    pub(crate) fn build(&self, args: &[&str]) -> Command {
        let mut command = self.command(&["build"]);
        command
            .args(["--recipe", "files", "--base", "scratch"])
            .args(["--entrypoint", "/app/program"])
            .args(args);
        command
    }
}

/// Standard output and standard error of a command that must succeed.
pub(crate) fn both(command: &mut Command) -> (String, String) {
    let output = command.output().expect("the program");
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        super::support::shown(&output)
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
