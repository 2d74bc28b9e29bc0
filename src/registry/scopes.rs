//! What a token is for.

use std::collections::BTreeMap;

use crate::reference::Repository;

/// What is allowed in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Pull,
    /// Push alone is useless: every push begins with questions.
    PullPush,
}

/// What a token is for: access by repository path, on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes(BTreeMap<String, Access>);

impl Scopes {
    pub(super) fn of(repository: &Repository, access: Access) -> Self {
        Self(BTreeMap::from([(repository.path.clone(), access)]))
    }

    /// Adds the right to pull from `sources` on the same host, which a mount needs.
    pub(super) fn with_sources(mut self, target: &Repository, sources: &[Repository]) -> Self {
        for source in sources.iter().filter(|source| source.host == target.host) {
            self.0.entry(source.path.clone()).or_insert(Access::Pull);
        }
        self
    }

    pub(super) fn may_push(&self, repository: &Repository) -> bool {
        self.0.get(&repository.path) == Some(&Access::PullPush)
    }

    pub(super) fn covers(&self, needed: &Self) -> bool {
        needed
            .0
            .iter()
            .all(|(path, access)| self.0.get(path).is_some_and(|have| have >= access))
    }

    /// `repository:PATH:pull,push`, one for each repository.
    pub(super) fn parameters(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(path, access)| {
            let actions = match access {
                Access::Pull => "pull",
                Access::PullPush => "pull,push",
            };
            format!("repository:{path}:{actions}")
        })
    }
}
