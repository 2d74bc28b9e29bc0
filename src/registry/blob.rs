//! The bytes of a blob, out of a registry. They are passed on while they come; the end is reached
//! only if the digest is right.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::answer::Answer;
use super::bar::Bar;
use super::call::Call;
use super::error::RegistryError;
use super::scopes::{Access, Scopes};
use super::wire::Wire;
use crate::digest::{Digest, Hashing};
use crate::net::{ATTEMPTS, pause_before};
use crate::reference::Repository;

impl Wire {
    /// Writes a blob, verified.
    pub(super) async fn fetch_blob(
        self: &Arc<Self>,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        out: &mut (dyn Write + Send),
    ) -> Result<(), RegistryError> {
        let mut reader = BlobReader::new(Arc::clone(self), repository.clone(), *digest, size);
        let bar = Bar::new(&self.reporter, "pulling", digest, size);
        while let Some(part) = reader.next().await? {
            bar.at(reader.got());
            out.write_all(&part)
                .map_err(|source| RegistryError::Output {
                    digest: *digest,
                    source,
                })?;
        }
        Ok(())
    }
}

/// A blob as it comes; a broken connection is taken up where it broke.
pub(super) struct BlobReader {
    wire: Arc<Wire>,
    repository: Repository,
    digest: Digest,
    size: u64,
    hashing: Option<Hashing<io::Sink>>,
    response: Option<Response>,
    /// Bytes of the current answer that were received before it: the server ignored the range.
    skip: u64,
    breaks: u32,
    /// Where the last break was: only progress earns another try.
    broke_at: u64,
}

impl BlobReader {
    pub(super) fn new(wire: Arc<Wire>, repository: Repository, digest: Digest, size: u64) -> Self {
        Self {
            wire,
            repository,
            digest,
            size,
            hashing: Some(Hashing::new(io::sink())),
            response: None,
            skip: 0,
            breaks: 0,
            broke_at: 0,
        }
    }

    /// Bytes received so far.
    pub(super) fn got(&self) -> u64 {
        self.hashing.as_ref().map_or(self.size, Hashing::length)
    }

    fn what(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// The next bytes; none at the end, which is reached only if the digest is right.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let Some(hashing) = &self.hashing else {
                return Ok(None);
            };
            if self.size == 0 && hashing.length() == 0 {
                self.finish()?;
                return Ok(None);
            }
            let mut response = match self.response.take() {
                Some(response) => response,
                None => self.open().await?,
            };
            let failure = match self.wire.net.chunk(&mut response).await {
                Ok(Some(bytes)) => {
                    self.response = Some(response);
                    match self.accept(bytes)? {
                        Some(bytes) => return Ok(Some(bytes)),
                        None => continue,
                    }
                }
                Ok(None) => RegistryError::CutShort {
                    host: self.repository.host.to_string(),
                    doing: format!("pulling {}", self.what()),
                    got: self.got(),
                    size: self.size,
                },
                Err(error) if error.is_transient() => error.into(),
                Err(error) => return Err(error.into()),
            };
            self.pause(failure).await?;
        }
    }

    fn accept(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, RegistryError> {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        // `skipped` is at most the length of a slice in memory.
        let bytes = bytes.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        if bytes.is_empty() {
            return Ok(None);
        }
        if let Some(hashing) = &mut self.hashing {
            hashing
                .write_all(&bytes)
                .map_err(|source| RegistryError::Output {
                    digest: self.digest,
                    source,
                })?;
        }
        let got = self.got();
        if got > self.size {
            return Err(RegistryError::Digest {
                what: self.what(),
                got: format!("more than {} bytes", self.size),
            });
        }
        if got == self.size {
            self.finish()?;
        }
        Ok(Some(bytes))
    }

    fn finish(&mut self) -> Result<(), RegistryError> {
        let Some(hashing) = self.hashing.take() else {
            return Ok(());
        };
        let (_, digest, _) = hashing.finish();
        if digest == self.digest {
            Ok(())
        } else {
            Err(RegistryError::Digest {
                what: self.what(),
                got: digest.to_string(),
            })
        }
    }

    async fn pause(&mut self, failure: RegistryError) -> Result<(), RegistryError> {
        let got = self.got();
        let progress = got > self.broke_at;
        self.broke_at = got;
        self.breaks += 1;
        if self.breaks >= ATTEMPTS || (!progress && self.breaks > 1) {
            return Err(failure);
        }
        let pause = pause_before(2, self.wire.net.patience(), None);
        self.wire.reporter.warn(
            "REG-RETRY",
            format!("{failure}; going on from byte {got} of {}", self.size),
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<Response, RegistryError> {
        let from = self.got();
        let scopes = Scopes::of(&self.repository, Access::Pull);
        let what = format!("pulling {}", self.what());
        let mut doing = self.wire.doing(&self.repository, scopes, what)?;
        doing.digest = Some(self.digest);
        let mut headers = HeaderMap::new();
        if from > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-"))
        {
            headers.insert(RANGE, range);
        }
        let path = format!("blobs/{}", self.digest);
        let response = self
            .wire
            .persist(async |_| {
                let url = self.wire.url(&self.repository, &path).await?;
                let mut call = Call::new(Method::GET, url, &doing);
                call.headers = headers.clone();
                let response = self.wire.send(&mut call).await?;
                match response.status() {
                    StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
                    _ => Err(Answer::read(&self.wire, response).await.failure(&doing)),
                }
            })
            .await?;
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(response.headers()) == Some(from) => 0,
            StatusCode::OK => from,
            _ => {
                return Err(RegistryError::Protocol {
                    host: self.repository.host.to_string(),
                    status: 206,
                    doing: doing.what,
                    words: format!("the bytes do not begin at {from}"),
                });
            }
        };
        Ok(response)
    }
}

/// The first byte of a partial answer.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (from, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    from.parse().ok()
}
