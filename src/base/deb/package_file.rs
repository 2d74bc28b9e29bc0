//! A .deb file: its control data, and the members of its file system.

use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use fs_err::File;

use super::ar::{self, Part};
use super::{AssembleError, FetchedDeb};
use crate::layer::read::{MemberKind, Members};

/// Memory of one xz decoder in KiB: the dictionary of `xz -9` and a little.
const XZ_MEMORY: u32 = (64 << 10) + 1024;
/// The largest window of a Zstandard frame, as an exponent of two: 8 MiB, as `zstd -19` uses.
const ZSTD_WINDOW: u32 = 23;
/// Bytes of the control archive when it is unpacked, and of one file in it.
const MAX_CONTROL: u64 = 16 << 20;
/// Bytes that any data archive may unpack to, ...
const FREE_BYTES: u64 = 64 << 20;
/// ... and more for each of its compressed bytes: Debian's own packages stay below 30.
const MAX_RATIO: u64 = 100;
/// ... but never more than this.
const MAX_DATA: u64 = 4 << 30;

/// The control data of a package.
#[derive(Clone, Debug)]
pub(super) struct Control {
    /// The file `control`, verbatim.
    pub(super) control: Vec<u8>,
    /// The file `md5sums`, verbatim.
    pub(super) md5sums: Option<Vec<u8>>,
}

/// A .deb file whose outer archive is in order.
#[derive(Debug)]
pub(super) struct Deb<'a> {
    file: &'a FetchedDeb,
    control: Part,
    data: Part,
}

/// The members of the file system of a .deb.
pub(super) type DataMembers = Members<Box<dyn Read + Send>>;

impl<'a> Deb<'a> {
    /// Looks into a .deb.
    ///
    /// # Errors
    /// BASE-DEB for a damaged one.
    pub(super) fn open(deb: &'a FetchedDeb) -> Result<Self, AssembleError> {
        let file = File::open(&deb.path).map_err(AssembleError::disk)?;
        let length = file.metadata().map_err(AssembleError::disk)?.len();
        let (control, data) = ar::parts(&deb.package.name, file, length)?;
        Ok(Self {
            file: deb,
            control,
            data,
        })
    }

    fn package(&self) -> &str {
        &self.file.package.name
    }

    /// The control data; name, version and architecture are compared with what was locked.
    ///
    /// # Errors
    /// BASE-DEB, BASE-COMPR.
    pub(super) fn control(&self) -> Result<Control, AssembleError> {
        let package = self.package();
        let broken = |error| AssembleError::broken(package, error);
        let mut members = Members::new(open(self.file, &self.control, MAX_CONTROL)?);
        let mut control = None;
        let mut md5sums = None;
        while let Some(member) = members.next().map_err(broken)? {
            let name = member.path.strip_prefix(b"./").unwrap_or(&member.path);
            let slot = match name {
                b"control" => &mut control,
                b"md5sums" => &mut md5sums,
                _ => continue,
            };
            if member.kind != MemberKind::File || slot.is_some() {
                return Err(AssembleError::damaged(package, "its control data is odd"));
            }
            let mut bytes = Vec::new();
            members.read_to_end(&mut bytes).map_err(broken)?;
            *slot = Some(bytes);
        }
        members.finish().map_err(broken)?;
        let control = control
            .ok_or_else(|| AssembleError::damaged(package, "it has no file named control"))?;
        self.check(&control)?;
        Ok(Control { control, md5sums })
    }

    /// A reader over the file system.
    ///
    /// # Errors
    /// BASE-COMPR.
    pub(super) fn data(&self) -> Result<DataMembers, AssembleError> {
        let limit = self.data.size.saturating_mul(MAX_RATIO);
        let limit = limit.saturating_add(FREE_BYTES).min(MAX_DATA);
        Ok(Members::new(open(self.file, &self.data, limit)?))
    }

    fn check(&self, control: &[u8]) -> Result<(), AssembleError> {
        let locked = &self.file.package;
        let text = String::from_utf8_lossy(control);
        let field = |name: &str| {
            let mut lines = text.lines().take_while(|line| !line.trim().is_empty());
            lines
                .find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then(|| value.trim())
                })
                .unwrap_or_default()
        };
        let shown = |name: &str, version: &str, arch: &str| {
            let text = format!("{name} {version} {arch}");
            text.chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect()
        };
        let found = (field("Package"), field("Version"), field("Architecture"));
        if found == (&locked.name, &locked.version, &locked.arch) {
            return Ok(());
        }
        Err(AssembleError::Identity {
            package: locked.name.clone(),
            expected: shown(&locked.name, &locked.version, &locked.arch),
            found: shown(found.0, found.1, found.2),
        })
    }
}

/// A member of the outer archive, unpacked to at most `limit` bytes.
fn open(deb: &FetchedDeb, part: &Part, limit: u64) -> Result<Box<dyn Read + Send>, AssembleError> {
    let mut file = File::open(&deb.path).map_err(AssembleError::disk)?;
    file.seek(SeekFrom::Start(part.offset))
        .map_err(AssembleError::disk)?;
    let raw = BufReader::with_capacity(64 << 10, file.take(part.size));
    let suffix = part
        .name
        .split_once(".tar")
        .map_or("", |(_, suffix)| suffix);
    Ok(bounded(
        decoder(&deb.package.name, part, suffix, raw)?,
        limit,
    ))
}

fn decoder(
    package: &str,
    part: &Part,
    suffix: &str,
    raw: BufReader<io::Take<File>>,
) -> Result<Box<dyn Read + Send>, AssembleError> {
    Ok(match suffix {
        "" => Box::new(raw),
        ".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        ".xz" => Box::new(BufReader::with_capacity(
            64 << 10,
            lzma_rust2::XzReader::new_mem_limit(raw, true, XZ_MEMORY),
        )),
        ".zst" => {
            let decoder = zstd::Decoder::with_buffer(raw).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW)?;
                Ok(decoder)
            });
            Box::new(decoder.map_err(|error| AssembleError::broken(package, error))?)
        }
        _ => {
            return Err(AssembleError::Compression {
                package: package.to_owned(),
                member: part.name.escape_debug().to_string(),
            });
        }
    })
}

/// A stream that fails beyond a number of bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

pub(super) fn bounded(inner: impl Read + Send + 'static, limit: u64) -> Box<dyn Read + Send> {
    Box::new(Bounded {
        inner,
        left: limit,
        limit,
    })
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let limit = crate::progress::human_bytes(self.limit);
            io::Error::other(format!("it unpacks to more than {limit}"))
        })?;
        Ok(count)
    }
}
