//! Reads the members of a foreign layer's tar. A layer is hostile: names and extensions are
//! limited, and nothing but the asked-for contents is kept in memory. (The tar crate reads GNU
//! long names of any length into memory.)

use std::io::{self, Read};

const BLOCK: usize = 512;
/// Bytes of one extension header; Linux' longest path has 4096.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    HardLink,
    Symlink,
    Directory,
    /// A device or a pipe.
    Other,
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: Vec<u8>,
    pub(super) kind: MemberKind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) link: Vec<u8>,
}

/// Walks through a tar.
pub(super) struct Members<R> {
    reader: R,
    /// Bytes of the current member that are unread, padding included.
    unread: u64,
    /// Of these, bytes of its content.
    content: u64,
}

/// What extension headers say about the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    /// Set by a sparse file, whose `path` is a placeholder.
    sparse_name: Option<Vec<u8>>,
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl<R: Read> Members<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            unread: 0,
            content: 0,
        }
    }

    /// The next member; none at the end of the archive.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            let header = tar::Header::from_byte_slice(&block);
            let size = header.entry_size()?;
            match header.as_bytes()[156] {
                b'L' => extension.path = Some(without_nul(self.extension(size)?)),
                b'K' => extension.link = Some(without_nul(self.extension(size)?)),
                b'x' => {
                    let records = self.extension(size)?;
                    extension.read_pax(&records)?;
                }
                b'g' => {
                    self.extension(size)?;
                }
                kind => return self.member(header, kind, extension).map(Some),
            }
        }
    }

    fn member(
        &mut self,
        header: &tar::Header,
        kind: u8,
        extension: Extension,
    ) -> io::Result<Member> {
        if kind == b'S' {
            self.skip_sparse_map(header)?;
        }
        let size = match extension.size {
            Some(size) => size,
            None => header.entry_size()?,
        };
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
        let kind = match kind {
            b'0' | 0 | b'7' | b'S' if path.ends_with(b"/") => MemberKind::Directory,
            b'0' | 0 | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'5' => MemberKind::Directory,
            _ => MemberKind::Other,
        };
        // Only files have contents; other readers ignore a size elsewhere.
        let size = match kind {
            MemberKind::File => size,
            _ => 0,
        };
        self.start(size)?;
        Ok(Member {
            path,
            kind,
            mode: header.mode()?,
            size,
            link,
        })
    }

    fn start(&mut self, size: u64) -> io::Result<()> {
        self.content = size;
        self.unread = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| invalid("a member has an impossible size"))?;
        Ok(())
    }

    /// At most `limit` bytes of the current member's content, from its start.
    pub(super) fn read_content(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let wanted = self.content.min(limit);
        let mut bytes = Vec::new();
        let count = (&mut self.reader).take(wanted).read_to_end(&mut bytes)? as u64;
        self.unread -= count;
        self.content -= count;
        if count < wanted {
            return Err(invalid("the archive ends inside a member"));
        }
        Ok(bytes)
    }

    /// Reads the rest of the archive and yields its reader.
    pub(super) fn finish(mut self) -> io::Result<R> {
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
            match self.reader.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(invalid("the archive ends inside a header")),
                count => filled += count,
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
        let checksum = tar::Header::from_byte_slice(&block).cksum()?;
        let outside = block[..148].iter().chain(&block[156..]);
        let sum: u32 = outside.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        if sum != checksum {
            return Err(invalid("a header has a wrong checksum"));
        }
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > EXTENSION_LIMIT {
            return Err(invalid("an extension header is larger than 1 MiB"));
        }
        self.start(size)?;
        self.read_content(size)
    }

    /// Old GNU sparse files have blocks of offsets between header and content.
    fn skip_sparse_map(&mut self, header: &tar::Header) -> io::Result<()> {
        let mut more = header.as_bytes()[482] != 0;
        while more {
            let block = self
                .block()?
                .ok_or_else(|| invalid("the archive ends inside a sparse map"))?;
            more = block[504] != 0;
        }
        Ok(())
    }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}

impl Extension {
    /// Records `LEN KEY=VALUE\n`; LEN counts the whole record.
    fn read_pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let broken = || invalid("a PAX header is broken");
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
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok();
                    let size = size.and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(broken)?);
                }
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}
