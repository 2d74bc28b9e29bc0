//! Searches streams for texts that programs carry about themselves, in constant memory.

use std::io::{self, Read};

/// Bytes that are searched at once.
const BLOCK: usize = 64 << 10;
/// Bytes of a value that follows a mark; no version is longer.
const VALUE: usize = 24;

/// A text in front of a value.
pub(super) struct Mark {
    text: &'static [u8],
    valid: fn(&str) -> bool,
}

impl Mark {
    /// A mark whose value must pass a test; the search goes on after one that does not.
    pub(super) fn new(text: &'static [u8], valid: fn(&str) -> bool) -> Self {
        Self { text, valid }
    }

    /// The value after the mark in these bytes: digits and dots, up to another byte. One that the
    /// end of the block cuts is whole in the next.
    fn value(&self, bytes: &[u8]) -> Option<String> {
        let mut from = 0;
        while let Some(at) = position(&bytes[from..], self.text) {
            let start = from + at + self.text.len();
            let rest = &bytes[start..bytes.len().min(start + VALUE)];
            let in_value = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            if let Some(end) = rest.iter().position(|byte| !in_value(byte)) {
                let value = String::from_utf8_lossy(&rest[..end]).into_owned();
                if (self.valid)(&value) {
                    return Some(value);
                }
            }
            from = start;
        }
        None
    }
}

/// `24.21.0`
pub(super) fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| is_number(part))
}

/// `137`
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first value of each mark; reading ends when all are found.
pub(super) fn find<const N: usize>(
    contents: impl Read,
    marks: &[Mark; N],
) -> io::Result<[Option<String>; N]> {
    let mut found = [const { None }; N];
    blocks(contents, &mut |block| {
        for (mark, found) in marks.iter().zip(&mut found) {
            if found.is_none() {
                *found = mark.value(block);
            }
        }
        found.iter().all(Option::is_some)
    })?;
    Ok(found)
}

/// The version of an interpreter of this minor: a text of its own, such as NUL, `3.13.5`, NUL.
pub(super) fn python(contents: impl Read, minor: &str) -> io::Result<Option<String>> {
    let start = format!("\0{minor}.").into_bytes();
    let mut found = None;
    blocks(contents, &mut |block| {
        found = python_version(block, &start);
        found.is_some()
    })?;
    Ok(found)
}

fn python_version(bytes: &[u8], start: &[u8]) -> Option<String> {
    let mut from = 0;
    while let Some(at) = position(&bytes[from..], start) {
        let text = &bytes[from + at + 1..];
        let text = &text[..text.len().min(VALUE)];
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            let version = String::from_utf8_lossy(&text[..end]).into_owned();
            // After the minor: `5`, `0rc1`, and a `+` between releases.
            let patch = version.as_bytes().get(start.len() - 1..);
            let digit = patch
                .and_then(<[u8]>::first)
                .is_some_and(u8::is_ascii_digit);
            if digit
                && version
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b".+".contains(&c))
            {
                return Some(version);
            }
        }
        from += at + 1;
    }
    None
}

/// Shows a stream to `done` in blocks that overlap, so that no value is cut; stops when it is.
fn blocks(mut contents: impl Read, done: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    const OVERLAP: usize = 64;
    let mut block = Vec::with_capacity(BLOCK + OVERLAP);
    loop {
        let kept = block.len().saturating_sub(OVERLAP);
        block.drain(..kept);
        let before = block.len();
        (&mut contents).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.len() == before || done(&block) {
            return Ok(());
        }
    }
}

fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let (first, last) = (text.first()?, bytes.len().checked_sub(text.len())?);
    // Most bytes differ from the first: this runs an order faster than comparing windows.
    let mut from = 0;
    loop {
        from += bytes[from..=last].iter().position(|byte| byte == first)?;
        if bytes[from..].starts_with(text) {
            return Some(from);
        }
        from += 1;
        if from > last {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_a_block_ends() {
        for at in [0, 100, BLOCK - 20, BLOCK - 3, BLOCK, 3 * BLOCK - 9] {
            let mut bytes = vec![b'n'; at];
            bytes.extend(b"node.js/v.node.js/v24.21.0\0\"node_module_version\": 137,");
            bytes.extend(vec![0; BLOCK]);
            let marks = [
                Mark::new(b"node.js/v", is_version),
                Mark::new(b"\"node_module_version\": ", is_number),
            ];
            let found = find(bytes.as_slice(), &marks).unwrap();
            assert_eq!(found, [Some("24.21.0".to_owned()), Some("137".to_owned())]);
        }
    }

    #[test]
    fn a_python_tells_its_version_by_a_text_of_its_own() {
        for (bytes, version) in [
            (&b"x\x003.13.5\0"[..], Some("3.13.5")),
            (b"\x003.13.0rc1+\0", Some("3.13.0rc1+")),
            (b"/opt/3.13.1\0\x003.13.2\0", Some("3.13.2")),
            (b"\x003.13.\0\x003.13.x\0", None),
            (b"\x003.2.0\0\x003.130.1\0", None),
            (b"\x003.13.5", None),
        ] {
            let found = python(bytes, "3.13").unwrap();
            assert_eq!(found.as_deref(), version, "{bytes:?}");
        }
    }
}
