//! The outer archive of a .deb: `ar` with a few members in a fixed order (deb(5)).

use std::io::{Read, Seek, SeekFrom};

use super::AssembleError;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
/// The longest header field that is a number.
const END: &[u8; 2] = b"`\n";
/// A .deb has three members; some builders add one with a signature.
const MAX_MEMBERS: usize = 16;

/// A member that carries a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `data.tar.xz`
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) offset: u64,
    /// Their number.
    pub(super) size: u64,
}

/// Finds control and data of a .deb of `length` bytes.
///
/// # Errors
/// BASE-DEB for anything but `debian-binary` 2.x, `control.tar*`, `data.tar*`, in this order;
/// members whose names begin with `_` are skipped, and whatever follows the data, as dpkg does.
pub(super) fn parts<R: Read + Seek>(
    package: &str,
    mut file: R,
    length: u64,
) -> Result<(Part, Part), AssembleError> {
    let damaged = |what: &str| AssembleError::damaged(package, what);
    let mut magic = [0; MAGIC.len()];
    read(package, &mut file, 0, &mut magic)?;
    if magic != *MAGIC {
        return Err(damaged("it is no ar archive"));
    }
    let mut offset = MAGIC.len() as u64;
    let mut format_seen = false;
    let mut control: Option<Part> = None;
    for _ in 0..MAX_MEMBERS {
        let part = header(package, &mut file, offset, length)?;
        offset = part.offset + part.size.next_multiple_of(2);
        match (part.name.as_str(), format_seen, &control) {
            ("debian-binary", false, None) => {
                check_format(package, &mut file, &part)?;
                format_seen = true;
            }
            (name, true, _) if name.starts_with('_') => {}
            (name, true, None) if is_tar(name, "control") => control = Some(part),
            (name, true, Some(found)) if is_tar(name, "data") => {
                return Ok((found.clone(), part));
            }
            (name, ..) => {
                let name = name.escape_debug();
                return Err(damaged(&format!("its member {name} is out of place")));
            }
        }
    }
    Err(damaged("it has too many members before its data"))
}

fn is_tar(name: &str, stem: &str) -> bool {
    let rest = name.strip_prefix(stem);
    let rest = rest.and_then(|rest| rest.strip_prefix(".tar"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn header<R: Read + Seek>(
    package: &str,
    file: &mut R,
    offset: u64,
    length: u64,
) -> Result<Part, AssembleError> {
    let damaged = |what: &str| AssembleError::damaged(package, what);
    if offset.saturating_add(HEADER as u64) > length {
        return Err(damaged("it ends before its data"));
    }
    let mut header = [0; HEADER];
    read(package, file, offset, &mut header)?;
    if header[58..] != *END {
        return Err(damaged("one of its ar headers is broken"));
    }
    let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    let name = text(&header[..16]).ok_or_else(|| damaged("a member's name is no text"))?;
    let name = name.trim_end_matches(' ');
    let size = text(&header[48..58]).and_then(|size| {
        let size = size.trim_end_matches(' ');
        let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| size.parse::<u64>().ok()).flatten()
    });
    let size = size.ok_or_else(|| damaged("a member's size is no number"))?;
    let offset = offset + HEADER as u64;
    if size > length - offset {
        return Err(damaged("a member is longer than the file"));
    }
    Ok(Part {
        // GNU ar ends names with a slash.
        name: name.strip_suffix('/').unwrap_or(name).to_owned(),
        offset,
        size,
    })
}

fn check_format<R: Read + Seek>(
    package: &str,
    file: &mut R,
    part: &Part,
) -> Result<(), AssembleError> {
    let mut format = [0; 2];
    if part.size < format.len() as u64 || part.size > 64 {
        return Err(AssembleError::damaged(package, "its debian-binary is odd"));
    }
    read(package, file, part.offset, &mut format)?;
    if format != *b"2." {
        return Err(AssembleError::damaged(
            package,
            "it has another version of the .deb format than 2",
        ));
    }
    Ok(())
}

fn read<R: Read + Seek>(
    package: &str,
    file: &mut R,
    offset: u64,
    buffer: &mut [u8],
) -> Result<(), AssembleError> {
    let result = file
        .seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(buffer));
    result.map_err(|error| AssembleError::broken(package, error))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn member(name: &str, size: &str, bytes: &[u8]) -> Vec<u8> {
        let mut member = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        );
        assert_eq!(member.len(), HEADER);
        if bytes.len() % 2 == 1 {
            member.push('\n');
        }
        let at = HEADER;
        let mut member = member.into_bytes();
        member.splice(at..at, bytes.iter().copied());
        member
    }

    fn deb(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            bytes.extend(member(name, &content.len().to_string(), content));
        }
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<(Part, Part), String> {
        let length = bytes.len() as u64;
        parts("x", Cursor::new(bytes), length).map_err(|error| error.to_string())
    }

    #[test]
    fn finds_control_and_data() {
        let format = ("debian-binary", &b"2.0\n"[..]);
        for (members, names) in [
            (
                vec![format, ("control.tar.xz", b"c"), ("data.tar.zst", b"dd")],
                ("control.tar.xz", "data.tar.zst"),
            ),
            (
                vec![
                    ("debian-binary/", b"2.1\n"),
                    ("_gpgorigin", b"?"),
                    ("control.tar/", b"c"),
                    ("data.tar", b"d"),
                    ("anything", b""),
                ],
                ("control.tar", "data.tar"),
            ),
        ] {
            let (control, data) = open(deb(&members)).unwrap();
            assert_eq!((control.name.as_str(), data.name.as_str()), names);
            assert_eq!(control.size, 1);
        }
    }

    #[test]
    fn refuses_what_is_no_deb() {
        let format = ("debian-binary", &b"2.0\n"[..]);
        let control = ("control.tar", &b"c"[..]);
        let data = ("data.tar", &b"d"[..]);
        let whole = deb(&[format, control, data]);
        let mut bad_end = whole.clone();
        bad_end[8 + 58] = b'?';
        let mut huge = MAGIC.to_vec();
        huge.extend(member("debian-binary", "9999999999", b"2.0\n"));
        let mut negative = MAGIC.to_vec();
        negative.extend(member("debian-binary", "-4", b"2.0\n"));
        let many: Vec<_> = std::iter::once(format)
            .chain((0..20).map(|_| ("_x", &b""[..])))
            .collect();
        for (bytes, text) in [
            (b"!<arch>".to_vec(), "failed to fill"),
            (b"!<thin>\nxxxx".to_vec(), "no ar archive"),
            (MAGIC.to_vec(), "ends before its data"),
            (whole[..whole.len() - 70].to_vec(), "ends before its data"),
            (whole[..whole.len() - 2].to_vec(), "longer than the file"),
            (bad_end, "ar headers is broken"),
            (huge, "longer than the file"),
            (negative, "size is no number"),
            (deb(&[control, format, data]), "control.tar is out of place"),
            (deb(&[format, data, control]), "data.tar is out of place"),
            (deb(&[format, format]), "debian-binary is out of place"),
            (
                deb(&[format, control, control]),
                "control.tar is out of place",
            ),
            (deb(&[format, ("x\ny", b"")]), "x\\ny is out of place"),
            (deb(&[("debian-binary", b"3.0\n")]), "another version"),
            (deb(&[format, control]), "ends before its data"),
            (deb(&many), "too many members"),
        ] {
            let error = open(bytes).unwrap_err();
            assert!(error.contains(text), "{error} without {text}");
        }
    }
}
