//! Servers on standard streams.

use std::time::{Duration, Instant};

use super::{Case, check, each, finished, smoke};

fn stdio(flags: &'static [&'static str]) -> impl Fn(&str) -> std::process::Output + Sync {
    move |behaviour| finished(&mut smoke(flags, &["stdio", behaviour]))
}

const LEGACY: &str = "answered: stub 1.2.3, protocol 2025-11-25 (legacy, stdio), 2 tools in ";
const MODERN: &str = "answered: stub 1.2.3, protocol 2026-07-28 (modern, stdio), 2 tools in ";

const ANSWER: &[Case<'_>] = &[
    ("legacy", 0, &[LEGACY]),
    ("modern", 0, &[MODERN]),
    // server/discover is refused by other codes, by an error without id, by an end.
    ("invalid-params", 0, &[LEGACY]),
    ("null-id", 0, &[LEGACY]),
    ("exit-on-unknown", 0, &[LEGACY]),
    ("batch", 0, &[LEGACY]),
    ("slow-start", 0, &[LEGACY]),
    // The server's version is taken.
    ("old-version", 0, &["protocol 2024-11-05 (legacy, stdio)"]),
    (
        "unknown-version",
        0,
        &[
            "protocol 2024-10-07",
            "warning[SRV-NOTE]: the server speaks an unknown revision",
        ],
    ),
    // -32022: once more with a version of data.supported; -32021: with the capability.
    ("modern-newer", 0, &["protocol 2027-01-15 (modern, stdio)"]),
    (
        "modern-names-legacy",
        0,
        &["protocol 2025-06-18 (legacy, stdio)"],
    ),
    ("modern-capability", 0, &[MODERN]),
    // -32020 is modern: no fallback, although initialize would be answered.
    (
        "modern-never-falls-back",
        1,
        &["error[SRV-REFUSED]: the server refuses server/discover: header mismatch (-32020)"],
    ),
    // The server asks for ping, sampling and roots in between, and checks what it gets.
    ("questions", 0, &[LEGACY]),
    ("pages", 0, &["4 tools"]),
    (
        "resources-only",
        0,
        &["0 tools", "only resources or prompts"],
    ),
];

#[test]
fn both_eras_answer() {
    each(ANSWER, stdio(&[]));
}

#[test]
fn silence_after_discover_does_not_restart_the_clock() {
    let started = Instant::now();
    let output = finished(&mut smoke(
        &["--timeout", "6"],
        &["stdio", "silent-on-unknown"],
    ));
    check(
        &output,
        ("silent-on-unknown", 0, &["(legacy, stdio), 2 tools"]),
    );
    for behaviour in [
        "stays-silent",
        "foreign-ids",
        "endless-noise",
        "endless-notifications",
    ] {
        let output = finished(&mut smoke(&["--timeout", "2"], &["stdio", behaviour]));
        let words = &[
            "error[SRV-NO-ANSWER]: no answer within 2 s",
            "last sent: initialize; ",
        ];
        check(&output, (behaviour, 1, words));
    }
    // Servers repeat the number as a text.
    let foreign = finished(&mut smoke(&["--timeout", "2"], &["stdio", "foreign-ids"]));
    let words = &["; 1 answer with the id of no request; "];
    check(&foreign, ("foreign-ids", 1, words));
    assert!(
        started.elapsed() < Duration::from_secs(40),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_late_answer_to_discover_is_one() {
    let output = finished(&mut smoke(&[], &["stdio", "modern-slow"]));
    let words = &[
        "(modern, stdio), 2 tools",
        "server/discover was answered late",
    ];
    check(&output, ("modern-slow", 0, words));
}

const ENDS: &[Case<'_>] = &[
    (
        "needs-variable",
        3,
        &[
            "error[SRV-NEEDS-CONFIG]: the server asks for configuration: WEATHER_API_KEY\n",
            "last sent: initialize; 0 bytes on its stdout; it ended with exit code 1",
            "    Error: WEATHER_API_KEY environment variable is required\n",
            "hint: a made-up value is mostly enough to list tools: karisimbi smoke … -e WEATHER_API_KEY=x",
        ],
    ),
    (
        "needs-key",
        3,
        &["configuration\n", "ValueError: Missing API key"],
    ),
    ("needs-field", 3, &["configuration: api_token\n"]),
    (
        "needs-usage",
        3,
        &["configuration: --project\n", "hint: give it its arguments"],
    ),
    ("needs-flag", 3, &["configuration: -http\n"]),
    ("needs-environ", 3, &["configuration: WEATHER_API_KEY\n"]),
    (
        "config-late",
        3,
        &["configuration: WEATHER_API_KEY\n", "last sent: tools/list"],
    ),
    (
        "broken",
        1,
        &["error[SRV-EXITED]: ", "    TypeError: f() missing"],
    ),
    (
        "library",
        1,
        &[
            "error[SRV-LIBC]: a library or program does not fit the image: stub: error while loading",
        ],
    ),
    (
        "offline",
        1,
        &[
            "error[SRV-EXITED]",
            "hint: it wants the network at its start: --network host",
        ],
    ),
    (
        "quiet-end",
        1,
        &["it ended with exit code 0; it logged nothing"],
    ),
    (
        "killed",
        1,
        &["error[SRV-EXITED]", "it ended with signal 11"],
    ),
    (
        "crash-later",
        1,
        &["error[SRV-EXITED]", "last sent: tools/list", "exit code 7"],
    ),
    (
        "refuses",
        1,
        &["error[SRV-REFUSED]: the server refuses initialize: out of order (-32603)"],
    ),
    // Help instead of a server, with exit code 0 and on stdout.
    (
        "help",
        3,
        &[
            "configuration: <arguments>\n",
            "which begin with \"A stub.\"",
            "hint: give it its arguments",
        ],
    ),
    (
        "closes-stdout",
        1,
        &["error[SRV-PROTOCOL]: the server breaks the protocol: it closed its stdout"],
    ),
];

#[test]
fn servers_that_ask_for_configuration_are_told_from_broken_ones() {
    each(ENDS, stdio(&[]));
    let given = finished(&mut smoke(
        &["-e", "API_TOKEN=x"],
        &["stdio", "needs-token"],
    ));
    check(&given, ("needs-token", 0, &["2 tools"]));
}

const NOISE: &[Case<'_>] = &[
    (
        "noise",
        1,
        &[
            "error[SRV-STDOUT-NOISE]: stdout is for messages alone; 2 lines there are none, the first: \"Welcome to the stub!\"",
        ],
    ),
    (
        "json-noise",
        1,
        &["a line there is none: \"{\\\"level\\\":\\\"info\\\"}\""],
    ),
    // Nothing of it reaches a terminal as it is.
    ("bad-utf8", 1, &["\u{fffd}\u{fffd}{}\\u{1b}[2J"]),
    ("deep", 1, &["SRV-STDOUT-NOISE"]),
    ("farewell", 1, &["\"good bye\""]),
    (
        "banner",
        1,
        &["and it ended without one; a line there is none: \"Hi user\""],
    ),
    (
        "huge-line",
        1,
        &[
            "error[SRV-TOO-LARGE]: the server answered server/discover with a message of more than 8 MiB",
        ],
    ),
    ("huge-text", 1, &["SRV-TOO-LARGE"]),
    // Its own questions wait in our memory for it to read our answers.
    (
        "endless-questions",
        1,
        &["SRV-PROTOCOL", "it asks its client without end"],
    ),
];

#[test]
fn only_messages_may_stand_on_stdout() {
    each(NOISE, stdio(&[]));
    let allowed = finished(&mut smoke(&["--allow-noise"], &["stdio", "noise"]));
    check(
        &allowed,
        (
            "noise",
            0,
            &[
                "answered: stub",
                "warning[SRV-NOTE]: stdout is for messages alone",
            ],
        ),
    );
}

#[test]
fn lists_that_break_the_protocol_are_refused() {
    let cases: &[Case<'_>] = &[
        (
            "cursor-loop",
            1,
            &["SRV-PROTOCOL", "go in circles: a cursor came twice"],
        ),
        (
            "long-cursor",
            1,
            &["SRV-PROTOCOL", "nextCursor is longer than 64 KiB"],
        ),
        (
            "long-list",
            1,
            &["SRV-PROTOCOL", "tools of more than 8 MiB in all"],
        ),
        ("endless-pages", 1, &["SRV-PROTOCOL", "more than 500 pages"]),
        ("twice", 1, &["SRV-PROTOCOL", "names echo twice"]),
        (
            "tools-no-list",
            1,
            &["SRV-PROTOCOL", "has no list of tools"],
        ),
        (
            "no-tools",
            1,
            &["error[SRV-NO-TOOLS]: the server names no tools"],
        ),
    ];
    each(cases, stdio(&[]));
}

#[test]
fn a_server_is_ended_in_order() {
    let cases: &[Case<'_>] = &[
        (
            "exit-one",
            0,
            &["at the end of its input it ended with exit code 1"],
        ),
        (
            "stays",
            0,
            &["it did not end with its input; SIGTERM ended it"],
        ),
        (
            "ignores-term",
            0,
            &["it ended neither with its input nor by SIGTERM"],
        ),
    ];
    each(cases, stdio(&[]));
    // What a server leaves behind in its group ends with it.
    let marker = format!("{}.25", 3000 + std::process::id());
    let script = format!("sleep {marker} & exec \"$@\"");
    let mut command = crate::support::karisimbi();
    command.args(["smoke", "--exec", "--", "sh", "-c", &script, "sh"]);
    command.args(super::stub(&["stdio", "legacy"]));
    check(&finished(&mut command), ("behind", 0, &["2 tools"]));
    let left = std::fs::read_dir("/proc")
        .expect("processes")
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| {
            line.starts_with(b"sleep\0") && line.ends_with(format!("{marker}\0").as_bytes())
        })
        .count();
    assert_eq!(left, 0, "sleep {marker} was left behind");
}
