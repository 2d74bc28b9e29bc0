//! What people read when a file is wrong.

use super::{parse, problems};

/// Each line is `file => the only problem, in part`; `⏎` stands for a line break in the file.
fn check(table: &str) {
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(" => ").expect(line))
        .collect();
    assert!(rows.len() > 5);
    for (text, expected) in rows {
        let found = problems(text.replace('⏎', "\n"), &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn unknown_keys_get_a_suggestion() {
    check(
        r#"
⏎⏎conatiner:⏎  port: 1 => CFG-KEY deployment.yaml:3:1: unknown key "conatiner"; did you mean "container"?
container:⏎    prot: 1 => CFG-KEY deployment.yaml:2:5: unknown key "container.prot"; did you mean "container.port"?
port: 8000 => CFG-KEY deployment.yaml:1:1: unknown key "port"; did you mean "container.port"?
main: ./cmd => CFG-KEY deployment.yaml:1:1: unknown key "main"; did you mean "recipe.go.main"?
Environment: {} => CFG-KEY deployment.yaml:1:1: unknown key "Environment"; did you mean "environment"?
pre_build: [] => CFG-KEY deployment.yaml:1:1: unknown key "pre_build": not supported in this version
copy_from: [] => unknown key "copy_from": not supported in this version
transport: {type: sse} => unknown key "transport": not supported in this version
recipe: {node: {}} => CFG-KEY deployment.yaml:1:10: unknown key "recipe.node": not supported in this version
recipe: {go: {mian: x}} => deployment.yaml:1:15: unknown key "recipe.go.mian"; did you mean "recipe.go.main"?
runtime: {} => unknown key "runtime": write container.entrypoint, container.args and container.env
source: {zzzzzzzz: 1} => 1:10: unknown key "source.zzzzzzzz"; known here: url, ref, commit, directory
files: [{form: a, from: b, to: /c}] => 1:10: unknown key "files[0].form"; did you mean "files[0].from"?
"a\nb\e": 1 => unknown key "a\nb\u{1b}"; known here: deployment, source, container, recipe, base,
"#,
    );
}

#[test]
fn wrong_types_say_what_was_expected() {
    check(
        r#"
- a => CFG-TYPE deployment.yaml:1:1: the file: expected a map of keys, found a list
hello => CFG-TYPE deployment.yaml:1:1: the file: expected a map of keys, found a text
container: 5 => CFG-TYPE deployment.yaml:1:12: container: expected a map of keys, found a text
container:⏎  port: "80" => 2:9: container.port: expected a whole number, found a text in quotes
container:⏎  port: 0x50 => 2:9: container.port: expected a whole number, found a text
container:⏎  port: 1.5 => 2:9: container.port: expected a whole number, found a text
container:⏎  port:⏎  image: h.example/a => 2:3: container.port: expected a whole number, found nothing
container: {tag_differs: yes} => 1:26: container.tag_differs: expected true or false, found a text
container: {args: -http} => 1:19: container.args: expected a list of texts, found a text
container: {args: [a, [b]]} => 1:23: container.args[1]: expected a text, found a list
environment:⏎  A:⏎  B: x => 2:3: environment.A: expected a text, found nothing
environment:⏎  A: {b: c} => 2:6: environment.A: expected a text, found a map
environment: [A=b] => 1:14: environment: expected a map of names to texts, found a list
files: {from: a, to: /b} => 1:8: files: expected a list of maps, found a map
files: [a] => 1:9: files[0]: expected a map of keys, found a text
recipe: {go: {cgo: [static]}} => 1:20: recipe.go.cgo: expected a text, found a list
base: [a] => CFG-TYPE deployment.yaml:1:7: base: expected a text, found a list
"#,
    );
}

#[test]
fn broken_rules_of_deployment_source_and_container() {
    check(
        r#"
deployment: {name: App} => CFG-VALUE deployment.yaml:1:20: deployment.name "App": write at most 53 characters a-z 0-9 -
deployment: {name: -a} => name "-a": write at most 53
deployment: {name: aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbb} => write at most 53
deployment: {version: 1.10} => CFG-VALUE deployment.yaml:1:23: deployment.version "1.10": not a semantic version
deployment: {version: v01.0.0} => not a semantic version
deployment: {version: 1.0.0-} => not a semantic version
deployment: {version: v1.0.0+build} => a + is allowed neither in a tag nor in a label
deployment: {version: a b, version_rule: tag} => a tag has
deployment: {version_rule: no} => version_rule "no": write semver or tag
deployment: {repo_type: ruby} => repo_type "ruby": write nodejs, python or golang
deployment: {created_at: 2025-01-15} => created_at "2025-01-15": write an RFC 3339 time
deployment: {created_at: 2025-02-30T10:30:00Z} => write an RFC 3339 time
deployment: {created_at: '2025-01-15T10:30:00Z[UTC]'} => write an RFC 3339 time
source: {url: https://h.example/x, commit: abc} => write the whole commit id
source: {commit: 0123456789012345678901234567890123456789} => source.commit: needs source.url
source: {url: 'ext::sh -c id'} => has a blank
source: {url: 'ext::sh'} => source.url "ext::sh": write https://HOST/PATH
source: {url: --upload-pack=x} => starts with -
source: {url: https://h.example/x, ref: -x} => starts with -
source: {url: https://h.example/x, ref: a..b} => not a name of a branch or tag
source: {directory: ../x} => it has a . or .. component
source: {directory: /x} => it is absolute
container: {port: 0} => container.port "0": write a number from 1 to 65535
container: {port: 65536} => write a number from 1 to 65535
container: {port: 080} => write a number from 1 to 65535
container: {port: -1} => write a number from 1 to 65535
container: {image: alpine:3} => container.image: "alpine:3" is not an image name
container: {image: "h.example/a@sha256:0123456789012345678901234567890123456789012345678901234567890123"} => a digest is the result of a build
deployment: {version: v2.0.0}⏎container: {image: h.example/a:v1.0.0} => 2:20: container.image "h.example/a:v1.0.0": its tag differs from deployment.version v2.0.0
container: {env: {1A: x}} => container.env "1A": a variable's name
base_flavour: slim => base_flavour "slim": write distroless or alpine
base_registry: hub => base_registry "hub": "hub/name"
bases: {cc: a b} => bases.cc "a b": has a blank
mirror: ftp://h/debian => mirror "ftp://h/debian": write https://HOST/PATH
mirror: https://h/x?y => mirror "https://h/x?y": has a query
mirror: https://u:p@h/debian => mirror looks like a secret
os_packages: [libpq5, -o] => os_packages[1] "-o": is not the name of a Debian package
ca_certs: [""] => ca_certs[0] "": is empty
"#,
    );
}

#[test]
fn broken_rules_of_the_other_keys() {
    check(
        r#"
base: a b => CFG-VALUE deployment.yaml:1:7: base "a b": has a blank
platforms: [linux] => platforms[0]: "linux" is not a platform
platforms: [windows/amd64] => images are built for linux alone
platforms: [linux/arm64, linux/arm64/v8] => platforms[1] "linux/arm64/v8": is listed twice
files: [{from: a}] => files[0]: the key to is missing
files: [{from: ../a, to: /b}] => files[0].from "../a": path
files: [{from: a, to: b}] => files[0].to "b": write an absolute path
files: [{from: a, to: /b/../c}] => it has a . or .. component
files: [{from: a, to: /b, mode: 4755}] => files[0].mode "4755": write 0644 or 0755
recipe: {use: ruby} => recipe.use "ruby": write go or files
recipe: {use: node} => this recipe is not supported in this version
environment: {A-B: x} => environment "A-B": a variable's name
kubernetes: {namespace: a.b} => write at most 63
kubernetes: {replicas: 99999999999} => write a number from 0 to 2147483647
kubernetes: {resources: {limits: {cpu: 1x, memory: 1Gi}}} => kubernetes.resources.limits.cpu "1x": not an amount
kubernetes: {resources: {limits: {cpu: 1, memory: 512m}}} => is not a whole number of bytes; write Mi or Gi
kubernetes: {resources: {limits: {cpu: 100u, memory: 1Gi}}} => 1m is the least
kubernetes: {resources: {limits: {cpu: 1}}} => limits.memory is missing
kubernetes: {resources: {requests: {cpu: 1.5}, limits: {cpu: 1000m, memory: 1Gi}}} => requests.cpu "1.5": is more than limits.cpu, 1000m
"#,
    );
}

#[test]
fn valid_forms_are_accepted() {
    for text in [
        "deployment: {version: 1.0.0-rc.1.x-y}",
        "deployment: {created_at: 2025-01-15T10:30:00.5+02:00}",
        "source: {url: git@github.com:user/repo.git}",
        "source: {url: ssh://git@h.example/x}",
        "source: {url: file:///srv/git/x, ref: release/1.x}",
        "source: {directory: .}",
        "container: {image: h.example/a}",
        "environment: {KEYBOARD: x, MAX_TOKENS: 5, API_TOKEN: ''}",
        "kubernetes: {replicas: 0}",
    ] {
        parse(text);
    }
}

#[test]
fn secrets_are_refused_and_never_printed() {
    check(
        r"
environment: {API_TOKEN: hunter2} => CFG-SECRET deployment.yaml:1:26: environment.API_TOKEN looks like a secret
environment: {OPENAI_API_KEY: hunter2} => environment.OPENAI_API_KEY looks like a secret
environment: {my_secret_x: hunter2} => environment.my_secret_x looks like a secret
environment: {DB_PASSWORD: hunter2} => environment.DB_PASSWORD looks like a secret
container: {env: {CREDENTIALS: hunter2}} => container.env.CREDENTIALS looks like a secret
source: {url: https://user:hunter2@h.example/x} => CFG-SECRET deployment.yaml:1:15: source.url looks like a secret
source: {url: https://hunter2@h.example/x} => source.url looks like a secret
deployment: {github_url: https://hunter2@github.com/x} => deployment.github_url looks like a secret
",
    );
    for text in [
        "environment: {API_TOKEN: hunter2}",
        "source: {url: 'https://user:hunter2@h.example/x'}",
        // Wrong in another way, and still not printed.
        "source: {url: 'ftp://user:hunter2@h.example/x y'}",
        "source: {url: 'git@h.example:x?hunter2'}",
        "source: {url: 'https://h.example/x?token=hunter2'}",
        "environment: {A B: hunter2}",
        "environment: {API_TOKEN: [hunter2]}",
    ] {
        let found = problems(text, &[("environment.DB_PASSWORD", "hunter2")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}

#[test]
fn all_problems_come_in_the_order_of_their_lines() {
    let text = "kubernetes: {replicas: x}\nfoo_bar_baz: 1\nenvironment:\n  A_KEY: s\n\
                deployment:\n  name: A\n  name: b\n";
    let found = problems(text, &[("container.port", "0"), ("contaner.port", "1")]);
    let starts = [
        "CFG-TYPE deployment.yaml:1:24: kubernetes.replicas",
        "CFG-KEY deployment.yaml:2:1: unknown",
        "CFG-SECRET deployment.yaml:4:10: ",
        "CFG-VALUE deployment.yaml:6:9: deployment.name",
        "CFG-YAML deployment.yaml:7:3: the key \"name\" is written twice in this map",
        "CFG-VALUE --set container.port: container.port \"0\"",
        "CFG-KEY --set contaner.port: unknown key \"contaner\"; did you mean \"container\"?",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (problem, start) in found.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} / {start}");
    }
    let many: Vec<String> = (0..500).map(|n| format!("zzzz{n}: x")).collect();
    let found = problems(many.join("\n"), &[]);
    assert_eq!(found.len(), 51);
    assert_eq!(found[50], "CFG-MORE deployment.yaml: 450 more problems");
}
