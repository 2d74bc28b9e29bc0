//! What a reference is on its remote.

use std::collections::BTreeMap;

use super::GitError;
use super::clone::Cloning;
use crate::source::SourceError;
use crate::source::url::Split;

/// Near names that an error lists.
const NEAR: usize = 5;

/// What a reference turned out to be.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Resolved {
    /// What to fetch: a full reference name or a commit.
    pub(super) wanted: String,
    /// The commit, where the remote said it.
    pub(super) commit: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) directory: String,
}

/// One reference of a remote, tags peeled.
pub(super) struct RemoteRef {
    name: String,
    commit: String,
}

impl Cloning<'_> {
    /// Asks the remote what the reference is.
    pub(super) fn resolve(&self) -> Result<Resolved, SourceError> {
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

    pub(super) fn no_such(&self, reference: &str, refs: &[RemoteRef]) -> GitError {
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
}

pub(super) fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

fn tag_at(refs: &[RemoteRef], commit: &str) -> Option<String> {
    refs.iter()
        .filter(|found| found.commit == commit)
        .filter_map(|found| found.name.strip_prefix("refs/tags/"))
        .next_back()
        .map(str::to_owned)
}
