//! What the finished tree says.

use super::facts;
use crate::digest::Digest;

/// The kind, an ELF header of amd64, then the content.
fn native(content: &str) -> String {
    let (kind, rest) = content.split_at(1);
    format!("{kind}\x7fELF\x02\x01{}\x3e\0{rest}", "\0".repeat(12))
}

#[test]
fn accounts_are_found_where_links_lead() {
    let beside = [("usr/etc/passwd", "fa:x:1001:1\n"), ("etc", "lusr/etc")];
    let later = [("usr/etc/passwd", "fb:x:1001:1\n")];
    let alone = [
        ("etc/passwd", "l/usr/lib/passwd"),
        ("usr/lib/passwd", "fc:x:1001:1\n"),
    ];
    for (layers, name) in [
        (&[&beside[..]][..], "a"),
        (&[&beside, &later], "b"),
        (&[&alone], "c"),
    ] {
        assert_eq!(facts(layers).users[&1001], name);
    }
}

#[test]
fn users_and_libc_come_from_the_topmost_files() {
    let glibc = native("fGNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n");
    let musl = native("x\x001.2.5\0\0libc");
    let (glibc, musl) = (glibc.as_str(), musl.as_str());
    for (layers, libc, user) in [
        (
            &[&[("etc/passwd", "froot:x:0:0\napp:x:1001:1001:\n")][..]][..],
            None,
            Some("app"),
        ),
        (
            &[
                &[("etc/passwd", "fa:x:1001:1\n")],
                &[("etc/passwd", "fbroken\nb:x:1001:1\n")],
            ],
            None,
            Some("b"),
        ),
        (
            &[&[("etc/passwd", "fa:x:1001:1\n"), ("lib/libc.so.6", glibc)]],
            Some("glibc 2.41"),
            Some("a"),
        ),
        (
            &[&[("lib/libc.so.6", "llibc-2.31.so")]],
            Some("glibc"),
            None,
        ),
        (
            &[&[("lib/ld-musl-x86_64.so.1", musl)]],
            Some("musl 1.2.5"),
            None,
        ),
        (
            &[&[
                ("lib/ld-musl-x86_64.so.1", "llibc.so"),
                ("lib/libc.so", musl),
            ]],
            Some("musl 1.2.5"),
            None,
        ),
        (
            &[&[("lib/libc.so.6", glibc)], &[("lib/.wh.libc.so.6", "f")]],
            None,
            None,
        ),
    ] {
        let facts = facts(layers);
        let found = facts.libc.as_ref().map(ToString::to_string);
        assert_eq!(found.as_deref(), libc);
        assert_eq!(facts.users.get(&1001).map(String::as_str), user);
    }
}

#[test]
fn python_is_the_one_that_its_name_starts() {
    let python = |version: &str| native(&format!("x\0{version}\0\x003.2.0\0"));
    let (p311, p313, p39) = (python("3.11.2"), python("3.13.5"), python("3.9.18"));
    let stub = native("x");
    let header = "f#define PY_VERSION \"3.13.7\"\n";
    let debian = "fPREFIX\n\"dist-packages\"\n";
    for (members, expected) in [
        (
            &[
                ("usr/bin/python3.13", p313.as_str()),
                ("usr/bin/python3", "lpython3.13"),
                ("usr/lib/python3.13/site.py", debian),
            ][..],
            "Python 3.13.5 3.13 /usr/bin/python3.13 /usr /usr/local/lib/python3.13/dist-packages",
        ),
        // PATH finds /usr/local first; the distribution's own comes second.
        (
            &[
                ("usr/bin/python3.11", &p311),
                ("usr/bin/python3", "lpython3.11"),
                ("usr/local/bin/python3", "lpython3.13"),
                ("usr/local/bin/python3.13", &stub),
                ("usr/local/lib/libpython3.13.so.1.0", &p313),
            ],
            "Python 3.13.5 3.13 /usr/local/bin/python3.13 /usr/local \
             /usr/local/lib/python3.13/site-packages",
        ),
        // No python3: the newest, by number.
        (
            &[("usr/bin/python3.9", &p39), ("usr/bin/python3.11", &p311)],
            "Python 3.11.2 3.11 /usr/bin/python3.11 /usr /usr/lib/python3.11/site-packages",
        ),
        (
            &[
                ("opt/py/bin/python3.13", &stub),
                ("opt/py/include/python3.13/patchlevel.h", header),
            ],
            "Python 3.13.7 3.13 /opt/py/bin/python3.13 /opt/py /opt/py/lib/python3.13/site-packages",
        ),
        (
            &[("usr/bin/python3.13", &stub)],
            "Python 3.13 3.13 /usr/bin/python3.13 /usr /usr/lib/python3.13/site-packages",
        ),
        (
            &[
                ("usr/bin/python3", "lpython3.13"),
                ("usr/bin/python3.13", "fdata"),
            ],
            "",
        ),
    ] {
        let facts = facts(&[members]);
        let python = facts.python.map(|p| {
            let words = [&p.version, &p.minor, &p.path, &p.prefix, &p.packages];
            format!("Python {}", words.map(String::as_str).join(" "))
        });
        assert_eq!(python.unwrap_or_default(), expected, "{members:?}");
    }
}

#[test]
fn node_is_found_where_images_put_it() {
    let node = native("xnode.js/v24.21.0\0{\"node_module_version\": 137,}");
    let stub = native("x");
    for (members, expected) in [
        (
            &[
                ("usr/local/bin/node", "l../lib/node/bin/node"),
                ("usr/local/lib/node/bin/node", &node),
            ][..],
            "Node 24.21.0 137 /usr/local/bin/node",
        ),
        (
            &[("nodejs/bin/node", &node)],
            "Node 24.21.0 137 /nodejs/bin/node",
        ),
        (
            &[
                ("usr/bin/nodejs", &stub),
                ("usr/lib/x/libnode.so.137", &node.replacen('x', "f", 1)),
            ],
            "Node 24.21.0 137 /usr/bin/nodejs",
        ),
        (
            &[("usr/bin/node", &native("xnode.js/v26.10.0\0"))],
            "Node 26.10.0 147 /usr/bin/node",
        ),
        (&[("usr/bin/node", "x#!/bin/sh\n")], ""),
    ] {
        let node = facts(&[members]).node;
        let found = node.map(|n| format!("Node {} {} {}", n.version, n.abi, n.path));
        assert_eq!(found.unwrap_or_default(), expected, "{members:?}");
    }
}

#[test]
fn a_system_is_known_by_its_files() {
    let sh = native("x");
    let arm = sh.replace('\x3e', "\u{37}");
    let facts = facts(&[&[
        ("bin", "lusr/bin"),
        ("etc/os-release", "l../usr/lib/os-release"),
        (
            "usr/lib/os-release",
            "fID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n",
        ),
        ("usr/bin/dash", sh.as_str()),
        ("usr/bin/sh", "ldash"),
        ("usr/bin/other", arm.as_str()),
        ("lib64", "lusr/lib64"),
        ("usr/lib64/ld-linux-x86-64.so.2", "l../lib/ld.so"),
        ("usr/lib/ld.so", "x"),
        ("etc/group", "froot:x:0:\napp:x:1001:\n"),
        ("etc/ssl/certs/ca-certificates.crt", "fPEM"),
        ("etc/ssl/cert.pem", "lcerts/ca-certificates.crt"),
        ("usr/share/zoneinfo/UTC", "fTZif"),
    ]]);
    let os = facts.os.unwrap();
    assert_eq!(
        (os.id.as_str(), os.version.as_deref(), os.name.as_str()),
        ("debian", Some("13"), "Debian 13")
    );
    assert_eq!(facts.architecture.as_deref(), Some("amd64"));
    assert_eq!(facts.shell.as_deref(), Some("/bin/sh"));
    assert_eq!(facts.loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!(facts.groups[&1001], "app");
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    assert_eq!(facts.ca_bundle.as_deref(), Some(bundle));
    let authorities = [(bundle[1..].to_owned(), Digest::of(b"PEM"))];
    assert_eq!(facts.authorities, authorities.into());
    assert_eq!(facts.time_zones.as_deref(), Some("/usr/share/zoneinfo"));
    let nothing = super::facts(&[&[("etc/os-release", "lnowhere"), ("bin/sh", "lbusybox")]]);
    let found = (
        nothing.os,
        nothing.shell,
        nothing.architecture,
        nothing.loader,
    );
    assert_eq!(found, (None, None, None, None));
}
