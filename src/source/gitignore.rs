//! `.gitignore` files inside a tree, with git's semantics (gitignore(5)): nested files, the
//! deepest one wins, and nothing below an ignored folder can be brought back.
//!
//! Only files of the tree count: no global excludes, no `.git/info/exclude`, no parents of the
//! root. What git tracks although it is ignored can't be known without `.git`, so it is ignored.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{IGNORE_LIMIT, SourceError, SourceTree, TreeKind};

/// The rules of every `.gitignore` of a tree.
pub(super) struct GitRules {
    /// By the folder that holds the file; the root is empty.
    by_folder: BTreeMap<Vec<u8>, Gitignore>,
    /// Folders judged so far.
    ignored: BTreeMap<Vec<u8>, bool>,
}

impl GitRules {
    pub(super) fn of(tree: &SourceTree) -> Result<Self, SourceError> {
        let mut by_folder = BTreeMap::new();
        for file in tree.files() {
            // git does not follow a link of this name either.
            if file.path.name() != ".gitignore" || matches!(file.kind, TreeKind::Symlink(_)) {
                continue;
            }
            let path = file.path.as_str();
            let text = tree.read(path, IGNORE_LIMIT)?.unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let rules = rules(&text).map_err(|error| SourceError::Ignore {
                file: file.path.to_string(),
                line: 1,
                why: format!("its patterns are too large: {error}"),
            })?;
            by_folder.insert(folder.as_bytes().to_owned(), rules);
        }
        Ok(Self {
            by_folder,
            ignored: BTreeMap::new(),
        })
    }

    /// Whether a file stays.
    pub(super) fn keeps(&mut self, path: &[u8]) -> bool {
        !self.folder_ignored(parent(path)) && !self.matches(path, Is::File)
    }

    fn folder_ignored(&mut self, folder: &[u8]) -> bool {
        if folder.is_empty() {
            return false;
        }
        if let Some(known) = self.ignored.get(folder) {
            return *known;
        }
        let ignored = self.folder_ignored(parent(folder)) || self.matches(folder, Is::Folder);
        self.ignored.insert(folder.to_owned(), ignored);
        ignored
    }

    /// The verdict of the deepest `.gitignore` that has one.
    fn matches(&self, path: &[u8], is: Is) -> bool {
        let mut folder = parent(path);
        loop {
            if let Some(rules) = self.by_folder.get(folder) {
                let skip = if folder.is_empty() {
                    0
                } else {
                    folder.len() + 1
                };
                let below = Path::new(OsStr::from_bytes(&path[skip..]));
                match rules.matched(below, is == Is::Folder) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
            if folder.is_empty() {
                return false;
            }
            folder = parent(folder);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    File,
    Folder,
}

fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    &path[..slash.unwrap_or(0)]
}

fn rules(text: &[u8]) -> Result<Gitignore, ignore::Error> {
    let text = String::from_utf8_lossy(text);
    let mut builder = GitignoreBuilder::new("");
    for line in text.trim_start_matches('\u{feff}').lines() {
        // As in git, a line that is no pattern matches nothing.
        let _no_pattern = builder.add_line(None, line);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_too_large_are_not_passed_over() {
        let small = (0..100).fold(String::new(), |text, n| format!("{text}a*b[0-9]?{n}\n"));
        assert!(rules(small.as_bytes()).is_ok());
        let large = format!("{}*\n", "?".repeat(1_000)).repeat(300);
        assert!(rules(large.as_bytes()).is_err());
    }
}
