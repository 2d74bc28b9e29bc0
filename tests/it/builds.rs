//! Building through the program, away from the user's folders: what determinism and robustness
//! start from.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::support::{karisimbi, run, shown, tool, write};

/// A folder that every user can read, with a home and a working directory in it.
pub(crate) struct Site(TempDir);

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self(tempfile::tempdir().expect("a folder"));
        open_to_all(site.0.path());
        for name in ["home", "here", "tmp"] {
            std::fs::create_dir(site.path(name)).expect("a folder");
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with nothing of the user's environment but PATH.
    pub(crate) fn program(&self) -> Command {
        self.at_home(karisimbi())
    }

    /// A command that sees the site alone.
    pub(crate) fn at_home(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a PATH"))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.path("here"));
        command
    }

    /// Arguments of a build of `source` with the cache and output of these names.
    pub(crate) fn build(&self, source: &Path, recipe: Recipe, cache: &Path, out: &Path) -> Command {
        let mut command = self.program();
        recipe.arguments(source, cache, out, &mut command);
        command
    }

    /// What lies in the working directory, the home and the folder of temporary files. The go
    /// command that is asked for its version counts itself in the user's home, as it always does.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let counters = self.path("home/.config");
        ["home", "here", "tmp"]
            .iter()
            .flat_map(|name| listed(&self.path(name)))
            .filter(|path| !path.starts_with(&counters))
            .collect()
    }
}

/// What a test builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    Files,
    Go,
}

impl Recipe {
    pub(crate) fn arguments(self, source: &Path, cache: &Path, out: &Path, command: &mut Command) {
        self.start(source, cache, command);
        command.arg("-o").arg(layout_name(out));
    }

    /// Arguments without an output.
    pub(crate) fn start(self, source: &Path, cache: &Path, command: &mut Command) {
        command.arg("build").arg(source);
        if self == Self::Files {
            command.args(["--recipe", "files", "--base", "scratch"]);
            command.args(["--entrypoint", "/app/run"]);
        }
        command.arg("--cache-dir").arg(cache);
    }
}

/// `oci:DIR:v1`
pub(crate) fn layout_name(folder: &Path) -> String {
    format!("oci:{}:v1", folder.display())
}

/// The digest that a layout's tag points at.
pub(crate) fn digest_of(layout: &Path) -> String {
    let text = std::fs::read_to_string(layout.join("index.json")).expect("an index");
    let index: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str();
    digest.expect("a digest").to_owned()
}

/// The manifest that a layout's tag points at.
pub(crate) fn manifest_of(layout: &Path) -> serde_json::Value {
    blob_of(layout, &digest_of(layout))
}

/// A document among a layout's blobs.
pub(crate) fn blob_of(layout: &Path, digest: &str) -> serde_json::Value {
    let hex = digest.trim_start_matches("sha256:");
    let bytes = std::fs::read(layout.join("blobs/sha256").join(hex)).expect("a blob");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Runs a build that must succeed, and yields the digest of its image and its standard error.
pub(crate) fn built(command: &mut Command, layout: &Path) -> (String, String) {
    let output = finished(command);
    assert!(output.status.success(), "{command:?}\n{}", shown(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (digest_of(layout), said)
}

pub(crate) fn finished(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Bytes without patterns, the same ones for a seed.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A Go module of one file that needs no other module.
pub(crate) fn go_module(folder: &Path) {
    write(
        &folder.join("go.mod"),
        "module example.org/tool\n\ngo 1.25\n",
    );
    write(
        &folder.join("main.go"),
        "package main\n\nvar version = \"dev\"\n\nfunc main() { println(\"tool\", version) }\n",
    );
}

/// Runs git in a repository with a fixed author and fixed times.
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let mut command = tool("git");
    command.current_dir(folder).args(arguments);
    for name in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{name}_NAME"), "a test")
            .env(format!("GIT_{name}_EMAIL"), "test@localhost")
            .env(format!("GIT_{name}_DATE"), "1700000000 +0100");
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    run(&mut command);
}

/// Makes a repository of a folder, with one commit.
pub(crate) fn commit(folder: &Path) {
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "first"]);
}

/// Copies a folder with everything that `cp -a` keeps.
pub(crate) fn copy(from: &Path, to: &Path) {
    run(tool("cp").arg("-a").arg(from).arg(to));
}

/// Puts what the Go compiler keeps into an empty cache: the records stay cold, and the standard
/// library is not compiled again.
pub(crate) fn warm_compiler(from: &Path, cache: &Path) {
    std::fs::create_dir(cache).expect("a folder");
    // Without the tag it would be a folder of somebody else.
    write(&cache.join("CACHEDIR.TAG"), karisimbi::store::CACHEDIR_TAG);
    copy(&from.join("go"), cache);
}

pub(crate) fn owned_by(path: &Path, account: u32) {
    let account = format!("{account}:{account}");
    run(tool("chown").arg("-R").arg(account).arg(path));
}

pub(crate) fn open_to_all(path: &Path) {
    set_mode(path, 0o755);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("a mode");
}

/// Everything below a folder, sorted; nothing when it is not there.
pub(crate) fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = listed(folder);
    found.retain(|path| !path.is_dir());
    found
}

/// Fails unless every blob of a layout or a cache has the content that its name says.
#[track_caller]
pub(crate) fn assert_whole(folder: &Path) {
    for path in files(&folder.join("blobs")) {
        let bytes = std::fs::read(&path).expect("a blob");
        let digest = karisimbi::digest::Digest::of(&bytes);
        let name = path.file_name().and_then(OsStr::to_str);
        assert_eq!(name, Some(digest.hex().as_str()), "{}", path.display());
    }
}
