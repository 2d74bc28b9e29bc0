//! Servers that listen.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{Case, check, each, finished, smoke, stub};
use crate::support::{free_port, karisimbi, tool};

fn http(flags: &'static [&'static str]) -> impl Fn(&str) -> std::process::Output + Sync {
    move |behaviour| {
        let port = free_port().to_string();
        let mut flags = flags.to_vec();
        flags.extend(["--port", &port]);
        finished(&mut smoke(&flags, &["http", behaviour, &port]))
    }
}

const LEGACY: &str = "answered: stub 1.2.3, protocol 2025-11-25 (legacy, http), 2 tools in ";
const MODERN: &str = "answered: stub 1.2.3, protocol 2026-07-28 (modern, http), 2 tools in ";

const ANSWER: &[Case<'_>] = &[
    // 400 with an error of its own id, a session, 202.
    ("legacy", 0, &[LEGACY]),
    ("modern", 0, &[MODERN]),
    // Answers in streams: comments, CR LF, several data lines, other messages before.
    ("framed", 0, &[LEGACY]),
    ("modern-framed", 0, &[MODERN]),
    ("modern-capability", 0, &[MODERN]),
    ("stateless", 0, &[LEGACY]),
    ("empty-400", 0, &[LEGACY]),
    ("unknown-method", 0, &[LEGACY]),
    (
        "session-lost-once",
        0,
        &[LEGACY, "it lost its session once (404)"],
    ),
    ("moved", 0, &[LEGACY]),
    // To the name of the Host header, which is none of the address.
    ("moved-named", 0, &[LEGACY]),
    ("slow-listen", 0, &[LEGACY]),
    (
        "old-sse",
        0,
        &["(legacy, sse), 2 tools", "HTTP+SSE is deprecated"],
    ),
];

#[test]
fn both_eras_answer() {
    each(ANSWER, http(&[]));
}

const WRONG: &[Case<'_>] = &[
    ("session-lost", 1, &["SRV-PROTOCOL", "gone at once (404)"]),
    (
        "bad-session",
        1,
        &["SRV-PROTOCOL", "its session id is no visible ASCII"],
    ),
    (
        "old-sse-foreign",
        1,
        &[
            "SRV-PROTOCOL",
            "it wants requests at \"http://elsewhere.example/messages\"",
        ],
    ),
    (
        "old-sse-other-first",
        1,
        &["SRV-PROTOCOL", "the first event is \"message\""],
    ),
    (
        "unauthorized",
        3,
        &[
            "error[SRV-UNAUTHORIZED]",
            "it answered 401: Bearer realm=\"stub\"",
        ],
    ),
    (
        "forbidden",
        3,
        &["error[SRV-UNAUTHORIZED]", "it answered 403"],
    ),
    (
        "host-421",
        1,
        &[
            "error[SRV-HOST-REJECTED]",
            "refuses the Host header localhost:",
            "it answered 421: Invalid Host header",
        ],
    ),
    (
        "host-403",
        1,
        &[
            "error[SRV-HOST-REJECTED]",
            "hint: add the name to the server's allowed hosts, or pass --host",
        ],
    ),
    (
        "moved-away",
        1,
        &[
            "error[SRV-REDIRECT]",
            "redirects to http://elsewhere.example/mcp (307)",
        ],
    ),
    ("moved-round", 1, &["error[SRV-REDIRECT]"]),
    (
        "page",
        1,
        &[
            "error[SRV-HTTP]",
            "answered initialize with 200: <html>a page</html>",
        ],
    ),
    (
        "nothing",
        1,
        &[
            "error[SRV-HTTP]",
            "with 404: nothing here",
            "hint: is that the server's address?",
        ],
    ),
    ("broken-500", 1, &["error[SRV-HTTP]", "with 500: boom"]),
    ("endless-body", 1, &["error[SRV-TOO-LARGE]"]),
    (
        "cut-stream",
        1,
        &[
            "SRV-PROTOCOL",
            "the stream of initialize ended without its answer",
        ],
    ),
    (
        "encoded",
        1,
        &["SRV-PROTOCOL", "its answer is encoded as gzip"],
    ),
    // No network is to blame between us and a server of ours.
    (
        "hangs-up",
        1,
        &["error[SRV-PROTOCOL]", "last sent: tools/list"],
    ),
    ("cursor-loop", 1, &["a cursor came twice"]),
    (
        "needs-variable",
        3,
        &["error[SRV-NEEDS-CONFIG]", "WEATHER_API_KEY"],
    ),
    (
        "quiet-end",
        1,
        &[
            "error[SRV-EXITED]",
            "hint: a server that speaks over stdio? --transport stdio",
        ],
    ),
];

#[test]
fn what_is_wrong_is_named() {
    each(WRONG, http(&[]));
    let cases: &[Case<'_>] = &[
        ("silent", 1, &["error[SRV-NO-ANSWER]: no answer within 2 s"]),
        (
            "other-port",
            1,
            &[
                "error[SRV-NO-ANSWER]: nothing listens on its port within 2 s\n  last sent: nothing;",
                "hint: does it listen on another port (--port)",
            ],
        ),
        ("old-sse-flood", 1, &["error[SRV-TOO-LARGE]"]),
        (
            "endless-stream",
            1,
            &["error[SRV-NO-ANSWER]: no answer within 2 s"],
        ),
    ];
    each(cases, http(&["--timeout", "2"]));
}

#[test]
fn flags_choose_transport_path_and_host() {
    let allowed = &["--host", "allowed.example"];
    check(&http(allowed)("host-421"), ("host-421", 0, &["2 tools"]));
    check(&http(allowed)("host-403"), ("host-403", 0, &["2 tools"]));
    let sse = http(&["--transport", "sse"])("old-sse");
    check(&sse, ("old-sse", 0, &["/sse\n", "(legacy, sse), 2 tools"]));
    let only = http(&["--transport", "http"])("old-sse");
    check(&only, ("old-sse", 1, &["error[SRV-HTTP]", "with 405"]));
    let other = http(&["--transport", "sse"])("legacy");
    check(
        &other,
        ("legacy", 1, &["error[SRV-HTTP]", "answered GET with 405"]),
    );
    let path = http(&["--path", "/elsewhere"])("nothing");
    check(
        &path,
        ("nothing", 1, &["/elsewhere answered initialize with 404"]),
    );
}

/// A stub that runs on its own.
struct Running {
    process: Child,
    port: u16,
}

impl Running {
    fn start(behaviour: &str) -> Self {
        let port = free_port();
        let words = stub(&["http", behaviour, &port.to_string()]);
        let process = tool(&words[0])
            .args(&words[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a stub");
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "no stub");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn a_running_server_is_asked_at_its_address() {
    let server = Running::start("legacy");
    let ask = |url: &str| finished(karisimbi().args(["smoke", url]).env_remove("HOME"));
    for path in ["/mcp", "", "/"] {
        let output = ask(&format!("http://127.0.0.1:{}{path}", server.port));
        check(&output, (path, 0, &["/mcp", "(legacy, http), 2 tools"]));
    }
    let nobody = ask(&format!("http://127.0.0.1:{}/mcp", free_port()));
    check(&nobody, ("nobody", 13, &["error[NET-UNREACHABLE]"]));
    // What it logs is not ours to know.
    let silent = Running::start("silent");
    let url = format!("http://127.0.0.1:{}", silent.port);
    let silent = finished(karisimbi().args(["smoke", "--timeout", "1", &url]));
    let words = &["no answer within 1 s\n  last sent: initialize\nhint"];
    check(&silent, ("silent", 1, words));
    let login = ask("http://user:secret@127.0.0.1:1/mcp");
    check(&login, ("login", 13, &["127.0.0.1:1"]));
    assert!(!String::from_utf8_lossy(&login.stderr).contains("secret"));
    for flags in [["--port", "1"], ["--transport", "stdio"], ["-e", "A=b"]] {
        let url = format!("http://127.0.0.1:{}/mcp", server.port);
        let output = finished(karisimbi().args(["smoke", &url]).args(flags));
        check(
            &output,
            ("usage", 2, &["error[USE-SMOKE]: a running server takes no"]),
        );
    }
    let offline = finished(karisimbi().args(["--offline", "smoke", "http://h.example/mcp"]));
    check(&offline, ("offline", 2, &["error[NET-OFFLINE]"]));
}

#[test]
fn an_interrupted_smoke_leaves_no_server() {
    let port = free_port();
    let mut command = smoke(
        &["--port", &port.to_string()],
        &["http", "silent", &port.to_string()],
    );
    let mut process = command.stderr(Stdio::null()).spawn().expect("smoke");
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let wait = |wanted: bool| {
        let started = Instant::now();
        while listens() != wanted {
            assert!(started.elapsed() < Duration::from_secs(30), "{wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait(true);
    process.kill().expect("a signal");
    process.wait().expect("an end");
    wait(false);
}
