//! Which command of the module becomes the program.

use super::candidate::{Candidate, Verdict};
use super::error::GoError;
use super::gomod::GoMod;
use super::packages::Package;
use crate::recipe::paths::{join, within};
use crate::recipe::spec::Aside;

/// The chosen command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MainPackage {
    /// What `go build` is told: `./cmd/server`, `.`, or an import path of another module.
    pub(super) path: String,
    /// The program's name.
    pub(super) name: String,
    /// Why this one.
    pub(super) reason: String,
    /// The version of the module that it comes from, when that is not the source itself.
    pub(super) version: Option<String>,
}

/// What may decide besides the packages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    /// `recipe.go.main`
    pub(super) main: Option<&'a str>,
    /// `builds[0]` of .ko.yaml or .goreleaser.yaml, with the file's name.
    pub(super) hinted: Option<(&'a str, &'a str)>,
    /// The deployment's and the repository's name.
    pub(super) names: [Option<&'a str>; 2],
    /// The folder below the module that commands are looked for in; empty is all of it.
    pub(super) scope: &'a str,
    /// Folders whose commands are not the product.
    pub(super) aside: &'a Aside,
}

/// Chooses by the rules of docs/guides/go.md, first hit wins.
pub(super) fn choose(
    go_mod: &GoMod,
    packages: &[Package],
    wishes: &Wishes<'_>,
) -> Result<MainPackage, GoError> {
    let module = go_mod.module.as_str();
    if let Some(main) = wishes.main {
        return explicit(go_mod, packages, (main, "recipe.go.main"), wishes.aside);
    }
    if let Some((main, file)) = wishes.hinted
        && wishes.scope.is_empty()
        && let Ok(found) = explicit(go_mod, packages, (main, file), wishes.aside)
    {
        return Ok(found);
    }
    let candidates: Vec<Candidate> = packages
        .iter()
        .filter(|package| package.name == "main")
        .map(|package| relative(module, &package.import_path))
        .filter(|path| within(path.trim_start_matches("./"), wishes.scope))
        .map(|path| Candidate::below(&path, wishes.scope, wishes.aside))
        .collect();
    if let Some((path, reason)) = the_product(module, &candidates, wishes) {
        return Ok(MainPackage {
            name: program_name(module, &path),
            path,
            reason,
            version: None,
        });
    }
    if candidates.is_empty()
        && wishes.scope.is_empty()
        && let [tool] = go_mod.tools.as_slice()
    {
        return Ok(foreign(go_mod, tool, "the only tool of go.mod"));
    }
    Err(undecided(go_mod, candidates))
}

/// The candidate that is clearly the product, and why.
fn the_product(
    module: &str,
    candidates: &[Candidate],
    wishes: &Wishes<'_>,
) -> Option<(String, String)> {
    let found = |path: &str, reason: &str| Some((path.to_owned(), reason.to_owned()));
    let kept: Vec<&str> = candidates
        .iter()
        .filter(|candidate| candidate.verdict == Verdict::Kept)
        .map(|candidate| candidate.path.as_str())
        .collect();
    if let [only] = kept.as_slice() {
        return found(only, "the only command");
    }
    let scope = format!("./{}", wishes.scope);
    if candidates.iter().any(|candidate| candidate.path == scope) {
        return found(&scope, "the command in source.directory");
    }
    let given = wishes.names.into_iter().flatten();
    for name in given.chain(std::iter::once(base_name(module))) {
        let mut same = kept
            .iter()
            .filter(|path| program_name(module, path) == name);
        if let (Some(only), None) = (same.next(), same.next()) {
            return found(only, &format!("the command named {name}"));
        }
    }
    if kept.contains(&".") {
        return found(".", "the command at the module's root");
    }
    let mut in_cmd = kept.iter().filter(|path| path.starts_with("./cmd/"));
    match (in_cmd.next(), in_cmd.next()) {
        (Some(only), None) => found(only, "the only command below cmd"),
        _ => None,
    }
}

fn undecided(go_mod: &GoMod, mut candidates: Vec<Candidate>) -> GoError {
    let kept = candidates
        .iter()
        .filter(|candidate| candidate.verdict == Verdict::Kept)
        .count();
    candidates.extend(go_mod.tools.iter().map(|tool| Candidate {
        path: tool.clone(),
        verdict: Verdict::Tool,
    }));
    let problem = match (kept, candidates.len()) {
        (0, 0) => format!("module {} has no command: no package main", go_mod.module),
        (0, _) => format!(
            "module {} has no command that is clearly its product",
            go_mod.module
        ),
        (count, _) => format!("module {} has {count} commands", go_mod.module),
    };
    GoError::Main {
        problem,
        candidates,
        modules: Vec::new(),
    }
}

/// The package that a configuration names.
fn explicit(
    go_mod: &GoMod,
    packages: &[Package],
    (main, by): (&str, &str),
    aside: &Aside,
) -> Result<MainPackage, GoError> {
    let module = go_mod.module.as_str();
    let main = main.trim_end_matches('/');
    let main = main
        .strip_suffix("/main.go")
        .or(main.strip_suffix("main.go"))
        .unwrap_or(main);
    let local = |path: &str| {
        packages
            .iter()
            .find(|p| relative(module, &p.import_path) == path)
    };
    let dotted = match main {
        "" | "." => ".".to_owned(),
        _ if main.starts_with("./") => main.to_owned(),
        _ if main == module || main.starts_with(&format!("{module}/")) => relative(module, main),
        _ => format!("./{main}"),
    };
    match local(&dotted) {
        Some(package) if package.name == "main" => Ok(MainPackage {
            name: program_name(module, &dotted),
            path: dotted,
            reason: format!("named by {by}"),
            version: None,
        }),
        Some(package) if !package.name.is_empty() => Err(GoError::NotMain {
            package: package.import_path.clone(),
        }),
        // An import path of a required module has a dot in its first element.
        _ if !main.starts_with('.')
            && main
                .split('/')
                .next()
                .is_some_and(|host| host.contains('.'))
            && go_mod.version_of(main).is_some() =>
        {
            Ok(foreign(go_mod, main, &format!("named by {by}")))
        }
        _ => Err(GoError::Main {
            modules: Vec::new(),
            problem: format!("{main}, named by {by}, is no package of module {module}"),
            candidates: packages
                .iter()
                .filter(|package| package.name == "main")
                .map(|package| Candidate::new(&relative(module, &package.import_path), aside))
                .chain(go_mod.tools.iter().map(|tool| Candidate {
                    path: tool.clone(),
                    verdict: Verdict::Tool,
                }))
                .collect(),
        }),
    }
}

/// A command of a module that go.mod requires.
fn foreign(go_mod: &GoMod, package: &str, reason: &str) -> MainPackage {
    MainPackage {
        path: package.to_owned(),
        name: base_name(package).to_owned(),
        reason: reason.to_owned(),
        version: go_mod.version_of(package).map(ToOwned::to_owned),
    }
}

/// `./cmd/server` for an import path of the module.
fn relative(module: &str, import_path: &str) -> String {
    match import_path.strip_prefix(module) {
        Some("") => ".".to_owned(),
        Some(rest) => join(".", rest.trim_start_matches('/')),
        None => import_path.to_owned(),
    }
}

/// The name of the program: the package's last element, the module's at its root.
fn program_name(module: &str, path: &str) -> String {
    let path = match path.strip_prefix('.') {
        Some(below) => format!("{module}{below}"),
        None => path.to_owned(),
    };
    base_name(&path).to_owned()
}

/// The last element of an import path, without a major version (`…/server/v2`, `….v2`).
pub(super) fn base_name(path: &str) -> &str {
    let is_major = |text: &str| {
        text.strip_prefix('v')
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
    };
    let mut path = path.trim_end_matches('/');
    if let Some((before, last)) = path.rsplit_once('/')
        && is_major(last)
    {
        path = before;
    }
    let last = path.rsplit('/').next().unwrap_or(path);
    match last.rsplit_once('.') {
        Some((name, major)) if is_major(major) && !name.is_empty() => name,
        _ => last,
    }
}

#[cfg(test)]
mod tests;
