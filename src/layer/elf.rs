//! What an ELF file needs of the system it runs on, read from its program headers alone.
//!
//! Files are hostile: every count and length is capped, nothing is allocated by a number in the
//! file, and what can't be read is left out. Section headers are not looked at: the loader
//! doesn't either, and they may be stripped. (gABI chapters 4 and 5; LSB, "Symbol Versioning")

use std::io::{Cursor, Read, Seek, SeekFrom};

use super::ElfSummary;

const MAX_SEGMENTS: u64 = 256;
const MAX_DYNAMIC: u64 = 4096;
const MAX_NEEDED: usize = 1024;
const MAX_VERSIONS: usize = 4096;
const MAX_STRING: usize = 512;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

/// Reads an ELF file's needs; none when not even its machine can be read.
pub(crate) fn summarise<R: Read + Seek>(path: &str, file: R) -> Option<ElfSummary> {
    let mut elf = Elf::open(file)?;
    let mut summary = ElfSummary {
        path: path.to_owned(),
        machine: elf.machine()?,
        interpreter: None,
        needed: Vec::new(),
        glibc: None,
    };
    let segments = elf.segments();
    let find = |kind| segments.iter().find(|segment| segment.kind == kind);
    if let Some(segment) = find(PT_INTERP) {
        summary.interpreter = elf.string(segment.offset);
    }
    if let Some(dynamic) = find(PT_DYNAMIC) {
        elf.dynamic(dynamic, &segments, &mut summary);
    }
    Some(summary)
}

/// The machine of an ELF file, as GOARCH names it, from its first bytes; none for other files.
pub(crate) fn machine(head: &[u8]) -> Option<String> {
    Elf::open(Cursor::new(head))?.machine()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Bits32,
    Bits64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

struct Elf<R> {
    file: R,
    class: Class,
    order: Order,
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl<R: Read + Seek> Elf<R> {
    fn open(file: R) -> Option<Self> {
        let mut elf = Self {
            file,
            class: Class::Bits64,
            order: Order::Little,
        };
        let [magic @ .., class, order] = elf.bytes::<6>(0)?;
        if magic != *b"\x7fELF" {
            return None;
        }
        elf.class = match class {
            1 => Class::Bits32,
            2 => Class::Bits64,
            _ => return None,
        };
        elf.order = match order {
            1 => Order::Little,
            2 => Order::Big,
            _ => return None,
        };
        Some(elf)
    }

    /// The machine as GOARCH names it.
    fn machine(&mut self) -> Option<String> {
        let machine = self.half(18)?;
        let name = match (machine, self.class, self.order) {
            (3, _, _) => "386",
            (8, Class::Bits32, Order::Big) => "mips",
            (8, Class::Bits32, Order::Little) => "mipsle",
            (8, Class::Bits64, Order::Big) => "mips64",
            (8, Class::Bits64, Order::Little) => "mips64le",
            (21, _, Order::Big) => "ppc64",
            (21, _, Order::Little) => "ppc64le",
            (22, _, _) => "s390x",
            (40, _, _) => "arm",
            (62, _, _) => "amd64",
            (183, _, _) => "arm64",
            (243, _, _) => "riscv64",
            (258, _, _) => "loong64",
            _ => return Some(format!("unknown-{machine}")),
        };
        Some(name.to_owned())
    }

    fn segments(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        let (start, size, count) = match self.class {
            Class::Bits32 => (self.word(28).map(u64::from), self.half(42), self.half(44)),
            Class::Bits64 => (self.long(32), self.half(54), self.half(56)),
        };
        let (Some(start), Some(size), Some(count)) = (start, size, count) else {
            return segments;
        };
        for index in 0..u64::from(count).min(MAX_SEGMENTS) {
            let Some(at) = start.checked_add(index * u64::from(size)) else {
                break;
            };
            let Some(segment) = self.segment(at) else {
                break;
            };
            segments.push(segment);
        }
        segments
    }

    fn segment(&mut self, at: u64) -> Option<Segment> {
        let at = |offset: u64| at.checked_add(offset);
        Some(match self.class {
            Class::Bits32 => Segment {
                kind: self.word(at(0)?)?,
                offset: self.word(at(4)?)?.into(),
                address: self.word(at(8)?)?.into(),
                size: self.word(at(16)?)?.into(),
            },
            Class::Bits64 => Segment {
                kind: self.word(at(0)?)?,
                offset: self.long(at(8)?)?,
                address: self.long(at(16)?)?,
                size: self.long(at(32)?)?,
            },
        })
    }

    fn dynamic(&mut self, dynamic: &Segment, segments: &[Segment], summary: &mut ElfSummary) {
        let width = match self.class {
            Class::Bits32 => 4,
            Class::Bits64 => 8,
        };
        let (mut needed, mut strings, mut versions) = (Vec::new(), None, (None, 0));
        for index in 0..(dynamic.size / (2 * width)).min(MAX_DYNAMIC) {
            let Some(at) = dynamic.offset.checked_add(index * 2 * width) else {
                break;
            };
            let pair = at
                .checked_add(width)
                .and_then(|second| Some((self.address(at)?, self.address(second)?)));
            match pair {
                None | Some((0, _)) => break,
                Some((DT_NEEDED, name)) if needed.len() < MAX_NEEDED => needed.push(name),
                Some((DT_STRTAB, address)) => strings = offset_of(segments, address),
                Some((DT_VERNEED, address)) => versions.0 = offset_of(segments, address),
                Some((DT_VERNEEDNUM, count)) => versions.1 = count,
                Some(_) => {}
            }
        }
        let Some(strings) = strings else { return };
        for name in needed {
            let name = strings.checked_add(name).and_then(|at| self.string(at));
            summary.needed.extend(name);
        }
        if let (Some(start), count) = versions {
            summary.glibc = self.highest_glibc(start, count, strings);
        }
    }

    /// Walks the version needs: a chain of libraries, each with a chain of versions.
    fn highest_glibc(&mut self, start: u64, count: u64, strings: u64) -> Option<String> {
        let mut highest: Option<(Vec<u32>, String)> = None;
        let mut library = Some(start);
        let mut left = MAX_VERSIONS;
        for _ in 0..count {
            let Some(at) = library else { break };
            let Some((versions, first, next)) = self.need(at) else {
                break;
            };
            let mut version = Some(first);
            for _ in 0..versions {
                let Some((name, next)) = version.and_then(|at| self.need_version(at, strings))
                else {
                    break;
                };
                if let Some(found) = glibc_version(&name)
                    && highest.as_ref().is_none_or(|(best, _)| found.0 > *best)
                {
                    highest = Some(found);
                }
                left = left.checked_sub(1)?;
                version = next;
            }
            left = left.checked_sub(1)?;
            library = next;
        }
        highest.map(|(_, text)| text)
    }

    /// Verneed: number of versions, offset of the first, offset of the next library.
    fn need(&mut self, at: u64) -> Option<(u16, u64, Option<u64>)> {
        let versions = self.half(at.checked_add(2)?)?;
        let first = self.word(at.checked_add(8)?)?;
        let next = self.word(at.checked_add(12)?)?;
        Some((versions, at.checked_add(first.into())?, follow(at, next)))
    }

    /// Vernaux: the version's name, offset of the next.
    fn need_version(&mut self, at: u64, strings: u64) -> Option<(String, Option<u64>)> {
        let name = self.word(at.checked_add(8)?)?;
        let next = self.word(at.checked_add(12)?)?;
        let name = self.string(strings.checked_add(name.into())?)?;
        Some((name, follow(at, next)))
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.seek(SeekFrom::Start(at)).ok()?;
        self.file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn half(&mut self, at: u64) -> Option<u16> {
        let bytes = self.bytes(at)?;
        Some(match self.order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        })
    }

    fn word(&mut self, at: u64) -> Option<u32> {
        let bytes = self.bytes(at)?;
        Some(match self.order {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        })
    }

    fn long(&mut self, at: u64) -> Option<u64> {
        let bytes = self.bytes(at)?;
        Some(match self.order {
            Order::Little => u64::from_le_bytes(bytes),
            Order::Big => u64::from_be_bytes(bytes),
        })
    }

    /// A number as wide as the class.
    fn address(&mut self, at: u64) -> Option<u64> {
        match self.class {
            Class::Bits32 => self.word(at).map(u64::from),
            Class::Bits64 => self.long(at),
        }
    }

    /// A NUL-terminated string; none when it is too long.
    fn string(&mut self, at: u64) -> Option<String> {
        self.file.seek(SeekFrom::Start(at)).ok()?;
        let mut bytes = Vec::with_capacity(MAX_STRING);
        (&mut self.file)
            .take(MAX_STRING as u64)
            .read_to_end(&mut bytes)
            .ok()?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

fn follow(at: u64, next: u32) -> Option<u64> {
    (next != 0).then(|| at.checked_add(next.into())).flatten()
}

/// The place in the file of an address in memory.
fn offset_of(segments: &[Segment], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.size).then(|| segment.offset.checked_add(within))?
        })
}

/// `GLIBC_2.34` as numbers and as `2.34`; none for `GLIBC_PRIVATE` and `GLIBC_ABI_*`.
fn glibc_version(name: &str) -> Option<(Vec<u32>, String)> {
    let text = name.strip_prefix("GLIBC_")?;
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    Some((numbers.ok()?, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test itself: a dynamic executable of the machine that the tests run on.
    fn own() -> Vec<u8> {
        fs_err::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn reads_a_real_executable() {
        let found = summarise("bin/x", Cursor::new(own())).unwrap();
        assert_eq!(found.path, "bin/x");
        if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
            assert_eq!(found.machine, "amd64");
            assert_eq!(
                found.interpreter.as_deref(),
                Some("/lib64/ld-linux-x86-64.so.2")
            );
            assert!(found.needed.contains(&"libc.so.6".to_owned()), "{found:?}");
            assert!(found.glibc.unwrap().starts_with("2."));
        }
    }

    #[test]
    fn hostile_files_yield_the_machine_at_most() {
        let real = own();
        let head = &real[..real.len().min(4096)];
        // Every byte of the header and the program headers set to extremes.
        for at in 4..head.len().min(64 + 16 * 56) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = head.to_vec();
                bytes[at] = value;
                if let Some(found) = summarise("x", Cursor::new(bytes)) {
                    assert!(!found.machine.is_empty());
                    assert!(found.needed.len() <= MAX_NEEDED);
                }
            }
        }
        for length in 0..64 {
            let found = summarise("x", Cursor::new(&real[..length]));
            assert_eq!(found.is_some(), length >= 20, "{length} bytes");
        }
    }

    #[test]
    fn machines_have_the_names_of_goarch() {
        let cases = [
            (1, 1, 3, "386"),
            (2, 1, 62, "amd64"),
            (2, 1, 183, "arm64"),
            (1, 1, 40, "arm"),
            (1, 2, 8, "mips"),
            (2, 1, 8, "mips64le"),
            (2, 2, 21, "ppc64"),
            (2, 1, 21, "ppc64le"),
            (2, 2, 22, "s390x"),
            (2, 1, 243, "riscv64"),
            (2, 1, 258, "loong64"),
            (2, 1, 9999, "unknown-9999"),
        ];
        for (class, order, machine, name) in cases {
            let mut bytes = b"\x7fELF".to_vec();
            bytes.extend([class, order]);
            bytes.resize(18, 0);
            let number: u16 = machine;
            bytes.extend(if order == 1 {
                number.to_le_bytes()
            } else {
                number.to_be_bytes()
            });
            let found = summarise("x", Cursor::new(bytes)).unwrap();
            assert_eq!(found.machine, name);
            assert_eq!((found.interpreter, found.needed), (None, Vec::new()));
        }
    }

    #[test]
    fn versions_compare_as_numbers() {
        let version = |name| glibc_version(name).map(|(numbers, _)| numbers);
        assert!(version("GLIBC_2.9") < version("GLIBC_2.34"));
        assert!(version("GLIBC_2.2") < version("GLIBC_2.2.5"));
        assert_eq!(version("GLIBC_PRIVATE"), None);
        assert_eq!(version("GLIBC_ABI_DT_RELR"), None);
        assert_eq!(version("GLIBCXX_3.4"), None);
    }
}
