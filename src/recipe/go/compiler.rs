//! C compilers for cgo.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::GoError;
use super::options::Cgo;
use super::toolchain::{QUESTION, Stat};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::program::{on_path, run};
use crate::recipe::Context;

/// The compiler of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compiler {
    /// The value of CC.
    pub(super) cc: String,
    /// What it calls itself; in the key, since it decides bytes.
    pub(super) version: String,
    /// Its file.
    pub(super) program: PathBuf,
}

/// Finds a compiler; none when cgo is off.
pub(super) fn find(
    context: &Context<'_>,
    mode: Cgo,
    platform: &Platform,
) -> Result<Option<Compiler>, GoError> {
    let cpu = cpu(&platform.architecture);
    let native = cpu == std::env::consts::ARCH;
    let mut choices: Vec<(String, Vec<String>)> = Vec::new();
    match mode {
        Cgo::Off => return Ok(None),
        Cgo::Static => {
            if native {
                choices.push(("musl-gcc".to_owned(), Vec::new()));
            }
            choices.push((format!("{cpu}-linux-musl-gcc"), Vec::new()));
            let target = ["cc", "-target", &format!("{cpu}-linux-musl")].map(ToOwned::to_owned);
            choices.push(("zig".to_owned(), target.to_vec()));
        }
        Cgo::Dynamic => {
            if native {
                choices.extend([
                    ("gcc".to_owned(), Vec::new()),
                    ("cc".to_owned(), Vec::new()),
                ]);
            }
            choices.push((format!("{cpu}-linux-gnu-gcc"), Vec::new()));
        }
    }
    for (name, arguments) in &choices {
        let path = context.env.get("PATH");
        if let Some(program) = path.and_then(|path| on_path(path, name)) {
            let mut cc = program.to_string_lossy().into_owned();
            let version = version(context, &program, arguments)?;
            for argument in arguments {
                cc.push(' ');
                cc.push_str(argument);
            }
            return Ok(Some(Compiler {
                cc,
                version: format!("{name} {version}"),
                program,
            }));
        }
    }
    Err(GoError::Compiler {
        mode: mode.name(),
        platform: platform.to_string(),
        looked: choices.into_iter().map(|(name, _)| name).collect(),
    })
}

/// The first line of `--version`: compilers of equal names differ in what they emit. Remembered
/// by the file's stat.
fn version(context: &Context<'_>, program: &Path, arguments: &[String]) -> Result<String, GoError> {
    let stat = Stat::of(program).map(|stat| serde_json::json!(stat));
    let text = serde_json::json!(["compiler 1", program.to_string_lossy(), arguments, stat]);
    let key = Digest::of(text.to_string().as_bytes());
    if let Some(known) = context
        .store
        .memo(&key)
        .and_then(|bytes| String::from_utf8(bytes).ok())
    {
        return Ok(known);
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--version")
        .env_clear()
        .envs(context.env.get("PATH").map(|path| ("PATH", path)));
    let output = run(&mut command, QUESTION).map_err(|error| GoError::of_run(program, error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.lines().next().unwrap_or_default().to_owned();
    context
        .store
        .remember("the version of the C compiler", &key, version.as_bytes());
    Ok(version)
}

/// GOARCH as compilers name it.
fn cpu(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        other => other,
    }
}
