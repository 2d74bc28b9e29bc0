//! What a file's bytes say about it while they pass: a script's interpreter, an ELF file's needs.

use std::io::{self, Read, Seek, Write as _};

use super::{ElfSummary, Spool, elf};

/// Bytes of a `#!` line that count; Linux reads no more (execve(2), since 5.1: 255, before: 127).
const SCRIPT: usize = 127;

const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Looks at a file's bytes in order.
#[derive(Debug)]
pub(crate) struct Probe {
    head: Vec<u8>,
    elf: Keep,
}

/// Whether the bytes of ELF files are kept: their tables lie anywhere in the file.
#[derive(Debug)]
enum Keep {
    /// The caller can seek in the file itself.
    No,
    /// The bytes come as a stream.
    Spooled(Option<Spool>),
}

impl Probe {
    /// Bytes that are kept of every file.
    pub(crate) const HEAD: usize = 256;

    /// A probe of a file that can be read again.
    pub(crate) fn of_file() -> Self {
        Self {
            head: Vec::new(),
            elf: Keep::No,
        }
    }

    /// A probe of a stream: if it is an ELF file, its bytes are spooled.
    pub(crate) fn of_stream() -> Self {
        Self {
            head: Vec::new(),
            elf: Keep::Spooled(None),
        }
    }

    /// Takes the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.head.len();
        let kept = bytes.len().min(Self::HEAD - before);
        self.head.extend_from_slice(&bytes[..kept]);
        let Keep::Spooled(spool) = &mut self.elf else {
            return Ok(());
        };
        if let Some(spool) = spool {
            return spool.write_all(bytes);
        }
        // The magic completes here: all bytes before are in the head.
        if before < ELF_MAGIC.len() && self.head.starts_with(ELF_MAGIC) {
            let spool = spool.insert(Spool::new());
            spool.write_all(&self.head[..before])?;
            spool.write_all(bytes)?;
        }
        Ok(())
    }

    /// True when further bytes change nothing.
    pub(crate) fn is_satisfied(&self) -> bool {
        self.head.len() >= Self::HEAD && !self.head.starts_with(ELF_MAGIC)
    }

    /// The interpreter line of a `#!` file, without the `#!`.
    pub(crate) fn script(&self) -> Option<String> {
        let line = self.head.strip_prefix(b"#!")?;
        let line = &line[..line.len().min(SCRIPT - 2)];
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).trim().to_owned();
        // `#![attribute]` of a Rust source is no interpreter.
        line.starts_with('/').then_some(line)
    }

    /// The needs of an ELF file that can be read again.
    pub(crate) fn elf_of<R: Read + Seek>(&self, path: &str, file: R) -> Option<ElfSummary> {
        self.head
            .starts_with(ELF_MAGIC)
            .then(|| elf::summarise(path, file))
            .flatten()
    }

    /// The needs of an ELF file that was spooled.
    pub(crate) fn elf_of_spooled(&self, path: &str) -> Option<ElfSummary> {
        match &self.elf {
            Keep::Spooled(Some(spool)) => elf::summarise(path, spool.reader()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_interpreter_line() {
        let long = format!("#!/{}", "x".repeat(300));
        let cases: [(&[u8], Option<&str>); 7] = [
            (b"#!/bin/sh\necho", Some("/bin/sh")),
            (
                b"#! /usr/bin/env -S python3 -u\r\n",
                Some("/usr/bin/env -S python3 -u"),
            ),
            (b"#!/bin/sh", Some("/bin/sh")),
            (b"#![allow(x)]\n", None),
            (b"#!", None),
            (b"", None),
            (long.as_bytes(), Some(&long[2..127])),
        ];
        for (bytes, script) in cases {
            for step in [1, 3, 1000] {
                let mut probe = Probe::of_stream();
                for piece in bytes.chunks(step) {
                    probe.see(piece).unwrap();
                }
                assert_eq!(probe.script().as_deref(), script);
            }
        }
    }
}
