//! Files that were not written in good faith, or not by a person.

use std::time::{Duration, Instant};

use super::{parse, problems};

#[test]
fn yaml_that_no_configuration_needs_is_refused_with_its_place() {
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    for (text, expected) in [
        (laughs, ":1:4: anchors (&name) are not supported"),
        ("base: *x\n", ":1:7: not YAML: "),
        ("<<: {a: b}\n", ":1:1: merge keys (<<) are not supported"),
        ("base: !!str x\n", ":1:7: tags (!name) are not supported"),
        ("base: !!binary aGk=\n", "tags (!name) are not supported"),
        ("? [a]\n: b\n", ":1:3: a key is a list or a map"),
        ("? {a: b}\n: b\n", ":1:3: a key is a list or a map"),
        ("base: x\n---\nbase: y\n", ":2:1: a second document"),
        ("base: x\n...\n---\nbase: y\n", "a second document"),
        ("source:\n\turl: x\n", ":2:2: not YAML: "),
        ("base: [a\n", "not YAML: "),
        ("base: \"a\n", "not YAML: "),
        ("base: 'a' b\n", "not YAML: "),
        ("a: b: c\n", "not YAML: "),
        ("  base: x\n base: y\n", "not YAML: "),
        ("base: \"a\\0b\"\n", ":1:7: a text holds a NUL character"),
        ("base: x\0\nfoo: y\n", ":1:8: control character U+0000"),
        ("a: x\nbäse: \u{1b}[2J\n", ":2:7: control character U+001B"),
        ("%YAML 9.9\nbase: x\n", "not YAML: "),
    ] {
        let found = problems(text, &[]);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        let start = "CFG-YAML deployment.yaml:";
        assert!(found[0].starts_with(start), "{text:?}: {found:?}");
        assert!(found[0].contains(expected), "{text:?}: {found:?}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused_with_their_place() {
    for (bytes, expected) in [
        (b"base: x\nb\xff".as_slice(), ":2:2: not UTF-8 text"),
        (b"\xff\xfeb\0a\0s\0e\0", ":1:1: not UTF-8 text"),
        (b"a: \xed\xa0\x80", ":1:4: not UTF-8 text"),
        (b"\xc3\xa4: \xc3", ":1:4: not UTF-8 text"),
    ] {
        let found = problems(bytes, &[]);
        assert_eq!(found, [format!("CFG-YAML deployment.yaml{expected}")]);
    }
}

#[test]
fn limits_hold_and_are_quick() {
    let started = Instant::now();
    let mib = 1 << 20;
    let nested_block: Vec<String> = (0..1400).map(|level| " ".repeat(level) + "a:").collect();
    for (text, expected) in [
        ("[".repeat(65), "nested more than 64 levels deep"),
        ("[".repeat(mib), "recursion limit exceeded"),
        ("{a: ".repeat(65), "nested more than 64 levels deep"),
        ("{a: ".repeat(mib / 4), "recursion limit exceeded"),
        ("- ".repeat(mib / 2), "nested more than 64 levels deep"),
        ("? ".repeat(mib / 2), "a key is a list or a map"),
        (nested_block.join("\n"), "nested more than 64 levels deep"),
        ("- a\n".repeat(mib / 4), "more than 50000 values"),
        (" ".repeat(mib + 1), ":1:1: more than 1 MiB"),
    ] {
        let found = problems(&text, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
    // Long messages are shortened, and a terminal has nothing to obey in them.
    let long = "x".repeat(mib - 100);
    let found = problems("environment: {\"A\\e[2J\\u202e\": []}", &[]).concat();
    assert!(
        found.contains("environment.A\\u{1b}[2J\\u{202e}: expected a text"),
        "{found}"
    );
    for text in [
        format!("{long}: 1"),
        format!("deployment: {{name: {long}}}"),
        format!("environment: {{{long}-: 1}}"),
        format!("container: {{{long}: [], env: []}}"),
        format!("source: {{url: \"{long}\"}}"),
        format!("container: {{image: \"{long}\"}}"),
        format!("platforms: [\"{long}\"]"),
        format!("files: [{{from: \"../{long}\", to: /x}}]"),
        format!("environment: {{{long}_KEY: x}}"),
        format!("environment: {{{long}: []}}"),
    ] {
        for problem in problems(&text, &[]) {
            assert!(problem.len() < 1000, "{} bytes", problem.len());
        }
    }
    let same = "base: x\n".repeat(20_000);
    assert_eq!(problems(same, &[]).len(), 51);
    // A large value is no problem in itself.
    let deployment = parse(&format!("environment: {{A: \"{long}\"}}"));
    assert_eq!(deployment.environment[0].1.len(), long.len());
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn every_prefix_and_every_changed_byte_ends_in_an_answer() {
    let sample = "deployment: {name: a, version: v1.0.0}\ncontainer:\n  args: [\"a\\n\", 'b']\n  \
                  env: {A: |-\n x}\nfiles:\n- {from: a, to: /b}\nenvironment:\n  A: >\n    b\n";
    let bytes = sample.as_bytes();
    for end in 0..bytes.len() {
        drop(karisimbi::deployment::Deployment::parse("f", &bytes[..end]));
        for byte in *b"\0\t\n\r &*!?:-[]{}#|>'\"%@`~\x7f\xc3\xff" {
            let mut changed = bytes.to_vec();
            changed[end] = byte;
            let result = karisimbi::deployment::Deployment::parse("f", &changed);
            if let Err(errors) = result {
                assert!(errors.to_string().starts_with("f:"), "{errors}");
            }
        }
    }
}
