//! What a layer is made of.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Spool;
use super::error::LayerError;
use crate::digest::Digest;

/// Bytes of a path, and of one component, that Linux can open (`PATH_MAX` less its NUL, `NAME_MAX`).
const MAX_PATH: usize = 4095;
const MAX_COMPONENT: usize = 255;

/// A path in an image: relative, `/`-separated UTF-8 without NUL, no empty, `.` or `..` component,
/// within the lengths that Linux can open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryPath(String);

/// One member of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it lies.
    pub path: EntryPath,
    /// What it is.
    pub node: Node,
    /// The package that its bytes are counted under in the size report.
    pub package: Option<Arc<str>>,
}

/// The kinds of members that layer format 1 knows; nothing else is ever written.
#[derive(Clone, Debug)]
pub enum Node {
    /// A regular file, owned by 0:0.
    File {
        /// Mode 0644 or 0755.
        executable: Executable,
        /// Its bytes.
        content: Content,
    },
    /// A directory that the layer owns.
    Directory {
        /// Permission bits, 0755 unless declared; may carry the sticky bit, never set-id bits.
        mode: u32,
        /// 0:0 unless declared.
        owner: Owner,
    },
    /// A symbolic link; the target is kept verbatim, also when it dangles.
    Symlink {
        /// Its target.
        target: String,
    },
}

/// Whether a file's mode is 0755 or 0644.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executable {
    /// 0755
    Yes,
    /// 0644
    No,
}

/// Numeric owner and group of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// 0:0
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
    /// 1001:1001
    pub const APP: Self = Self {
        uid: super::APP_ID,
        gid: super::APP_ID,
    };
}

/// Where a file's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file on disk, opened without following links and read exactly to `size`; any other
    /// length or digest, or times that move while reading, is LAYER-CHANGED.
    File {
        /// Its path on this machine.
        path: PathBuf,
        /// Its size in bytes when it was scanned.
        size: u64,
        /// What its key was made of; other bytes are LAYER-CHANGED. None for files that are in
        /// no key.
        expected: Option<Expected>,
    },
    /// Bytes that were spooled before.
    Spool(Arc<Spool>),
}

/// The bytes that a file must have when it is read for a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Their digest.
    pub digest: Digest,
    /// What the file was when the digest was taken, if its times were then older than the scan:
    /// whoever writes to it later moves them, so that a file that is still so need not be hashed
    /// again (the rule of git's index). None: only its bytes tell.
    pub stamp: Option<Stamp>,
}

/// Times and identity of a file: seconds and nanoseconds since 1970, and its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Last change of its bytes.
    pub mtime: (i64, u32),
    /// Last change of its bytes or of anything else of it.
    pub ctime: (i64, u32),
    /// Its inode.
    pub inode: u64,
}

impl EntryPath {
    /// Checks a path.
    ///
    /// # Errors
    /// LAYER-PATH when a rule is broken, LAYER-WHITEOUT for a component that starts with `.wh.`.
    pub fn new(path: impl Into<String>) -> Result<Self, LayerError> {
        let path = path.into();
        let broken = |rule| LayerError::Path {
            path: escape(path.as_bytes()),
            rule,
        };
        if path.is_empty() {
            return Err(broken("it is empty"));
        }
        if path.starts_with('/') {
            return Err(broken("it is absolute"));
        }
        if path.contains('\0') {
            return Err(broken("it holds a NUL byte"));
        }
        if path.len() > MAX_PATH {
            return Err(broken("it is longer than 4095 bytes"));
        }
        for component in path.split('/') {
            match component {
                _ if component.len() > MAX_COMPONENT => {
                    return Err(broken("it has a component longer than 255 bytes"));
                }
                "" => return Err(broken("it has an empty component")),
                "." | ".." => return Err(broken("it has a . or .. component")),
                _ if component.starts_with(".wh.") => {
                    return Err(LayerError::Whiteout {
                        path: escape(path.as_bytes()),
                    });
                }
                _ => {}
            }
        }
        Ok(Self(path))
    }

    /// Checks a path read from a file system or an archive.
    ///
    /// # Errors
    /// As [`EntryPath::new`], and LAYER-PATH when the bytes are not UTF-8: PAX values are UTF-8.
    pub fn from_bytes(path: &[u8]) -> Result<Self, LayerError> {
        match std::str::from_utf8(path) {
            Ok(text) => Self::new(text),
            Err(_not_utf8) => Err(LayerError::Path {
                path: escape(path),
                rule: "it is not UTF-8",
            }),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that holds it; none at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }

    /// This path with `below` under it.
    ///
    /// # Errors
    /// As [`EntryPath::new`].
    pub fn join(&self, below: &str) -> Result<Self, LayerError> {
        Self::new(format!("{}/{below}", self.0))
    }
}

/// Bytes of a hostile name as a message may show them: control characters and non-UTF-8 escaped.
pub fn escape(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        shown.extend(chunk.valid().chars().flat_map(|c| match c {
            ' ' | '"' | '\'' => vec![c],
            c if c.is_alphanumeric() => vec![c],
            c => c.escape_debug().collect::<Vec<_>>(),
        }));
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    if shown.len() > 400 {
        let end = shown.floor_char_boundary(400);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.0.as_bytes()))
    }
}

impl TryFrom<String> for EntryPath {
    type Error = LayerError;

    fn try_from(path: String) -> Result<Self, LayerError> {
        Self::new(path)
    }
}

impl From<EntryPath> for String {
    fn from(path: EntryPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded as _;

    #[test]
    fn refuses_what_an_image_can_not_hold() {
        let long = "d".repeat(256);
        let deep = "d/".repeat(2048) + "d";
        let cases: [(&[u8], &str, &str); 15] = [
            (b"", "LAYER-PATH", "it is empty"),
            (b"/etc/passwd", "LAYER-PATH", "it is absolute"),
            (b"a//b", "LAYER-PATH", "it has an empty component"),
            (b"a/", "LAYER-PATH", "it has an empty component"),
            (b"./a", "LAYER-PATH", "it has a . or .. component"),
            (b"a/../../etc", "LAYER-PATH", "it has a . or .. component"),
            (b"..", "LAYER-PATH", "it has a . or .. component"),
            (b"a\0b", "LAYER-PATH", "it holds a NUL byte"),
            (b"caf\xe9", "LAYER-PATH", "path \"caf\\xe9\""),
            (b"a\xff\n", "LAYER-PATH", "path \"a\\xff\\n\""),
            (long.as_bytes(), "LAYER-PATH", "longer than 255 bytes"),
            (deep.as_bytes(), "LAYER-PATH", "longer than 4095 bytes"),
            (b".wh.x", "LAYER-WHITEOUT", ".wh.x"),
            (b"a/.wh..wh..opq", "LAYER-WHITEOUT", "a/.wh..wh..opq"),
            (b".wh.d/file", "LAYER-WHITEOUT", ".wh.d/file"),
        ];
        for (path, code, text) in cases {
            let error = EntryPath::from_bytes(path).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        let read = serde_json::from_str::<EntryPath>("\"../x\"").unwrap_err();
        assert!(read.to_string().contains(".. component"), "{read}");
    }

    #[test]
    fn keeps_odd_names_that_an_image_can_hold() {
        for path in [
            "a b",
            "-rf",
            "a\nb",
            "\u{202e}x",
            "...",
            "a/.b",
            ".wh",
            "x.wh.y",
            "c:\\d",
        ] {
            assert_eq!(EntryPath::new(path).unwrap().as_str(), path);
        }
        let shown = EntryPath::new("a\n\u{202e}\u{1b}[31mb")
            .unwrap()
            .to_string();
        assert_eq!(shown, "a\\n\\u{202e}\\u{1b}[31mb");
    }

    #[test]
    fn orders_by_bytes_and_walks_up_and_down() {
        let path = |text| EntryPath::new(text).unwrap();
        assert!(path("a-b") < path("a/b") && path("a/b") < path("a0"));
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!((path("a").parent(), path("a/b").name()), (None, "b"));
        assert_eq!(path("a").join("b").unwrap(), path("a/b"));
        assert!(path("a").join("../b").is_err());
    }
}
