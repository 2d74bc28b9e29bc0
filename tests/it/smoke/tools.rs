//! Lists of tools, calls, formats, and what no message shows.

use serde_json::{Value, json};

use super::{check, finished, smoke};
use crate::support::{karisimbi, run};

#[test]
fn a_list_is_accepted_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tools.json");
    let path = file.to_str().expect("UTF-8");
    let missing = finished(&mut smoke(&["--tools", path], &["stdio", "legacy"]));
    check(
        &missing,
        (
            "missing",
            2,
            &[
                "error[SRV-TOOLS-FILE]",
                "tools.json is not there\n",
                "hint: --accept writes it anew",
            ],
        ),
    );
    let accepted = finished(&mut smoke(
        &["--tools", path, "--accept"],
        &["stdio", "legacy"],
    ));
    check(
        &accepted,
        ("accept", 0, &["wrote    ", "tools.json, 2 tools, sha256:"]),
    );
    let text = fs_err::read_to_string(&file).expect("tools.json");
    let expected = json!([
        {"name": "add", "description": "Adds", "inputSchema": {"required": ["a"], "type": "object"}},
        {"name": "echo", "description": "Says it again\nin full", "inputSchema": {"type": "object"}},
    ]);
    assert_eq!(text, format!("{expected:#}\n"));
    for behaviour in ["legacy", "modern"] {
        let same = finished(&mut smoke(&["--tools", path], &["stdio", behaviour]));
        check(&same, (behaviour, 0, &["2 tools"]));
    }
    let changed = finished(&mut smoke(&["--tools", path], &["stdio", "changed"]));
    let words = &[
        "error[SRV-TOOLS-DRIFT]",
        "tools.json: added new; removed add; changed echo\n",
        "hint: --accept",
    ];
    check(&changed, ("changed", 1, words));
    assert!(changed.stdout.is_empty());
}

#[test]
fn a_declared_list_speaks_for_a_server_that_can_not_be_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tools.json");
    fs_err::write(&file, r#"[{"name":"a"},{"name":"b"}]"#).expect("a file");
    let path = file.to_str().expect("UTF-8");
    // A declared list is told of where the server can't be asked.
    let needs = finished(&mut smoke(&["--tools", path], &["stdio", "needs-variable"]));
    check(
        &needs,
        (
            "needs",
            3,
            &["WEATHER_API_KEY; tools.json declares its 2 tools"],
        ),
    );
    // A list that is still to be written declares nothing.
    let needs = finished(&mut smoke(
        &["--tools", path, "--accept"],
        &["stdio", "needs-variable"],
    ));
    check(&needs, ("needs", 3, &["configuration: WEATHER_API_KEY\n"]));
    let empty = finished(&mut smoke(
        &["--tools", path, "--accept"],
        &["stdio", "no-tools"],
    ));
    check(&empty, ("no-tools", 0, &["0 tools, sha256:"]));
    let empty = finished(&mut smoke(&["--tools", path], &["stdio", "no-tools"]));
    check(&empty, ("no-tools", 0, &["0 tools in "]));
    let nowhere = finished(&mut smoke(&["--accept"], &["stdio", "legacy"]));
    check(
        &nowhere,
        (
            "nowhere",
            2,
            &[
                "error[USE-SMOKE]: --accept",
                "hint: name the file: --tools FILE",
            ],
        ),
    );
}

#[test]
fn tools_are_called() {
    for behaviour in ["legacy", "modern"] {
        let call = ["--call", "echo", r#"{"b":1,"a":"x"}"#];
        let twice = [call, ["--call", "echo", "{}"]].concat();
        let output = finished(&mut smoke(&twice, &["stdio", behaviour]));
        let words: &[&str] = &[
            "called echo in 0.",
            ": {\"a\": \"x\", \"b\": 1}\n",
            ": {}\n",
        ];
        check(&output, (behaviour, 0, words));
    }
    let failed = finished(&mut smoke(&["--call", "add", "{}"], &["stdio", "legacy"]));
    check(
        &failed,
        (
            "add",
            1,
            &["error[SRV-CALL]: calling add failed: it went wrong"],
        ),
    );
    let asks = finished(&mut smoke(
        &["--call", "echo", "{}"],
        &["stdio", "modern-input"],
    ));
    check(
        &asks,
        (
            "input",
            1,
            &[
                "error[SRV-INPUT-REQUIRED]",
                "tools/call",
                "elicitation/create",
            ],
        ),
    );
    let flags = ["--timeout", "1", "--call", "echo", "{}"];
    let slow = finished(&mut smoke(&flags, &["stdio", "slow-call"]));
    check(
        &slow,
        (
            "slow",
            1,
            &["error[SRV-NO-ANSWER]", "last sent: tools/call"],
        ),
    );
    for json in ["[]", "{", "1"] {
        let output = finished(&mut smoke(&["--call", "echo", json], &["stdio", "legacy"]));
        check(
            &output,
            (
                json,
                2,
                &["error[USE-SMOKE]: --call echo: the arguments are no JSON"],
            ),
        );
    }
}

#[test]
fn modern_http_repeats_method_and_tool_in_headers() {
    // The stub compares them with the body.
    let port = crate::support::free_port().to_string();
    let flags = ["--port", &port, "--call", "echo", "{}"];
    let http = finished(&mut smoke(&flags, &["http", "modern", &port]));
    check(&http, ("http", 0, &["called echo"]));
}

#[test]
fn the_answer_is_data() {
    let text = run(&mut smoke(
        &["--format", "json", "--call", "echo", "{}"],
        &["stdio", "modern"],
    ));
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        answer["server"],
        json!({"name": "stub", "version": "1.2.3"})
    );
    assert_eq!(answer["protocol"], "2026-07-28");
    assert_eq!(
        (&answer["era"], &answer["transport"]),
        (&json!("modern"), &json!("stdio"))
    );
    assert_eq!(answer["tools"][0]["inputSchema"]["required"], json!(["a"]));
    assert_eq!(answer["calls"][0]["result"]["content"][0]["text"], "{}");
    assert!(
        answer["toolsDigest"]
            .as_str()
            .expect("a digest")
            .starts_with("sha256:")
    );
    assert!(answer["milliseconds"].is_u64());
    // Nothing in it steers a terminal, and programs read what the server said.
    let text = run(&mut smoke(&["--format", "json"], &["stdio", "steers"]));
    assert!(text.contains(r#""a\u009b31m\u202eb\u001b""#), "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["tools"][0]["name"], "a\u{9b}31m\u{202e}b\u{1b}");
    let verbose = run(&mut smoke(&["-v"], &["stdio", "legacy"]));
    assert!(
        verbose.contains("\n  add: Adds\n  echo: Says it again\n"),
        "{verbose}"
    );
}

#[test]
fn given_values_reach_no_message() {
    let flags = ["-v", "-e", "API_TOKEN=hunter2"];
    let output = finished(&mut smoke(&flags, &["stdio", "crash-later"]));
    check(
        &output,
        ("crash-later", 1, &["Traceback: boom, token is $API_TOKEN"]),
    );
    assert!(!crate::support::shown(&output).contains("hunter2"));
    // Also not a part of one, where a text is cut off.
    let flags = ["-v", "-e", "API_TOKEN=0123456789abcdefghijklmnopqrstuv"];
    let output = finished(&mut smoke(&flags, &["stdio", "cut-token"]));
    check(
        &output,
        ("cut-token", 1, &["$API_TOKEN\"", "    $API_TOKEN---"]),
    );
    let text = crate::support::shown(&output);
    for part in ["01234567", "89abcdef", "opqrstuv"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("env");
    fs_err::write(&file, "# for tests\nAPI_TOKEN=from-a-file\n").expect("a file");
    let flags = ["--env-file", file.to_str().expect("UTF-8")];
    let output = finished(&mut smoke(&flags, &["stdio", "needs-token"]));
    check(&output, ("needs-token", 0, &["2 tools"]));
    let mut passed = smoke(&["-e", "API_TOKEN"], &["stdio", "needs-token"]);
    check(
        &finished(passed.env("API_TOKEN", "x")),
        ("passed", 0, &["2 tools"]),
    );
    let output = finished(&mut smoke(&["-e", "=secret"], &["stdio", "legacy"]));
    check(
        &output,
        ("=secret", 2, &["error[USE-ENV]: -e: write NAME=VALUE"]),
    );
    assert!(!crate::support::shown(&output).contains("secret"));
}

#[test]
fn programs_that_are_none_are_named() {
    for (words, exit, expected) in [
        (
            &["--exec", "--", "/no/such/program"][..],
            1,
            "error[SRV-START]: /no/such/program can't be started",
        ),
        (&["--exec"], 2, "error[USE-SMOKE]: --exec names no program"),
        (
            &["--exec", "--transport", "http", "--", "true"],
            2,
            "error[USE-SMOKE]: --transport: the port",
        ),
        (
            &["--exec", "--", "true"],
            1,
            "error[SRV-EXITED]: the server ended without an answer",
        ),
    ] {
        let output = finished(karisimbi().arg("smoke").args(words));
        check(&output, (expected, exit, &[expected]));
    }
}
