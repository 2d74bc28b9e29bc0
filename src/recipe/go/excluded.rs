//! Commands that `go list` passes over in silence: all of their files wait for a build tag or cgo.

use super::candidate::{Candidate, Verdict};
use super::module::Module;
use super::options::{Cgo, GoOptions};
use super::packages::Package;
use crate::recipe::paths::{join, within};
use crate::recipe::spec::Aside;
use crate::source::SourceTree;

/// Files that are read, their size, and commands that are named.
const MOST_FILES: usize = 4000;
const LARGEST: u64 = 4 << 20;
const NAMED: usize = 12;

/// What a file's head says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    /// Of `//go:build EXPRESSION`.
    constraint: String,
    package: String,
    imports_c: bool,
}

/// Commands of the module that are not among the packages, each with the file that says why.
pub(super) fn commands(
    tree: &SourceTree,
    module: &Module,
    options: &GoOptions,
    packages: &[Package],
    aside: &Aside,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let files = tree.files().iter().map(|file| file.path.as_str());
    let go_files = files.filter(|file| within(file, &module.directory) && is_compiled(file));
    for file in go_files.take(MOST_FILES) {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let below = folder
            .strip_prefix(module.directory.as_str())
            .unwrap_or_default()
            .trim_start_matches('/');
        let import_path = import_path(module, below);
        let path = if below.is_empty() {
            ".".to_owned()
        } else {
            format!("./{below}")
        };
        let known = packages.iter().any(|p| p.import_path == import_path)
            || found.iter().any(|candidate| candidate.path == path);
        if known || other_module(tree, &module.directory, below) {
            continue;
        }
        if Candidate::new(&path, aside).verdict != Verdict::Kept && options.main.is_none() {
            continue;
        }
        // On the way to another error: what can't be read explains nothing.
        let Ok(Some(bytes)) = tree.read(file, LARGEST) else {
            continue;
        };
        let head = head(&String::from_utf8_lossy(&bytes));
        if head.package == "main"
            && let Some(verdict) = judge(&head, file, options)
        {
            found.push(Candidate { path, verdict });
            if found.len() == NAMED {
                break;
            }
        }
    }
    found
}

/// The import path of a folder below the module.
pub(super) fn import_path(module: &Module, below: &str) -> String {
    let path = join(&module.go_mod.module, below);
    path.trim_end_matches('/').to_owned()
}

/// Whether go would compile a file of this path, as far as its name tells.
fn is_compiled(file: &str) -> bool {
    let hidden = |part: &str| part.starts_with(['.', '_']);
    file.strip_suffix(".go")
        .is_some_and(|stem| !stem.ends_with("_test"))
        && !file
            .split('/')
            .any(|part| hidden(part) || matches!(part, "vendor" | "testdata"))
}

/// Whether a folder below the module belongs to a module of its own.
fn other_module(tree: &SourceTree, module: &str, below: &str) -> bool {
    let mut folder = below;
    while !folder.is_empty() {
        if tree.file(&join(&join(module, folder), "go.mod")).is_some() {
            return true;
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    false
}

/// Why go leaves the file out, when options can change that.
fn judge(head: &Head, file: &str, options: &GoOptions) -> Option<Verdict> {
    let (mut by_tag, mut cgo) = (false, head.imports_c);
    for (word, negated) in words(&head.constraint) {
        match word {
            // By convention a script for `go run`.
            "ignore" => return None,
            "cgo" => cgo = cgo || !negated,
            _ if is_platform(word) => {}
            // Wanted and not given, or given and not wanted.
            _ if negated == options.tags.iter().any(|tag| tag == word) => by_tag = true,
            _ => {}
        }
    }
    if by_tag {
        return Some(Verdict::Tags {
            file: file.to_owned(),
            constraint: head.constraint.clone(),
        });
    }
    (cgo && options.cgo == Cgo::Off).then(|| Verdict::Cgo {
        file: file.to_owned(),
    })
}

/// The tags to set for a constraint: one of alternatives, all that stand together.
pub(super) fn tags(constraint: &str) -> String {
    let first = constraint.split("||").next().unwrap_or_default();
    let tags: Vec<&str> = words(first)
        .filter(|(word, negated)| !negated && *word != "cgo" && !is_platform(word))
        .map(|(word, _)| word)
        .collect();
    tags.join(",")
}

/// The tags of a constraint, and whether a `!` stands before them.
fn words(constraint: &str) -> impl Iterator<Item = (&str, bool)> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    constraint
        .split(['(', ')', ' ', '\t', '&', '|'])
        .map(move |word| (word.trim_matches(|c| !part(c)), word.starts_with('!')))
        .filter(|(word, _)| !word.is_empty())
}

/// Tags that the platform or the compiler sets, never the user.
fn is_platform(word: &str) -> bool {
    const KNOWN: &str = " unix gc gccgo race msan asan \
        aix android darwin dragonfly freebsd illumos ios js linux nacl netbsd openbsd plan9 \
        solaris wasip1 windows zos \
        386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm ";
    word.starts_with("go1.") || KNOWN.contains(&format!(" {word} "))
}

/// Reads up to the end of the imports.
fn head(text: &str) -> Head {
    let mut head = Head::default();
    let (mut in_comment, mut in_imports) = (false, false);
    for line in text.trim_start_matches('\u{feff}').lines() {
        if head.package.is_empty()
            && !in_comment
            && let Some(constraint) = line.strip_prefix("//go:build ")
        {
            constraint.trim().clone_into(&mut head.constraint);
        }
        let code = code(line, &mut in_comment);
        let code = code.trim();
        if code.is_empty() {
            continue;
        }
        if let Some(name) = code.strip_prefix("package ") {
            name.trim_end_matches(';')
                .trim()
                .clone_into(&mut head.package);
            continue;
        }
        in_imports = match code.strip_prefix("import") {
            Some(rest) if rest.trim_start().starts_with('(') => true,
            Some(_) => false,
            None if in_imports => in_imports,
            None => break,
        };
        head.imports_c |= code
            .split(['(', ')', ' ', '\t', ';'])
            .any(|word| word == "\"C\"");
        in_imports &= !code.contains(')');
    }
    head
}

/// The line without comments.
fn code(mut line: &str, in_comment: &mut bool) -> String {
    let mut code = String::new();
    loop {
        if *in_comment {
            let Some((_, rest)) = line.split_once("*/") else {
                return code;
            };
            (line, *in_comment) = (rest, false);
        }
        match (line.find("//"), line.find("/*")) {
            (Some(end), block) if block.is_none_or(|begin| end < begin) => {
                code.push_str(&line[..end]);
                return code;
            }
            (_, Some(begin)) => {
                code.push_str(&line[..begin]);
                (line, *in_comment) = (&line[begin + 2..], true);
            }
            _ => {
                code.push_str(line);
                return code;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_what_go_goes_by() {
        for (text, constraint, package, imports_c) in [
            ("package main\nfunc main() {}\n", "", "main", false),
            (
                "//go:build a && !b\n\npackage main\n",
                "a && !b",
                "main",
                false,
            ),
            ("package main // x\nimport \"C\"\n", "", "main", true),
            (
                "package main\nimport (\n\t\"fmt\"\n\t\"C\"\n)\n",
                "",
                "main",
                true,
            ),
            (
                "package main\nimport \"fmt\"\n/* a\n b */\nimport \"C\"\n",
                "",
                "main",
                true,
            ),
            ("package main\nvar x = 1\nimport \"C\"\n", "", "main", false),
            (
                "/* //go:build x\n//go:build y\n*/ package main\n",
                "",
                "main",
                false,
            ),
            (
                "package main\n//go:build x\n// import \"C\"\n",
                "",
                "main",
                false,
            ),
            ("", "", "", false),
        ] {
            let expected = Head {
                constraint: constraint.to_owned(),
                package: package.to_owned(),
                imports_c,
            };
            assert_eq!(head(text), expected, "{text}");
        }
    }

    #[test]
    fn only_what_options_can_change_is_a_reason() {
        let options = GoOptions {
            tags: vec!["given".to_owned()],
            ..GoOptions::default()
        };
        for (constraint, imports_c, reason) in [
            ("prod", false, "tags"),
            ("linux && (prod || dev)", true, "tags"),
            ("!given", false, "tags"),
            ("given", false, ""),
            ("given && linux", true, "cgo"),
            ("cgo", false, "cgo"),
            ("", true, "cgo"),
            ("ignore", false, ""),
            ("windows", false, ""),
            ("!prod", false, ""),
        ] {
            let head = Head {
                constraint: constraint.to_owned(),
                package: "main".to_owned(),
                imports_c,
            };
            let found = match judge(&head, "main.go", &options) {
                Some(Verdict::Tags { .. }) => "tags",
                Some(Verdict::Cgo { .. }) => "cgo",
                _ => "",
            };
            assert_eq!(found, reason, "{constraint} {imports_c}");
        }
        for (constraint, set) in [
            ("prod", "prod"),
            ("linux && a && b && !c", "a,b"),
            ("(a || b)", "a"),
            ("!given", ""),
        ] {
            assert_eq!(tags(constraint), set);
        }
    }
}
