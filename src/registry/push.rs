//! Blobs and manifests into a registry: HEAD, mount, else POST and one streaming PUT.
//!
//! A broken upload starts again from byte 0 with a new POST: no session of distribution 2.8, which
//! is what Harbor runs on, can be continued after a broken connection.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use oci_spec::image::MediaType;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::answer::Answer;
use super::bar::Bar;
use super::blob::BlobReader;
use super::call::{Call, Doing, Payload};
use super::error::RegistryError;
use super::failure::{Again, Failure};
use super::location::with_digest;
use super::pull::{LARGEST_MANIFEST, announced_digest, announced_length};
use super::scopes::{Access, Scopes};
use super::wire::Wire;
use super::{BlobOutcome, BlobSource};
use crate::digest::{Digest, Hashing};
use crate::layer::Descriptor;
use crate::net::{Feed, StreamBody};
use crate::reference::{Repository, Tag};

/// How much of a file is in memory at once, twice.
const PART: usize = 64 * 1024;

/// Why the bytes to send stopped coming: it outweighs what the registry says about the stump.
type Trouble = Arc<Mutex<Option<Failure>>>;

impl Wire {
    /// Whether a blob is there with the size that it should have.
    pub(super) async fn has_blob(
        &self,
        doing: &Doing<'_>,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, Failure> {
        let path = format!("blobs/{digest}");
        let url = self.url(doing.repository, &path).await?;
        let mut call = Call::new(Method::HEAD, url, doing);
        let response = self.send(&mut call).await?;
        match response.status() {
            StatusCode::OK => {
                Ok(announced_length(response.headers()).is_none_or(|length| length == size))
            }
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(Answer::read(self, response).await.failure(doing)),
        }
    }

    pub(super) async fn push_blob(
        self: &Arc<Self>,
        target: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<BlobOutcome, RegistryError> {
        let scopes = Scopes::of(target, Access::PullPush);
        let what = format!("pushing blob {} to {target}", descriptor.digest);
        let mut doing = self.doing(target, scopes.clone(), what)?;
        doing.digest = Some(descriptor.digest);
        let (digest, size) = (descriptor.digest, descriptor.size);
        if self
            .persist(async |_| self.has_blob(&doing, &digest, size).await)
            .await?
        {
            return Ok(BlobOutcome::Exists);
        }
        let mut session = None;
        if let BlobSource::Registry(from) = source
            && from.host == target.host
            && from != target
        {
            doing.scopes = scopes
                .clone()
                .with_sources(target, std::slice::from_ref(from));
            match self.mount(&doing, from, &digest).await {
                Mount::Mounted => return Ok(BlobOutcome::Mounted { from: from.clone() }),
                Mount::Session(url) => session = Some(url),
                Mount::Refused => {}
            }
            doing.scopes = scopes;
        }
        check_source(descriptor, source)?;
        let attempts = self
            .persist(async |number| {
                // The answer to an upload that succeeded may have been lost.
                if number > 1 && self.has_blob(&doing, &digest, size).await? {
                    return Ok(number);
                }
                let location = match session.take() {
                    Some(location) => location,
                    None => self.open_upload(&doing).await?,
                };
                self.put_blob(&doing, location, descriptor, source).await?;
                Ok(number)
            })
            .await?;
        Ok(match source {
            BlobSource::Registry(from) => BlobOutcome::Streamed {
                from: from.clone(),
                bytes: size,
                attempts,
            },
            _ => BlobOutcome::Uploaded {
                bytes: size,
                attempts,
            },
        })
    }

    /// Asks for a blob of another repository; no refusal of any kind is an error, since the upload
    /// that follows either works or tells why not.
    async fn mount(&self, doing: &Doing<'_>, from: &Repository, digest: &Digest) -> Mount {
        let mounted = async {
            let mut url = self.url(doing.repository, "blobs/uploads/").await?;
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", &from.path);
            let mut call = Call::new(Method::POST, url, doing).without_login();
            let request = call.url.clone();
            let response = self.send(&mut call).await?;
            match response.status() {
                StatusCode::CREATED => Ok(Mount::Mounted),
                StatusCode::ACCEPTED => {
                    let home = self.account(doing.repository)?.home(self).await?;
                    let location = self.onward(&home, &request, response.headers())?;
                    Ok(Mount::Session(location))
                }
                _ => Ok(Mount::Refused),
            }
        };
        let answer: Result<Mount, Failure> = mounted.await;
        answer.unwrap_or(Mount::Refused)
    }

    async fn open_upload(&self, doing: &Doing<'_>) -> Result<Url, Failure> {
        let url = self.url(doing.repository, "blobs/uploads/").await?;
        let mut call = Call::new(Method::POST, url.clone(), doing);
        let response = self.send(&mut call).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(Answer::read(self, response).await.failure(doing));
        }
        let home = self.account(doing.repository)?.home(self).await?;
        Ok(self.onward(&home, &url, response.headers())?)
    }

    async fn put_blob(
        self: &Arc<Self>,
        doing: &Doing<'_>,
        location: Url,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<(), Failure> {
        let trouble = Trouble::default();
        let payload = match source {
            BlobSource::Bytes(bytes) => Payload::Bytes(Bytes::from(bytes.clone())),
            BlobSource::File(path) => self.stream(descriptor, &trouble, {
                let path = path.clone();
                move |out: &Outlet| send_file(&path, out)
            }),
            BlobSource::Registry(from) => self.stream(descriptor, &trouble, {
                let (wire, from) = (Arc::clone(self), from.clone());
                move |out: &Outlet| wire.send_blob(from, out)
            }),
        };
        let octets = HeaderValue::from_static("application/octet-stream");
        let url = with_digest(location, &descriptor.digest.to_string());
        let mut call = Call::new(Method::PUT, url, doing)
            .with_header(CONTENT_TYPE, octets)
            .with_payload(payload);
        let sent = match &call.payload {
            Payload::Stream(Some((_, sent))) => Some(sent.clone()),
            _ => None,
        };
        let answer = self.send(&mut call).await;
        if let Some(failure) = trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(failure);
        }
        let result = match answer {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(Answer::read(self, response).await.failure(doing)),
            Err(failure) => Err(failure),
        };
        // A refusal may come long before the end of the body.
        if let Some(sent) = sent {
            sent.abandon();
        }
        result
    }

    /// A body whose bytes a thread provides.
    fn stream(
        &self,
        descriptor: &Descriptor,
        trouble: &Trouble,
        source: impl FnOnce(&Outlet) -> Result<(), Failure> + Send + 'static,
    ) -> Payload {
        let (body, feed, sent) = StreamBody::new(descriptor.size);
        let outlet = Outlet {
            feed,
            bar: Bar::new(
                &self.reporter,
                "pushing",
                &descriptor.digest,
                descriptor.size,
            ),
            digest: descriptor.digest,
            size: descriptor.size,
        };
        let trouble = Arc::clone(trouble);
        // It ends by itself: when everything is sent, or when the body is dropped.
        let _detached = tokio::task::spawn_blocking(move || {
            if let Err(failure) = source(&outlet) {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                // Without this the registry might take a stump for the whole.
                let _gone = outlet
                    .feed
                    .blocking_send(Err(io::Error::other("the source failed")));
            }
        });
        Payload::Stream(Some((body, sent)))
    }

    /// Passes a blob of another registry on, without a temporary file.
    fn send_blob(self: &Arc<Self>, from: Repository, out: &Outlet) -> Result<(), Failure> {
        let again = |error: RegistryError| Failure {
            again: Again::Never,
            error,
        };
        tokio::runtime::Handle::current().block_on(async {
            let mut reader = BlobReader::new(Arc::clone(self), from, out.digest, out.size);
            while let Some(part) = reader.next().await.map_err(again)? {
                if out.feed.send(Ok(part)).await.is_err() {
                    break;
                }
                out.bar.at(reader.got());
            }
            Ok(())
        })
    }

    pub(super) async fn push_manifest(
        &self,
        repository: &Repository,
        bytes: &[u8],
        media_type: &MediaType,
        tag: Option<&Tag>,
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let name = tag.map_or_else(|| digest.to_string(), Tag::to_string);
        let scopes = Scopes::of(repository, Access::PullPush);
        let what = format!("pushing the manifest {name} to {repository}");
        let mut doing = self.doing(repository, scopes, what.clone())?;
        doing.tag = tag.map(Tag::to_string);
        doing.digest = Some(digest);
        if bytes.len() as u64 > LARGEST_MANIFEST {
            let limit = LARGEST_MANIFEST;
            return Err(RegistryError::TooLarge { what, limit });
        }
        let kind = HeaderValue::from_str(media_type.as_ref()).map_err(|error| {
            RegistryError::ManifestRejected {
                host: repository.host.to_string(),
                repository: repository.to_string(),
                words: format!("its media type can't be sent: {error}"),
            }
        })?;
        let body = Bytes::copy_from_slice(bytes);
        self.persist(async |_| {
            let url = self.url(repository, &format!("manifests/{name}")).await?;
            let mut call = Call::new(Method::PUT, url, &doing)
                .with_header(CONTENT_TYPE, kind.clone())
                .with_payload(Payload::Bytes(body.clone()));
            let response = self.send(&mut call).await?;
            if !response.status().is_success() {
                return Err(Answer::read(self, response).await.failure(&doing));
            }
            match announced_digest(response.headers()) {
                Some(other) if other != digest => Err(RegistryError::Altered {
                    host: repository.host.to_string(),
                    digest,
                    words: format!("it stored {other}"),
                }
                .into()),
                _ => Ok(digest),
            }
        })
        .await
    }
}

enum Mount {
    Mounted,
    /// Not mounted, but an upload is open.
    Session(Url),
    Refused,
}

/// Where the bytes of an upload go.
struct Outlet {
    feed: Feed,
    bar: Bar,
    digest: Digest,
    size: u64,
}

/// Files and bytes that are not those of the descriptor are found before any request.
fn check_source(descriptor: &Descriptor, source: &BlobSource) -> Result<(), RegistryError> {
    let unreadable = |source| RegistryError::Source {
        digest: descriptor.digest,
        source,
    };
    let found = match source {
        BlobSource::File(path) => fs_err::metadata(path).map_err(unreadable)?.len(),
        BlobSource::Bytes(bytes) => bytes.len() as u64,
        BlobSource::Registry(_) => descriptor.size,
    };
    if found != descriptor.size {
        let words = format!("{found} bytes instead of {}", descriptor.size);
        return Err(unreadable(io::Error::other(words)));
    }
    // Files prove it while they are sent.
    if let BlobSource::Bytes(bytes) = source
        && Digest::of(bytes) != descriptor.digest
    {
        return Err(unreadable(io::Error::other("other bytes of the same size")));
    }
    Ok(())
}

fn send_file(path: &Path, out: &Outlet) -> Result<(), Failure> {
    let unreadable = |source| {
        Failure::from(RegistryError::Source {
            digest: out.digest,
            source,
        })
    };
    let mut file = Hashing::new(fs_err::File::open(PathBuf::from(path)).map_err(unreadable)?);
    let mut held = Bytes::new();
    while file.length() < out.size {
        let mut part = vec![0; PART];
        let count = file.read(&mut part).map_err(unreadable)?;
        if count == 0 {
            let words = format!("{} ended after {} bytes", path.display(), file.length());
            return Err(unreadable(io::Error::other(words)));
        }
        part.truncate(count);
        let before = std::mem::replace(&mut held, Bytes::from(part));
        if !before.is_empty() && out.feed.blocking_send(Ok(before)).is_err() {
            return Ok(());
        }
        out.bar.at(file.length());
    }
    // The end is withheld until the file has proved to be the blob: a damaged one would look like
    // damage on the way.
    let (_, digest, _) = file.finish();
    if digest != out.digest {
        let words = format!("{} holds {digest} instead", path.display());
        return Err(unreadable(io::Error::other(words)));
    }
    // Closed: the answer came before the end, and says why.
    let _closed = out.feed.blocking_send(Ok(held));
    Ok(())
}
