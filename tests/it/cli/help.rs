//! Help, usage errors, and the reference pages that are made from the program.

use std::collections::BTreeSet;

use karisimbi::settings::env::VARIABLES;

use super::Bench;
use crate::support::{fail, repository, run};

/// Compares a page with what the program says; `KARISIMBI_BLESS=1` writes it.
fn page(name: &str, expected: &str) {
    let path = repository().join("docs/reference").join(name);
    if std::env::var_os("KARISIMBI_BLESS").is_some() {
        std::fs::write(&path, expected).expect("a page");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the program says; run the test with KARISIMBI_BLESS=1",
        path.display()
    );
}

#[test]
fn the_page_of_commands_is_their_help() {
    page("cli.md", &karisimbi::cli::reference());
}

#[test]
fn the_page_of_variables_is_the_table() {
    let mut text = String::from(
        "# Environment\n\nThe variables that karisimbi reads; it reads no other. Flags win over \
         variables, variables over `deployment.yaml`. The last column says who sees a variable: \
         karisimbi itself, or the tools that fetch sources and modules. Compilers see none of \
         them. `GIT_CONFIG_*` reaches the tools that fetch as well.\n\n\
         | variable | decides | seen by |\n|---|---|---|\n",
    );
    for variable in VARIABLES {
        let scope = match variable.scope {
            karisimbi::settings::env::Scope::Own => "karisimbi",
            karisimbi::settings::env::Scope::Network => "karisimbi, tools that fetch",
            karisimbi::settings::env::Scope::Tools => "tools that fetch",
        };
        let name = format!("`{}`", variable.name);
        let cells = [name.as_str(), variable.purpose, scope];
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    }
    page("environment.md", &text);
}

/// `"WORD-WORD"` texts of the sources: only codes look like that.
fn codes_in(text: &str) -> BTreeSet<String> {
    let is_code = |word: &&str| {
        let mut parts = word.split('-');
        word.contains('-')
            && parts.next().is_some_and(|first| {
                !first.is_empty() && first.bytes().all(|c| c.is_ascii_uppercase())
            })
            && parts.all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            })
    };
    text.split('"').filter(is_code).map(str::to_owned).collect()
}

#[test]
fn every_code_has_its_meaning_and_next_step() {
    let listed = run(std::process::Command::new("find")
        .arg(repository().join("src"))
        .args(["-name", "*.rs"]));
    let mut used = BTreeSet::new();
    for path in listed.lines().filter(|path| !path.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(path).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        used.extend(codes_in(code));
    }
    let page = std::fs::read_to_string(repository().join("docs/reference/errors.md"))
        .expect("the page of errors");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let documented: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| row.first()?.split('`').nth(1).map(str::to_owned))
        .collect();
    let missing: Vec<_> = used.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&used).collect();
    assert!(
        missing.is_empty(),
        "not in docs/reference/errors.md: {missing:?}"
    );
    assert!(
        gone.is_empty(),
        "in docs/reference/errors.md, but not in src: {gone:?}"
    );
    for row in rows {
        assert!(
            row.len() == 3 && row.iter().all(|cell| !cell.is_empty()),
            "{row:?}"
        );
    }
}

#[test]
fn help_is_grouped_and_names_every_command() {
    let bench = Bench::new();
    let help = run(&mut bench.command(&["--help"]));
    let place = |word: &str| help.find(word).unwrap_or_else(|| panic!("{word}: {help}"));
    let groups = [
        "\nBuild:",
        "\nInspect:",
        "\nDeploy:",
        "\nMaintain:",
        "\nGlobal options:",
    ];
    assert!(groups.map(place).is_sorted(), "{help}");
    let commands: Vec<String> = karisimbi::cli::reference()
        .lines()
        .filter_map(|line| line.strip_prefix("## karisimbi "))
        .filter(|name| !name.contains(' '))
        .map(str::to_owned)
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in &commands {
        let line = help
            .lines()
            .find(|line| line.starts_with(&format!("  {command} ")));
        let about = run(&mut bench.command(&[command, "-h"]));
        let about = about.lines().next().unwrap_or_default().to_owned();
        assert!(
            line.is_some_and(|line| line.ends_with(&about)),
            "{command}: {about}\n{help}"
        );
    }
    // Alone it answers the question what it can do.
    let alone = run(&mut bench.command(&[]));
    assert!(alone.contains("\nMaintain:"), "{alone}");
}

#[test]
fn completions_and_versions_are_data() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = run(&mut bench.command(&["completions", shell]));
        assert!(text.contains("karisimbi"), "{shell}");
    }
    assert!(run(&mut bench.command(&["version"])).starts_with("karisimbi "));
    assert!(run(&mut bench.command(&["--version"])).starts_with("karisimbi "));
}

#[test]
fn mistakes_in_arguments_are_one_error_without_the_usage_text() {
    let bench = Bench::new();
    for (args, code, part) in [
        (
            &["bild"][..],
            "USE-ARGUMENT",
            "hint: a similar subcommand exists: 'build'",
        ),
        (
            &["build", "--nope"],
            "USE-ARGUMENT",
            "hint: karisimbi build --help",
        ),
        (
            &["build", "--platform", "foo"],
            "USE-ARGUMENT",
            "write OS/ARCHITECTURE",
        ),
        (
            &["build", "--max-size", "5XB"],
            "USE-ARGUMENT",
            "use kB, MB, GB",
        ),
        (
            &["copy", "foo", "bar"],
            "NAME-INVALID",
            "hint: write oci:DIR[:TAG]",
        ),
        (&["copy"], "USE-ARGUMENT", "<DESTINATION>"),
        (&["cache"], "USE-ARGUMENT", "requires a subcommand"),
        (
            &["cache", "clear"],
            "USE-ARGUMENT",
            "--layers|--inputs|--all",
        ),
    ] {
        let (exit, stderr) = fail(&mut bench.command(args));
        assert_eq!(exit, 2, "{args:?}: {stderr}");
        assert!(
            stderr.starts_with(&format!("error[{code}]: ")),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains(part), "{args:?}: {stderr}");
        assert!(!stderr.contains("Usage:"), "{args:?}: {stderr}");
    }
}
