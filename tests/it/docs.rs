//! The documentation: what it links to, and what the code says of it, exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::support::repository;

/// Files below a folder whose names end so.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// All pages: those of docs and those at the root.
fn pages() -> Vec<PathBuf> {
    let root = repository();
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root.join(name))
        .into();
    files(&root.join("docs"), ".md", &mut found);
    found
}

/// Where the links of a page lead to, within the repository.
fn links(page: &Path) -> BTreeSet<PathBuf> {
    let text = std::fs::read_to_string(page).expect("a page");
    let folder = page.parent().expect("a folder");
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .map(|target| folder.join(target))
        .collect()
}

#[test]
fn links_lead_to_files() {
    let missing: Vec<String> = pages()
        .iter()
        .flat_map(|page| links(page).into_iter().map(move |link| (page, link)))
        .filter(|(_, link)| !link.exists())
        .map(|(page, link)| format!("{}: {}", page.display(), link.display()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn pages_that_comments_name_exist() {
    let root = repository();
    let mut sources = Vec::new();
    files(&root.join("src"), ".rs", &mut sources);
    let mut missing = Vec::new();
    for source in sources {
        let text = std::fs::read_to_string(&source).expect("a source");
        let comments = text.lines().filter_map(|line| line.split_once("//"));
        let words = comments.flat_map(|(_, comment)| comment.split([' ', '(', ')', '`', ',']));
        for word in words.filter(|word| word.starts_with("docs/")) {
            let page = word.trim_end_matches(['.', ':', ';']);
            let path = root.join(page);
            if path.extension().is_some_and(|end| end == "md") && !path.exists() {
                missing.push(format!("{}: {page}", source.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_decision_is_in_the_index_and_every_page_can_be_reached() {
    let root = repository();
    let canonical = |path: &Path| path.canonicalize().expect("a page");
    let mut reached = BTreeSet::new();
    let mut open = vec![canonical(&root.join("README.md"))];
    while let Some(page) = open.pop() {
        if reached.insert(page.clone()) && page.extension().is_some_and(|end| end == "md") {
            open.extend(links(&page).iter().map(|link| canonical(link)));
        }
    }
    let lost: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| !reached.contains(&canonical(page)))
        .collect();
    assert_eq!(lost, Vec::<PathBuf>::new(), "no page leads there");
    let index = links(&root.join("docs/decisions/README.md"));
    let mut decisions = Vec::new();
    files(&root.join("docs/decisions"), ".md", &mut decisions);
    for page in decisions.iter().filter(|page| !page.ends_with("README.md")) {
        assert!(
            index.contains(page),
            "{} is not in the index",
            page.display()
        );
    }
}
