//! What a Go program says of itself, read without `go` (`debug/buildinfo`).

use std::path::Path;

use object::{Object, ObjectSection};

const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
/// Flag: the strings follow the header (go ≥ 1.18).
const INLINE: u8 = 2;
/// Where they begin.
const STRINGS: usize = 32;
/// Sentinels round the module's text.
const SENTINEL: usize = 16;
/// Larger sections are not what the linker writes.
const MAX_BYTES: u64 = 16 << 20;

/// The build information of a Go program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// `go1.26.8`
    pub go: String,
    /// The import path of its main package.
    pub path: String,
    /// The main package's module.
    pub main: Option<ModuleInfo>,
    /// The modules that are linked, in the order of the program.
    pub deps: Vec<ModuleInfo>,
    /// `-trimpath` → `true`, `GOARCH` → `amd64`, …, in the order of the program.
    pub settings: Vec<(String, String)>,
}

/// A module as a program names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleInfo {
    /// `example.org/server`
    pub path: String,
    /// `v1.2.3`, `(devel)`
    pub version: String,
    /// `h1:…`; empty in vendored builds.
    pub sum: String,
    /// What a `replace` line put in its place.
    pub replaced_by: Option<Box<ModuleInfo>>,
}

/// Why a file has no readable build information.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum InvalidBuildInfo {
    #[error("the file can't be read")]
    Read(#[from] std::io::Error),
    #[error("is no ELF file")]
    Elf(#[from] object::Error),
    #[error("is no Go program: it has no section .go.buildinfo")]
    Missing,
    #[error("its build information is broken: {0}")]
    Broken(&'static str),
}

impl BuildInfo {
    /// Reads a program; only the section is held in memory.
    ///
    /// # Errors
    /// Files that are no Go program of go 1.18 or later, and broken ones.
    pub fn read(path: &Path) -> Result<Self, InvalidBuildInfo> {
        let cache = object::ReadCache::new(fs_err::File::open(path)?);
        let elf = object::File::parse(&cache)?;
        let section = elf
            .section_by_name(".go.buildinfo")
            .ok_or(InvalidBuildInfo::Missing)?;
        if section.size() > MAX_BYTES {
            return Err(InvalidBuildInfo::Broken("the section is too large"));
        }
        Self::parse(section.data()?)
    }

    /// Reads the bytes of a section.
    ///
    /// # Errors
    /// Lengths that leave the section, texts that are not UTF-8, forms before go 1.18.
    pub fn parse(section: &[u8]) -> Result<Self, InvalidBuildInfo> {
        use InvalidBuildInfo::Broken;
        if !section.starts_with(MAGIC) || section.len() < STRINGS {
            return Err(Broken("the header is missing"));
        }
        if section[15] & INLINE == 0 {
            return Err(Broken("it was made before go 1.18"));
        }
        let (go, rest) = string(&section[STRINGS..])?;
        let (modules, _) = string(rest)?;
        let mut info = Self {
            go: text(go)?.to_owned(),
            ..Self::default()
        };
        if modules.len() >= 2 * SENTINEL {
            info.modules(text(&modules[SENTINEL..modules.len() - SENTINEL])?);
        }
        Ok(info)
    }

    fn modules(&mut self, text: &str) {
        let mut last: Option<usize> = None;
        for line in text.lines() {
            let mut fields = line.split('\t');
            let kind = fields.next().unwrap_or_default();
            let mut next = || fields.next().unwrap_or_default().to_owned();
            match kind {
                "path" => self.path = next(),
                "build" => {
                    let pair = next();
                    let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
                    self.settings.push((unquote(key), unquote(value)));
                }
                "mod" | "dep" | "=>" => {
                    let module = ModuleInfo {
                        path: next(),
                        version: next(),
                        sum: next(),
                        replaced_by: None,
                    };
                    match (kind, last) {
                        ("mod", _) => (self.main, last) = (Some(module), None),
                        ("dep", _) => {
                            last = Some(self.deps.len());
                            self.deps.push(module);
                        }
                        (_, Some(index)) => self.deps[index].replaced_by = Some(Box::new(module)),
                        (_, None) => {
                            if let Some(main) = &mut self.main {
                                main.replaced_by = Some(Box::new(module));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// A value with special characters is a quoted Go string.
fn unquote(value: &str) -> String {
    if value.starts_with('"') {
        serde_json::from_str(value).unwrap_or_else(|_| value.to_owned())
    } else {
        value.trim_matches('`').to_owned()
    }
}

/// A length as uvarint, then that many bytes.
fn string(bytes: &[u8]) -> Result<(&[u8], &[u8]), InvalidBuildInfo> {
    let broken = InvalidBuildInfo::Broken("a length leaves the section");
    let mut length: u64 = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let rest = &bytes[index + 1..];
            return match usize::try_from(length)
                .ok()
                .filter(|length| *length <= rest.len())
            {
                Some(length) => Ok(rest.split_at(length)),
                None => Err(broken),
            };
        }
    }
    Err(broken)
}

fn text(bytes: &[u8]) -> Result<&str, InvalidBuildInfo> {
    std::str::from_utf8(bytes).map_err(|_not_utf8| InvalidBuildInfo::Broken("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(strings: &[&[u8]]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, INLINE]);
        bytes.resize(STRINGS, 0);
        for string in strings {
            assert!(string.len() < 16384);
            #[expect(clippy::cast_possible_truncation, reason = "seven bits each")]
            bytes.extend([
                (string.len() & 0x7f) as u8 | 0x80,
                (string.len() >> 7) as u8,
            ]);
            bytes.extend_from_slice(string);
        }
        bytes
    }

    #[test]
    fn reads_modules_replacements_and_settings() {
        let text = "0123456789abcdefpath\tex.org/s\nmod\tex.org/s\t(devel)\t\ndep\tex.org/a\tv1.0.0\th1:x=\n\
                    dep\tex.org/b\tv1.1.0\n=>\t./b\t(devel)\t\nbuild\t-trimpath=true\n\
                    build\t-ldflags=\"-X \\\"a=b\\\"\"\n0123456789abcdef";
        let info = BuildInfo::parse(&section(&[b"go1.26.8", text.as_bytes()])).unwrap();
        assert_eq!(
            (info.go.as_str(), info.path.as_str()),
            ("go1.26.8", "ex.org/s")
        );
        assert_eq!(info.main.unwrap().version, "(devel)");
        assert_eq!(info.deps[0].sum, "h1:x=");
        assert_eq!(info.deps[1].replaced_by.as_ref().unwrap().path, "./b");
        assert_eq!(
            info.settings[1],
            ("-ldflags".to_owned(), "-X \"a=b\"".to_owned())
        );
    }

    #[test]
    fn refuses_broken_sections() {
        let good = section(&[b"go1.26.8", b""]);
        let mut old = good.clone();
        old[15] = 0;
        let mut long = good[..STRINGS].to_vec();
        long.extend([0xff; 12]);
        let mut outside = good[..STRINGS].to_vec();
        outside.extend([0xff, 0xff, 0x7f]);
        for (bytes, said) in [
            (b"".to_vec(), "header"),
            (good[..20].to_vec(), "header"),
            (old, "before go 1.18"),
            (long, "leaves the section"),
            (outside, "leaves the section"),
            (section(&[b"\xff", b""]), "not UTF-8"),
        ] {
            let error = BuildInfo::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
