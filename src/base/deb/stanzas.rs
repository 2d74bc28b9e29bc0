//! The stanzas of Packages files: one at a time, and no more of each than is kept.

use std::io::{self, BufRead};

use super::mirror::safe_path;
use crate::digest::Digest;

/// Debian's longest stanza has 8 kB of what is read here, and 40 kB in all.
pub(super) const LINE_LIMIT: usize = 1 << 20;
/// The fields of a stanza that are kept.
const KEPT: [&str; 10] = [
    "Package",
    "Version",
    "Architecture",
    "Size",
    "SHA256",
    "Filename",
    "Source",
    "Pre-Depends",
    "Depends",
    "Provides",
];

pub(super) type Stanza = [String; KEPT.len()];

/// Calls `take` for each stanza; nothing but the kept fields of one stanza is in memory.
pub(super) fn read_stanzas(
    mut packages: impl BufRead,
    take: &mut dyn FnMut(&Stanza) -> Result<(), String>,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut stanza = Stanza::default();
    let mut field: Option<usize> = None;
    let mut empty = true;
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut packages, LINE_LIMIT as u64);
        let count = limited.read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if count == LINE_LIMIT {
            return Err(bad("it has an endless line"));
        }
        if count == 0 || line.is_empty() {
            if !empty {
                take(&stanza).map_err(|why| {
                    let name = &stanza[0];
                    bad(&format!("package {name:.80}: {why}"))
                })?;
            }
            if count == 0 {
                return Ok(());
            }
            stanza.iter_mut().for_each(String::clear);
            (field, empty) = (None, true);
            continue;
        }
        empty = false;
        let Some(first) = line.first() else { continue };
        if matches!(first, b' ' | b'\t') {
            if let Some(field) = field {
                append(&mut stanza[field], &line)?;
            }
            continue;
        }
        let colon = line
            .iter()
            .position(|c| *c == b':')
            .ok_or_else(|| bad("it has a line that is no field"))?;
        field = KEPT
            .iter()
            .position(|name| name.as_bytes().eq_ignore_ascii_case(&line[..colon]));
        if let Some(field) = field {
            if !stanza[field].is_empty() {
                return Err(bad(&format!("it has {} twice in a stanza", KEPT[field])));
            }
            append(&mut stanza[field], &line[colon + 1..])?;
        }
    }
}

fn append(field: &mut String, line: &[u8]) -> io::Result<()> {
    let line = std::str::from_utf8(line).map_err(|_binary| bad("it is not UTF-8"))?;
    if field.len() + line.len() > LINE_LIMIT {
        return Err(bad("it has an endless field"));
    }
    if !field.is_empty() {
        field.push(' ');
    }
    field.push_str(line.trim());
    Ok(())
}

pub(super) fn bad(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Whether name, version and architecture of a package can be shown and searched.
pub(super) fn check_names(name: &str, version: &str, arch: &str) -> Result<(), String> {
    let plain = |text: &str, more: &[u8]| {
        let sound = |c: u8| c.is_ascii_alphanumeric() || more.contains(&c);
        !text.is_empty() && text.len() < 256 && text.bytes().all(sound)
    };
    if !plain(name, b"+-.") || name.starts_with(['-', '.']) {
        return Err("its name is none".to_owned());
    }
    if !plain(version, b"+-.~:") {
        return Err(format!("{version:.80?} is no version"));
    }
    if !plain(arch, b"-") {
        return Err(format!("{arch:.80?} is no architecture"));
    }
    Ok(())
}

/// Whether a file lies below the mirror.
pub(super) fn check_path(filename: &str) -> Result<(), String> {
    match safe_path(filename) {
        Some(_) => Ok(()),
        None => Err(format!("{filename:.80?} is no path below a mirror")),
    }
}

/// The line of a stanza, when its fields are what they should be.
pub(super) fn line_of(stanza: &Stanza) -> Result<String, String> {
    let [
        name,
        version,
        arch,
        size,
        sha256,
        filename,
        source,
        before,
        depends,
        provides,
    ] = stanza;
    check_names(name, version, arch)?;
    if size.parse::<u64>().is_err() {
        return Err(format!("{size:.80?} is no size"));
    }
    if format!("sha256:{sha256}").parse::<Digest>().is_err() {
        return Err(format!("{sha256:.80?} is no SHA-256"));
    }
    check_path(filename)?;
    // `Source: gcc-14 (14.2.0-19)` when the versions differ.
    let source = source.split_whitespace().next().unwrap_or(name);
    let depends = match (before.as_str(), depends.as_str()) {
        ("", one) | (one, "") => one.to_owned(),
        (before, depends) => format!("{before}, {depends}"),
    };
    Ok([
        name, version, arch, size, sha256, filename, source, &depends, provides,
    ]
    .join("\t"))
}
