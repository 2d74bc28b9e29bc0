//! Manifests, tags and blobs out of a registry; nothing is passed on unverified but the bytes of a
//! blob that is still coming, whose end is withheld until its digest is right.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::MediaType;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use reqwest::header::{HeaderName, HeaderValue, LINK, RANGE};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::FetchedManifest;
use super::answer::Answer;
use super::auth::{Access, Scopes};
use super::error::{Again, Failure, RegistryError};
use super::wire::{Call, Doing, Payload, Unauthorized, Wire};
use crate::digest::{Digest, Hashing};
use crate::net::{ATTEMPTS, pause_before};
use crate::reference::{Reference, Repository};

/// What registries are expected to take (distribution-spec, "Pushing Manifests").
pub(super) const LARGEST_MANIFEST: u64 = 4 * 1024 * 1024;
const LARGEST_LIST: u64 = 1024 * 1024;
/// A registry that pages on for ever is cut off.
const MOST_PAGES: u32 = 1000;

/// Without the whole list docker-registry answers 404 to OCI manifests.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Wire {
    /// The manifest or index that a reference names.
    pub(super) async fn fetch_manifest(
        &self,
        reference: &Reference,
    ) -> Result<FetchedManifest, RegistryError> {
        let (doing, path) = self.manifest_question(reference, "pulling")?;
        self.persist(async |_| {
            let mut response = self.ask_manifest(Method::GET, &doing, &path).await?;
            if !response.status().is_success() {
                return Err(Answer::read(self, response).await.failure(&doing));
            }
            let what = reference.to_string();
            let bytes = self.small(&mut response, &what, LARGEST_MANIFEST).await?;
            let digest = Digest::of(&bytes);
            let announced = announced_digest(response.headers());
            for expected in [reference.digest, announced].into_iter().flatten() {
                if expected != digest {
                    let got = digest.to_string();
                    return Err(Failure {
                        error: RegistryError::Digest { what, got },
                        again: Again::Once,
                    });
                }
            }
            Ok(FetchedManifest {
                media_type: media_type(response.headers(), &bytes),
                bytes,
                digest,
            })
        })
        .await
    }

    /// The digest that a reference stands for; none if it is absent, or if a policy hides it.
    pub(super) async fn head_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<Digest>, RegistryError> {
        let (doing, path) = self.manifest_question(reference, "looking up")?;
        self.persist(async |_| {
            let response = self.ask_manifest(Method::HEAD, &doing, &path).await?;
            match response.status() {
                StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => Ok(None),
                status if status.is_success() => Ok(announced_digest(response.headers())),
                _ => Err(Answer::read(self, response).await.failure(&doing)),
            }
        })
        .await
    }

    fn manifest_question<'a>(
        &self,
        reference: &'a Reference,
        verb: &str,
    ) -> Result<(Doing<'a>, String), RegistryError> {
        let repository = &reference.repository;
        let name = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => "latest".to_owned(),
        };
        let scopes = Scopes::of(repository, Access::Pull);
        let mut doing = self.doing(repository, scopes, format!("{verb} {reference}"))?;
        doing.digest = reference.digest;
        if reference.digest.is_none() {
            doing.tag = Some(name.clone());
        }
        Ok((doing, format!("manifests/{name}")))
    }

    async fn ask_manifest(
        &self,
        method: Method,
        doing: &Doing<'_>,
        path: &str,
    ) -> Result<Response, Failure> {
        let mut call = Call {
            method,
            url: self.url(doing.repository, path).await?,
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(MANIFESTS))]),
            payload: Payload::Empty,
            unauthorized: Unauthorized::LogIn,
            doing,
        };
        self.send(&mut call).await
    }

    /// A whole body that must be small.
    async fn small(
        &self,
        response: &mut Response,
        what: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(part) = self.net.chunk(response).await? {
            bytes.extend_from_slice(&part);
            if bytes.len() as u64 > limit {
                let what = what.to_owned();
                return Err(RegistryError::TooLarge { what, limit }.into());
            }
        }
        Ok(bytes)
    }

    /// All tags of a repository, sorted; docker-registry ignores `n` and sorts nothing.
    pub(super) async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let scopes = Scopes::of(repository, Access::Pull);
        let what = format!("listing the tags of {repository}");
        let doing = self.doing(repository, scopes, what.clone())?;
        let mut tags = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let (bytes, link) = self
                .persist(async |_| {
                    let url = match &next {
                        Some(url) => Clone::clone(url),
                        None => self.url(repository, "tags/list").await?,
                    };
                    self.page(&doing, url).await
                })
                .await?;
            let page: Page =
                serde_json::from_slice(&bytes).map_err(|error| RegistryError::Protocol {
                    host: repository.host.to_string(),
                    status: 200,
                    doing: what.clone(),
                    words: format!("no JSON list of tags (column {})", error.column()),
                })?;
            tags.extend(page.tags.unwrap_or_default());
            if link.is_none() {
                break;
            }
            next = link;
        }
        tags.sort_unstable();
        tags.dedup();
        Ok(tags)
    }

    async fn page(
        &self,
        doing: &Doing<'_>,
        url: url::Url,
    ) -> Result<(Vec<u8>, Option<url::Url>), Failure> {
        let mut call = Call {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            unauthorized: Unauthorized::LogIn,
            doing,
        };
        let mut response = self.send(&mut call).await?;
        if !response.status().is_success() {
            return Err(Answer::read(self, response).await.failure(doing));
        }
        let bytes = self
            .small(&mut response, "the list of tags", LARGEST_LIST)
            .await?;
        // `</v2/x/tags/list?last=b&n=2>; rel="next"`, followed on the same host alone.
        let link = response
            .headers()
            .get(LINK)
            .and_then(|link| link.to_str().ok())
            .and_then(|link| link.strip_prefix('<')?.split_once('>'))
            .and_then(|(target, _)| url.join(target).ok())
            .filter(|target| target.origin() == url.origin());
        Ok((bytes, link))
    }

    /// Writes a blob, verified.
    pub(super) async fn fetch_blob(
        self: &Arc<Self>,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        out: &mut (dyn Write + Send),
    ) -> Result<(), RegistryError> {
        let mut reader = BlobReader::new(Arc::clone(self), repository.clone(), *digest, size);
        let bar = super::bar::Bar::new(&self.reporter, "pulling", digest, size);
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
        match digest == self.digest {
            true => Ok(()),
            false => Err(RegistryError::Digest {
                what: self.what(),
                got: digest.to_string(),
            }),
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
                let mut call = Call {
                    method: Method::GET,
                    url: self.wire.url(&self.repository, &path).await?,
                    headers: headers.clone(),
                    payload: Payload::Empty,
                    unauthorized: Unauthorized::LogIn,
                    doing: &doing,
                };
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

/// `Docker-Content-Digest`, when it is one that can be checked.
pub(super) fn announced_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

/// The length of a body, as HEAD announces it.
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer's type; the manifest's own word where a server says just "JSON" or "text".
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> MediaType {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: String,
    }
    let header = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .filter(|value| value.starts_with("application/vnd."));
    let own = || {
        serde_json::from_slice::<Typed>(bytes)
            .map(|typed| typed.media_type)
            .ok()
    };
    match header {
        Some(header) => MediaType::from(header),
        None => own().map_or(MediaType::ImageManifest, |own| {
            MediaType::from(own.as_str())
        }),
    }
}
