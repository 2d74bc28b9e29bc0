//! `smoke` against servers that behave as they are told (scripts/tools/mcp-stub.py).

mod http;
mod images;
mod stdio;
mod tools;

use std::process::{Command, Output};
use std::thread;

use crate::support::{karisimbi, repository, shown, tool};

/// One behaviour, the exit code, and what must stand in the output.
type Case<'a> = (&'a str, i32, &'a [&'a str]);

/// The words that start the stub, after the interpreter.
fn stub(words: &[&str]) -> Vec<String> {
    let script = repository().join("scripts/tools/mcp-stub.py");
    let script = script.to_str().expect("UTF-8").to_owned();
    // Without site packages it starts in half the time.
    let python = ["python3", "-S", "-E"].map(str::to_owned);
    let words = words.iter().map(|word| (*word).to_owned());
    python.into_iter().chain([script]).chain(words).collect()
}

/// `smoke FLAGS --exec -- python3 STUB WORDS`
fn smoke(flags: &[&str], words: &[&str]) -> Command {
    tool("python3");
    let mut command = karisimbi();
    command.arg("smoke").args(flags).args(["--exec", "--"]);
    command.args(stub(words));
    command
}

fn finished(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn check(output: &Output, (behaviour, exit, words): Case<'_>) {
    let text = shown(output);
    assert_eq!(output.status.code(), Some(exit), "{behaviour}: {text}");
    for word in words {
        assert!(text.contains(word), "{behaviour}: no {word:?} in {text}");
    }
}

/// Checks every case, four at a time: most of their time is a server's.
fn each<'a>(cases: &'a [Case<'a>], run: impl Fn(&str) -> Output + Sync) {
    let run = &run;
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for case in cases.iter().skip(part).step_by(4) {
                    check(&run(case.0), *case);
                }
            });
        }
    });
}
