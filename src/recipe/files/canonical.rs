//! Paths seen through a base's symbolic links.
//!
//! A layer that brings a directory `lib` over a base where `lib` is a link to `usr/lib` replaces the
//! link, and every program of the base loses its libraries. So `lib/x` is written as `usr/lib/x`.

use std::collections::BTreeMap;

use crate::image::links::follow;
use crate::layer::{EntryKind, EntrySummary};

/// A path that no directory of the base can be.
#[derive(Debug, thiserror::Error)]
#[error("/{path}: the base has too many symbolic links there")]
pub struct LinkLoop {
    /// The path that was asked for.
    pub path: String,
}

/// Where a directory of the image lies once the base's links are followed; absolute links count
/// from the image's root, and `..` stops there.
///
/// # Errors
/// A loop of links.
pub fn directory(base: &BTreeMap<String, EntrySummary>, path: &str) -> Result<String, LinkLoop> {
    let target = |path: &str| {
        let entry = base.get(path);
        entry
            .filter(|entry| entry.kind == EntryKind::Symlink)
            .and_then(|entry| entry.target.as_deref())
    };
    follow(path, target).ok_or_else(|| LinkLoop {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(links: &[(&str, &str)]) -> BTreeMap<String, EntrySummary> {
        links
            .iter()
            .map(|(path, target)| {
                let entry = EntrySummary {
                    path: (*path).to_owned(),
                    kind: EntryKind::Symlink,
                    size: 0,
                    target: Some((*target).to_owned()),
                    script: None,
                };
                ((*path).to_owned(), entry)
            })
            .collect()
    }

    #[test]
    fn links_of_the_base_are_followed() {
        let base = base(&[
            ("lib", "usr/lib"),
            ("usr/lib/x", "../share/x"),
            ("var/run", "/run"),
            ("top", "../../../etc"),
        ]);
        for (path, expected) in [
            ("lib", "usr/lib"),
            ("lib/a/b", "usr/lib/a/b"),
            ("lib/x/y", "usr/share/x/y"),
            ("var/run/app", "run/app"),
            ("top/hosts", "etc/hosts"),
            ("app/lib", "app/lib"),
        ] {
            assert_eq!(directory(&base, path).unwrap(), expected);
        }
    }

    #[test]
    fn loops_end() {
        let base = base(&[("a", "b"), ("b", "/a")]);
        let error = directory(&base, "a/x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/a/x: the base has too many symbolic links there"
        );
    }
}
