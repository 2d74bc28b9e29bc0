//! Runs `git` with a closed set of doors.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use base64::Engine as _;

use super::GitError;
use crate::program::on_path;
use crate::source::address::{GitUrl, scrub};

/// Bytes of standard output that are kept; more is an error. A list of a million references fits.
const OUTPUT_LIMIT: u64 = 128 << 20;
/// Bytes of standard error that are kept.
const ERROR_LIMIT: u64 = 16 << 10;

/// Settings that win over every configuration file: nothing of these may run a program.
const CLOSED: [&str; 12] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
];

/// Whose configuration counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access<'a> {
    /// The user's own, for credential helpers, proxies and `insteadOf`; this URL may be reached.
    Remote(&'a GitUrl),
    /// None but the repository's, which can do nothing; no transport works.
    Local,
}

/// What git did.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// Scrubbed of credentials and control characters.
    pub(super) said: String,
}

/// The program, with the environment that the caller allows.
#[derive(Debug)]
pub(super) struct Git<'a> {
    program: PathBuf,
    env: &'a BTreeMap<String, OsString>,
}

impl<'a> Git<'a> {
    /// Finds `git` in the absolute folders of `PATH`.
    pub(super) fn find(env: &'a BTreeMap<String, OsString>) -> Result<Self, GitError> {
        let path = env.get("PATH").map_or(OsStr::new(""), OsString::as_os_str);
        let program = on_path(path, "git").ok_or(GitError::Missing)?;
        Ok(Self { program, env })
    }

    /// Runs it to its end with this standard input.
    pub(super) fn run(
        &self,
        access: Access<'_>,
        repository: &Path,
        args: &[&OsStr],
        input: Input,
    ) -> Result<Output, GitError> {
        let mut command = self.command(access, repository);
        command.args(args);
        let fed = match input {
            Input::None => {
                command.stdin(Stdio::null());
                None
            }
            Input::Bytes(bytes) => {
                command.stdin(Stdio::piped());
                Some(bytes)
            }
            Input::File(file) => {
                command.stdin(file);
                None
            }
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = || -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
            let mut child = command.spawn()?;
            converse(&mut child, fed)
        };
        let (status, stdout, stderr) = run().map_err(|source| GitError::Run {
            program: self.program.display().to_string(),
            source,
        })?;
        Ok(Output {
            status,
            stdout,
            said: words(&String::from_utf8_lossy(&stderr), access),
        })
    }

    fn command(&self, access: Access<'_>, repository: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        for (name, value) in self.env {
            if may_pass(name, access) {
                command.env(name, value);
            }
        }
        for setting in CLOSED {
            command.args(["-c", setting]);
        }
        command
            .arg("--no-pager")
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            // An explicit repository: none is searched for above it, and its owner and its
            // core.worktree don't matter.
            .env("GIT_DIR", repository.join(".git"))
            .env("GIT_WORK_TREE", repository)
            .current_dir(if repository.is_dir() {
                repository
            } else {
                Path::new("/")
            });
        match access {
            Access::Local => {
                command
                    .args(["-c", "core.sshCommand=false"])
                    .env("GIT_CONFIG_GLOBAL", "/dev/null")
                    .env("GIT_CONFIG_SYSTEM", "/dev/null")
                    .env("GIT_CONFIG_NOSYSTEM", "1")
                    .env("GIT_ATTR_NOSYSTEM", "1")
                    // A missing object of a "partial clone" would be fetched by whatever the
                    // repository's configuration names.
                    .env("GIT_NO_LAZY_FETCH", "1")
                    .env("GIT_ALLOW_PROTOCOL", "none");
            }
            Access::Remote(url) => {
                let allowed = format!("https:ssh:{}", url.protocol());
                command.env("GIT_ALLOW_PROTOCOL", allowed);
                self.log_in(&mut command, url);
            }
        }
        command
    }

    /// Hands credentials over in the environment, which other users can't read, and which no
    /// file of the clone ever holds.
    fn log_in(&self, command: &mut Command, url: &GitUrl) {
        let Some((user, password)) = url.credentials() else {
            return;
        };
        let count: usize = self
            .env
            .get("GIT_CONFIG_COUNT")
            .and_then(|count| count.to_str()?.parse().ok())
            .unwrap_or(0);
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        command
            .env("GIT_CONFIG_COUNT", (count + 1).to_string())
            .env(
                format!("GIT_CONFIG_KEY_{count}"),
                format!("http.{}.extraHeader", url.address()),
            )
            .env(
                format!("GIT_CONFIG_VALUE_{count}"),
                format!("Authorization: Basic {basic}"),
            );
    }
}

/// What git reads from its standard input.
#[derive(Debug)]
pub(super) enum Input {
    None,
    Bytes(Vec<u8>),
    File(std::fs::File),
}

/// Variables that would point git elsewhere, or make it print credentials, stay out.
fn may_pass(name: &str, access: Access<'_>) -> bool {
    const ELSEWHERE: [&str; 14] = [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_CEILING_DIRECTORIES",
        "GIT_TEMPLATE_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_ATTR_SOURCE",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_CURL_VERBOSE",
    ];
    let config = name.starts_with("GIT_CONFIG") || name.starts_with("GIT_SSH");
    let closed = config && matches!(access, Access::Local);
    let refused = ELSEWHERE.contains(&name) || name.starts_with("GIT_TRACE") || closed;
    !refused
}

/// Feeds and reads a child at once, and keeps a bounded part of what it says.
fn converse(child: &mut Child, fed: Option<Vec<u8>>) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let feeding = scope.spawn(move || match (stdin, fed) {
            // A child that stops reading early says why on its standard error.
            (Some(mut stdin), Some(bytes)) => stdin.write_all(&bytes).is_ok(),
            _ => true,
        });
        let listening = scope.spawn(move || -> io::Result<Vec<u8>> {
            let mut kept = Vec::new();
            if let Some(mut stderr) = stderr {
                stderr.by_ref().take(ERROR_LIMIT).read_to_end(&mut kept)?;
                io::copy(&mut stderr, &mut io::sink())?;
            }
            Ok(kept)
        });
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT_LIMIT + 1).read_to_end(&mut output)?;
        }
        let too_much = output.len() as u64 > OUTPUT_LIMIT;
        if too_much {
            child.kill()?;
        }
        let status = child.wait()?;
        let _fed = feeding.join();
        let said = match listening.join() {
            Ok(said) => said?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if too_much {
            return Err(io::Error::other("it printed more than 128 MiB"));
        }
        Ok((status, output, said))
    })
}

/// git's own words on one line, without credentials.
fn words(stderr: &str, access: Access<'_>) -> String {
    let mut text = scrub(stderr);
    if let Access::Remote(url) = access
        && let Some((user, password)) = url.credentials()
    {
        // A user beside a password is no secret; alone it is a token.
        let secret = if password.is_empty() { user } else { password };
        if secret.len() > 2 {
            text = text.replace(secret, "***");
        }
    }
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim().trim_start_matches("fatal: "))
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}
