//! The packages of the module, asked of `go list` once for each state of the source.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::candidate::Verdict;
use super::error::GoError;
use super::failure::RunFailure;
use super::main_package::{self, MainPackage, Wishes};
use super::steps::Workshop;
use super::{env, excluded};
use crate::base::Target;
use crate::digest::Digest;
use crate::plan::{Step, StepOutcome};
use crate::platform::Platform;
use crate::program::{self, Limits};
use crate::recipe::Context;
use crate::recipe::paths::within;

/// A package as `go list` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// `main` or a library's name.
    pub(super) name: String,
    pub(super) import_path: String,
}

/// Reads the lines `NAME<TAB>IMPORT PATH` that [`LIST_FORMAT`] asks for.
fn parse_list(stdout: &str) -> Vec<Package> {
    stdout
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, import_path)| Package {
            name: name.to_owned(),
            import_path: import_path.to_owned(),
        })
        .collect()
}

/// The format given to `go list -e -find -f`.
pub(super) const LIST_FORMAT: &str = "{{.Name}}\t{{.ImportPath}}";

/// What the list may take: a toolchain may be downloaded first, and a source may hold tens of
/// thousands of packages.
const LIST_LIMITS: Limits = Limits {
    time: Duration::from_mins(10),
    output: 64 << 20,
};

/// Modules named in a hint.
const NAMED_MODULES: usize = 12;

/// What `go list` printed.
#[derive(Serialize, Deserialize)]
struct Memo {
    stdout: String,
}

/// Chooses the main package; without Go files of its own (a module of tools) `go` isn't asked.
pub(super) fn choose(
    workshop: &Workshop<'_>,
    targets: &[Target],
    wishes: &Wishes<'_>,
) -> Result<MainPackage, GoError> {
    let has_code = workshop.tree.files().iter().any(|file| {
        let path = file.path.as_str();
        let below = path
            .strip_prefix(workshop.module.directory.as_str())
            .unwrap_or_default();
        let below = below.trim_start_matches('/');
        path.rsplit_once('.')
            .is_some_and(|(_, extension)| extension == "go")
            && !below.is_empty()
            && !below.starts_with("vendor/")
    });
    let packages = if has_code {
        list(workshop, targets)?
    } else {
        Vec::new()
    };
    let chosen = main_package::choose(&workshop.module.go_mod, &packages, wishes);
    chosen.map_err(|error| with_modules(with_excluded(error, workshop, &packages), workshop))
}

/// Adds the commands that go leaves out: those that recipe.go.main may mean, or all of them when
/// nothing else could be the product.
fn with_excluded(mut error: GoError, workshop: &Workshop<'_>, packages: &[Package]) -> GoError {
    let GoError::Main {
        problem,
        candidates,
        ..
    } = &mut error
    else {
        return error;
    };
    let (module, options) = (workshop.module, workshop.options);
    let aside = &workshop.spec.aside;
    let kept = candidates.iter().any(|one| one.verdict == Verdict::Kept);
    if kept && options.main.is_none() {
        return error;
    }
    let mut excluded = excluded::commands(workshop.tree, module, options, packages, aside);
    match &options.main {
        Some(main) => {
            let main = main.trim_end_matches("main.go").trim_end_matches('/');
            let bare = |path: &str| path.trim_matches(['.', '/']).to_owned();
            excluded.retain(|one| {
                let folder = bare(&one.path);
                bare(main) == folder || main == excluded::import_path(module, &folder)
            });
        }
        None => excluded.retain(|one| within(one.path.trim_start_matches("./"), &module.scope)),
    }
    if options.main.is_none() && candidates.is_empty() && !excluded.is_empty() {
        *problem = format!(
            "module {} has no command that go compiles with these options",
            module.go_mod.module
        );
    }
    candidates.splice(..0, excluded);
    error
}

/// Adds the other modules of the source, in which the program may be.
fn with_modules(mut error: GoError, workshop: &Workshop<'_>) -> GoError {
    if let GoError::Main { modules, .. } = &mut error {
        let folders = workshop.tree.files().iter().filter_map(|file| {
            let folder = file.path.as_str().strip_suffix("/go.mod")?;
            let skipped = |part: &str| matches!(part, "vendor" | "testdata");
            (folder != workshop.module.directory && !folder.split('/').any(skipped))
                .then(|| folder.to_owned())
        });
        modules.extend(folders.take(NAMED_MODULES));
    }
    error
}

fn list(workshop: &Workshop<'_>, targets: &[Target]) -> Result<Vec<Package>, GoError> {
    let platform = targets
        .first()
        .map_or_else(Platform::linux_amd64, |target| target.platform.clone());
    let step = workshop.list(&env::compile(&platform, workshop.options)?);
    let key = Digest::of(format!("memo of {}", step.key.digest()).as_bytes());
    let store = workshop.context.store;
    let known = store
        .memo(&key)
        .and_then(|bytes| serde_json::from_slice::<Memo>(&bytes).ok());
    if let Some(memo) = known {
        return Ok(parse_list(&memo.stdout));
    }
    let outcome = run(&step, workshop.context)?;
    if !outcome.succeeded() {
        return Err(GoError::Run(Box::new(RunFailure::of(&step, &outcome))));
    }
    let memo = Memo {
        stdout: outcome.stdout,
    };
    let bytes = serde_json::to_vec(&memo).map_err(|error| GoError::Toolchain {
        path: step.program.clone(),
        source: error.into(),
    })?;
    // go read the source in place, maybe after a change that the key knows nothing of.
    workshop.tree.recheck(Some(store))?;
    store.remember("the list of packages", &key, &bytes);
    Ok(parse_list(&memo.stdout))
}

/// Runs a step that writes nothing.
fn run(step: &Step, context: &Context<'_>) -> Result<StepOutcome, GoError> {
    use std::os::unix::process::ExitStatusExt;
    let nowhere = Path::new("");
    let (plain, confinement) = (step.command(nowhere), step.confinement(nowhere));
    if let Some((code, text)) = context.sandbox.notice() {
        context.reporter.warn(code, text);
    }
    let mut command = context.sandbox.confine(&plain, &confinement)?;
    let output = program::run(&mut command, LIST_LIMITS)
        .map_err(|error| GoError::of_run(&step.program, error))?;
    Ok(StepOutcome {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        slot: std::path::PathBuf::new(),
    })
}
