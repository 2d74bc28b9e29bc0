//! The machine's Go: found once, then remembered by the stats of its files, so that an unchanged
//! machine never starts `go` to ask.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::GoError;
use super::module::Module;
use super::options::{GoOptions, ToolchainPolicy};
use super::version::GoVersion;
use crate::digest::Digest;
use crate::program::{Limits, on_path, run};
use crate::store::Store;

/// What a question for a version may take. A busy machine starts go in seconds.
pub(super) const QUESTION: Limits = Limits {
    time: Duration::from_mins(1),
    output: 1 << 20,
};

/// The go command that builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Toolchain {
    /// `$GOROOT/bin/go`: version managers put slow shims on PATH.
    pub(super) program: PathBuf,
    /// As it names itself: `go1.26.8`.
    pub(super) version: String,
}

/// The version that compiles, and the value of GOTOOLCHAIN that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// `go1.26.8`
    pub(super) version: String,
    /// `local` or `go1.27.3`
    pub(super) gotoolchain: String,
}

/// What is remembered of a go command.
#[derive(Serialize, Deserialize)]
struct Memo {
    toolchain: Toolchain,
    stat: Stat,
}

/// What changes when a file does, short of its contents.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stat {
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    inode: u64,
}

impl Stat {
    /// Of the file that a path leads to.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = fs_err::metadata(path).ok()?;
        Some(Self {
            size: data.size(),
            mtime: (data.mtime(), data.mtime_nsec()),
            ctime: (data.ctime(), data.ctime_nsec()),
            inode: data.ino(),
        })
    }
}

impl Toolchain {
    /// Finds go by `recipe.go.go_bin` or PATH.
    pub(super) fn find(
        store: &Store,
        env: &BTreeMap<String, OsString>,
        options: &GoOptions,
        module: &Module,
    ) -> Result<Self, GoError> {
        let named = options.go_bin.clone().filter(|path| path.is_file());
        let first = match &options.go_bin {
            Some(_) => named,
            None => env.get("PATH").and_then(|path| on_path(path, "go")),
        };
        let first = first.ok_or_else(|| GoError::None {
            module: module.go_mod.module.clone(),
            wanted: module.go_mod.wanted(),
        })?;
        let key = memo_key(&first);
        let known = store
            .memo(&key)
            .and_then(|bytes| serde_json::from_slice::<Memo>(&bytes).ok())
            .filter(|memo| Stat::of(&memo.toolchain.program).as_ref() == Some(&memo.stat));
        if let Some(memo) = known {
            return Ok(memo.toolchain);
        }
        let toolchain = ask(&first, env, store)?;
        if let Some(stat) = Stat::of(&toolchain.program) {
            let memo = Memo {
                toolchain: toolchain.clone(),
                stat,
            };
            let bytes = serde_json::to_vec(&memo).map_err(|error| GoError::Toolchain {
                path: first,
                source: error.into(),
            })?;
            store.remember("the version of go", &key, &bytes);
        }
        Ok(toolchain)
    }

    /// The version that compiles this module.
    ///
    /// # Errors
    /// GO-OLD when the module needs a newer one that may not be downloaded.
    pub(super) fn select(&self, module: &Module, options: &GoOptions) -> Result<Selected, GoError> {
        let host = GoVersion::of_toolchain(&self.version).map_err(|error| GoError::NotGo {
            path: self.program.clone(),
            said: error.to_string(),
        })?;
        let local = Selected {
            version: self.version.clone(),
            gotoolchain: "local".to_owned(),
        };
        let needed = module.go_line().filter(|(_, line)| line.value > host);
        match options.toolchain {
            ToolchainPolicy::Local => match needed {
                None => Ok(local),
                Some((file, line)) => Err(GoError::Old {
                    file: file.to_owned(),
                    line: line.number,
                    wanted: line.value.to_string(),
                    host: host.to_string(),
                }),
            },
            ToolchainPolicy::Auto => {
                let wanted = module
                    .toolchain_line()
                    .into_iter()
                    .chain(needed.map(|(_, line)| &line.value))
                    .max()
                    .filter(|wanted| **wanted > host);
                Ok(wanted.map_or(local, |wanted| Selected {
                    version: format!("go{wanted}"),
                    gotoolchain: format!("go{wanted}"),
                }))
            }
        }
    }
}

fn memo_key(first: &Path) -> Digest {
    let stat = Stat::of(first).map(|stat| serde_json::json!(stat));
    let text = serde_json::json!(["go toolchain 1", first.to_string_lossy(), stat]).to_string();
    Digest::of(text.as_bytes())
}

/// Whether the command is go itself, `$GOROOT/bin/go`, and no shim of a version manager.
fn is_distribution(first: &Path) -> bool {
    fs_err::canonicalize(first).is_ok_and(|path| {
        let bin = path.parent().filter(|bin| bin.ends_with("bin"));
        path.ends_with("go") && bin.is_some_and(|bin| bin.with_file_name("VERSION").is_file())
    })
}

/// Asks a go command, or a shim of one, where the real one is and which version.
fn ask(
    first: &Path,
    env: &BTreeMap<String, OsString>,
    store: &Store,
) -> Result<Toolchain, GoError> {
    let mut command = Command::new(first);
    command
        .args(["env", "GOROOT", "GOVERSION"])
        .env_clear()
        .envs(env)
        .envs([("GOENV", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "")])
        // A folder without go.mod: the answer is the machine's, not the source's.
        .current_dir("/");
    if is_distribution(first) {
        // Where go keeps telemetry, also of this question. A shim may need its own settings.
        let private = store.folder("go")?.join("home/.config");
        command.env("XDG_CONFIG_HOME", private);
    }
    let output = run(&mut command, QUESTION).map_err(|error| GoError::of_run(first, error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines().map(str::trim);
    let (root, version) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    if !output.status.success() || !root.starts_with('/') || !version.contains("go1") {
        let said = [said.trim(), String::from_utf8_lossy(&output.stderr).trim()].join(" ");
        return Err(GoError::NotGo {
            path: first.to_owned(),
            said: said.trim().chars().take(400).collect(),
        });
    }
    let program = Path::new(root).join("bin/go");
    Ok(Toolchain {
        // Some packages put the command elsewhere than its GOROOT.
        program: if program.is_file() {
            program
        } else {
            first.to_owned()
        },
        version: version.to_owned(),
    })
}
