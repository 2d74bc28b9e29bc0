//! The sources of the machine's apt (sources.list(5)).

use std::path::{Path, PathBuf};

use super::error::DebError;
use super::mirror::{Source, is_debian, small_file};

/// Sources of Debian's own suites with the component main.
///
/// # Errors
/// BASE-READ.
pub(super) fn read(apt: &Path) -> Result<Vec<Source>, DebError> {
    let mut sources = Vec::new();
    if let Some(text) = small_file(&apt.join("sources.list"))? {
        sources.extend(text.lines().filter_map(one_line));
    }
    for path in files(&apt.join("sources.list.d"), &["list", "sources"])? {
        let Some(text) = small_file(&path)? else {
            continue;
        };
        if path.extension().is_some_and(|e| e == "sources") {
            sources.extend(stanzas(&text));
        } else {
            sources.extend(text.lines().filter_map(one_line));
        }
    }
    for source in &mut sources {
        source.uris = expand(&source.uris)?;
    }
    Ok(sources)
}

/// The files of a folder with one of these endings, by name; none when there is no such folder.
///
/// # Errors
/// BASE-READ.
pub(super) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DebError> {
    let failed = |source| DebError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// `deb [signed-by=FILE] URI SUITE COMPONENT…`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let keyrings = options
        .split_whitespace()
        .filter_map(|option| option.strip_prefix("signed-by="))
        .flat_map(|files| files.split(','))
        .filter(|file| file.starts_with('/'))
        .map(PathBuf::from)
        .collect();
    (is_debian(suite) && words.any(is_main)).then(|| Source {
        uris: vec![uri.to_owned()],
        suites: vec![suite.to_owned()],
        keyrings,
    })
}

/// The component main; security's used to be called updates/main.
fn is_main(component: &str) -> bool {
    matches!(component, "main" | "updates/main")
}

fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza = String::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            stanza.push_str(line);
            stanza.push('\n');
            continue;
        }
        sources.extend(deb822(&stanza));
        stanza.clear();
    }
    sources
}

fn deb822(stanza: &str) -> Option<Source> {
    // A stanza that is none concerns apt; the others hold.
    let fields = super::control::stanza(stanza).ok()?;
    let words = |name: &str| -> Vec<String> {
        fields
            .get(name)
            .map(|value| value.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let off = fields
        .get("enabled")
        .is_some_and(|value| matches!(value.as_str(), "no" | "false" | "off" | "0" | "without"));
    let binary = words("types").iter().any(|kind| kind == "deb");
    let main = words("components").iter().any(|c| is_main(c));
    let suites: Vec<String> = words("suites")
        .into_iter()
        .filter(|suite| is_debian(suite))
        .collect();
    if off || !binary || !main || suites.is_empty() {
        return None;
    }
    let keyrings = words("signed-by")
        .into_iter()
        .filter(|file| file.starts_with('/'))
        .map(PathBuf::from)
        .collect();
    Some(Source {
        uris: words("uris"),
        suites,
        keyrings,
    })
}

/// Reads the lists that `mirror+file:` names: an address a line, a tab before what apt weighs.
fn expand(uris: &[String]) -> Result<Vec<String>, DebError> {
    let mut found = Vec::new();
    for uri in uris {
        let Some(list) = uri.strip_prefix("mirror+file:") else {
            found.push(uri.clone());
            continue;
        };
        let path = format!("/{}", list.trim_start_matches('/'));
        let text = small_file(Path::new(&path))?.unwrap_or_default();
        found.extend(
            text.lines()
                .filter_map(|line| line.split(['\t', '#']).next())
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("mirrors.list");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write(
            "mirrors.list",
            "http://a.example/debian\tpriority:1\n# x\nhttp://b.example/debian\n",
        );
        write(
            "sources.list",
            "# deb http://no.example/debian trixie main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian/ trixie main contrib\n\
             deb http://other.example/x nodistro main\n\
             deb-src http://src.example/debian trixie main\n",
        );
        write(
            "sources.list.d/debian.sources",
            &format!(
                "Types: deb\n# why\nURIs: mirror+file:{}\nSuites: bookworm bookworm-updates\n\
                 Components: main\n\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\n\
                 Components: main\nEnabled: no\n",
                list.display()
            ),
        );
        let found = read(folder.path()).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|s| {
                format!(
                    "{} {} {}",
                    s.uris.join(","),
                    s.suites.join(","),
                    s.keyrings.len()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "http://one.example/debian/ trixie 1",
                "http://a.example/debian,http://b.example/debian bookworm,bookworm-updates 0",
            ]
        );
    }
}
