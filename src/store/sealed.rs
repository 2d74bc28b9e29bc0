//! Small files that notice their own damage: the SHA-256 of the contents is their first line.

use fs_err as fs;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::digest::Digest;

/// The longest sealed file that is read: the record of a layer of a million entries fits.
pub(crate) const SEALED_LIMIT: u64 = 512 << 20;

/// Length of `sha256:<64 hex>` and the line's end.
const HEAD: usize = 72;

/// The contents behind their digest.
pub(crate) fn seal(contents: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD + contents.len());
    sealed.extend_from_slice(Digest::of(contents).to_string().as_bytes());
    sealed.push(b'\n');
    sealed.extend_from_slice(contents);
    sealed
}

/// Why a sealed file gives nothing.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It is not there: an ordinary miss.
    Missing,
    /// It is damaged, or can't be read.
    Damaged(String),
}

/// The contents, when they are what was sealed.
pub(crate) fn unseal(mut sealed: Vec<u8>) -> Result<Vec<u8>, Broken> {
    let damaged = |why: &str| Broken::Damaged(why.to_owned());
    if sealed.len() < HEAD || sealed[HEAD - 1] != b'\n' {
        return Err(damaged("it is cut short"));
    }
    let contents = sealed.split_off(HEAD);
    if sealed[..HEAD - 1] != *Digest::of(&contents).to_string().as_bytes() {
        return Err(damaged("its checksum does not fit"));
    }
    Ok(contents)
}

/// Reads a sealed file of at most [`SEALED_LIMIT`] bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Broken> {
    let read = || -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        let file = fs::File::open(path)?;
        file.take(SEALED_LIMIT + 1).read_to_end(&mut sealed)?;
        Ok(sealed)
    };
    match read() {
        Ok(sealed) if sealed.len() as u64 > SEALED_LIMIT => {
            Err(Broken::Damaged("it is too large".to_owned()))
        }
        Ok(sealed) => unseal(sealed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Broken::Missing),
        Err(error) => Err(Broken::Damaged(format!("it can't be read: {error}"))),
    }
}

/// Writes `contents`, sealed, to `beside` and renames it to `path`. There is no fsync: a sealed
/// file that a power cut leaves half-written is noticed when it is read, and made again.
pub(crate) fn write(beside: &Path, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(beside)?;
    file.write_all(&seal(contents))?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_or_lost_byte_is_noticed() {
        let sealed = seal(b"some contents");
        assert_eq!(unseal(sealed.clone()).unwrap(), b"some contents");
        for index in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[index] ^= 1;
            assert!(matches!(unseal(flipped), Err(Broken::Damaged(_))));
            assert!(matches!(
                unseal(sealed[..index].to_vec()),
                Err(Broken::Damaged(_))
            ));
        }
    }
}
