//! The commit of a local source.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::program::{Access, Git, Input, Output};
use super::{GitError, Revision};
use crate::digest::Digest;
use crate::layer::entry::escape;
use crate::source::gitignore::GitRules;
use crate::source::{SourceError, SourceTree, TreeFile, TreeKind, walk};
use crate::store::Store;

/// The commit that a source tree stands at. None when its root has no `.git` of its own (an
/// enclosing repository says nothing about it), or no commit yet. The store remembers whether
/// the tree is dirty, by commit and contents.
///
/// # Errors
/// SRC-GIT-NONE; SRC-GIT-READ when git can't read the repository.
pub fn revision(
    tree: &SourceTree,
    store: Option<&Store>,
    env: &BTreeMap<String, OsString>,
) -> Result<Option<Revision>, SourceError> {
    let root = tree.root();
    if fs_err::symlink_metadata(root.join(".git")).is_err() {
        return Ok(None);
    }
    let root = fs_err::canonicalize(root).map_err(|source| SourceError::Read {
        path: root.display().to_string(),
        source,
    })?;
    let git = Git::find(env)?;
    let head = ask(&git, &root, &["rev-parse", "--verify", "--quiet", "HEAD"])?;
    if !head.status.success() && head.said.is_empty() {
        return Ok(None); // An unborn branch: no commit yet.
    }
    let commit = line(&expect(&root, head)?);
    let points = format!("--points-at={commit}");
    let format = "--format=%(refname:strip=2)";
    let tags = ask(&git, &root, &["for-each-ref", &points, format, "refs/tags"])?;
    let tags = expect(&root, tags)?;
    let branch = ask(&git, &root, &["symbolic-ref", "--quiet", "HEAD"])?;
    Ok(Some(Revision {
        time: commit_time(&git, &root, &commit)?,
        tag: String::from_utf8_lossy(&tags.stdout)
            .lines()
            .next_back()
            .map(str::to_owned),
        // A detached HEAD is no failure: exit 1 without words.
        branch: line(&branch).strip_prefix("refs/heads/").map(str::to_owned),
        dirty: remembered_dirt(&git, tree, &commit, store)?,
        commit,
    }))
}

fn remembered_dirt(
    git: &Git<'_>,
    tree: &SourceTree,
    commit: &str,
    store: Option<&Store>,
) -> Result<bool, SourceError> {
    let contents = tree.digest(&tree.files().iter().collect::<Vec<_>>());
    let refused = tree.refused.len();
    let key = format!("git dirty 1\0{commit}\0{}\0{refused}", contents.0);
    let key = Digest::of(key.as_bytes());
    if let Some(known) = store.and_then(|store| store.memo(&key)) {
        return Ok(known == b"dirty");
    }
    let dirty = is_dirty(git, tree, commit)?;
    if let Some(store) = store {
        let value: &[u8] = if dirty { b"dirty" } else { b"clean" };
        store.remember("the state of the work tree", &key, value);
    }
    Ok(dirty)
}

/// A member of a commit's tree.
struct Member {
    mode: Vec<u8>,
    id: String,
}

/// Compares the commit's tree with the files by git's own object ids, which `hash-object
/// --no-filters` computes. `git status` would run the clean filters that a hostile
/// `.git/config` names.
fn is_dirty(git: &Git<'_>, tree: &SourceTree, commit: &str) -> Result<bool, SourceError> {
    let mut members = members(git, tree.root(), commit)?;
    let submodules: Vec<Vec<u8>> = members
        .iter()
        .filter(|(_, member)| member.mode == b"160000")
        .map(|(path, _)| [path.as_slice(), b"/"].concat())
        .collect();
    members.retain(|_, member| member.mode != b"160000");
    // What we write is no part of the tree: a committed bases.lock is not gone.
    for path in tree.left_out() {
        members.remove(&path);
    }

    let mut files = Vec::new();
    let mut links = Vec::new();
    let mut rules = GitRules::of(tree)?;
    let untracked = tree.files().iter().any(|file| {
        let path = file.path.as_str().as_bytes();
        let inside = |folder: &Vec<u8>| path.starts_with(folder);
        !members.contains_key(path) && !submodules.iter().any(inside) && rules.keeps(path)
    });
    for file in tree.files() {
        let Some(member) = members.remove(file.path.as_str().as_bytes()) else {
            continue;
        };
        match (&file.kind, member.mode.as_slice()) {
            (TreeKind::File(_), b"100644" | b"100664") | (TreeKind::Executable(_), b"100755") => {
                files.push((file, member.id));
            }
            (TreeKind::Symlink(target), b"120000") => links.push((target.as_str(), member.id)),
            _ => return Ok(true),
        }
    }
    // What is left of the commit is gone, or is nothing that an image can hold.
    if untracked || !members.is_empty() {
        return Ok(true);
    }
    Ok(links_differ(git, tree.root(), &links)? || files_differ(git, tree.root(), &files)?)
}

fn members(
    git: &Git<'_>,
    root: &Path,
    commit: &str,
) -> Result<BTreeMap<Vec<u8>, Member>, SourceError> {
    let args = ["ls-tree", "-r", "-z", "--full-tree", commit];
    let listed = expect(root, ask(git, root, &args)?)?;
    let mut members = BTreeMap::new();
    for entry in listed.stdout.split(|byte| *byte == 0) {
        // `<mode> <type> <id>\t<path>`
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let mut fields = entry[..tab].split(|byte| *byte == b' ');
        if let (Some(mode), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) {
            let member = Member {
                mode: mode.to_owned(),
                id: String::from_utf8_lossy(id).into_owned(),
            };
            members.insert(entry[tab + 1..].to_owned(), member);
        }
    }
    Ok(members)
}

fn links_differ(git: &Git<'_>, root: &Path, links: &[(&str, String)]) -> Result<bool, SourceError> {
    if links.is_empty() {
        return Ok(false);
    }
    let ids = lines(links.iter().map(|(_, id)| id.as_str()));
    // Each as `<id> blob <size>\n<contents>\n`.
    let expected: Vec<u8> = links
        .iter()
        .flat_map(|(target, id)| format!("{id} blob {}\n{target}\n", target.len()).into_bytes())
        .collect();
    let args = [OsStr::new("cat-file"), OsStr::new("--batch")];
    let input = Input::Bytes(ids.into_bytes());
    let output = expect(root, git.run(Access::Local, root, &args, input)?)?;
    Ok(output.stdout != expected)
}

fn files_differ(
    git: &Git<'_>,
    root: &Path,
    files: &[(&TreeFile, String)],
) -> Result<bool, SourceError> {
    // `--stdin-paths` reads lines, and takes a leading quote for an escape.
    let odd =
        |file: &TreeFile| file.path.as_str().contains('\n') || file.path.as_str().starts_with('"');
    let (odd, plain): (Vec<_>, Vec<_>) = files.iter().partition(|(file, _)| odd(file));
    let args = |last: &'static str| ["hash-object", "--no-filters", last].map(OsStr::new);
    if !plain.is_empty() {
        let paths = lines(plain.iter().map(|(file, _)| file.path.as_str()));
        let expected = lines(plain.iter().map(|(_, id)| id.as_str()));
        let input = Input::Bytes(paths.into_bytes());
        let output = git.run(Access::Local, root, &args("--stdin-paths"), input)?;
        if expect(root, output)?.stdout != expected.as_bytes() {
            return Ok(true);
        }
    }
    for (file, id) in odd {
        let opened = walk::open_root(root)
            .map(|folder| walk::open_beneath(&folder, file.path.as_str().as_bytes()))?;
        let input = Input::File(opened.map_err(|source| SourceError::Read {
            path: file.path.to_string(),
            source,
        })?);
        let output = git.run(Access::Local, root, &args("--stdin"), input)?;
        if line(&expect(root, output)?) != *id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Committer time of a commit: seconds since 1970.
pub(super) fn commit_time(git: &Git<'_>, root: &Path, commit: &str) -> Result<i64, SourceError> {
    let output = expect(root, ask(git, root, &["cat-file", "commit", commit])?)?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            // `committer NAME <MAIL> SECONDS ZONE`
            let mut words = line.strip_prefix("committer ")?.rsplit(' ');
            words.nth(1)?.parse().ok()
        })
        .ok_or_else(|| {
            SourceError::Git(GitError::Read {
                root: root.display().to_string(),
                said: format!("commit {commit} has no committer time"),
            })
        })
}

/// Paths of the submodules of a commit, escaped.
pub(super) fn submodules(
    git: &Git<'_>,
    root: &Path,
    commit: &str,
) -> Result<Vec<String>, SourceError> {
    let members = members(git, root, commit)?.into_iter();
    Ok(members
        .filter(|(_, member)| member.mode == b"160000")
        .map(|(path, _)| escape(&path))
        .collect())
}

fn ask(git: &Git<'_>, root: &Path, args: &[&str]) -> Result<Output, SourceError> {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    Ok(git.run(Access::Local, root, &args, Input::None)?)
}

fn expect(root: &Path, output: Output) -> Result<Output, SourceError> {
    if output.status.success() {
        return Ok(output);
    }
    Err(SourceError::Git(GitError::Read {
        root: root.display().to_string(),
        said: output.said,
    }))
}

fn lines<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.flat_map(|item| [item, "\n"]).collect()
}

fn line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
