//! Tar headers of layer format 1: ustar where it fits, one PAX header for long or non-ASCII names.

use super::entry::Owner;
use super::{ENTRY_MTIME, LayerError};

/// The unit of a tar: headers take one, contents are padded to a multiple of it.
pub(crate) const RECORD: usize = 512;

/// The first size that eleven octal digits can't hold: 8 GiB.
pub(crate) const TOO_LARGE: u64 = 1 << 33;

/// The largest number that seven octal digits hold.
const MAX_SHORT: u32 = 0o7_777_777;

const NAME: usize = 100;
const PREFIX: usize = 155;

/// The name of a PAX header's own header, as Python's tarfile writes it; readers ignore it.
const PAX_NAME: &str = "././@PaxHeader";

/// The kinds of headers that the format knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    File = b'0' as isize,
    Symlink = b'2' as isize,
    Directory = b'5' as isize,
    Pax = b'x' as isize,
}

/// The fields of a header that differ between entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    /// Path in the image; a directory's ends in `/`.
    pub(crate) path: &'a str,
    pub(crate) flag: Flag,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) size: u64,
    /// Target of a symbolic link, else empty.
    pub(crate) link: &'a str,
}

/// The records that precede an entry's contents: its header, after a PAX header if need be.
pub(crate) fn encode(fields: &Fields<'_>) -> Result<Vec<u8>, LayerError> {
    if fields.owner.uid > MAX_SHORT || fields.owner.gid > MAX_SHORT || fields.size >= TOO_LARGE {
        return Err(LayerError::Format {
            block: 0,
            what: format!("the header of {} can't hold its numbers", fields.path),
        });
    }
    let place = Place::of(fields.path);
    let long_link = fields.link.len() > NAME || !fields.link.is_ascii();
    let mut records = Vec::with_capacity(RECORD);
    // Sorted by key, and nothing but these two keys.
    let mut pax = Vec::new();
    if long_link {
        pax.extend(pax_record("linkpath", fields.link));
    }
    if matches!(place, Place::Pax) {
        pax.extend(pax_record("path", fields.path));
    }
    if !pax.is_empty() {
        let header = Fields {
            path: PAX_NAME,
            flag: Flag::Pax,
            mode: 0o644,
            owner: Owner::ROOT,
            size: pax.len() as u64,
            link: "",
        };
        records.extend(record(&header, PAX_NAME.as_bytes(), b"", b""));
        records.extend(&pax);
        records.resize(records.len().next_multiple_of(RECORD), 0);
    }
    let link = if long_link {
        placeholder(fields.link)
    } else {
        fields.link.as_bytes().to_vec()
    };
    records.extend(match place {
        Place::Name => record(fields, fields.path.as_bytes(), b"", &link),
        Place::Split(prefix, name) => record(fields, name.as_bytes(), prefix.as_bytes(), &link),
        Place::Pax => record(fields, &placeholder(fields.path), b"", &link),
    });
    Ok(records)
}

/// Where a path goes.
enum Place<'a> {
    Name,
    /// prefix and name, joined by a `/` that is not stored
    Split(&'a str, &'a str),
    Pax,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        if !path.is_ascii() {
            return Self::Pax;
        }
        if path.len() <= NAME {
            return Self::Name;
        }
        // The last slash that leaves a prefix of at most 155 bytes and a name that is not empty.
        let end = path.len().min(PREFIX + 2) - 1;
        match path[..end].rfind('/') {
            Some(slash) if slash > 0 && path.len() - slash - 1 <= NAME => {
                Self::Split(&path[..slash], &path[slash + 1..])
            }
            _ => Self::Pax,
        }
    }
}

/// What stands in a field whose value is in the PAX header: fixed, so that bytes are too.
fn placeholder(text: &str) -> Vec<u8> {
    text.bytes()
        .take(NAME)
        .map(|byte| if byte.is_ascii() { byte } else { b'_' })
        .collect()
}

/// `LEN key=value\n`, where LEN counts itself.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut digits = 1;
    while (rest + digits).to_string().len() > digits {
        digits += 1;
    }
    format!("{} {key}={value}\n", rest + digits).into_bytes()
}

fn record(fields: &Fields<'_>, name: &[u8], prefix: &[u8], link: &[u8]) -> [u8; RECORD] {
    let mut block = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{:07o}", fields.mode).as_bytes());
    put(108, format!("{:07o}", fields.owner.uid).as_bytes());
    put(116, format!("{:07o}", fields.owner.gid).as_bytes());
    put(124, format!("{:011o}", fields.size).as_bytes());
    put(136, format!("{ENTRY_MTIME:011o}").as_bytes());
    put(148, b"        ");
    put(156, &[fields.flag as u8]);
    put(157, link);
    put(257, b"ustar\x0000");
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
    block[155] = 0;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Vec<u8> {
        encode(&Fields {
            path,
            flag: Flag::File,
            mode: 0o644,
            owner: Owner::ROOT,
            size: 5,
            link: "",
        })
        .unwrap()
    }

    fn text(bytes: &[u8]) -> &str {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).unwrap()
    }

    #[test]
    fn every_field_stands_where_the_format_says() {
        let header = file("app/main.py");
        assert_eq!(header.len(), 512);
        assert_eq!(text(&header[..100]), "app/main.py");
        assert_eq!(&header[100..108], b"0000644\0");
        assert_eq!(&header[108..124], b"0000000\x000000000\0");
        assert_eq!(&header[124..136], b"00000000005\0");
        assert_eq!(&header[136..148], b"02263523001\0");
        assert_eq!(header[156], b'0');
        assert_eq!(&header[257..265], b"ustar\x0000");
        assert!(header[265..].iter().all(|byte| *byte == 0));
        let mut blank = header.clone();
        blank[148..156].fill(b' ');
        let sum: u32 = blank.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(text(&header[148..156]), format!("{sum:07o}"));
    }

    #[test]
    fn paths_take_the_first_place_that_fits() {
        let dir = |n: usize| "d".repeat(n);
        // (path, prefix, name) or no prefix and PAX
        let cases = [
            (dir(100), Some(("", dir(100)))),
            (dir(101), None),
            (format!("a/{}", dir(99)), Some(("a", dir(99)))),
            (format!("{}/{}", dir(155), dir(100)), Some(("P", dir(100)))),
            (format!("{}/{}", dir(156), dir(99)), None),
            (format!("{}/{}", dir(100), dir(101)), None),
            // The longest prefix wins, although an earlier slash fits too.
            (format!("a/b/{}/c", dir(100)), Some(("P", "c".to_owned()))),
            // A directory's last slash never splits: the name would be empty.
            (format!("{}/", dir(100)), None),
            (
                format!("x/{}/", dir(99)),
                Some(("x", format!("{}/", dir(99)))),
            ),
            ("caf\u{e9}".to_owned(), None),
        ];
        for (path, place) in cases {
            let header = file(&path);
            if let Some((prefix, name)) = place {
                assert_eq!(header.len(), 512, "{path}");
                assert_eq!(text(&header[..100]), name, "{path}");
                let found = text(&header[345..500]);
                if prefix == "P" {
                    assert_eq!(format!("{found}/{name}"), path);
                } else {
                    assert_eq!(found, prefix, "{path}");
                }
                continue;
            }
            assert_eq!(header.len(), 1536, "{path}");
            assert_eq!((header[156], header[1024 + 156]), (b'x', b'0'));
            let record = text(&header[512..1024]);
            assert_eq!(record, format!("{} path={path}\n", record.len()));
            assert!(header[1024..1124].is_ascii());
            assert!(header[1024 + 345..1536].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_pax_length_counts_its_own_digits() {
        for length in [
            1, 80, 81, 89, 90, 91, 92, 93, 980, 985, 990, 991, 992, 9980, 9990,
        ] {
            let record = pax_record("path", &"x".repeat(length));
            let (count, _) = std::str::from_utf8(&record)
                .unwrap()
                .split_once(' ')
                .unwrap();
            assert_eq!(count.parse::<usize>().unwrap(), record.len());
        }
    }

    #[test]
    fn both_names_too_long_make_one_pax_header_sorted_by_key() {
        let records = encode(&Fields {
            path: "\u{fc}",
            flag: Flag::Symlink,
            mode: 0o777,
            owner: Owner::ROOT,
            size: 0,
            link: &"t".repeat(101),
        })
        .unwrap();
        let pax = text(&records[512..1024]);
        assert_eq!(
            pax,
            format!("115 linkpath={}\n11 path=\u{fc}\n", "t".repeat(101))
        );
        assert_eq!(&records[1024..1026], b"__");
        assert_eq!(&records[1024 + 157..1024 + 257], "t".repeat(100).as_bytes());
    }
}
