//! Files of mirrors: over HTTP of our own, by the machine's apt, or from a folder. Whoever asks
//! checks what comes.

use std::io::{self, Read, Write};
use std::path::Path;

use url::Url;

use super::error::DebError;
use super::mirror::Mirror;
use super::{DebContext, apt, logins};
use crate::digest::{Digest, Hashing};
use crate::net::{Cleartext, Download, DownloadError, shown_url};

/// No InRelease file is larger; Debian's largest has 200 kB.
const RELEASE_LIMIT: u64 = 8 << 20;
const PIECE: usize = 1 << 16;

/// Why a mirror gives no such file.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has none: another mirror may.
    Missing(String),
    /// It has another one.
    Other {
        url: String,
        expected: String,
        found: String,
    },
    /// It can't be had at all.
    Error(DebError),
}

impl Failure {
    /// BASE-HASH for other bytes; `missing` says what the absence means.
    pub(super) fn explain(self, missing: impl FnOnce(String) -> DebError) -> DebError {
        match self {
            Self::Missing(url) => missing(url),
            Self::Other {
                url,
                expected,
                found,
            } => DebError::Hash {
                url,
                expected,
                found,
            },
            Self::Error(error) => error,
        }
    }
}

/// A file that a signed index vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// Below the mirror.
    pub(super) path: &'a str,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// What it is, for the progress bar.
    pub(super) name: &'a str,
}

/// A small file, whatever it holds.
pub(super) fn small(
    context: &DebContext<'_>,
    mirror: &Mirror,
    path: &str,
) -> Result<Vec<u8>, Failure> {
    let open = || Ok(Vec::new());
    write(context, mirror, (path, path, RELEASE_LIMIT), open)
}

/// A file that has the digest and size that were signed; a writer with anything else is dropped.
pub(super) fn signed<W: Write>(
    context: &DebContext<'_>,
    mirror: &Mirror,
    file: Signed<'_>,
    open: impl Fn() -> Result<W, DebError>,
) -> Result<W, Failure> {
    let url = shown_url(&mirror.url(file.path));
    let expected = format!("{} ({} bytes)", file.digest, file.size);
    let opened = || Ok(Hashing::new(open()?));
    let written = write(context, mirror, (file.path, file.name, file.size), opened);
    let written = written.map_err(|failure| match failure {
        Failure::Other { url, found, .. } => Failure::Other {
            url,
            expected: expected.clone(),
            found,
        },
        failure => failure,
    })?;
    let (out, digest, size) = written.finish();
    if (digest, size) != (file.digest, file.size) {
        return Err(Failure::Other {
            url,
            expected,
            found: format!("{digest} ({size} bytes)"),
        });
    }
    Ok(out)
}

fn write<W: Write>(
    context: &DebContext<'_>,
    mirror: &Mirror,
    (path, name, limit): (&str, &str, u64),
    open: impl Fn() -> Result<W, DebError>,
) -> Result<W, Failure> {
    let url = mirror.url(path);
    if url.scheme() == "file" {
        return local(&url, limit, open);
    }
    let Some(net) = context.net else {
        let what = shown_url(&url);
        return Err(Failure::Error(DebError::Offline { what }));
    };
    // A password in an address would show on apt-helper's command line.
    if let Some(helper) = &context.mirrors.apt_helper
        && mirror.login().is_none()
    {
        return apt::one(context, helper, &url, limit, open);
    }
    let login = match (mirror.login(), &context.mirrors.apt_folder) {
        (Some(login), _) => Some(login.clone()),
        (None, Some(apt)) => logins::find(apt, &url).map_err(Failure::Error)?,
        (None, None) => None,
    };
    let download = Download {
        url: url.clone(),
        name,
        limit,
        cleartext: Cleartext::Verified,
        accept: "",
        login: login.as_ref(),
    };
    let failed = std::cell::RefCell::new(None);
    let opened = || {
        open().map_err(|error| {
            let shown = error.to_string();
            failed.replace(Some(error));
            DownloadError::Write {
                url: shown_url(&url),
                source: io::Error::other(shown),
            }
        })
    };
    net.download(&download, opened, context.reporter)
        .map_err(|error| match failed.take() {
            Some(error) => Failure::Error(error),
            None => of_download(error, &url),
        })
}

fn of_download(error: DownloadError, url: &Url) -> Failure {
    match error {
        DownloadError::Missing { url, .. } => Failure::Missing(url),
        DownloadError::TooLarge { url, limit } => too_large(url, limit),
        error => Failure::Error(DebError::Download {
            what: format!("{} can't be fetched", shown_url(url)),
            source: Box::new(error),
        }),
    }
}

fn too_large(url: String, limit: u64) -> Failure {
    Failure::Other {
        url,
        expected: format!("at most {limit} bytes"),
        found: "longer".to_owned(),
    }
}

fn local<W: Write>(
    url: &Url,
    limit: u64,
    open: impl Fn() -> Result<W, DebError>,
) -> Result<W, Failure> {
    let shown = shown_url(url);
    let Ok(path) = url.to_file_path() else {
        return Err(Failure::Error(DebError::Mirror {
            text: shown,
            why: "it is no path of this machine".to_owned(),
        }));
    };
    copy(&path, shown, limit, open)
}

/// Copies a file of this disk, up to a limit.
pub(super) fn copy<W: Write>(
    path: &Path,
    shown: String,
    limit: u64,
    open: impl Fn() -> Result<W, DebError>,
) -> Result<W, Failure> {
    let unreadable = |source: io::Error| {
        Failure::Error(DebError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Missing(shown));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut out = open().map_err(Failure::Error)?;
    let mut buffer = vec![0; PIECE];
    let mut file = file.take(limit.saturating_add(1));
    let mut got = 0;
    loop {
        let count = file.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            return Ok(out);
        }
        got += count as u64;
        if got > limit {
            return Err(too_large(shown, limit));
        }
        out.write_all(&buffer[..count]).map_err(unreadable)?;
    }
}
