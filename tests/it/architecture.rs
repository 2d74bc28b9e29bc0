//! What may depend on what: imports point down one list, and the doors to the outside world
//! (terminal, environment, network) are in one place each.
//!
//! The list and its reasons are docs/decisions/0006-module-order.md.

mod planted;
mod tokens;

use std::collections::BTreeSet;
use std::path::Path;

use planted::{ALLOWED, PLANTED};
use tokens::{Token, texts, tokens, without_tests};

/// Top to bottom: a module imports modules below it, never one above.
const ORDER: [&str; 17] = [
    "cli",
    "settings",
    "smoke", // above run: it starts what it asks
    "run",   // above sink: it opens images of any transport
    "pipeline",
    "sink",
    "recipe",
    "plan", // above base: a plan names the target, which is a platform with its resolved base
    "base",
    "deployment",
    "image",
    "registry",
    "net",
    "source", // above store: its stat cache is kept there
    "store",  // above layer: it keeps layer records under layer keys
    "layer",
    "sandbox",
];

/// Below everything; they import each other only.
const LEAVES: [&str; 6] = [
    "digest",
    "error",
    "platform",
    "program",
    "progress",
    "reference",
];

/// Names that say nothing about what is inside.
const VAGUE: [&str; 9] = [
    "util", "utils", "helpers", "common", "manager", "service", "services", "handler", "handlers",
];

/// Lines with code, unit tests not counted.
const MAX_CODE_LINES: usize = 400;

/// Words that only some files may use: the words, where they may stand, why.
const DOORS: [(&[&str], &[&str], &str); 5] = [
    (
        &["oci_client"],
        &[],
        "oci_client is the tests' independent reader",
    ),
    (
        &["tokio", "reqwest"],
        &["net/", "registry/", "smoke/"],
        "async stays behind net, registry and smoke",
    ),
    (
        &["println!", "print!", "eprintln!", "eprint!", "dbg!"],
        &["cli/output"],
        "printing happens in cli/output",
    ),
    (
        &["io::stdout", "io::stderr"],
        &["cli/"],
        "standard streams belong to cli",
    ),
    (
        &["std::env"],
        &["settings", "main.rs"],
        "settings reads and documents every variable",
    ),
];

/// The first names of what follows `::`: one, or those of a `{…}` group.
fn first_names(after: &[Token]) -> Vec<&Token> {
    match after.first() {
        Some(first) if first.text == "{" => {
            let mut depth = 0_usize;
            let mut names = Vec::new();
            for pair in after.windows(2) {
                match pair[0].text.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                let begins = depth == 1 && ["{", ","].contains(&pair[0].text.as_str());
                if begins && pair[1].text != "}" {
                    names.push(&pair[1]);
                }
                if depth == 0 {
                    break;
                }
            }
            names
        }
        first => first.into_iter().collect(),
    }
}

/// Every top-level module that the tokens reach by `crate::…` or by enough `super::`.
/// `depth` is how deep the file's own module lies.
fn reached(all: &[Token], depth: usize) -> Vec<&Token> {
    let words = texts(all);
    let mut found = Vec::new();
    let mut inline: Vec<usize> = Vec::new();
    let mut braces = 0_usize;
    for (index, word) in words.iter().enumerate() {
        match *word {
            "{" => {
                braces += 1;
                if index >= 2 && words[index - 2] == "mod" {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            "crate" if words.get(index + 1) == Some(&"::") => {
                found.extend(first_names(&all[index + 2..]));
            }
            "super" if index == 0 || words[index - 1] != "::" => {
                let climbs = words[index..]
                    .chunks(2)
                    .take_while(|pair| *pair == ["super", "::"])
                    .count();
                if climbs > 0 && climbs == depth + inline.len() {
                    found.extend(first_names(&all[index + 2 * climbs..]));
                }
            }
            _ => {}
        }
    }
    found
}

fn rank(module: &str) -> Option<usize> {
    let order = ORDER.iter().position(|name| *name == module);
    order.or_else(|| LEAVES.contains(&module).then_some(ORDER.len()))
}

/// The modules of a file below src: `layer/tar.rs` is `layer`, `tar`.
fn modules(file: &str) -> Vec<&str> {
    file.trim_end_matches(".rs")
        .split('/')
        .filter(|name| *name != "mod")
        .collect()
}

fn wrong_imports(file: &str, code: &[Token]) -> Vec<String> {
    // The two roots of the package may name every module.
    if ["lib.rs", "main.rs"].contains(&file) {
        return Vec::new();
    }
    let path = modules(file);
    let own = path[0];
    let Some(own_rank) = rank(own) else {
        return vec![format!("{file}: module {own} has no place in the order")];
    };
    let mut wrong = Vec::new();
    for name in reached(code, path.len()) {
        let (module, line) = (name.text.as_str(), name.line);
        match rank(module) {
            _ if module == own || module == "self" => {}
            None => wrong.push(format!("{file}:{line}: {module} has no place in the order")),
            Some(below) if below > own_rank || below == ORDER.len() => {}
            Some(_) => wrong.push(format!(
                "{file}:{line}: {own} imports {module}, which is above"
            )),
        }
    }
    wrong
}

/// Parts of `std::env` that read nothing of the environment.
const PURE: [&str; 3] = ["split_paths", "join_paths", "consts"];

/// Where a door's word stands: a name, a macro (`print!`) or a path (`std::env`, also in a group).
fn uses(code: &[Token], word: &str) -> Vec<usize> {
    let words = texts(code);
    let at = |index: usize| code[index].line;
    if let Some(name) = word.strip_suffix('!') {
        return (0..words.len())
            .filter(|&i| words[i] == name && words.get(i + 1) == Some(&"!"))
            .map(at)
            .collect();
    }
    let Some((parent, child)) = word.split_once("::") else {
        return (0..words.len())
            .filter(|&i| words[i] == word)
            .map(at)
            .collect();
    };
    (0..words.len())
        .filter(|&i| words[i] == parent && words.get(i + 1) == Some(&"::"))
        .filter(|&i| words.get(i + 4).is_none_or(|name| !PURE.contains(name)))
        .filter(|&i| {
            first_names(&code[i + 2..])
                .iter()
                .any(|name| name.text == child)
        })
        .map(at)
        .collect()
}

/// All that is wrong with one file below src.
fn violations(file: &str, source: &str) -> Vec<String> {
    // Unit tests in a file of their own (`#[cfg(test)] mod tests;`) are left out like those within.
    if file.ends_with("/tests.rs") || file.ends_with("_tests.rs") {
        return Vec::new();
    }
    let code = without_tests(&tokens(source));
    let mut wrong = wrong_imports(file, &code);
    for (words, allowed, reason) in DOORS {
        if allowed.iter().any(|place| file.starts_with(place)) {
            continue;
        }
        for word in words {
            for line in uses(&code, word) {
                wrong.push(format!("{file}:{line}: {word}: {reason}"));
            }
        }
    }
    let lines: BTreeSet<usize> = code.iter().map(|token| token.line).collect();
    if lines.len() > MAX_CODE_LINES {
        wrong.push(format!(
            "{file}: {} lines of code: split it by idea",
            lines.len()
        ));
    }
    for name in modules(file) {
        if VAGUE.contains(&name) {
            wrong.push(format!("{file}: {name} says nothing about what is inside"));
        }
    }
    wrong
}

/// Every .rs file below a folder, as `/`-separated paths relative to `root`.
fn rust_files(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("below the root");
            found.push(relative.to_str().expect("UTF-8").to_owned());
        }
    }
}

#[test]
fn imports_point_down_and_doors_stay_in_their_places() {
    let root = crate::support::repository().join("src");
    let mut files = Vec::new();
    rust_files(&root, &root, &mut files);
    files.sort();
    assert!(files.len() > 10, "only {files:?} below {}", root.display());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let source = fs_err::read_to_string(root.join(file)).expect("a source file");
            violations(file, &source)
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn planted_violations_are_caught() {
    let long = "fn f() {}\n".repeat(MAX_CODE_LINES + 1);
    let too_long = ("image/mod.rs", long.as_str(), "401 lines of code");
    for (file, source, expected) in PLANTED.into_iter().chain([too_long]) {
        let wrong = violations(file, source);
        assert!(
            wrong.len() == 1 && wrong[0].contains(expected),
            "{file} with {source:.60}: {wrong:?} instead of {expected}"
        );
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (file, source) in ALLOWED {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{file}");
    }
}
