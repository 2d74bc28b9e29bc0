//! Paths of a source as text: `/`-separated and relative, with an empty text for the root.

use crate::source::is_under;

/// `folder/name`, where an empty folder is the root.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// A path without empty, `.` and `..` components; none when it climbs above its start.
pub(super) fn lexical(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether `path` is `folder` or lies below it.
pub(super) fn within(path: &str, folder: &str) -> bool {
    is_under(path.as_bytes(), folder.as_bytes())
}

/// A relative path seen from a folder of the source; none when it leaves the source.
pub(super) fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    lexical(&join(folder, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_source() {
        for (folder, path, resolved) in [
            ("", "./a", Some("a")),
            ("a/b", "../c", Some("a/c")),
            ("a", "..", Some("")),
            ("a", "../..", None),
            ("", "../x", None),
            ("", "/etc", None),
            ("a", "./b/../../c/", Some("c")),
        ] {
            assert_eq!(
                resolve(folder, path).as_deref(),
                resolved,
                "{folder} {path}"
            );
        }
    }
}
