//! What a server's log says about its end: does it ask for configuration, or is it broken?

use std::collections::BTreeSet;
use std::process::ExitStatus;

/// Words by which something is asked for.
const DEMANDS: [&str; 15] = [
    "missing",
    "required",
    "requires",
    "provide",
    "must be set",
    "must set",
    "please set",
    "need to set",
    "not set",
    "isn't set",
    "not configured",
    "not specified",
    "undefined",
    "must specify",
    "not defined",
];
/// What servers ask for.
const OBJECTS: [&str; 17] = [
    "key",
    "token",
    "secret",
    "credential",
    "url",
    "host",
    "env",
    "password",
    "username",
    "argument",
    "option",
    "parameter",
    "flag",
    "connection string",
    "dsn",
    "config",
    "variable",
];
/// Places that servers ask for, in words that mean no file which a build forgot.
const PLACES: [&str; 4] = ["directory", "folder", "path", "workspace"];
const PLACE_DEMANDS: [&str; 5] = [
    "is required",
    "must be set",
    "must specify",
    "not specified",
    "please provide",
];
/// Lines that hold such words and mean a bug.
const BUGS: [&str; 6] = [
    "positional argument",
    "keyword argument",
    "keyword-only argument",
    "module",
    "cannot find package",
    "missing script",
];

/// The names that a server asks for, when its log does ask: variables first, else flags. An empty
/// list is a demand that names nothing.
pub(super) fn demanded(log: &str, status: Option<ExitStatus>) -> Option<Vec<String>> {
    let lines: Vec<&str> = log.lines().collect();
    let mut asking: Vec<String> = Vec::new();
    let mut validation = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        let lower = line.to_ascii_lowercase();
        // Lists of names follow the sentence that asks for them.
        let after = lines.iter().skip(index + 1).take(3);
        let after: Vec<&str> = after.copied().collect();
        let listed = demands(&lower)
            && line.trim_end().ends_with(':')
            && !variables(&after.join("\n")).is_empty();
        if asks(&lower) || listed || environment_key(line, &lower, log) {
            asking.push((*line).to_owned());
            asking.extend(after.iter().map(|line| (*line).to_owned()));
        } else if lower.contains("field required") && lower.contains("type=missing") {
            // Pydantic puts the field on the line before.
            let field = index
                .checked_sub(1)
                .map_or("", |before| lines[before].trim());
            asking.push(field.to_owned());
            validation.extend(Some(field.to_owned()).filter(|field| is_word(field)));
        } else if lower.contains("\"message\": \"required\"")
            || lower.contains("received undefined")
        {
            // Zod puts the path some lines before or after.
            let around = index.saturating_sub(8)..(index + 4).min(lines.len());
            asking.extend(lines[around].iter().map(|line| (*line).to_owned()));
        }
    }
    if asking.is_empty() && usage(&lines, status) {
        if status.is_some_and(|status| status.success()) {
            // Help instead of a server: it lists everything, and a sub-command is what is missing.
            return Some(vec!["<arguments>".to_owned()]);
        }
        asking.push(lines.join("\n"));
    }
    if asking.is_empty() {
        return None;
    }
    let text = asking.join("\n");
    let mut names = variables(&text);
    if names.is_empty() {
        names = variables_of_code(log);
    }
    if names.is_empty() {
        names = validation;
    }
    if names.is_empty() {
        names = flags(&text);
    }
    Some(names.into_iter().take(10).collect())
}

/// `missing`, `required`, `provide`, …, and no sign of a bug.
fn demands(lower: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    has(&DEMANDS) && !has(&BUGS)
}

/// `(missing|required|provide|must be set) … (key|token|…)`, in either order.
fn asks(lower: &str) -> bool {
    let object = OBJECTS.iter().any(|word| lower.contains(word)) || lower.contains(" -");
    let variable = lower.contains("environment variable") && !lower.contains("warn");
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let place = has(&PLACES) && has(&PLACE_DEMANDS);
    (demands(lower) && (object || place)) || variable
}

/// Python's `os.environ["NAME"]` without such a variable.
fn environment_key(line: &str, lower: &str, log: &str) -> bool {
    lower.starts_with("keyerror: '")
        && !variables(line).is_empty()
        && (log.contains("os.environ") || log.contains("<frozen os>") || log.contains("os.py"))
}

/// A usage text instead of a server: an argument or a sub-command is missing.
fn usage(lines: &[&str], status: Option<ExitStatus>) -> bool {
    let usage = lines
        .iter()
        .any(|line| line.trim_start().to_ascii_lowercase().starts_with("usage"));
    let crash = lines.iter().any(|line| {
        line.starts_with("Traceback")
            || line.trim_start().starts_with("at ")
            || line.starts_with("panic:")
    });
    usage && !crash && status.and_then(|status| status.code()).is_some()
}

/// `UPPER_CASE` words with an underscore, and some without.
fn variables(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !word(c))
        .filter(|name| name.len() >= 4 && name.chars().all(upper))
        .filter(|name| {
            let plain = ["TOKEN", "APIKEY", "SECRET", "PASSWORD"];
            name.trim_matches('_').contains('_') || plain.contains(name)
        })
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect()
}

/// Variables that the code in a traceback reads.
fn variables_of_code(log: &str) -> BTreeSet<String> {
    let reads = ["environ[", "getenv(", "environ.get(", "process.env."];
    reads
        .iter()
        .flat_map(|read| log.split(read).skip(1))
        .filter_map(|after| {
            let after = after.trim_start_matches(['"', '\'']);
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = &after[..end.unwrap_or(after.len())];
            (!name.is_empty() && name.len() <= 80).then(|| name.to_owned())
        })
        .collect()
}

/// `--flag`, `-flag` and `<argument>`.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| c.is_whitespace() || "'\"`,;:()[]|=".contains(c))
        .filter(|word| {
            let name = word.trim_start_matches('-');
            let flag = word.starts_with('-') && name.len() > 1;
            let argument = word.starts_with('<') && word.ends_with('>');
            (flag && is_word(name)) || argument
        })
        .filter(|word| !["--help", "-help", "--version"].contains(word))
        .map(str::to_owned)
        .collect()
}

fn is_word(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !text.is_empty() && text.len() <= 80 && text.chars().all(word)
}

/// The line that names a library or program which does not fit the image or is not in it.
pub(super) fn library(log: &str) -> Option<&str> {
    let marks = [
        "error while loading shared libraries",
        "cannot open shared object file",
        "error loading shared library",
        "error relocating",
        "exec format error",
        "cannot execute binary file",
        "wrong elf class",
        "invalid elf header",
        "version `glibc_",
        "version `glibcxx_",
    ];
    log.lines().find(|line| {
        let lower = line.to_ascii_lowercase();
        marks.iter().any(|mark| lower.contains(mark))
    })
}

/// Whether it failed to reach something else.
pub(super) fn wants_network(log: &str) -> bool {
    let lower = log.to_ascii_lowercase();
    let marks = [
        "name or service not known",
        "temporary failure in name resolution",
        "network is unreachable",
        "no such host",
        "dial tcp",
        "enotfound",
        "eai_again",
        "connectionerror",
    ];
    marks.iter().any(|mark| lower.contains(mark))
}

/// The next step for other ends that many servers share.
pub(super) fn advice(log: &str, status: Option<ExitStatus>) -> Option<&'static str> {
    let lower = log.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["read-only file system", "erofs"]) {
        return Some("it writes into the image: give it a folder with -v, or point it to /tmp");
    }
    if has(&[
        "cannot find module",
        "no module named",
        "modulenotfounderror",
    ]) {
        return Some(
            "a package is missing in the image: is it in the lock, and not for development alone?",
        );
    }
    if wants_network(log) {
        return Some("it wants the network at its start: --network host");
    }
    match status?.code()? {
        126 => Some("126: the program is there and can't be executed"),
        127 => Some("127: the program, or the interpreter in its first line, is not there"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn servers_that_ask_for_configuration() {
        for (log, code, names) in [
            (
                "Error: NOTION_TOKEN environment variable is required",
                1,
                "NOTION_TOKEN",
            ),
            ("ValueError: Missing API key", 1, ""),
            ("TOKEN must be set", 1, "TOKEN"),
            ("BRAVE_API_KEY is not set", 1, "BRAVE_API_KEY"),
            (
                "Please provide one of the following:\n  GITHUB_TOKEN\n  GITLAB_TOKEN (a token)",
                1,
                "GITHUB_TOKEN,GITLAB_TOKEN",
            ),
            (
                "Traceback (most recent call last):\n  File \"<frozen os>\", line 714\nKeyError: 'OBSIDIAN_API_KEY'",
                1,
                "OBSIDIAN_API_KEY",
            ),
            (
                "1 validation error for Settings\nbase_url\n  Field required [type=missing, input_value={}, input_type=dict]",
                1,
                "base_url",
            ),
            (
                "ZodError: [\n  {\n    \"path\": [\n      \"ODOO_URL\"\n    ],\n    \"message\": \"Required\"\n  }\n]",
                1,
                "ODOO_URL",
            ),
            (
                "usage: x [-h] --project PROJECT\nx: error: something",
                2,
                "--project",
            ),
            (
                "must provide -http (comma-separated list of servers)",
                1,
                "-http",
            ),
            (
                "error: required option '--db <path>' not specified",
                1,
                "--db,<path>",
            ),
            ("Usage: server <directory>", 1, "<directory>"),
            (
                "A server.\n\nUsage:\n  server [command]\n\nFlags:\n  --toolsets strings",
                0,
                "<arguments>",
            ),
            ("[FATAL][core] workspace directory is required", 1, ""),
            (
                "  raise ValueError('Missing key')\n  x = os.getenv(\"apikey\")\nValueError: Missing key",
                1,
                "apikey",
            ),
        ] {
            let found = demanded(log, Some(exit(code))).map(|names| names.join(","));
            assert_eq!(found.as_deref(), Some(names), "{log}");
        }
    }

    #[test]
    fn servers_that_are_broken() {
        for (log, code) in [
            ("", 1),
            ("listening", 0),
            ("Error: required file /app/dist missing, bad path", 1),
            (
                "TypeError: f() missing 1 required positional argument: 'key'",
                1,
            ),
            ("ModuleNotFoundError: No module named 'tokenizers'", 1),
            ("Error: Cannot find module 'required-host'", 1),
            ("KeyError: 'NOT_OF_ENVIRONMENT'", 1),
            (
                "Traceback (most recent call last):\nusage: x\nRuntimeError",
                1,
            ),
            ("npm error Missing script: \"env\"", 1),
            ("Segmentation fault", 139),
        ] {
            assert_eq!(demanded(log, Some(exit(code))), None, "{log}");
        }
    }

    #[test]
    fn missing_libraries_and_other_ends_have_their_advice() {
        let log = "x\n./server: error while loading shared libraries: libssl.so.1.1: cannot open";
        assert!(library(log).unwrap().starts_with("./server: error"));
        assert!(
            library("ImportError: libGL.so.1: cannot open shared object file: No such file")
                .is_some()
        );
        assert_eq!(library("No such file or directory"), None);
        for (log, code, advice_start) in [
            (
                "OSError: [Errno 30] Read-only file system: '/app/x'",
                1,
                "it writes",
            ),
            ("Error: Cannot find module 'x'", 1, "a package"),
            ("getaddrinfo ENOTFOUND api.example", 1, "it wants"),
            (
                "Post \"https://api.example/\": dial tcp: lookup api.example on [::1]:53: refused",
                1,
                "it wants",
            ),
            ("sh: server: not found", 127, "127"),
        ] {
            let advice = advice(log, Some(exit(code))).unwrap();
            assert!(advice.starts_with(advice_start), "{log}: {advice}");
        }
        assert_eq!(advice("boom", Some(exit(1))), None);
    }
}
