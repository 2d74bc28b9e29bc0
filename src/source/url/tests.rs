//! Tests of the names of sources.

use super::*;
use crate::error::{Coded as _, Exit};
use crate::source::address::scrub;

fn git(text: &str) -> GitSource {
    match SourceName::parse(text).unwrap() {
        SourceName::Git(source) => source,
        SourceName::Folder(folder) => panic!("{text} is the folder {}", folder.display()),
    }
}

/// Text, address, reference, directory.
type Form = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
);

const FORMS: &[Form] = &[
    ("https://h.io/o/r", "https://h.io/o/r", None, ""),
    ("https://h.io/o/r.git/", "https://h.io/o/r.git", None, ""),
    (
        "https://h.io/o/r@v1#a/b/",
        "https://h.io/o/r",
        Some("v1"),
        "a/b",
    ),
    (
        "https://h.io/o/r@feature/x",
        "https://h.io/o/r",
        Some("feature/x"),
        "",
    ),
    (
        "https://h.io/o/r@pkg@1.0",
        "https://h.io/o/r",
        Some("pkg@1.0"),
        "",
    ),
    ("https://h.io/o/r#./a", "https://h.io/o/r", None, "a"),
    (
        "https://h.io/o/r.git#v1:a",
        "https://h.io/o/r.git",
        Some("v1"),
        "a",
    ),
    ("https://h.io/o/r.git#:a", "https://h.io/o/r.git", None, "a"),
    (
        "https://h.io/o/r.git#v1:",
        "https://h.io/o/r.git",
        Some("v1"),
        "",
    ),
    (
        "https://github.com/o/r/tree/main",
        "https://github.com/o/r",
        Some("main"),
        "",
    ),
    (
        "https://github.com/o/r/tree/v1/a/b?tab=x",
        "https://github.com/o/r",
        Some("v1"),
        "a/b",
    ),
    (
        "https://gl.io/g/s/r/-/tree/v1/a?ref_type=tags",
        "https://gl.io/g/s/r",
        Some("v1"),
        "a",
    ),
    ("https://h.io/o/r?tab=readme", "https://h.io/o/r", None, ""),
    ("git@h.io:o/r.git", "git@h.io:o/r.git", None, ""),
    ("git@h.io:o/r@v1#a", "git@h.io:o/r", Some("v1"), "a"),
    (
        "ssh://git@h.io:22/o/r@v1",
        "ssh://git@h.io:22/o/r",
        Some("v1"),
        "",
    ),
    ("git+ssh://git@h.io/o/r", "ssh://git@h.io/o/r", None, ""),
    (
        "file:///srv/r.git@v1#a",
        "file:///srv/r.git",
        Some("v1"),
        "a",
    ),
    (
        "http://127.0.0.1:3000/o/r",
        "http://127.0.0.1:3000/o/r",
        None,
        "",
    ),
    (
        "https://u:p@h.io/o/r@v1",
        "https://h.io/o/r",
        Some("v1"),
        "",
    ),
];

#[test]
fn every_form_is_read() {
    for (text, address, reference, directory) in FORMS.iter().copied() {
        let source = git(text);
        assert_eq!(source.url.address(), address, "{text}");
        assert_eq!(source.reference.as_deref(), reference, "{text}");
        assert_eq!(source.directory, directory, "{text}");
        assert!(["r", "o"].contains(&source.url.repository()), "{text}");
    }
    for text in [".", "a/b", "/abs", "c:d", "a@b/c:d", "deployments/x@y"] {
        let folder = SourceName::Folder(PathBuf::from(text));
        assert_eq!(SourceName::parse(text).unwrap(), folder);
    }
    let page = git("https://github.com/o/r/tree/feature/x/cmd");
    assert_eq!(page.split, Split::AtSomeSlash);
}

#[test]
fn what_is_unsafe_or_unclear_is_refused_with_the_rule() {
    for (text, part) in [
        ("git://h.io/o/r", "write https://"),
        ("http://h.io/o/r", "write https://"),
        ("ext::sh -c evil://x/y", "not a scheme"),
        ("ftp://h.io/o/r", "ftp:// is not a scheme"),
        ("ssh://-oProxyCommand=evil/x", "can't begin with -"),
        ("ssh://git:secret@h.io/o/r", "no password"),
        ("https://h.io/", "path of the repository is missing"),
        ("https://h.io/o/r@-x", "can't be a branch"),
        ("https://h.io/o/r@--upload-pack=evil", "can't be a branch"),
        ("https://h.io/o/r@a..b", "can't be a branch"),
        ("https://h.io/o/r@", "can't be a branch"),
        ("https://h.io/o/r#../x", "a . or .. component"),
        ("https://h.io/o/r@v1#v2:a", "given twice"),
        ("git@h.io:-x", "is missing"),
    ] {
        let error = SourceName::parse(text).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("SRC-URL", Exit::Usage));
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn flags_add_and_never_contradict() {
    let source = git("https://h.io/o/r")
        .with(Some("v1"), Some("/a/"))
        .unwrap();
    assert_eq!(
        (source.reference.as_deref(), source.directory.as_str()),
        (Some("v1"), "a")
    );
    let error = source.clone().with(Some("v2"), None).unwrap_err();
    assert!(
        error.to_string().contains("given twice, as v1 and as v2"),
        "{error}"
    );
    assert!(source.clone().with(None, Some("b")).is_err());
    assert_eq!(source.clone().with(Some("v1"), Some("a")).unwrap(), source);
}

#[test]
fn credentials_never_show() {
    let source = git("https://us%40er:s%2Fcret@h.io/o/r");
    assert_eq!(source.url.credentials(), Some(("us@er", "s/cret")));
    assert!(!format!("{source:?} {}", source.url).contains("cret"));
    let error = SourceName::parse("ftp://user:secret@h.io/o")
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("secret") && error.contains("***@h.io"),
        "{error}"
    );
    for (text, shown) in [
        (
            "fatal: https://u:p@h/x and 'https://t@h/y'",
            "fatal: https://***@h/x and 'https://***@h/y'",
        ),
        (
            "ssh://git@h/x ssh://git:p@h/x",
            "ssh://git@h/x ssh://***@h/x",
        ),
        (
            "GOPROXY=https://u:p@a,https://v:w,x@b|http://c/x",
            "GOPROXY=https://***@a,https://***@b|http://c/x",
        ),
        (
            "<https://u:p@h>?x=`https://t@h`",
            "<https://***@h>?x=`https://***@h`",
        ),
        ("a\x1b[31m\n\tb", "a[31m\n\tb"),
    ] {
        assert_eq!(scrub(text), shown);
    }
}
