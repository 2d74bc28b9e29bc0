//! Will it start? Checks an image without running it, from summaries and base facts alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::ImageError;
use super::audit_elf;
use super::config::{Process, patch_process, process};
use super::secrets::looks_secret;
use super::target::{RuntimeConfig, Target};
use super::tree::Tree;
use crate::layer::entry::escape;
use crate::layer::{EntryKind, EntrySummary, LayerSummary};

/// Where programs are searched when the image has no PATH (runc's and containerd's default).
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Paths that one finding lists.
const LISTED: usize = 10;

/// Whether an image with this finding may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It can't work.
    Error,
    /// It may be wrong.
    Warning,
}

/// Something that is, or may be, wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code such as `BASE-INTERP`.
    pub code: &'static str,
    /// Whether it stops the build.
    pub severity: Severity,
    /// What is wrong, with the file.
    pub text: String,
    /// The next step.
    pub hint: String,
}

impl Finding {
    pub(super) fn error(code: &'static str, text: String, hint: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            text,
            hint: hint.into(),
        }
    }

    pub(super) fn warning(code: &'static str, text: String, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, text, hint)
        }
    }
}

/// Audits an image of these layers, lowest first, over a base: all findings at once.
///
/// # Errors
/// BASE-CONFIG when the base's config has fields of other types than the image-spec says.
pub fn audit(
    target: &Target,
    layers: &[&LayerSummary],
    runtime: &RuntimeConfig,
) -> Result<Vec<Finding>, ImageError> {
    let mut config = target.base.config.clone();
    patch_process(&mut config, runtime, &target.base.name)?;
    let process = process(&config, &target.base.name)?;
    let tree = Tree::new(&target.facts.entries, layers);
    let mut findings = Vec::new();
    let started = entrypoint(&tree, &process, &mut findings);
    audit_elf::audit(target, layers, &tree, started, &mut findings);
    user(target, layers, &process, &mut findings);
    links(&tree, layers, &mut findings);
    removed(&tree, layers, &mut findings);
    secrets(layers, &mut findings);
    Ok(findings)
}

/// The file that the container starts.
fn entrypoint<'a>(
    tree: &Tree<'a>,
    process: &Process,
    findings: &mut Vec<Finding>,
) -> Option<&'a EntrySummary> {
    let Some(program) = process.argv.first() else {
        findings.push(Finding::error(
            "IMAGE-ENTRYPOINT",
            "the image says nothing about what to start".to_owned(),
            "set container.entrypoint, or --entrypoint",
        ));
        return None;
    };
    let shown = escape(program.as_bytes());
    let candidates = candidates(program, process);
    let found: Vec<&EntrySummary> = candidates
        .iter()
        .filter_map(|path| tree.find(path))
        .collect();
    let executable = |entry: &&&EntrySummary| entry.kind == EntryKind::Executable;
    if let Some(entry) = found.iter().find(executable) {
        script(tree, process, entry, findings);
        return Some(entry);
    }
    let finding = match found.first() {
        Some(entry) if entry.kind == EntryKind::Directory => Finding::error(
            "IMAGE-ENTRYPOINT",
            format!("{shown} is a directory"),
            "name a program in container.entrypoint",
        ),
        Some(entry) => Finding::error(
            "IMAGE-ENTRYPOINT",
            not_executable(&shown, entry),
            "give it an x bit: chmod +x, or mode: \"0755\" in files",
        ),
        None if is_shell(program) => Finding::error(
            "BASE-SHELL",
            format!("the entrypoint needs {shown}, and the base has no shell"),
            "write the entrypoint in exec form: the program, then its arguments",
        ),
        None => Finding::error(
            "IMAGE-ENTRYPOINT",
            format!("the entrypoint {shown} is not in the image"),
            "write the path that the program has in the image",
        ),
    };
    findings.push(finding);
    None
}

/// The entrypoint as it is written, and the file that it leads to where that is another.
fn not_executable(shown: &str, entry: &EntrySummary) -> String {
    match format!("/{}", escape(entry.path.as_bytes())) {
        path if path == shown => format!("the entrypoint {shown} is not executable"),
        path => format!("the entrypoint {shown} is {path}, which is not executable"),
    }
}

fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    ["sh", "bash", "ash", "dash", "zsh"].contains(&name)
}

/// Where a program may lie: as a runtime's execvp would look.
fn candidates(program: &str, process: &Process) -> Vec<String> {
    if program.starts_with('/') {
        return vec![program.to_owned()];
    }
    let below = |folder: &str| format!("{}/{program}", folder.trim_end_matches('/'));
    if program.contains('/') {
        return vec![below(&process.working_dir)];
    }
    let path = process.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    path.split(':').map(below).collect()
}

/// The interpreter of an entrypoint that is a script must be there, too.
fn script(tree: &Tree<'_>, process: &Process, entry: &EntrySummary, findings: &mut Vec<Finding>) {
    let Some(line) = &entry.script else {
        return;
    };
    let mut words = line.split_ascii_whitespace();
    let interpreter = words.next().unwrap_or_default();
    let by_env = Path::new(interpreter).ends_with("env");
    // `env -S node --flag`: the program is the first word that is no option.
    let program = by_env.then(|| words.find(|word| !word.starts_with('-')));
    let exists = |name: &str| {
        candidates(name, process)
            .iter()
            .any(|path| tree.find(path).is_some())
    };
    let missing = [Some(interpreter), program.flatten()]
        .into_iter()
        .flatten()
        .find(|name| !exists(name));
    if let Some(missing) = missing {
        findings.push(Finding::error(
            "BASE-SHELL",
            format!(
                "the entrypoint /{} is a script for {}, which is not in the image",
                escape(entry.path.as_bytes()),
                escape(missing.as_bytes())
            ),
            "start the interpreter itself, or use a base that has it",
        ));
    }
}

/// The account that it runs as.
fn user(target: &Target, layers: &[&LayerSummary], process: &Process, findings: &mut Vec<Finding>) {
    let user = process.user.split(':').next().unwrap_or_default();
    let accounts = &target.facts.users;
    // The summary does not hold what a passwd of ours says; whoever wrote it knows why.
    let own = layers
        .iter()
        .any(|layer| layer.entries.iter().any(|entry| entry.path == "etc/passwd"));
    let numeric = "set container.user to a number such as 1001:1001";
    let finding = match user.parse::<u32>() {
        Ok(0) => Some(Finding::warning(
            "IMAGE-ROOT",
            "the image runs as root".to_owned(),
            numeric,
        )),
        Ok(uid) if accounts.contains_key(&uid) || own => None,
        Ok(uid) => Some(Finding::warning(
            "BASE-UID",
            format!(
                "uid {uid} has no name in the base's etc/passwd; programs that ask for it fail"
            ),
            "use a base that has the account, or set HOME and USER",
        )),
        Err(_) if user.is_empty() || user == "root" => Some(Finding::warning(
            "IMAGE-ROOT",
            "the image runs as root".to_owned(),
            numeric,
        )),
        Err(_) if own || accounts.values().any(|name| name == user) => Some(Finding::warning(
            "BASE-UID",
            format!(
                "user {} is a name; Kubernetes' runAsNonRoot needs a number",
                escape(user.as_bytes())
            ),
            numeric,
        )),
        Err(_) => Some(Finding::error(
            "BASE-UID",
            format!(
                "user {} is not in the base's etc/passwd",
                escape(user.as_bytes())
            ),
            numeric,
        )),
    };
    findings.extend(finding);
}

/// Entries in their order, as runs of neighbours in one folder.
fn folders<'a>(layers: &[&'a LayerSummary]) -> impl Iterator<Item = (&'a str, &'a [EntrySummary])> {
    let runs = layers
        .iter()
        .flat_map(|layer| layer.entries.chunk_by(|a, b| folder(a) == folder(b)));
    runs.map(|run| (run.first().map_or("", folder), run))
}

fn folder(entry: &EntrySummary) -> &str {
    entry.path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Paths that a link of the base would send elsewhere, or that would replace one.
fn links(tree: &Tree<'_>, layers: &[&LayerSummary], findings: &mut Vec<Finding>) {
    let mut crossings: BTreeMap<&str, (&EntrySummary, Vec<&str>)> = BTreeMap::new();
    for (_, entries) in folders(layers) {
        // The same for all: it depends on the folder alone.
        let crossed = entries.first().and_then(|entry| tree.crossed(&entry.path));
        for entry in entries {
            if let Some(link) = crossed.or_else(|| tree.replaced_link(entry)) {
                let (_, paths) = crossings
                    .entry(&link.path)
                    .or_insert_with(|| (link, Vec::new()));
                paths.push(&entry.path);
            }
        }
    }
    for (link, paths) in crossings.into_values() {
        let target = link.target.as_deref().unwrap_or_default();
        findings.push(Finding::error(
            "BASE-SYMLINK",
            format!(
                "/{} is a link to {} and would be replaced or followed by {}",
                escape(link.path.as_bytes()),
                escape(target.as_bytes()),
                listed(&paths)
            ),
            format!("put the files below {}", escape(target.as_bytes())),
        ));
    }
}

/// Entries that take away what other files of the base need; those of one place are one finding.
fn removed(tree: &Tree<'_>, layers: &[&LayerSummary], findings: &mut Vec<Finding>) {
    let places: BTreeMap<String, &EntrySummary> = folders(layers)
        .filter(|(folder, _)| !tree.is_new(folder))
        .flat_map(|(_, entries)| entries)
        .filter_map(|entry| Some((tree.removed(entry)?, entry)))
        .collect();
    for (place, entry) in places {
        findings.push(Finding::error(
            "BASE-REMOVED",
            format!(
                "/{} would remove /{} of the base, which is of another kind",
                escape(entry.path.as_bytes()),
                escape(place.as_bytes())
            ),
            "put it at another path",
        ));
    }
}

fn secrets(layers: &[&LayerSummary], findings: &mut Vec<Finding>) {
    let files = layers.iter().flat_map(|layer| &layer.entries);
    let paths: Vec<&str> = files
        .filter(|entry| entry.kind != EntryKind::Directory && looks_secret(&entry.path))
        .map(|entry| entry.path.as_str())
        .collect();
    if !paths.is_empty() {
        findings.push(Finding::warning(
            "SECRET-FILE",
            format!(
                "the image holds what looks like secrets: {}",
                listed(&paths)
            ),
            "add them to .dockerignore; whoever can pull the image can read them",
        ));
    }
}

/// Paths of the image, for a message.
pub(super) fn listed(paths: &[&str]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(LISTED)
        .map(|path| format!("/{}", escape(path.as_bytes())))
        .collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
