//! The members of a tar, as lenient as the readers of Docker and containerd: an archive that they
//! unpack must not fail here, and one that they refuse or read otherwise must not pass.

use std::io::{self, Read};

const BLOCK: usize = 512;
/// Bytes of headers that one member may have: long names and PAX records.
const MAX_HEADERS: u64 = 1 << 20;

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    HardLink,
    Symlink,
    Directory,
    /// A device or a pipe.
    Other,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    pub(crate) mode: u32,
    /// Bytes of a file when it is unpacked.
    pub(crate) size: u64,
    pub(crate) link: Vec<u8>,
}

/// Walks through a tar.
pub(crate) struct Members<R> {
    reader: R,
    /// Bytes of the current member that are unread, padding included.
    unread: u64,
    /// Of these, bytes of its content.
    content: u64,
    /// Whether the content is the file itself, or pieces of a sparse file. The image-spec
    /// ("Layer filesystem changeset") asks for none of those; their content is not shown.
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Whole,
    Nothing,
}

/// What extension headers say about the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    /// Set by a sparse file, whose `path` is a placeholder.
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
    /// Bytes of headers so far.
    bytes: u64,
}

impl<R: Read> Members<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            unread: 0,
            content: 0,
            shown: Shown::Whole,
        }
    }

    /// The next member; none at the end of the archive.
    pub(crate) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            match block[156] {
                b'L' => extension.path = Some(without_nul(self.extension(&block, &mut extension)?)),
                b'K' => extension.link = Some(without_nul(self.extension(&block, &mut extension)?)),
                b'x' => {
                    let records = self.extension(&block, &mut extension)?;
                    extension.read_pax(&records)?;
                }
                // Global records are comments in practice; other readers ignore them, too.
                b'g' => drop(self.extension(&block, &mut extension)?),
                _ => return self.member(&block, extension).map(Some),
            }
        }
    }

    fn member(&mut self, block: &[u8; BLOCK], extension: Extension) -> io::Result<Member> {
        let header = tar::Header::from_byte_slice(block);
        let flag = block[156];
        let mut sparse_size = extension.sparse_size;
        if flag == b'S' {
            sparse_size = Some(number(&block[483..495])?);
            self.skip_sparse_map(block)?;
        }
        let path = extension
            .sparse_name
            .or(extension.path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extension.link.unwrap_or_else(|| {
            header
                .link_name_bytes()
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default()
        });
        let kind = match flag {
            // Before POSIX, the slash alone told folders from files.
            b'0' | 0 | b'7' | b'S' if path.ends_with(b"/") => MemberKind::Directory,
            b'0' | 0 | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'5' => MemberKind::Directory,
            _ => MemberKind::Other,
        };
        // Go's reader ignores a size where a header stands alone; others have contents, whatever
        // they are.
        let stored = match flag {
            b'1'..=b'6' => 0,
            _ => match extension.size {
                Some(size) => size,
                None => number(&block[124..136])?,
            },
        };
        self.start(stored)?;
        if sparse_size.is_some() {
            self.shown = Shown::Nothing;
        }
        let size = match kind {
            MemberKind::File => sparse_size.unwrap_or(stored),
            _ => 0,
        };
        let mode = number(&block[100..108])?;
        Ok(Member {
            path,
            kind,
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            size,
            link,
        })
    }

    fn start(&mut self, size: u64) -> io::Result<()> {
        self.content = size;
        self.shown = Shown::Whole;
        self.unread = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| invalid("a member has an impossible size"))?;
        Ok(())
    }

    /// Reads the rest of the archive and yields its reader.
    pub(crate) fn finish(mut self) -> io::Result<R> {
        io::copy(&mut self.reader, &mut io::sink())?;
        Ok(self.reader)
    }

    fn skip(&mut self) -> io::Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let skipped = io::copy(&mut (&mut self.reader).take(unread), &mut io::sink())?;
        // Some writers (umoci 0.4.7's insert) end without the last padding and end marks.
        if skipped < std::mem::take(&mut self.content) {
            return Err(invalid("the archive ends inside a member"));
        }
        Ok(())
    }

    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(invalid("the archive ends inside a header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(block))
    }

    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block.iter().all(|byte| *byte == 0) {
            return match self.block()? {
                Some(second) if second.iter().any(|byte| *byte != 0) => {
                    Err(invalid("a header follows an end mark"))
                }
                _ => Ok(None),
            };
        }
        let expected = number(&block[148..156])
            .map_err(|_not_a_number| invalid("a header has a wrong checksum"))?;
        let summed = || block[..148].iter().chain(&block[156..]);
        let spaces = 8 * i64::from(b' ');
        let unsigned: i64 = summed().map(|byte| i64::from(*byte)).sum();
        // Old writers summed signed bytes.
        let signed: i64 = summed().map(|byte| i64::from(byte.cast_signed())).sum();
        let sums = [unsigned + spaces, signed + spaces];
        if !i64::try_from(expected).is_ok_and(|expected| sums.contains(&expected)) {
            return Err(invalid("a header has a wrong checksum"));
        }
        Ok(Some(block))
    }

    fn extension(&mut self, block: &[u8], extension: &mut Extension) -> io::Result<Vec<u8>> {
        let size = number(&block[124..136])?;
        extension.bytes = extension.bytes.saturating_add(size + BLOCK as u64);
        if extension.bytes > MAX_HEADERS {
            return Err(invalid("a member has more than 1 MiB of headers"));
        }
        self.start(size)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Old GNU sparse files have blocks of offsets between header and content.
    fn skip_sparse_map(&mut self, block: &[u8; BLOCK]) -> io::Result<()> {
        let mut more = block[482] != 0;
        while more {
            let block = self
                .block()?
                .ok_or_else(|| invalid("the archive ends inside a sparse map"))?;
            more = block[504] != 0;
        }
        Ok(())
    }
}

/// The content of the current member.
impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shown == Shown::Nothing || buffer.is_empty() {
            return Ok(0);
        }
        let room =
            usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.reader.read(&mut buffer[..room])?;
        if count == 0 && room > 0 {
            return Err(invalid("the archive ends inside a member"));
        }
        self.unread -= count as u64;
        self.content -= count as u64;
        Ok(count)
    }
}

impl Extension {
    /// Records `LEN KEY=VALUE\n`; LEN counts the whole record.
    fn read_pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let broken = || invalid("a PAX header is broken");
        let size = |value: &[u8]| {
            let text = std::str::from_utf8(value).ok();
            text.and_then(|text| text.parse().ok()).ok_or_else(broken)
        };
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ');
            let space = space.ok_or_else(broken)?;
            let length: usize = std::str::from_utf8(&records[..space])
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(broken)?;
            if length <= space + 1 || length > records.len() {
                return Err(broken());
            }
            let (record, rest) = records.split_at(length);
            let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(broken)?);
            let value = &value[1..];
            // An empty value takes back what an earlier record said.
            let name = || Some(value.to_vec()).filter(|name| !name.is_empty());
            match key {
                b"path" => self.path = name(),
                b"linkpath" => self.link = name(),
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(size(value)?),
                b"GNU.sparse.name" => self.sparse_name = name(),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                    self.sparse_size = Some(size(value)?);
                }
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

/// A numeric field: octal digits between spaces and NULs, or a base-256 number (star, GNU). An
/// empty one is zero: many writers leave what does not apply.
fn number(field: &[u8]) -> io::Result<u64> {
    let wrong = || invalid("a header has a field that is no number");
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // 0xff and so on is a negative number.
        let digits = std::iter::once(first & 0x7f).chain(rest.iter().copied());
        return digits
            .into_iter()
            .try_fold(0_u64, |value, byte| {
                Some(value.checked_mul(256)? | u64::from(byte))
            })
            .ok_or_else(wrong);
    }
    let text = field.split(|byte| *byte == 0).find(|part| !part.is_empty());
    let digits = text.unwrap_or_default().trim_ascii();
    digits
        .iter()
        .try_fold(0_u64, |value, digit| match digit {
            b'0'..=b'7' => Some(value.checked_mul(8)? + u64::from(digit - b'0')),
            _ => None,
        })
        .ok_or_else(wrong)
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
