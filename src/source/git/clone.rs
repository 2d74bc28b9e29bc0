//! Clones one commit into the cache.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::program::{Access, Git, Input, Output};
use super::{GitError, Revision, Why, revision};
use crate::digest::Digest;
use crate::layer::entry::escape;
use crate::progress::{Reporter, Verb};
use crate::source::SourceError;
use crate::source::url::{GitSource, GitUrl, Split};
use crate::source::walk::{self, FoundKind};
use crate::store::Store;

/// Near names that an error lists.
const NEAR: usize = 5;

/// Whether connections may be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// They may.
    #[default]
    Online,
    /// No: only what was fetched before (`--offline`); every attempt is an error, before a name
    /// is resolved.
    Offline,
}

/// A clone at one commit.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The work tree, in the cache; it has a `.git`.
    pub root: PathBuf,
    /// The folder to look in, below `root`; empty is the root.
    pub directory: String,
    /// The commit.
    pub revision: Revision,
    /// Last path element of the URL without `.git`.
    pub repository: String,
    /// The URL without credentials.
    pub url: String,
}

/// What a reference turned out to be.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Resolved {
    /// What to fetch: a full reference name or a commit.
    wanted: String,
    /// The commit, where the remote said it.
    commit: Option<String>,
    tag: Option<String>,
    branch: Option<String>,
    directory: String,
}

/// One reference of a remote, tags peeled.
struct RemoteRef {
    name: String,
    commit: String,
}

struct Cloning<'a> {
    git: Git<'a>,
    source: &'a GitSource,
    store: &'a Store,
    reporter: &'a dyn Reporter,
}

/// Clones a repository at one commit into the cache, or finds it there. Submodules and LFS
/// contents are not fetched: SRC-SUBMODULE and SRC-LFS warnings name them.
///
/// # Errors
/// SRC-GIT-NONE, SRC-GIT-CLONE, SRC-GIT-AUTH, SRC-GIT-REF, SRC-DIRECTORY, SRC-OFFLINE, and
/// those of the store.
pub fn clone(
    source: &GitSource,
    store: &Store,
    reporter: &dyn Reporter,
    env: &BTreeMap<String, OsString>,
    reach: Reach,
) -> Result<Checkout, SourceError> {
    let cloning = Cloning {
        git: Git::find(env)?,
        source,
        store,
        reporter,
    };
    let (resolved, root) = cloning.obtain(reach)?;
    let checkout = Checkout {
        revision: cloning.describe(&root, &resolved)?,
        root,
        directory: resolved.directory,
        repository: source.url.repository().to_owned(),
        url: source.url.address().to_owned(),
    };
    let folder = checkout.root.join(&checkout.directory);
    // A link would lead out of the clone; components of the path were checked when parsed.
    let inside = fs::canonicalize(&checkout.root).is_ok_and(|root| {
        fs::canonicalize(&folder).is_ok_and(|real| real.starts_with(root) && real.is_dir())
    });
    if !inside {
        return Err(SourceError::Git(GitError::Directory {
            url: source.url.to_string(),
            reference: cloning.shown_reference().to_owned(),
            directory: checkout.directory,
        }));
    }
    cloning.report(&checkout)?;
    Ok(checkout)
}

impl Cloning<'_> {
    fn url(&self) -> &GitUrl {
        &self.source.url
    }

    fn shown_reference(&self) -> &str {
        self.source.reference.as_deref().unwrap_or("HEAD")
    }

    /// The clone's folder, and what the reference was.
    fn obtain(&self, reach: Reach) -> Result<(Resolved, PathBuf), SourceError> {
        let hash = Digest::of(self.url().address().as_bytes()).hex();
        let clones = self.store.folder("git")?.join(&hash);
        fs::create_dir_all(&clones).map_err(|source| self.store.explain_write(source, 0))?;
        let _lock = self.store.lock(&format!("clone of {}", self.url()))?;
        let memo = Digest::of(
            format!(
                "git reference\0{hash}\0{}\0{}",
                self.shown_reference(),
                self.source.directory
            )
            .as_bytes(),
        );
        if let Some(known) = self.known(&clones, &memo, reach)? {
            return Ok(known);
        }
        if reach == Reach::Offline {
            return Err(SourceError::Git(GitError::Offline {
                url: self.url().to_string(),
                reference: self.shown_reference().to_owned(),
            }));
        }
        let mut resolved = self.resolve()?;
        let root = match self.present(&clones, &resolved)? {
            Some(root) => root,
            None => self.fetch(&clones, &mut resolved)?,
        };
        // A map of texts is always JSON.
        if let Ok(json) = serde_json::to_vec(&resolved) {
            self.store.put_memo(&memo, &json)?;
        }
        Ok((resolved, root))
    }

    /// A clone that needs no question to the remote: of a whole commit, or offline.
    fn known(
        &self,
        clones: &Path,
        memo: &Digest,
        reach: Reach,
    ) -> Result<Option<(Resolved, PathBuf)>, SourceError> {
        let reference = self.source.reference.as_deref();
        let remembered = || -> Option<Resolved> {
            let json = self.store.memo(memo)?;
            serde_json::from_slice(&json).ok()
        };
        let resolved = match reference.filter(|reference| is_commit(reference)) {
            Some(commit) => Some(self.of_commit(commit)),
            None if reach == Reach::Offline => remembered(),
            None => None,
        };
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let root = self.present(clones, &resolved)?;
        Ok(root.map(|root| (resolved, root)))
    }

    /// A clone that is here, brought back to its commit. One that git can't bring back is
    /// reported as CACHE-CORRUPT and removed.
    fn present(&self, clones: &Path, resolved: &Resolved) -> Result<Option<PathBuf>, SourceError> {
        let Some(commit) = &resolved.commit else {
            return Ok(None);
        };
        let root = clones.join(commit);
        if !root.is_dir() {
            return Ok(None);
        }
        let Err(error) = self.restore(&root, commit) else {
            return Ok(Some(root));
        };
        let text = format!(
            "the clone of {} at {commit} was removed: {error}",
            self.url()
        );
        self.reporter.warn("CACHE-CORRUPT", text);
        let removed = crate::store::upkeep::remove(&root);
        removed.map_err(|source| self.store.explain_write(source, 0))?;
        Ok(None)
    }

    fn of_commit(&self, commit: &str) -> Resolved {
        Resolved {
            wanted: commit.to_owned(),
            commit: Some(commit.to_owned()),
            tag: None,
            branch: None,
            directory: self.source.directory.clone(),
        }
    }

    /// Asks the remote what the reference is.
    fn resolve(&self) -> Result<Resolved, SourceError> {
        let reference = self.source.reference.as_deref();
        let Some(reference) = reference.filter(|reference| *reference != "HEAD") else {
            return self.resolve_head();
        };
        if is_commit(reference) {
            return Ok(self.of_commit(reference));
        }
        let refs = self.remote_refs(reference)?;
        for (reference, directory) in self.splits(reference) {
            let candidates = [
                format!("refs/heads/{reference}"),
                format!("refs/tags/{reference}"),
                reference.clone(),
            ];
            let found = refs
                .iter()
                .find(|found| candidates.contains(&found.name))
                .map(|found| (found.name.clone(), found.commit.clone()));
            if let Some((name, commit)) = found {
                let tag = name.strip_prefix("refs/tags/").map(str::to_owned);
                return Ok(Resolved {
                    tag: tag.or_else(|| tag_at(&refs, &commit)),
                    branch: name.strip_prefix("refs/heads/").map(str::to_owned),
                    wanted: name,
                    commit: Some(commit),
                    directory,
                });
            }
        }
        if is_hex(reference) && reference.len() >= 7 {
            return Ok(Resolved {
                commit: None,
                ..self.of_commit(reference)
            });
        }
        Err(SourceError::Git(self.no_such(reference, &refs)))
    }

    fn resolve_head(&self) -> Result<Resolved, SourceError> {
        let lines = self.ask(&["ls-remote", "--symref", "--", self.url().address(), "HEAD"])?;
        let (mut commit, mut branch) = (None, None);
        for line in lines.lines() {
            match line.split_once('\t') {
                Some((target, "HEAD")) if target.starts_with("ref: ") => {
                    branch = target.strip_prefix("ref: refs/heads/").map(str::to_owned);
                }
                Some((id, "HEAD")) => commit = Some(id.to_owned()),
                _ => {}
            }
        }
        let Some(commit) = commit else {
            return Err(SourceError::Git(self.no_such("HEAD", &[])));
        };
        let refs = self.remote_refs("")?;
        Ok(Resolved {
            wanted: "HEAD".to_owned(),
            tag: tag_at(&refs, &commit),
            commit: Some(commit),
            branch,
            directory: self.source.directory.clone(),
        })
    }

    /// Branches and tags of the remote; `refs/…` that is neither is asked for by its name.
    fn remote_refs(&self, reference: &str) -> Result<Vec<RemoteRef>, SourceError> {
        let address = self.url().address();
        let lines = if reference.starts_with("refs/") {
            self.ask(&["ls-remote", "--", address, reference])?
        } else {
            self.ask(&["ls-remote", "--heads", "--tags", "--", address])?
        };
        let mut refs = BTreeMap::new();
        for line in lines.lines() {
            if let Some((id, name)) = line.split_once('\t').filter(|(id, _)| is_hex(id)) {
                // `refs/tags/v1^{}` follows `refs/tags/v1` and names the commit.
                let name = name.strip_suffix("^{}").unwrap_or(name);
                refs.insert(name.to_owned(), id.to_owned());
            }
        }
        let refs = refs.into_iter();
        Ok(refs
            .map(|(name, commit)| RemoteRef { name, commit })
            .collect())
    }

    /// The ways in which a pasted `REF/DIRECTORY` may be cut, shortest reference first.
    fn splits(&self, reference: &str) -> Vec<(String, String)> {
        let mut splits = vec![(reference.to_owned(), self.source.directory.clone())];
        if self.source.split == Split::AtSomeSlash {
            let (mut reference, mut directory) = splits[0].clone();
            while !directory.is_empty() {
                let (first, rest) = directory.split_once('/').unwrap_or((&directory, ""));
                reference = format!("{reference}/{first}");
                directory = rest.to_owned();
                splits.push((reference.clone(), directory.clone()));
            }
        }
        splits
    }

    fn no_such(&self, reference: &str, refs: &[RemoteRef]) -> GitError {
        let mut near: Vec<(f64, &str)> = refs
            .iter()
            .filter_map(|found| found.name.splitn(3, '/').nth(2))
            .map(|name| {
                (
                    strsim::normalized_damerau_levenshtein(reference, name),
                    name,
                )
            })
            .filter(|(likeness, _)| *likeness >= 0.5)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        GitError::Ref {
            url: self.url().to_string(),
            reference: reference.to_owned(),
            near: near
                .iter()
                .take(NEAR)
                .map(|(_, name)| (*name).to_owned())
                .collect(),
        }
    }

    /// Fetches beside, checks out, and renames to the commit's name.
    fn fetch(&self, clones: &Path, resolved: &mut Resolved) -> Result<PathBuf, SourceError> {
        let beside = self.store.temporary_folder()?;
        self.local(&beside, &["init", "--quiet", "--template="])?;
        let address = self.url().address();
        let shallow = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--",
            address,
            &resolved.wanted,
        ];
        let fetched = self.remote(&beside, &shallow)?;
        let name = if fetched.status.success() {
            "FETCH_HEAD"
        } else if is_hex(&resolved.wanted) {
            // Servers may refuse a commit by its name; a full fetch has it.
            let full = [
                "fetch",
                "--quiet",
                "--",
                address,
                "+refs/heads/*:refs/remotes/origin/*",
                "+refs/tags/*:refs/tags/*",
            ];
            self.expect_remote(self.remote(&beside, &full)?)?;
            resolved.wanted.as_str()
        } else {
            return Err(SourceError::Git(self.failed(&fetched.said)));
        };
        let parsed = self.try_local(
            &beside,
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                &format!("{name}^{{commit}}"),
            ],
        )?;
        let commit = String::from_utf8_lossy(&parsed.stdout).trim().to_owned();
        if !parsed.status.success() || !is_hex(&commit) {
            return Err(SourceError::Git(self.no_such(&resolved.wanted, &[])));
        }
        self.local(
            &beside,
            &["checkout", "--quiet", "--force", "--detach", &commit],
        )?;
        let root = clones.join(&commit);
        resolved.commit = Some(commit);
        if root.is_dir() {
            return Ok(root); // The remote moved on to a commit that is here.
        }
        fs::rename(&beside, &root).map_err(|source| self.store.explain_write(source, 0))?;
        Ok(root)
    }

    /// Brings a clone that was used before back to its commit, whatever a build left in it.
    fn restore(&self, root: &Path, commit: &str) -> Result<(), SourceError> {
        // Ours is the only git that writes here, and we hold the lock: this one's owner is dead.
        let stale = root.join(".git/index.lock");
        if stale.exists() {
            fs::remove_file(&stale).map_err(|source| self.store.explain_write(source, 0))?;
        }
        self.local(root, &["reset", "--quiet", "--hard", commit])?;
        self.local(root, &["clean", "-ffdxq"])?;
        // Its time of last use, for `cache prune`.
        crate::store::upkeep::touch(root);
        Ok(())
    }

    fn describe(&self, root: &Path, resolved: &Resolved) -> Result<Revision, SourceError> {
        let commit = resolved.commit.clone().unwrap_or_default();
        Ok(Revision {
            time: revision::commit_time(&self.git, root, &commit)?,
            commit,
            tag: resolved.tag.clone(),
            branch: resolved.branch.clone(),
            dirty: false,
        })
    }

    fn report(&self, checkout: &Checkout) -> Result<(), SourceError> {
        let reference = self.shown_reference();
        let short: String = checkout.revision.commit.chars().take(12).collect();
        let text = format!("{} at {reference}, commit {short}", self.url());
        self.reporter.line(Verb::Cloned, text);

        let links = revision::submodules(&self.git, &checkout.root, &checkout.revision.commit)?;
        if !links.is_empty() {
            let text = format!("submodules are not fetched: {}", links.join(", "));
            self.reporter.warn("SRC-SUBMODULE", text);
        }
        let (count, first) = lfs_pointers(&checkout.root)?;
        if count > 0 {
            let text = format!(
                "{count} files are Git LFS pointers, whose contents are not fetched; the first is {first}"
            );
            self.reporter.warn("SRC-LFS", text);
        }
        Ok(())
    }

    fn ask(&self, args: &[&str]) -> Result<String, SourceError> {
        let output = self.remote(Path::new("/nonexistent"), args)?;
        let output = self.expect_remote(output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn remote(&self, root: &Path, args: &[&str]) -> Result<Output, SourceError> {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let access = Access::Remote(self.url());
        Ok(self.git.run(access, root, &args, Input::None)?)
    }

    fn expect_remote(&self, output: Output) -> Result<Output, SourceError> {
        if output.status.success() {
            Ok(output)
        } else {
            Err(SourceError::Git(self.failed(&output.said)))
        }
    }

    fn try_local(&self, root: &Path, args: &[&str]) -> Result<Output, SourceError> {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        Ok(self.git.run(Access::Local, root, &args, Input::None)?)
    }

    fn local(&self, root: &Path, args: &[&str]) -> Result<Output, SourceError> {
        self.expect_remote(self.try_local(root, args)?)
    }

    /// git's words, sorted by what the user can do.
    fn failed(&self, said: &str) -> GitError {
        const LOGIN: [&str; 8] = [
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
            "Permission denied (",
            "returned error: 401",
            "returned error: 403",
            "Repository not found",
        ];
        const NETWORK: [&str; 6] = [
            "Could not resolve host",
            "Failed to connect",
            "Connection refused",
            "Connection timed out",
            "early EOF",
            "Connection reset",
        ];
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
        let (url, said) = (self.url().to_string(), said.to_owned());
        if says(&LOGIN) {
            return GitError::Auth { url, said };
        }
        let why = if says(&NETWORK) {
            Why::Network
        } else {
            Why::Other
        };
        GitError::Clone { url, said, why }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_commit(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

fn tag_at(refs: &[RemoteRef], commit: &str) -> Option<String> {
    refs.iter()
        .filter(|found| found.commit == commit)
        .filter_map(|found| found.name.strip_prefix("refs/tags/"))
        .next_back()
        .map(str::to_owned)
}

/// How many files of a clone are LFS pointers, and the first of them.
fn lfs_pointers(root: &Path) -> Result<(usize, String), SourceError> {
    /// git-lfs, docs/spec.md, "The Pointer"; a pointer is shorter than 1024 bytes.
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
    let folder = walk::open_root(root)?;
    let found = walk::walk(&folder, &std::collections::BTreeSet::new())?;
    let head = |path: &[u8], length: usize| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = walk::open_beneath(&folder, path)?;
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let uses_lfs = found.iter().any(|found| {
        let attributes = matches!(found.kind, FoundKind::File { .. })
            && found.path.split(|byte| *byte == b'/').next_back() == Some(b".gitattributes");
        attributes
            && head(&found.path, 1 << 20)
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains("filter=lfs"))
    });
    if !uses_lfs {
        return Ok((0, String::new()));
    }
    let pointers: Vec<&[u8]> = found
        .iter()
        .filter(|found| matches!(&found.kind, FoundKind::File { stat, .. } if stat.size < 1024))
        .filter(|found| head(&found.path, POINTER.len()).is_ok_and(|head| head == POINTER))
        .map(|found| found.path.as_slice())
        .collect();
    Ok((
        pointers.len(),
        pointers.first().map_or(String::new(), |path| escape(path)),
    ))
}
