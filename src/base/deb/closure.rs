//! Which packages belong together: the roots and all that they need.
//!
//! No solver: a suite of Debian is closed in itself and has one version of each package that
//! counts, the highest one of the release, its updates and its security fixes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    pub(super) fn get(&self, name: &str) -> Option<(&str, Entry<'_>)> {
        let mut best: Option<(&str, Entry<'_>)> = None;
        for (suite, index) in &self.indices {
            if let Some(entry) = index.get(name)
                && best.is_none_or(|(_, known)| {
                    version::compare(known.version, entry.version) == Ordering::Less
                })
            {
                best = Some((suite, entry));
            }
        }
        best
    }

    /// Packages whose highest version stands for a name, by their own names.
    fn providers(&self, wanted: Alternative<'_>) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .indices
            .iter()
            .flat_map(|(_, index)| index.providers(wanted.name))
            .map(|entry| entry.name)
            .filter(|name| {
                self.get(name)
                    .is_some_and(|(_, best)| best.provides(wanted.name, wanted.constraint))
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
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
    while let Some(name) = closure.queue.pop_front() {
        let Some(entry) = closure.chosen.get(name).map(|chosen| chosen.entry) else {
            continue;
        };
        for (text, group) in groups(entry.depends) {
            closure.satisfy(name, text, &group)?;
        }
    }
    closure.check()?;
    Ok(closure.finish())
}

struct Chosen<'a> {
    suite: &'a str,
    entry: Entry<'a>,
    needed_by: Option<&'a str>,
}

struct Closure<'a> {
    universe: &'a Universe,
    exclude: BTreeSet<&'a str>,
    chosen: BTreeMap<&'a str, Chosen<'a>>,
    queue: VecDeque<&'a str>,
}

impl<'a> Closure<'a> {
    fn choose(&mut self, name: &str, needed_by: Option<&'a str>) -> Result<(), DebError> {
        if self.exclude.contains(name) || self.chosen.contains_key(name) {
            return Ok(());
        }
        let Some((suite, entry)) = self.universe.get(name) else {
            return Err(self.missing(name, "no such package", needed_by));
        };
        self.chosen.insert(
            entry.name,
            Chosen {
                suite,
                entry,
                needed_by,
            },
        );
        self.queue.push_back(entry.name);
        Ok(())
    }

    fn satisfy(
        &mut self,
        name: &'a str,
        text: &str,
        group: &[Alternative<'a>],
    ) -> Result<(), DebError> {
        if group.iter().any(|wanted| self.has(*wanted)) {
            return Ok(());
        }
        let real = group.iter().find(|wanted| {
            self.universe.get(wanted.name).is_some_and(|(_, entry)| {
                wanted.constraint.is_none_or(|c| c.accepts(entry.version))
            })
        });
        if let Some(real) = real {
            return self.choose(real.name, Some(name));
        }
        let provider = group
            .iter()
            .find_map(|wanted| self.universe.providers(*wanted).into_iter().next());
        match provider {
            Some(provider) => self.choose(provider, Some(name)),
            None => Err(self.missing(text, "no package satisfies it", Some(name))),
        }
    }

    /// Whether what is chosen, or left out on purpose, satisfies an alternative.
    fn has(&self, wanted: Alternative<'_>) -> bool {
        if self.exclude.contains(wanted.name) {
            return true;
        }
        let itself = self.chosen.get(wanted.name).is_some_and(|chosen| {
            wanted
                .constraint
                .is_none_or(|c| c.accepts(chosen.entry.version))
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
            for (text, group) in groups(chosen.entry.depends) {
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
            next = self.chosen.get(name).and_then(|chosen| chosen.needed_by);
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
                let why = chosen.needed_by.unwrap_or("root");
                chosen.entry.locked(chosen.suite, why)
            })
            .collect()
    }
}
