//! What a layer is made of.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Spool;
use super::error::LayerError;

/// A path in an image: relative, `/`-separated UTF-8 without NUL, no empty, `.` or `..` component.
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
    /// A file on disk, opened without following links and read exactly to `size`;
    /// any other length, or times that move while reading, is LAYER-CHANGED.
    File {
        /// Its path on this machine.
        path: PathBuf,
        /// Its size in bytes when it was scanned.
        size: u64,
    },
    /// Bytes that were spooled before.
    Spool(Arc<Spool>),
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
        for component in path.split('/') {
            match component {
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
