//! Which module of the source is built, and which files belong to it.

use std::collections::BTreeSet;

use super::error::GoError;
use super::gomod::{GoMod, Line, MAX_BYTES, Replace};
use super::options::{Cgo, GoOptions, ModMode};
use super::version::GoVersion;
use crate::layer::TreeDigest;
use crate::recipe::Context;
use crate::recipe::paths::{join, resolve, within};
use crate::recipe::spec::Aside;
use crate::source::{Filter, SourceTree, TreeFile, TreeKind};

/// How deep below the source's root a lone module is looked for.
const DEPTH: usize = 2;

/// The module that is built.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// Its folder in the source; empty at the root.
    pub(super) directory: String,
    /// The folder below it that was asked for and is no module of its own; mostly empty.
    pub(super) scope: String,
    pub(super) go_mod: GoMod,
    /// The workspace that uses it.
    pub(super) work: Option<Workspace>,
    /// Where dependencies come from.
    pub(super) modules: ModMode,
}

/// A `go.work` inside the source whose `use` lines name the module.
#[derive(Clone, Debug)]
pub(super) struct Workspace {
    /// Its folder in the source.
    pub(super) directory: String,
    pub(super) go_work: GoMod,
    /// The folders of its other modules.
    pub(super) members: Vec<(String, GoMod)>,
}

/// The folder of the module, or the folders that could be meant.
pub(super) fn find(
    tree: &SourceTree,
    directory: &str,
    aside: &Aside,
) -> Result<Vec<String>, GoError> {
    let directory = asked(directory);
    if tree.file(&join(directory, "go.mod")).is_some() {
        return Ok(vec![directory.to_owned()]);
    }
    if !directory.is_empty() {
        return match above(tree, directory) {
            Some(module) => Ok(vec![module.to_owned()]),
            None => Err(GoError::NoModule {
                directory: directory.to_owned(),
            }),
        };
    }
    let below = tree.files().iter().filter_map(|file| {
        let folder = file.path.as_str().strip_suffix("/go.mod")?;
        let near = folder.split('/').count() <= DEPTH;
        (near && !folder.split('/').any(|part| aside.holds(part))).then(|| folder.to_owned())
    });
    Ok(below.collect())
}

/// `source.directory` as a path of the tree.
fn asked(directory: &str) -> &str {
    let directory = directory.trim_matches('/').trim_start_matches("./");
    if directory == "." { "" } else { directory }
}

/// The module that a folder with Go files belongs to.
fn above<'a>(tree: &SourceTree, directory: &'a str) -> Option<&'a str> {
    let is_go = |file: &TreeFile| {
        let path = file.path.as_str();
        within(path, directory)
            && path
                .rsplit_once('.')
                .is_some_and(|(_, extension)| extension == "go")
    };
    if !tree.files().iter().any(is_go) {
        return None;
    }
    let mut folder = directory;
    while !folder.is_empty() {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        if tree.file(&join(folder, "go.mod")).is_some() {
            return Some(folder);
        }
    }
    None
}

impl Module {
    /// Reads the module and what it refers to inside the source.
    pub(super) fn read(
        tree: &SourceTree,
        directory: &str,
        options: &GoOptions,
        aside: &Aside,
    ) -> Result<Self, GoError> {
        let wanted = asked(directory);
        let mut found = find(tree, wanted, aside)?;
        let directory = match (found.pop(), found.is_empty()) {
            (Some(directory), true) => directory,
            (Some(last), false) => {
                found.push(last);
                return Err(GoError::Modules { directories: found });
            }
            (None, _) => {
                return Err(GoError::NoModule {
                    directory: String::new(),
                });
            }
        };
        let go_mod = read_mod(tree, &join(&directory, "go.mod"))?;
        if go_mod.module.is_empty() {
            return Err(GoError::Parse {
                file: go_mod.file,
                line: 1,
                problem: "there is no module line".to_owned(),
            });
        }
        let work = find_work(tree, &directory)?;
        let vendor_at = work
            .as_ref()
            .map_or(directory.as_str(), |work| work.directory.as_str());
        let vendored = tree.file(&join(vendor_at, "vendor/modules.txt")).is_some();
        let default = if vendored {
            ModMode::Vendor
        } else {
            ModMode::Readonly
        };
        let scope = wanted.strip_prefix(directory.as_str()).unwrap_or_default();
        Ok(Self {
            scope: scope.trim_start_matches('/').to_owned(),
            directory,
            go_mod,
            work,
            modules: options.modules.unwrap_or(default),
        })
    }

    /// The `go` line that decides, with the file that holds it.
    pub(super) fn go_line(&self) -> Option<(&str, &Line<GoVersion>)> {
        self.mods()
            .filter_map(|go_mod| Some((go_mod.file.as_str(), go_mod.go.as_ref()?)))
            .max_by(|a, b| a.1.value.cmp(&b.1.value))
    }

    /// The newest `toolchain` line.
    pub(super) fn toolchain_line(&self) -> Option<&GoVersion> {
        self.mods()
            .filter_map(|go_mod| Some(&go_mod.toolchain.as_ref()?.value))
            .max()
    }

    fn mods(&self) -> impl Iterator<Item = &GoMod> {
        let work = self.work.iter();
        std::iter::once(&self.go_mod).chain(work.flat_map(|work| {
            std::iter::once(&work.go_work).chain(work.members.iter().map(|(_, go_mod)| go_mod))
        }))
    }

    /// The digest of every file that go may read: module, workspace and replaced modules.
    ///
    /// All extensions count, since `//go:embed` takes any.
    pub(super) fn source(
        &self,
        tree: &SourceTree,
        cgo: Cgo,
        context: &Context<'_>,
    ) -> Result<TreeDigest, GoError> {
        let mut folders: BTreeSet<String> = self.replaced(tree)?;
        folders.insert(self.directory.clone());
        if let Some(work) = &self.work {
            folders.insert(work.directory.clone());
        }
        let mut members = select(tree, &folders)?;
        let leaves = links_leave(tree, &members, &folders)?;
        // C files may include any header of the repository, and links lead to other folders of it.
        if cgo != Cgo::Off || leaves {
            let everything = BTreeSet::from([String::new()]);
            members = select(tree, &everything)?;
            links_leave(tree, &members, &everything)?;
        }
        Ok(context.tree_digest(&members))
    }

    /// Whether anything outside the source is required.
    pub(super) fn has_requirements(&self) -> bool {
        self.mods().any(|go_mod| !go_mod.require.is_empty())
    }

    /// Whether a `replace` line can matter: go ignores those of modules that nothing requires,
    /// and before go 1.17 go.mod does not list all that are required.
    fn may_use(&self, module: &str) -> bool {
        let lists_all: Option<GoVersion> = "1.17".parse().ok();
        let old = self.go_line().map(|(_, line)| &line.value) < lists_all.as_ref();
        old || self
            .mods()
            .any(|go_mod| go_mod.require.iter().any(|(path, _)| path == module))
    }

    /// The folders that `replace` lines lead to; each lies in the source and holds a module.
    fn replaced(&self, tree: &SourceTree) -> Result<BTreeSet<String>, GoError> {
        let mut folders = BTreeSet::new();
        if self.modules == ModMode::Vendor {
            // Go reads the copies in vendor/ then.
            return Ok(folders);
        }
        let own = std::iter::once((self.directory.as_str(), &self.go_mod));
        let work = self.work.iter().flat_map(|work| {
            let members = work
                .members
                .iter()
                .map(|(folder, go_mod)| (folder.as_str(), go_mod));
            std::iter::once((work.directory.as_str(), &work.go_work)).chain(members)
        });
        for (base, go_mod) in own.chain(work) {
            for line in go_mod
                .replace
                .iter()
                .filter(|line| self.may_use(&line.value.module))
            {
                folders.insert(replace_target(tree, base, go_mod, line)?);
            }
        }
        Ok(folders)
    }
}

fn replace_target(
    tree: &SourceTree,
    base: &str,
    go_mod: &GoMod,
    line: &Line<Replace>,
) -> Result<String, GoError> {
    let wrong = |problem| GoError::Replace {
        file: go_mod.file.clone(),
        line: line.number,
        module: line.value.module.clone(),
        target: line.value.path.clone(),
        problem,
    };
    let folder =
        resolve(base, &line.value.path).ok_or_else(|| wrong("the path leaves the source"))?;
    if tree.file(&join(&folder, "go.mod")).is_none() {
        return Err(wrong("there is no go.mod in that folder of the source"));
    }
    Ok(folder)
}

fn read_mod(tree: &SourceTree, path: &str) -> Result<GoMod, GoError> {
    let problem = |problem: &str| GoError::Parse {
        file: path.to_owned(),
        line: 1,
        problem: problem.to_owned(),
    };
    if let Some(TreeKind::Symlink(_)) = tree.file(path).map(|file| &file.kind) {
        return Err(problem("is a symbolic link"));
    }
    let bytes = tree
        .read(path, MAX_BYTES)?
        .ok_or_else(|| problem("is not there"))?;
    GoMod::parse(path, &bytes)
}

/// The nearest go.work at or above the module, when it uses the module.
fn find_work(tree: &SourceTree, module: &str) -> Result<Option<Workspace>, GoError> {
    let mut folder = module;
    loop {
        let path = join(folder, "go.work");
        if tree.file(&path).is_some() {
            let go_work = read_mod(tree, &path)?;
            let uses = || {
                go_work
                    .uses
                    .iter()
                    .map(|line| (line, resolve(folder, &line.value)))
            };
            if !uses().any(|(_, used)| used.as_deref() == Some(module)) {
                return Ok(None);
            }
            let members: Vec<String> = uses()
                .map(|(line, used)| {
                    used.ok_or_else(|| GoError::Parse {
                        file: path.clone(),
                        line: line.number,
                        problem: format!("use {} leaves the source", line.value),
                    })
                })
                .collect::<Result<_, _>>()?;
            let others = members.into_iter().filter(|member| member != module);
            let members = others
                .map(|member| Ok((member.clone(), read_mod(tree, &join(&member, "go.mod"))?)))
                .collect::<Result<_, GoError>>()?;
            return Ok(Some(Workspace {
                directory: folder.to_owned(),
                go_work,
                members,
            }));
        }
        match folder.rsplit_once('/') {
            Some((above, _)) => folder = above,
            None if folder.is_empty() => return Ok(None),
            None => folder = "",
        }
    }
}

fn select<'tree>(
    tree: &'tree SourceTree,
    folders: &BTreeSet<String>,
) -> Result<Vec<&'tree TreeFile>, GoError> {
    let mut members: Vec<&TreeFile> = Vec::new();
    for folder in folders {
        let inside = |other: &String| other != folder && within(folder, other);
        if !folders.iter().any(inside) {
            members.extend(tree.select(folder, Filter::All)?);
        }
    }
    members.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(members)
}

/// Whether a link of the selection leads to a part of the source that is not selected.
///
/// # Errors
/// GO-LINK when one leads out of the source: go would compile files that no key covers.
fn links_leave(
    tree: &SourceTree,
    members: &[&TreeFile],
    folders: &BTreeSet<String>,
) -> Result<bool, GoError> {
    let mut leaves = false;
    let mut root = None;
    for member in members {
        let (TreeKind::Symlink(target), path) = (&member.kind, member.path.as_str()) else {
            continue;
        };
        // Go never looks into these.
        if path
            .split('/')
            .any(|part| part == "testdata" || part.starts_with(['_', '.']))
        {
            continue;
        }
        let root = match &root {
            Some(root) => root,
            None => root.insert(canonical(tree.root())?),
        };
        let Ok(real) = fs_err::canonicalize(tree.root().join(path)) else {
            // A link that dangles holds nothing.
            continue;
        };
        let Ok(inside) = real.strip_prefix(root) else {
            return Err(GoError::Link {
                path: path.to_owned(),
                target: crate::layer::entry::escape(target.as_bytes()),
            });
        };
        let inside = inside.to_string_lossy();
        leaves |= !folders.iter().any(|folder| within(&inside, folder));
    }
    Ok(leaves)
}

fn canonical(path: &std::path::Path) -> Result<std::path::PathBuf, GoError> {
    fs_err::canonicalize(path).map_err(|source| GoError::Read {
        path: path.to_owned(),
        source,
    })
}
