//! Bytes that must not move: see docs/concepts/layers.md on when they may.

use std::fmt::Write as _;

use karisimbi::digest::Digest;
use karisimbi::layer::{Compression, Encoder, Entry, Executable, Node, Owner};

use super::{MIB, directory, encode, encode_with, file, first_member, link, mixed, piped};
use crate::support::{repository, tool};

/// Every kind of entry and every place that a name can go to.
fn kinds() -> Vec<Entry> {
    let d = |count| "d".repeat(count);
    let mut entries = vec![
        directory("app", 0o755, Owner::ROOT),
        directory("app/data", 0o755, Owner::APP),
        file("app/empty", *b""),
        file("app/main.py", *b"#!/usr/bin/env python3\nprint('hello')\n"),
        link("app/dangling", "/nowhere/at/all"),
        link("app/long-target", &format!("../{}", d(98))),
        link("app/umlaut-target", "../caf\u{e9}"),
        directory("tmp", 0o1777, Owner::ROOT),
        file(&d(100), *b"100"),
        file(&d(101), *b"101"),
        file(&format!("{}/{}", d(154), d(100)), *b"255, split"),
        file(&format!("{}/{}", d(155), d(100)), *b"256, split"),
        file(&format!("{}/{}", d(200), d(54)), *b"255, PAX"),
        file(&format!("e/{}/f", d(150)), *b"split at either"),
        file(&format!("g/{}", d(99)), *b"split at one slash"),
        directory(&d(99), 0o755, Owner::ROOT),
        file("name with\nnewline", *b"odd"),
        file("\u{65e5}\u{672c}/caf\u{e9}.txt", *b"non-ASCII"),
    ];
    // The directory of 99 bytes ends in a slash: 100 bytes. The one of 100 bytes needs PAX.
    entries.push(directory(&format!("h/{}", d(100)), 0o700, Owner::ROOT));
    let executable = file("app/run", *b"#!/bin/sh\n");
    let Node::File { content, .. } = executable.node else {
        unreachable!("a file")
    };
    let node = Node::File {
        executable: Executable::Yes,
        content,
    };
    entries.push(super::entry("app/run", node));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

fn blocks() -> Vec<Entry> {
    vec![
        file("a", mixed(MIB - 1536, 11)),
        file("b", mixed(2 * MIB, 12)),
        file("c", vec![0; 3 * MIB]),
    ]
}

#[test]
fn pinned_bytes_have_not_moved() {
    let encoder = Encoder::new(2);
    for (name, entries) in [
        ("empty", Vec::new()),
        ("kinds", kinds()),
        ("blocks", blocks()),
    ] {
        let (gzip, layer) = encode_with(&encoder, Compression::Gzip, &entries).expect("a layer");
        let (_, frames) = encode_with(&encoder, Compression::Zstd, &entries).expect("a layer");
        let tar = first_member(&gzip);
        assert_eq!(Digest::of(&tar), layer.diff_id.0);
        let mut found = format!(
            "diff id      {}\ntar size     {}\ngzip digest  {}\nzstd digest  {}\n",
            layer.diff_id,
            layer.summary.tar_size,
            layer.descriptor.digest,
            frames.descriptor.digest
        );
        for line in tar.chunks(32).take(32) {
            for byte in line {
                write!(found, "{byte:02x}").expect("text");
            }
            found.push('\n');
        }
        let path = repository().join(format!("testdata/golden/layer-{name}.txt"));
        #[expect(
            clippy::disallowed_methods,
            reason = "an order to the tests, not a setting"
        )]
        let bless = std::env::var_os("KARISIMBI_BLESS").is_some();
        if bless {
            crate::support::write(&path, &found);
        }
        let expected = fs_err::read_to_string(&path).expect("the golden file");
        assert_eq!(
            found, expected,
            "layer {name}: its format version must move too"
        );
    }
}

#[test]
fn other_programs_list_the_same_entries() {
    let entries = kinds();
    let (blob, _) = encode(&entries).expect("a layer");
    let tar = piped(tool("gzip").arg("-dc"), &blob);
    let listing = piped(
        tool("tar").env("TZ", "UTC").env("LC_ALL", "C.UTF-8").args([
            "-tvf",
            "-",
            "--full-time",
            "--quoting-style=literal",
            "--numeric-owner",
        ]),
        &tar,
    );
    let listing = String::from_utf8(listing).expect("UTF-8");
    for line in [
        "drwxr-xr-x 1001/1001         0 1980-01-01 00:00:01 app/data/",
        "-rw-r--r-- 0/0               0 1980-01-01 00:00:01 app/empty",
        "-rwxr-xr-x 0/0              10 1980-01-01 00:00:01 app/run",
        "lrwxrwxrwx 0/0               0 1980-01-01 00:00:01 app/dangling -> /nowhere/at/all",
        "drwxrwxrwt 0/0               0 1980-01-01 00:00:01 tmp/",
        "lrwxrwxrwx 0/0               0 1980-01-01 00:00:01 app/umlaut-target -> ../caf\u{e9}",
    ] {
        assert!(listing.contains(line), "{line}\n{listing}");
    }
    let expected: Vec<String> = entries
        .iter()
        .map(|entry| match entry.node {
            Node::Directory { .. } => format!("{}/", entry.path.as_str()),
            _ => entry.path.as_str().to_owned(),
        })
        .collect();
    for program in ["tar", "bsdtar"] {
        let names = piped(
            tool(program).env("LC_ALL", "C.UTF-8").args(["-tf", "-"]),
            &tar,
        );
        let names = String::from_utf8(names).expect("UTF-8");
        let lines: Vec<String> = names.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), expected.len(), "{program}");
        // Names that programs quote (newline, non-ASCII) are compared by Python, below.
        for (line, path) in lines.iter().zip(&expected) {
            assert!(
                line == path || line.contains('\\'),
                "{program}: {line} for {path}"
            );
        }
    }
}

/// Name, type flag, link target, mtime, user name and keys of the PAX header.
type Member = (String, String, String, f64, String, Vec<String>);

#[test]
fn python_reads_every_name_target_and_pax_header() {
    let entries = kinds();
    let (blob, _) = encode(&entries).expect("a layer");
    let script = "
import sys, tarfile, json
found = []
for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|'):
    found.append([m.name, m.type.decode(), m.linkname, m.mtime, m.uname, sorted(m.pax_headers)])
print(json.dumps(found))";
    let found = piped(tool("python3").args(["-c", script]), &first_member(&blob));
    let found: Vec<Member> = serde_json::from_slice(&found).expect("JSON");
    assert_eq!(found.len(), entries.len());
    for ((name, kind, target, mtime, user, pax), entry) in found.iter().zip(&entries) {
        assert_eq!(name, entry.path.as_str());
        let (flag, link) = match &entry.node {
            Node::File { .. } => ("0", ""),
            Node::Directory { .. } => ("5", ""),
            Node::Symlink { target } => ("2", target.as_str()),
        };
        assert_eq!((kind.as_str(), target.as_str()), (flag, link), "{name}");
        assert!((mtime - 315_532_801.0).abs() < 0.5 && user.is_empty());
        assert!(
            pax.iter().all(|key| key == "path" || key == "linkpath"),
            "{name}: {pax:?}"
        );
    }
    let with_pax = found.iter().filter(|entry| !entry.5.is_empty()).count();
    assert_eq!(with_pax, 6, "{found:#?}");
}
