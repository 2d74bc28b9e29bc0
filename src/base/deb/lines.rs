//! Sorted lines: collected as keys in one text, searched in a file by bisection.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::stanzas::bad;

/// Bytes that are read at once while searching.
const BLOCK: usize = 1 << 10;

/// Pairs of words with places in a file: 24 bytes and the words' own for each.
#[derive(Debug, Default)]
pub(super) struct Keys {
    text: String,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    start: u32,
    middle: u16,
    length: u16,
    place: u64,
    /// Of the place.
    bytes: u32,
}

impl Keys {
    /// # Errors
    /// Why a pair is too much.
    pub(super) fn push(&mut self, pair: [&str; 2], place: Range<u64>) -> Result<(), String> {
        let key = || -> Result<Key, std::num::TryFromIntError> {
            Ok(Key {
                start: self.text.len().try_into()?,
                middle: pair[0].len().try_into()?,
                length: (pair[0].len() + pair[1].len()).try_into()?,
                place: place.start,
                bytes: (place.end - place.start).try_into()?,
            })
        };
        let key = key().map_err(|error| format!("too much to sort: {error}"))?;
        self.keys.push(key);
        self.text.extend(pair);
        Ok(())
    }

    pub(super) fn sort(&mut self, compare: impl Fn((&str, &str), (&str, &str)) -> Ordering) {
        let text = &self.text;
        self.keys
            .sort_by(|left, right| compare(left.pair(text), right.pair(text)));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = ((&str, &str), Range<u64>)> {
        self.keys.iter().map(|key| {
            let place = key.place..key.place + u64::from(key.bytes);
            (key.pair(&self.text), place)
        })
    }
}

impl Key {
    fn pair<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let rest = &text[self.start as usize..];
        rest[..usize::from(self.length)].split_at(usize::from(self.middle))
    }
}

/// Lines of a file, sorted by what stands before their first tab.
#[derive(Debug)]
pub(super) struct Sorted {
    file: Arc<std::fs::File>,
    range: Range<u64>,
}

impl Sorted {
    /// The range begins and ends where lines do.
    pub(super) fn new(file: Arc<std::fs::File>, range: Range<u64>) -> Self {
        Self { file, range }
    }

    /// The lines of a key.
    ///
    /// # Errors
    /// The file's; `InvalidData` when it holds no lines of text.
    pub(super) fn of(&self, key: &str) -> io::Result<Vec<String>> {
        let mut at = self.first(key)?;
        let mut lines = Vec::new();
        while at < self.range.end {
            let line = self.line(at)?;
            if key_of(&line) != key {
                break;
            }
            at += line.len() as u64 + 1;
            lines.push(line);
        }
        Ok(lines)
    }

    /// Where the first line begins whose key is not less. Lines that begin before `low` are less,
    /// those that begin at `high` or later are not.
    fn first(&self, key: &str) -> io::Result<u64> {
        let Range {
            start: mut low,
            end: mut high,
        } = self.range;
        while low < high {
            let middle = low + (high - low) / 2;
            let start = match middle {
                _ if middle == low => low,
                _ => middle + self.until_end(middle - 1)?.len() as u64,
            };
            if start >= high {
                high = middle;
                continue;
            }
            let line = self.line(start)?;
            if key_of(&line) < key {
                low = start + line.len() as u64 + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn line(&self, start: u64) -> io::Result<String> {
        String::from_utf8(self.until_end(start)?)
            .map_err(|_binary| bad("an index in the cache is not UTF-8"))
    }

    /// What stands between a byte and the next end of a line.
    fn until_end(&self, start: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let known = line.len();
            line.resize(known + BLOCK, 0);
            let count = self
                .file
                .read_at(&mut line[known..], start + known as u64)?;
            if count == 0 {
                return Err(bad("an index in the cache is cut short"));
            }
            line.truncate(known + count);
            if let Some(end) = line[known..].iter().position(|c| *c == b'\n') {
                line.truncate(known + end);
                return Ok(line);
            }
        }
    }
}

fn key_of(line: &str) -> &str {
    line.split('\t').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_key_is_found_wherever_it_lies() {
        for count in 0..40_usize {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"b00\tbefore the range\n").unwrap();
            let start = 21;
            let mut written = start;
            for index in 0..count {
                // Of every third key there are two lines; some are longer than a block.
                for half in 0..=usize::from(index % 3 == 0) {
                    let rest = "x".repeat(index % 7 * 300 + half);
                    let line = format!("b{index:02}\t{rest}\n");
                    file.write_all(line.as_bytes()).unwrap();
                    written += line.len() as u64;
                }
            }
            file.write_all(b"b99\tbehind the range\n").unwrap();
            let sorted = Sorted::new(Arc::new(file), start..written);
            for index in 0..count {
                let lines = sorted.of(&format!("b{index:02}")).unwrap();
                let lengths: Vec<usize> = lines.iter().map(String::len).collect();
                let long = 4 + index % 7 * 300;
                let expected = [long, long + 1];
                assert_eq!(
                    lengths,
                    expected[..=usize::from(index % 3 == 0)],
                    "{index} of {count}"
                );
            }
            for absent in ["a", "b", "b000", "b99", "c", "b0"] {
                assert!(sorted.of(absent).unwrap().is_empty(), "{absent} of {count}");
            }
        }
    }
}
