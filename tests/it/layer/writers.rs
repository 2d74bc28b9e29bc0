//! What real writers of archives leave out, or write in a way of their own. libarchive reads the
//! same names.

use karisimbi::digest::{DiffId, Digest};
use karisimbi::layer::{EntryKind, EntrySummary};
use oci_spec::image::MediaType;

use super::foreign::{header, sum_up};
use crate::support::tool;

/// An archive and the entries that it holds: folders with a slash, files with their size.
type Case = (&'static str, Vec<Vec<u8>>, String);

#[test]
fn reads_what_other_writers_write() {
    for (name, parts, expected) in ends().into_iter().chain(fields()).chain(extensions()) {
        let tar = parts.concat();
        let found = sum_up(&tar, &MediaType::ImageLayer);
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = |entry: &EntrySummary| match entry.kind {
            EntryKind::Directory => format!("{}/", entry.path),
            _ => format!("{} {}", entry.path, entry.size),
        };
        let listed: Vec<_> = found.summary.entries.iter().map(shown).collect();
        assert_eq!(listed.join(", "), expected, "{name}");
        assert_eq!(found.identity.diff_id, DiffId(Digest::of(&tar)), "{name}");
        let names: Vec<_> = listed
            .iter()
            .map(|line| line.split(' ').next().unwrap_or_default())
            .collect();
        assert_eq!(listing(&tar).lines().collect::<Vec<_>>(), names, "{name}");
    }
}

/// How archives end.
fn ends() -> Vec<Case> {
    let whole = [file(b"f"), abc(), vec![0; 1024]].concat();
    [
        ("ordinary", whole.len()),
        ("half an end", 1536),
        ("no end", 1024),
        ("no padding, no end", 515),
    ]
    .map(|(name, length)| (name, vec![whole[..length].to_vec()], "f 3".to_owned()))
    .into()
}

/// How headers fill their fields.
fn fields() -> Vec<Case> {
    let base256 = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    let blank = changed(file(b"f"), |bytes| bytes[100..124].fill(0));
    let spaces = changed(file(b"f"), |bytes| {
        bytes[124..136].copy_from_slice(b"          3 ");
    });
    let v7 = |name: &[u8], size: &[u8]| {
        changed(header(name, 0, size, b""), |bytes| bytes[257..].fill(0))
    };
    let folder = header(b"d/", b'5', b"00000010000", b"");
    vec![
        ("empty owner and mode", vec![blank, abc()], "f 3".to_owned()),
        (
            "spaces before digits",
            vec![spaces, abc()],
            "f 3".to_owned(),
        ),
        (
            "base-256 size",
            vec![header(b"f", b'0', &base256, b""), abc()],
            "f 3".to_owned(),
        ),
        (
            "v7: flag 0, a folder by its slash",
            vec![v7(b"d/", b"00000000000"), v7(b"d/f", b"00000000003"), abc()],
            "d/, d/f 3".to_owned(),
        ),
        (
            "a folder with a size",
            vec![folder, file(b"d/f"), abc()],
            "d/, d/f 3".to_owned(),
        ),
    ]
}

/// What comes before a header.
fn extensions() -> Vec<Case> {
    let pax = |records: &str, flag| {
        let size = format!("{:011o}", records.len());
        let header = header(b"x", flag, size.as_bytes(), b"");
        [header, padded(records.as_bytes())].concat()
    };
    let long = "n".repeat(300);
    let link = header(b"././@LongLink", b'L', b"00000000455", b"");
    let global = pax("26 comment=0123456789abcde\n", b'g');
    let records = pax("12 path=p/q\n10 size=3\n", b'x');
    let empty = header(b"f", b'0', b"00000000000", b"");
    vec![
        (
            "GNU long name",
            vec![
                link,
                padded(format!("{long}\0").as_bytes()),
                file(b"n"),
                abc(),
            ],
            format!("{long} 3"),
        ),
        (
            "global PAX header",
            vec![global, file(b"f"), abc()],
            "f 3".to_owned(),
        ),
        (
            "PAX path and size",
            vec![records, empty, abc()],
            "p/q 3".to_owned(),
        ),
    ]
}

fn file(name: &[u8]) -> Vec<u8> {
    header(name, b'0', b"00000000003", b"")
}

fn abc() -> Vec<u8> {
    padded(b"abc")
}

/// Contents with the padding to a whole block.
fn padded(contents: &[u8]) -> Vec<u8> {
    let mut padded = contents.to_vec();
    padded.resize(contents.len().next_multiple_of(512), 0);
    padded
}

/// A header whose checksum is made after `change`.
fn changed(mut header: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The names as libarchive reads them; it lists also what it finds too short at its end.
fn listing(tar: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), tar).expect("a tar");
    let output = tool("bsdtar").arg("-tf").arg(file.path()).output();
    String::from_utf8(output.expect("bsdtar").stdout).expect("names")
}
