//! Clones one commit into the cache.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::lfs::lfs_pointers;
use super::program::{Access, Git, Input, Output};
use super::resolve::{Resolved, is_commit, is_hex};
use super::{GitError, Revision, Why, revision, watch};
use crate::digest::Digest;
use crate::progress::{Meter, Reporter, Verb};
use crate::source::SourceError;
use crate::source::address::GitUrl;
use crate::source::url::GitSource;
use crate::store::Store;

/// The whole configuration of a clone.
const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n";

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

pub(super) struct Cloning<'a> {
    git: Git<'a>,
    pub(super) source: &'a GitSource,
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
    pub(super) fn url(&self) -> &GitUrl {
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
            let what = format!("the commit of {}", self.url());
            self.store.remember(&what, &memo, &json);
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
        let removed = crate::store::files::remove(&root);
        removed.map_err(|source| self.store.explain_write(source, 0))?;
        Ok(None)
    }

    pub(super) fn of_commit(&self, commit: &str) -> Resolved {
        Resolved {
            wanted: commit.to_owned(),
            commit: Some(commit.to_owned()),
            tag: None,
            branch: None,
            directory: self.source.directory.clone(),
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
        let name = format!("clone {}", self.url());
        let meter = Meter::new(self.reporter, name, None);
        let fetched = watch::fetch(&beside, &meter, || self.remote(&beside, &shallow))?;
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
            let fetched = watch::fetch(&beside, &meter, || self.remote(&beside, &full))?;
            self.expect_remote(fetched)?;
            resolved.wanted.as_str()
        } else {
            return Err(self.failed(&fetched.said));
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
        // A build in this folder may have written here; a filter in it would run now.
        fs::write(root.join(".git/config"), CONFIG)
            .map_err(|source| self.store.explain_write(source, 0))?;
        self.local(root, &["reset", "--quiet", "--hard", commit])?;
        self.local(root, &["clean", "-ffdxq"])?;
        // Its time of last use, for `cache prune`.
        crate::store::files::touch(root);
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
        let short = checkout.revision.short();
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

    pub(super) fn ask(&self, args: &[&str]) -> Result<String, SourceError> {
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
            Err(self.failed(&output.said))
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
    fn failed(&self, said: &str) -> SourceError {
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
        if says(&["No space left on device", "Disk quota exceeded"]) {
            let full = std::io::Error::new(std::io::ErrorKind::StorageFull, said.to_owned());
            return SourceError::Store(self.store.explain_write(full, 0));
        }
        let (url, said) = (self.url().to_string(), said.to_owned());
        if says(&LOGIN) {
            return SourceError::Git(GitError::Auth { url, said });
        }
        let why = if says(&NETWORK) {
            Why::Network
        } else {
            Why::Other
        };
        SourceError::Git(GitError::Clone { url, said, why })
    }
}
