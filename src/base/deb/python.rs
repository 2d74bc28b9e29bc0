//! Python's standard library as .pyc files: a read-only image can never write them itself, and
//! without them each start compiles every module that it imports.
//!
//! The interpreter that compiles is the one of the packages, for the architecture of this machine;
//! it runs from the unpacked tree by its own loader, so that no root, chroot or glibc is needed.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fs_err as fs;

use super::AssembleError;
use super::merge::Tree;
use crate::layer::{Content, Entry, EntryPath, Executable, Node};
use crate::program::{Limits, RunError, run};
use crate::sandbox::{Confinement, NetworkAccess, Sandbox};

/// Version of how modules are compiled; another one means other bytes.
pub(super) const PYC_RULES: u32 = 1;

/// The program that compiles.
const LOOP: &str = include_str!("loop.py");

/// A whole standard library takes a second or two.
const LIMITS: Limits = Limits {
    time: Duration::from_mins(10),
    output: 1 << 20,
};

/// How programs of Debian run on this machine.
struct Host {
    debian: &'static str,
    triplet: &'static str,
    loader: &'static str,
}

const HOST: Option<Host> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some(Host {
        debian: "amd64",
        triplet: "x86_64-linux-gnu",
        loader: "ld-linux-x86-64.so.2",
    })
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some(Host {
        debian: "arm64",
        triplet: "aarch64-linux-gnu",
        loader: "ld-linux-aarch64.so.1",
    })
} else {
    None
};

/// The Debian architecture whose packages can compile on this machine.
///
/// # Errors
/// BASE-PYC on a machine that is neither linux/amd64 nor linux/arm64.
pub fn tool_architecture() -> Result<&'static str, AssembleError> {
    host().map(|host| host.debian)
}

fn host() -> Result<Host, AssembleError> {
    HOST.ok_or_else(|| failed("Debian's programs don't run on this machine".to_owned()))
}

/// What compiles.
pub(super) struct Compiler<'a> {
    pub(super) minor: u16,
    pub(super) sandbox: &'a Sandbox,
    /// An empty folder, on the file system of the packages' contents.
    pub(super) folder: &'a Path,
}

impl Compiler<'_> {
    /// The .pyc files of the modules in `tree`, made by the interpreter in `tools`: the same tree,
    /// or that of another architecture.
    ///
    /// # Errors
    /// BASE-PYC, BASE-DISK.
    pub(super) fn compile(&self, tree: &Tree, tools: &Tree) -> Result<Vec<Entry>, AssembleError> {
        let host = host()?;
        // The loader wants absolute paths, whatever the store was given as.
        let folder = fs::canonicalize(self.folder).map_err(AssembleError::disk)?;
        let modules: Vec<&Entry> = tree.entries().filter(|entry| is_module(entry)).collect();
        let program = folder.join("tools");
        unpack(
            &program,
            tools.entries().filter(|entry| self.is_tool(entry)),
        )?;
        let sources = folder.join("sources");
        unpack(&sources, modules.iter().copied())?;
        let out = folder.join("out");
        let script = folder.join("loop.py");
        let list = folder.join("list");
        let names = modules.iter().fold(String::new(), |mut names, entry| {
            // Writing to a String can't fail.
            let _infallible = write!(names, "{}\0", entry.path.as_str());
            names
        });
        fs::create_dir(&out)
            .and_then(|()| fs::write(&script, LOOP))
            .and_then(|()| fs::write(&list, names))
            .map_err(AssembleError::disk)?;
        let mut command = self.command(&host, &program)?;
        command.arg(&script).args([&sources, &list, &out]);
        command.current_dir(&out);
        let confinement = Confinement {
            read: vec![program, sources, script, list],
            write: vec![out.clone()],
            network: NetworkAccess::Denied,
        };
        start(&mut self.sandbox.confine(&command, &confinement)?)?;
        self.collect(&modules, &out)
    }

    /// The interpreter with all that it loads.
    fn is_tool(&self, entry: &Entry) -> bool {
        let path = entry.path.as_str();
        let library = path.starts_with("usr/lib/") || path.starts_with("lib/");
        library || path == self.program()
    }

    fn program(&self) -> String {
        format!("usr/bin/python3.{}", self.minor)
    }

    fn command(&self, host: &Host, root: &Path) -> Result<Command, AssembleError> {
        // Before /usr was merged, a part of the libraries was in /lib.
        let folders = [
            root.join("usr/lib").join(host.triplet),
            root.join("lib").join(host.triplet),
        ];
        let loader = folders.iter().map(|folder| folder.join(host.loader));
        let loader = loader.into_iter().find(|loader| loader.is_file());
        let loader = loader.ok_or_else(|| {
            let what = format!("the packages for {} have no {}", host.debian, host.loader);
            failed(what)
        })?;
        let libraries = folders.map(|folder| folder.display().to_string()).join(":");
        let mut command = Command::new(loader);
        command
            .arg("--library-path")
            .arg(libraries)
            .arg(root.join(self.program()))
            // No site, nothing written, no warnings about old sources.
            .args(["-S", "-B", "-W", "ignore"])
            .env("PYTHONHOME", root.join("usr"))
            .env("PYTHONHASHSEED", "0");
        Ok(command)
    }

    fn collect(&self, modules: &[&Entry], out: &Path) -> Result<Vec<Entry>, AssembleError> {
        let mut entries = Vec::new();
        for (number, module) in modules.iter().enumerate() {
            let path = out.join(format!("{number}.pyc"));
            // Templates and tests of broken sources compile to nothing.
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            let content = Content::File {
                path,
                size: found.len(),
                expected: None,
            };
            entries.push(Entry {
                path: self.cached(&module.path)?,
                node: Node::File {
                    executable: Executable::No,
                    content,
                },
                package: module.package.clone(),
            });
        }
        if entries.is_empty() {
            return Err(failed("the packages have no module".to_owned()));
        }
        Ok(entries)
    }

    /// `a/b.py` → `a/__pycache__/b.cpython-313.pyc` (PEP 3147)
    fn cached(&self, module: &EntryPath) -> Result<EntryPath, AssembleError> {
        let (folder, name) = module.as_str().rsplit_once('/').unwrap_or_default();
        let stem = name.strip_suffix(".py").unwrap_or(name);
        let minor = self.minor;
        let path = format!("{folder}/__pycache__/{stem}.cpython-3{minor}.pyc");
        Ok(EntryPath::new(path)?)
    }
}

/// A module of the standard library.
fn is_module(entry: &Entry) -> bool {
    let path = entry.path.as_str();
    let named = path.rsplit_once('.').is_some_and(|(_, end)| end == "py");
    let module = named && path.starts_with("usr/lib/python3");
    module && matches!(entry.node, Node::File { .. })
}

/// Lays entries out as files and links below `root`, without copying contents.
fn unpack<'a>(root: &Path, entries: impl Iterator<Item = &'a Entry>) -> Result<(), AssembleError> {
    let mut links: Vec<(PathBuf, &str)> = Vec::new();
    for entry in entries {
        let path = root.join(entry.path.as_str());
        let folder = || fs::create_dir_all(path.parent().unwrap_or(root));
        match &entry.node {
            Node::File {
                executable,
                content,
            } => {
                let placed = folder().and_then(|()| match content {
                    Content::File { path: from, .. } => fs::hard_link(from, &path),
                    Content::Bytes(bytes) => fs::write(&path, bytes),
                    Content::Spool(spool) => {
                        let mut file = fs::File::create_new(&path)?;
                        std::io::copy(&mut spool.reader(), &mut file).map(|_| ())
                    }
                });
                placed.map_err(AssembleError::disk)?;
                if *executable == Executable::Yes {
                    let mode = std::fs::Permissions::from_mode(0o700);
                    fs::set_permissions(&path, mode).map_err(AssembleError::disk)?;
                }
            }
            Node::Symlink { target } if !target.starts_with('/') => {
                folder().map_err(AssembleError::disk)?;
                links.push((path, target));
            }
            _ => {}
        }
    }
    // Last, so that nothing was written through one of them.
    for (path, target) in links {
        symlink(target, &path).map_err(|source| {
            let text = format!("{}: {source}", path.display());
            AssembleError::disk(std::io::Error::new(source.kind(), text))
        })?;
    }
    Ok(())
}

fn start(command: &mut Command) -> Result<(), AssembleError> {
    let output = match run(command, LIMITS) {
        Ok(output) => output,
        Err(RunError::Io(source)) => {
            return Err(AssembleError::Interpreter {
                what: "its interpreter can't be started".to_owned(),
                source: Some(source),
            });
        }
        Err(RunError::Stopped(what)) => return Err(failed(what)),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let last = crate::layer::entry::escape(last.unwrap_or("it says nothing").as_bytes());
    Err(failed(format!(
        "its interpreter ended with {}: {last}",
        output.status
    )))
}

fn failed(what: String) -> AssembleError {
    AssembleError::Interpreter { what, source: None }
}
