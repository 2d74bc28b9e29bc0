//! Locks that somebody wrote to do harm, or that are damaged.

use karisimbi::base::lock_file::{self, Kind};
use karisimbi::error::Coded as _;
use serde_json::{Value, json};

use super::deb_lock;

/// Where in [`deb_lock`] something is put, what, and what the message says of it.
const BAD: &[(&str, &str, &str)] = &[
    ("/version", "2", "BASE-LOCK-VERSION version 2"),
    ("/version", "\"1\"", "BASE-LOCK-INVALID no bases.lock"),
    ("/more", "1", "BASE-LOCK-INVALID no bases.lock"),
    (
        "/bases/cc/kind",
        "\"oci\"",
        "BASE-LOCK-INVALID no bases.lock",
    ),
    ("/bases/cc/more", "1", "BASE-LOCK-INVALID no bases.lock"),
    (
        "/bases/cc/suite",
        "\"../x\"",
        "cc.suite: \"../x\" is not the name of a suite",
    ),
    (
        "/bases/cc/sources/0/mirror",
        "\"https://user:password-of-it@127.0.0.1/debian\"",
        "cc.sources[0].mirror: \"…@127.0.0.1/debian\" is not an address without a login",
    ),
    ("/bases/cc/suite", "\"sid/x\"", "cc.suite"),
    ("/bases/cc/set", "\"perl\"", "cc.set"),
    (
        "/bases/cc/set",
        "\"static\"",
        "the packages of another base",
    ),
    (
        "/bases/cc/os_packages",
        "[\"-o\"]",
        "cc.os_packages: \"-o\"",
    ),
    ("/bases/cc/roots", "[\"Libc6\"]", "cc.roots"),
    (
        "/bases/cc/sources/0/mirror",
        "\"http://u:p@h/debian\"",
        "sources[0].mirror",
    ),
    (
        "/bases/cc/sources/0/mirror",
        "\"ftp://h/debian\"",
        "sources[0].mirror",
    ),
    (
        "/bases/cc/sources/0/mirror",
        "\"https://h/x?y\"",
        "sources[0].mirror",
    ),
    (
        "/bases/cc/sources/0/mirror",
        "\"https://h/\\u001b[2J\"",
        "sources[0].mirror",
    ),
    (
        "/bases/cc/sources/0/date",
        "\"yesterday\"",
        "sources[0].date",
    ),
    (
        "/bases/cc/sources/0/signed_by",
        "[\"x\"]",
        "sources[0].signed_by",
    ),
    (
        "/bases/cc/sources",
        "[]",
        "libc6.suite: \"trixie\" is not one of the suites",
    ),
    (
        "/bases/cc/platforms/linux~1riscv64",
        "{\"packages\": []}",
        "linux/riscv64: is no platform",
    ),
    (
        "/bases/cc/platforms/linux~1arm64~1v8",
        "{\"packages\": []}",
        "linux/arm64/v8: is no platform",
    ),
    ("/P/name", "\"a b\"", "name"),
    ("/P/name", "\"a\\u001b[2Jb\"", "packages.a\\u{1b}[2Jb.name"),
    ("/P/version", "\"1;rm\"", "libc6.version"),
    ("/P/version", "\"\"", "libc6.version"),
    ("/P/arch", "\"arm64\"", "libc6.arch"),
    ("/P/sha256", "\"sha256:00\"", "no bases.lock"),
    ("/P/size", "0", "libc6.size"),
    ("/P/size", "2000000000", "libc6.size"),
    ("/P/size", "-1", "no bases.lock"),
    ("/P/filename", "\"/etc/passwd.deb\"", "libc6.filename"),
    ("/P/filename", "\"pool/../../x.deb\"", "libc6.filename"),
    ("/P/filename", "\"pool//x.deb\"", "libc6.filename"),
    ("/P/filename", "\"pool/.x/x.deb\"", "libc6.filename"),
    ("/P/filename", "\"pool/x?y.deb\"", "libc6.filename"),
    ("/P/filename", "\"http://h/x.deb\"", "libc6.filename"),
    ("/P/filename", "\"pool/x.tar\"", "libc6.filename"),
    ("/P/source", "\"..\"", "libc6.source"),
    ("/P/suite", "\"bookworm\"", "libc6.suite"),
    ("/P/why", "\"a\\nb\"", "libc6.why"),
    (
        "/L/layers",
        "[{\"name\": \"../x\", \"diff_id\": \"D\"}]",
        "layers",
    ),
    (
        "/L/layers",
        "[{\"name\": \"a\", \"diff_id\": \"D\"}, {\"name\": \"a\", \"diff_id\": \"D\"}]",
        "layers: \"a\"",
    ),
    (
        "/L/extra",
        "[{\"name\": \"../n\", \"version\": \"1\", \"url\": \"https://h/n\", \"integrity\": \"I\", \"size\": 1}]",
        "extra",
    ),
    (
        "/L/extra",
        "[{\"name\": \"n\", \"version\": \"1\", \"url\": \"http://h/n\", \"integrity\": \"I\", \"size\": 1}]",
        "extra.n.url",
    ),
    (
        "/L/extra",
        "[{\"name\": \"n\", \"version\": \"1\", \"url\": \"https://u@h/n\", \"integrity\": \"I\", \"size\": 1}]",
        "extra.n.url",
    ),
    (
        "/L/extra",
        "[{\"name\": \"n\", \"version\": \"1\", \"url\": \"https://h/n\", \"integrity\": \"sha512-AA==\", \"size\": 1}]",
        "extra.n.integrity",
    ),
    (
        "/bases/scratch",
        "{\"kind\": \"registry\", \"reference\": \"h.example/x\", \"digest\": \"D\"}",
        "scratch: is no name",
    ),
    (
        "/bases/oci:x",
        "{\"kind\": \"registry\", \"reference\": \"h.example/x\", \"digest\": \"D\"}",
        "oci:x: is no name",
    ),
    (
        "/bases/node24",
        "{\"kind\": \"registry\", \"reference\": \"u:p@h.example/x\", \"digest\": \"D\"}",
        "node24.reference",
    ),
    (
        "/bases/node24",
        "{\"kind\": \"registry\", \"reference\": \"node\", \"digest\": \"D\"}",
        "node24.reference",
    ),
    (
        "/bases/node24",
        "{\"kind\": \"registry\", \"reference\": \"h.example/x\", \"digest\": \"latest\"}",
        "no bases.lock",
    ),
];

fn put(lock: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    let parent = lock.pointer_mut(parent).unwrap();
    parent[name.as_str()] = value;
}

#[test]
fn what_a_lock_must_not_say_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bases.lock");
    let zeros = format!("sha256:{}", "0".repeat(64));
    std::fs::write(&path, deb_lock().to_string()).unwrap();
    let opened = lock_file::read(&path).unwrap().unwrap();
    assert_eq!(opened.kind, Kind::Lock);
    assert_eq!(opened.lock.bases.len(), 1);
    for (pointer, text, said) in BAD {
        let pointer = pointer
            .replace("/P/", "/bases/cc/platforms/linux~1amd64/packages/0/")
            .replace("/L/", "/bases/cc/platforms/linux~1amd64/");
        let text = text.replace("\"D\"", &format!("\"{zeros}\""));
        let mut lock = deb_lock();
        put(&mut lock, &pointer, serde_json::from_str(&text).unwrap());
        std::fs::write(&path, lock.to_string()).unwrap();
        let Err(error) = lock_file::read(&path) else {
            panic!("{pointer} {text} is accepted");
        };
        let mut shown = format!("{} {error}", error.code());
        if let Some(cause) = std::error::Error::source(&error) {
            shown = format!("{shown}: {cause}");
        }
        for part in said.split_inclusive(' ').take(1).chain([*said]) {
            let part = part.trim().trim_start_matches("BASE-LOCK-INVALID ");
            let part = part.trim_start_matches("BASE-LOCK-VERSION ");
            assert!(shown.contains(part), "{pointer} {text}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(!shown.contains("password-of-it"), "{shown}");
        assert!(shown.contains("bases.lock"), "{shown}");
        assert_eq!(error.exit() as u8, 2, "{shown}");
    }
}

#[test]
fn sizes_numbers_and_kinds_of_files_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bases.lock");
    let code = || lock_file::read(&path).unwrap_err().code();
    assert_eq!(lock_file::read(&path).unwrap(), None);
    std::fs::write(&path, vec![b' '; (4 << 20) + 1]).unwrap();
    assert_eq!(code(), "BASE-LOCK-INVALID");
    std::fs::write(&path, "[".repeat(100_000)).unwrap();
    assert_eq!(code(), "BASE-LOCK-INVALID");
    let mut many = deb_lock();
    let package = many["bases"]["cc"]["platforms"]["linux/amd64"]["packages"][0].clone();
    let packages: Vec<Value> = (0..2001)
        .map(|index| {
            let mut package = package.clone();
            package["name"] = json!(format!("p{index}"));
            package
        })
        .collect();
    many["bases"]["cc"]["platforms"]["linux/amd64"]["packages"] = json!(packages);
    std::fs::write(&path, many.to_string()).unwrap();
    assert_eq!(code(), "BASE-LOCK-INVALID");
    let mut twice = deb_lock();
    let list = twice["bases"]["cc"]["platforms"]["linux/amd64"]["packages"]
        .as_array_mut()
        .unwrap();
    list.push(package);
    std::fs::write(&path, twice.to_string()).unwrap();
    let error = lock_file::read(&path).unwrap_err().to_string();
    assert!(error.contains("libc6: is listed twice"), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(code(), "BASE-LOCK-READ");
}

#[test]
fn a_lock_is_written_sorted_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bases.lock");
    std::fs::write(&path, deb_lock().to_string()).unwrap();
    let opened = lock_file::read(&path).unwrap().unwrap();
    lock_file::write(&path, &opened.lock).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("{\n  \"bases\": {\n    \"cc\": {\n      \"filter_version\": 1,\n"),
        "{text}"
    );
    assert!(text.ends_with("  },\n  \"version\": 1\n}\n"), "{text}");
    assert_eq!(lock_file::read(&path).unwrap().unwrap(), opened);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let nowhere = folder.path().join("none/bases.lock");
    let error = lock_file::write(&nowhere, &opened.lock).unwrap_err();
    assert_eq!(error.code(), "BASE-LOCK-WRITE");
}
