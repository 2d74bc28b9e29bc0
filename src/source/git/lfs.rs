//! Finds Git LFS pointers: files whose contents a clone without LFS does not have.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use crate::layer::entry::escape;
use crate::source::SourceError;
use crate::source::walk::{self, FoundKind};

/// How many files of a clone are LFS pointers, and the first of them.
pub(super) fn lfs_pointers(root: &Path) -> Result<(usize, String), SourceError> {
    /// git-lfs, spec.md, "The Pointer"; a pointer is shorter than 1024 bytes.
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
    let folder = walk::open_root(root)?;
    let found = walk::walk(&folder, &BTreeSet::new(), &mut |_, _, _| None)?;
    let head = |path: &[u8], length: usize| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = walk::open_beneath(&folder, path)?;
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let uses_lfs = found.iter().any(|found| {
        let attributes = matches!(found.kind, FoundKind::File { .. })
            && found.path.split(|byte| *byte == b'/').next_back() == Some(b".gitattributes");
        attributes
            && head(&found.path, 1 << 20)
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains("filter=lfs"))
    });
    if !uses_lfs {
        return Ok((0, String::new()));
    }
    let pointers: Vec<&[u8]> = found
        .iter()
        .filter(|found| matches!(&found.kind, FoundKind::File { stat, .. } if stat.size < 1024))
        .filter(|found| head(&found.path, POINTER.len()).is_ok_and(|head| head == POINTER))
        .map(|found| found.path.as_slice())
        .collect();
    Ok((
        pointers.len(),
        pointers.first().map_or(String::new(), |path| escape(path)),
    ))
}
