//! What the bytes of a base's files say about it. Only files whose names promise a fact are read,
//! as streams and up to a limit; programs are never run.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::digest::Digest;
use crate::layer::{EntryKind, EntrySummary, Probe, elf_machine};

use super::marks::{self, Mark};

/// Bytes of a C library that are searched for its version.
const LIBRARY_LIMIT: u64 = 16 << 20;
/// Bytes of a small text file.
const TEXT_LIMIT: u64 = 1 << 20;
/// Bytes of an interpreter; Node.js has up to 150 MB.
const PROGRAM_LIMIT: u64 = 1 << 30;
/// Bytes of a file's beginning: its `#!` line, its ELF header.
const HEAD: u64 = Probe::HEAD as u64;

/// Bundles of certificate authorities, as Go's crypto/x509 looks for them.
pub(super) const CA_BUNDLES: [&str; 5] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Captured {
    /// GOARCH name of the machine of an ELF file.
    pub(super) machine: Option<String>,
    /// What its contents say.
    pub(super) said: Option<Said>,
}

/// Contents that facts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Names by number, of a passwd or group file.
    Names(BTreeMap<u32, String>),
    /// Variables of an os-release file.
    OsRelease(BTreeMap<String, String>),
    /// A version of glibc.
    Glibc(String),
    /// A version of musl.
    Musl(String),
    /// A version of Python.
    Python(String),
    /// Debian's site.py, which looks for dist-packages.
    DistPackages,
    /// Certificate authorities with this digest.
    Authorities(Digest),
    /// A version of Node.js, and its `NODE_MODULE_VERSION` if it is there.
    Node(String, Option<u32>),
}

/// Reads what a text file says.
type ReadText = fn(&[u8]) -> Option<Said>;

/// Looks at a file and sets the interpreter of a script.
pub(super) fn capture(entry: &mut EntrySummary, contents: &mut dyn Read) -> io::Result<Captured> {
    let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
    let parent = folder.rsplit('/').next().unwrap_or_default();
    if let Some(read) = text_reader(parent, name) {
        return Ok(Captured {
            machine: None,
            said: read(&text(contents, TEXT_LIMIT)?),
        });
    }
    if CA_BUNDLES.iter().any(|path| file_name(path) == name) && entry.path.starts_with("etc/") {
        let digest = Digest::of_reader(contents.take(PROGRAM_LIMIT))?;
        return Ok(Captured {
            machine: None,
            said: Some(Said::Authorities(digest)),
        });
    }
    let executable = entry.kind == EntryKind::Executable;
    let library = name.contains(".so") || name.starts_with("ld-");
    if !executable && !library {
        return Ok(Captured::default());
    }
    let head = text(contents, HEAD)?;
    let Some(machine) = elf_machine(&head) else {
        if executable {
            let mut probe = Probe::of_file();
            probe.see(&head)?;
            entry.script = probe.script();
        }
        return Ok(Captured::default());
    };
    let said = native(name, &mut head.as_slice().chain(contents))?;
    Ok(Captured {
        machine: Some(machine),
        said,
    })
}

/// How a file is read that is a text by its place; none for others.
fn text_reader(parent: &str, name: &str) -> Option<ReadText> {
    let python = minor_of("python", parent).is_some();
    match name {
        // Wherever a link of the finished tree may lead: usr/etc, usr/lib of nss-altfiles.
        "passwd" | "group" if matches!(parent, "etc" | "lib") => {
            Some(|file| Some(Said::Names(names(file))))
        }
        "os-release" => Some(|file| Some(Said::OsRelease(variables(file)))),
        "site.py" if python => Some(|file| {
            let debian = String::from_utf8_lossy(file).contains("\"dist-packages\"");
            debian.then_some(Said::DistPackages)
        }),
        "patchlevel.h" if python => Some(|file| {
            let version = define(file, "PY_VERSION")?;
            Some(Said::Python(version.trim_matches('"').to_owned()))
        }),
        "node_version.h" if parent == "node" => Some(node_header),
        _ => None,
    }
}

/// What a native file says that has a name of interest.
fn native(name: &str, contents: &mut dyn Read) -> io::Result<Option<Said>> {
    // Up to glibc 2.33, `libc.so.6` was a link to `libc-2.33.so`.
    let old = name.strip_prefix("libc-2.");
    if name == "libc.so.6" || old.is_some_and(|rest| rest.strip_suffix(".so").is_some()) {
        let bytes = text(contents, LIBRARY_LIMIT)?;
        return Ok(glibc_version(&bytes).map(Said::Glibc));
    }
    if name.starts_with("ld-musl-") || name == "libc.so" {
        let bytes = text(contents, LIBRARY_LIMIT)?;
        return Ok(musl_version(&bytes).map(Said::Musl));
    }
    let minor = minor_of("python", name).or_else(|| minor_of("libpython", name));
    if let Some(minor) = minor {
        let version = marks::python(contents.take(PROGRAM_LIMIT), minor)?;
        return Ok(version.map(Said::Python));
    }
    if ["node", "nodejs"].contains(&name) || name.starts_with("libnode.so") {
        return node(contents.take(PROGRAM_LIMIT));
    }
    Ok(None)
}

/// The last component of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `3.13` of `python3.13`, `libpython3.13.so.1.0`, `python3.13t`.
pub(super) fn minor_of<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(prefix)?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let minor = rest.strip_prefix("3.").map(digits).filter(|&n| n > 0)?;
    let (minor, rest) = rest.split_at("3.".len() + minor);
    // `python3.13-config` is another program; the free-threaded build is another ABI.
    (rest.is_empty() || rest.starts_with(".so")).then_some(minor)
}

fn node(contents: impl Read) -> io::Result<Option<Said>> {
    // The user agent of its HTTP client; then `process.config`, which holds build variables.
    let marks = [
        Mark::new(b"node.js/v", marks::is_version),
        Mark::new(b"\"node_module_version\": ", marks::is_number),
    ];
    let [version, abi] = marks::find(contents, &marks)?;
    let abi = abi.and_then(|abi| abi.parse().ok());
    Ok(version.map(|version| Said::Node(version, abi)))
}

fn node_header(header: &[u8]) -> Option<Said> {
    let number = |name: &str| define(header, name)?.parse::<u32>().ok();
    let (major, minor) = (number("NODE_MAJOR_VERSION")?, number("NODE_MINOR_VERSION")?);
    let patch = number("NODE_PATCH_VERSION")?;
    let version = format!("{major}.{minor}.{patch}");
    Some(Said::Node(version, number("NODE_MODULE_VERSION")))
}

/// The value of a `#define` of a C header.
fn define(header: &[u8], name: &str) -> Option<String> {
    let header = String::from_utf8_lossy(header);
    header.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("#define") && words.next() == Some(name))
            .then(|| words.next().map(str::to_owned))?
    })
}

fn text(reader: &mut dyn Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// glibc says so itself: `GNU C Library (…) stable release version 2.41.`
fn glibc_version(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b" release version ";
    let start = bytes.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = bytes[start..].iter().take(16);
    let version: String = digits
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .map(|byte| char::from(*byte))
        .collect();
    Some(version.trim_end_matches('.').to_owned()).filter(|version| !version.is_empty())
}

/// musl keeps its version as a text of its own: NUL, `1.2.5`, NUL.
fn musl_version(bytes: &[u8]) -> Option<String> {
    let is_version = |text: &&[u8]| {
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
        let number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        (5..12).contains(&text.len())
            && text.starts_with(b"1.")
            && parts.len() == 3
            && parts.iter().all(number)
    };
    let mut versions = bytes.split(|byte| *byte == 0).filter(is_version);
    versions
        .next()
        .map(|version| String::from_utf8_lossy(version).into_owned())
}

/// passwd(5) and group(5): the first name of each number, in the third field.
fn names(file: &[u8]) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in String::from_utf8_lossy(file).lines() {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        // Lines that getpwent() would skip name nobody.
        if let Some(Ok(number)) = fields.nth(1).map(str::parse::<u32>) {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// os-release(5): shell assignments, without expansion.
fn variables(file: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(file);
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let unquoted = |value: &str| value.trim_matches(['"', '\'']).to_owned();
    assignments
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name.to_owned(), unquoted(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interpreters_tell_the_minor() {
        for (name, minor) in [
            ("python3.13", Some("3.13")),
            ("python3.9", Some("3.9")),
            ("python3", None),
            ("python3.", None),
            ("python3.13-config", None),
            ("python3.13t", None),
            ("python2.7", None),
        ] {
            assert_eq!(minor_of("python", name), minor, "{name}");
        }
        let library = minor_of("libpython", "libpython3.12.so.1.0");
        assert_eq!(library, Some("3.12"));
    }

    #[test]
    fn texts_are_read_as_their_manuals_say() {
        let os = "# x=1\nID=debian\nVERSION_ID=\"13\"\n PRETTY_NAME='Debian 13'\nbroken\n";
        let os = variables(os.as_bytes());
        assert_eq!(os["ID"], "debian");
        assert_eq!(os["VERSION_ID"], "13");
        assert_eq!(os["PRETTY_NAME"], "Debian 13");
        assert_eq!(os.len(), 3);
        let header = "#define NODE_MAJOR_VERSION 24\n#define NODE_MINOR_VERSION 1\n\
                      #define NODE_PATCH_VERSION 0\n#define NODE_MODULE_VERSION 137\n";
        assert_eq!(
            node_header(header.as_bytes()),
            Some(Said::Node("24.1.0".to_owned(), Some(137)))
        );
        assert_eq!(
            define(b"#define PY_VERSION   \"3.13.5\"\n", "PY_VERSION").as_deref(),
            Some("\"3.13.5\"")
        );
        assert_eq!(names(b"a:x:5:\nb:x:5:\nc\nd:x:y:\n")[&5], "a");
    }
}
