//! Files from servers that speak plain GET: package mirrors and package registries.
//!
//! Whoever calls says what the file must be; nothing that is anything else is kept. A transfer
//! that breaks begins again from its first byte.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha512};
use url::Url;

use super::{
    ATTEMPTS, Net, NetError, authority, pause_before, plain_words, retry_after, shown_url,
};
use crate::digest::{Digest, Hashing};
use crate::error::{Coded, Exit};
use crate::progress::{Meter, Reporter};
use crate::store::{BlobWriter, Store, StoreError};

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// A file to get.
#[derive(Clone, Debug)]
pub struct Download<'a> {
    /// Its address, without user and password.
    pub url: Url,
    /// What it is, for the progress bar.
    pub name: &'a str,
    /// More bytes than this are refused.
    pub limit: u64,
    /// Whether http:// will do.
    pub cleartext: Cleartext,
    /// `Accept` header; any type when empty.
    pub accept: &'a str,
    /// Sent to the address' own origin and to no other.
    pub login: Option<&'a Login>,
}

/// What may be fetched over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// Nothing but what this machine itself serves.
    Refused,
    /// Files whose contents are signed, or have a digest that was signed: Debian mirrors.
    Verified,
}

/// A user and password for a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Why a file could not be got.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum DownloadError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{url} is not there (HTTP {status})")]
    Missing { url: String, status: u16 },
    #[error("{url}: the server answers HTTP {status}{words}")]
    Status {
        url: String,
        status: u16,
        words: String,
    },
    #[error("{url}: the redirect is not followed: {why}")]
    Redirect { url: String, why: String },
    #[error("{url} has more than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error("{url} is not what was expected: it should be {expected}, and is {found}")]
    Mismatch {
        url: String,
        expected: String,
        found: String,
    },
    #[error("{url} can't be written to this disk")]
    Write { url: String, source: io::Error },
}

impl Coded for DownloadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Net(source) => source.code(),
            Self::Store(source) => source.code(),
            Self::Missing { .. } | Self::Status { .. } => "NET-STATUS",
            Self::Redirect { .. } => "NET-REDIRECT",
            Self::TooLarge { .. } | Self::Mismatch { .. } => "NET-DIGEST",
            Self::Write { .. } => "NET-OUTPUT",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Net(source) => source.exit(),
            Self::Store(source) => source.exit(),
            Self::Status { status: 401, .. } => Exit::Authentication,
            Self::Status { status: 403, .. } => Exit::Denied,
            Self::Status { .. } => Exit::Network,
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Net(source) => return source.hint(),
            Self::Store(source) => return source.hint(),
            Self::Missing { .. } => "is the address right?",
            Self::Status {
                status: 401 | 403, ..
            } => "the server wants a login, or refuses this one",
            Self::Status { .. } => "run the command again later, or use another server",
            Self::Redirect { .. } => "name the final address",
            Self::TooLarge { .. } | Self::Mismatch { .. } => {
                "look for a proxy that alters data; nothing was kept"
            }
            Self::Write { .. } => "free space on the disk of the cache",
        };
        Some(hint.to_owned())
    }
}

impl DownloadError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Net(error) => error.is_transient(),
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// Hashes what it hands on in both ways: the store goes by SHA-256, npm by SHA-512.
struct Both(Hashing<BlobWriter>, Sha512);

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Net {
    /// A file into the store when it has this `sha512-BASE64`: its path, digest and size.
    ///
    /// # Errors
    /// NET-*; STORE-*.
    pub fn download_blob(
        &self,
        download: &Download<'_>,
        integrity: &str,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<(PathBuf, Digest, u64), DownloadError> {
        let open = || Ok(Both(Hashing::new(store.blob_writer()?), Sha512::new()));
        let Both(inner, hasher) = self.download(download, open, reporter)?;
        let (blob, digest, size) = inner.finish();
        let found = integrity_of(hasher);
        if found != integrity {
            return Err(DownloadError::Mismatch {
                url: shown_url(&download.url),
                expected: plain_words(integrity),
                found,
            });
        }
        Ok((store.commit_input(blob, &digest)?, digest, size))
    }

    /// A file to a writer that is made anew for each attempt. Its digest is the caller's business.
    ///
    /// # Errors
    /// NET-*; what `open` returns.
    pub fn download<W: Write>(
        &self,
        download: &Download<'_>,
        open: impl Fn() -> Result<W, DownloadError>,
        reporter: &dyn Reporter,
    ) -> Result<W, DownloadError> {
        self.block_on(async {
            let mut attempt = 1;
            loop {
                let mut asked = None;
                let error = match self.attempt(download, open()?, reporter, &mut asked).await {
                    Err(error) if error.is_transient() && attempt < ATTEMPTS => error,
                    done => return done,
                };
                attempt += 1;
                let pause = pause_before(attempt, self.patience(), asked);
                let text = format!("{error}; trying again in {} ms", pause.as_millis());
                reporter.warn("NET-RETRY", text);
                tokio::time::sleep(pause).await;
            }
        })
    }

    async fn attempt<W: Write>(
        &self,
        download: &Download<'_>,
        mut out: W,
        reporter: &dyn Reporter,
        asked: &mut Option<Duration>,
    ) -> Result<W, DownloadError> {
        let url = shown_url(&download.url);
        let mut response = self.follow(download).await?;
        let status = response.status();
        if status != StatusCode::OK {
            *asked = retry_after(response.headers());
            return Err(self.refused(url, response).await);
        }
        let total = content_length(response.headers());
        let too_large = || DownloadError::TooLarge {
            url: url.clone(),
            limit: download.limit,
        };
        if total.is_some_and(|total| total > download.limit) {
            return Err(too_large());
        }
        let meter = Meter::new(reporter, download.name, total);
        let mut got = 0;
        while let Some(bytes) = self.chunk(&mut response).await? {
            got += bytes.len() as u64;
            if got > download.limit {
                return Err(too_large());
            }
            out.write_all(&bytes)
                .map_err(|source| DownloadError::Write {
                    url: url.clone(),
                    source,
                })?;
            meter.at(got);
        }
        Ok(out)
    }

    /// The answer at the end of the redirects.
    async fn follow(&self, download: &Download<'_>) -> Result<Response, DownloadError> {
        let mut url = download.url.clone();
        for _ in 0..=REDIRECTS {
            self.allow_download(&url, download.cleartext)?;
            let mut request = self.client.request(Method::GET, url.clone());
            if !download.accept.is_empty() {
                request = request.header(ACCEPT, download.accept);
            }
            if let Some(login) = download.login
                && url.origin() == download.url.origin()
            {
                request = request.header(AUTHORIZATION, basic(login));
            }
            let response = self.send(request, None).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = next_address(&url, response.headers())?;
        }
        Err(DownloadError::Redirect {
            url: shown_url(&download.url),
            why: format!("there are more than {REDIRECTS}"),
        })
    }

    /// As [`Net::allow`], and plain HTTP for what is verified by other means.
    fn allow_download(&self, url: &Url, cleartext: Cleartext) -> Result<(), NetError> {
        match self.allow(url) {
            Err(NetError::NotEncrypted { .. })
                if cleartext == Cleartext::Verified && url.scheme() == "http" =>
            {
                Ok(())
            }
            answer => answer,
        }
    }

    async fn refused(&self, url: String, mut response: Response) -> DownloadError {
        let status = response.status().as_u16();
        if matches!(status, 404 | 410) {
            return DownloadError::Missing { url, status };
        }
        // The first words of a text say what a proxy or a mirror means; pages say nothing.
        let text = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let words = match self.chunk(&mut response).await {
            Ok(Some(bytes)) if text => {
                format!(": {}", plain_words(&String::from_utf8_lossy(&bytes)))
            }
            _ => String::new(),
        };
        DownloadError::Status { url, status, words }
    }
}

fn next_address(url: &Url, headers: &HeaderMap) -> Result<Url, DownloadError> {
    let refuse = |why: String| DownloadError::Redirect {
        url: shown_url(url),
        why,
    };
    let location = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .ok_or_else(|| refuse("it names no address".to_owned()))?;
    let next = url
        .join(location)
        .map_err(|error| refuse(error.to_string()))?;
    match (url.scheme(), next.scheme()) {
        ("http", "http") | (_, "https") => Ok(next),
        _ => Err(refuse(format!(
            "it leads from {} to {}",
            url.scheme(),
            match next.scheme() {
                "http" => authority(&next),
                other => other.to_owned(),
            }
        ))),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn basic(login: &Login) -> HeaderValue {
    use base64::Engine as _;
    let text = format!("{}:{}", login.user, login.password);
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    // Base64 is always a legal header value.
    let mut value = HeaderValue::from_str(&format!("Basic {text}"))
        .unwrap_or_else(|_illegal| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn integrity_of(hasher: Sha512) -> String {
    use base64::Engine as _;
    let digest = hasher.finalize();
    format!(
        "sha512-{}",
        base64::engine::general_purpose::STANDARD.encode(digest)
    )
}
