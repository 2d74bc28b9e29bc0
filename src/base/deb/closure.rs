//! Which packages belong together: the roots and all that they need.
//!
//! No solver: a suite of Debian is closed in itself and has one version of each package that
//! counts, the highest one of the release, its updates and its security fixes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::control::{Alternative, groups};
use super::error::DebError;
use super::index::{Entry, Index};
use super::version;
use crate::base::lock::LockedPackage;

/// The indices of one architecture, with the names of their suites.
#[derive(Debug)]
pub(super) struct Universe {
    pub(super) indices: Vec<(String, Arc<Index>)>,
}

impl Universe {
    /// The highest version of a package, and its suite; the first suite where they are equal.
    ///
    /// # Errors
    /// BASE-READ, as of all that reads an index.
    pub(super) fn get(&self, name: &str) -> Result<Option<(&str, Entry)>, DebError> {
        let mut best: Option<(&str, Entry)> = None;
        for (suite, index) in &self.indices {
            if let Some(entry) = index.get(name).map_err(unreadable(suite))?
                && best.as_ref().is_none_or(|(_, known)| {
                    version::compare(&known.version, &entry.version) == Ordering::Less
                })
            {
                best = Some((suite, entry));
            }
        }
        Ok(best)
    }

    /// Packages whose highest version stands for a name, by their own names.
    fn providers(&self, wanted: Alternative<'_>) -> Result<Vec<String>, DebError> {
        let mut names = Vec::new();
        for (suite, index) in &self.indices {
            names.extend(index.providers(wanted.name).map_err(unreadable(suite))?);
        }
        names.sort_unstable();
        names.dedup();
        let mut providers = Vec::new();
        for name in names {
            if let Some((_, best)) = self.get(&name)?
                && best.provides(wanted.name, wanted.constraint)
            {
                providers.push(name);
            }
        }
        Ok(providers)
    }
}

fn unreadable(suite: &str) -> impl FnOnce(io::Error) -> DebError + use<'_> {
    move |source| DebError::Read {
        path: format!("the index of {suite} in the cache").into(),
        source,
    }
}

/// The closure of the roots, sorted by name.
///
/// # Errors
/// BASE-DEP with the chain of packages that leads to what is missing.
pub(super) fn closure(
    universe: &Universe,
    roots: &[String],
    exclude: &[String],
) -> Result<Vec<LockedPackage>, DebError> {
    let mut closure = Closure {
        universe,
        exclude: exclude.iter().map(String::as_str).collect(),
        chosen: BTreeMap::new(),
        queue: VecDeque::new(),
    };
    for root in roots {
        closure.choose(root, None)?;
    }
    while let Some(entry) = closure.queue.pop_front() {
        for (text, group) in groups(&entry.depends) {
            closure.satisfy(&entry.name, text, &group)?;
        }
    }
    closure.check()?;
    Ok(closure.finish())
}

struct Chosen<'a> {
    suite: &'a str,
    entry: Rc<Entry>,
    needed_by: Option<String>,
}

struct Closure<'a> {
    universe: &'a Universe,
    exclude: BTreeSet<&'a str>,
    chosen: BTreeMap<String, Chosen<'a>>,
    queue: VecDeque<Rc<Entry>>,
}

impl Closure<'_> {
    fn choose(&mut self, name: &str, needed_by: Option<&str>) -> Result<(), DebError> {
        if self.exclude.contains(name) || self.chosen.contains_key(name) {
            return Ok(());
        }
        let Some((suite, entry)) = self.universe.get(name)? else {
            return Err(self.missing(name, "no such package", needed_by));
        };
        let entry = Rc::new(entry);
        self.queue.push_back(Rc::clone(&entry));
        self.chosen.insert(
            name.to_owned(),
            Chosen {
                suite,
                entry,
                needed_by: needed_by.map(str::to_owned),
            },
        );
        Ok(())
    }

    fn satisfy(
        &mut self,
        name: &str,
        text: &str,
        group: &[Alternative<'_>],
    ) -> Result<(), DebError> {
        if group.iter().any(|wanted| self.has(*wanted)) {
            return Ok(());
        }
        for wanted in group {
            if let Some((_, entry)) = self.universe.get(wanted.name)?
                && wanted.constraint.is_none_or(|c| c.accepts(&entry.version))
            {
                return self.choose(wanted.name, Some(name));
            }
        }
        for wanted in group {
            if let Some(provider) = self.universe.providers(*wanted)?.first() {
                return self.choose(provider, Some(name));
            }
        }
        Err(self.missing(text, "no package satisfies it", Some(name)))
    }

    /// Whether what is chosen, or left out on purpose, satisfies an alternative.
    fn has(&self, wanted: Alternative<'_>) -> bool {
        if self.exclude.contains(wanted.name) {
            return true;
        }
        let itself = self.chosen.get(wanted.name).is_some_and(|chosen| {
            wanted
                .constraint
                .is_none_or(|c| c.accepts(&chosen.entry.version))
        });
        itself
            || self
                .chosen
                .values()
                .any(|chosen| chosen.entry.provides(wanted.name, wanted.constraint))
    }

    /// Every dependency of the final set, versions included.
    fn check(&self) -> Result<(), DebError> {
        for (name, chosen) in &self.chosen {
            for (text, group) in groups(&chosen.entry.depends) {
                if !group.iter().any(|wanted| self.has(*wanted)) {
                    return Err(self.missing(text, "the chosen version does not fit", Some(name)));
                }
            }
        }
        Ok(())
    }

    fn missing(&self, wanted: &str, why: &str, needed_by: Option<&str>) -> DebError {
        let mut chain = Vec::new();
        let mut next = needed_by;
        while let Some(name) = next {
            chain.push(name.to_owned());
            next = self
                .chosen
                .get(name)
                .and_then(|chosen| chosen.needed_by.as_deref());
        }
        chain.push("the base".to_owned());
        chain.reverse();
        DebError::Dependency {
            wanted: wanted.chars().take(200).collect(),
            why: why.to_owned(),
            chain,
        }
    }

    fn finish(self) -> Vec<LockedPackage> {
        self.chosen
            .values()
            .filter_map(|chosen| {
                let why = chosen.needed_by.as_deref().unwrap_or("root");
                chosen.entry.locked(chosen.suite, why)
            })
            .collect()
    }
}
