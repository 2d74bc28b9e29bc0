//! Manifests and tags out of a registry; what is returned is verified.

use oci_spec::image::MediaType;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::header::{HeaderName, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::FetchedManifest;
use super::answer::Answer;
use super::call::{Call, Doing};
use super::error::RegistryError;
use super::failure::{Again, Failure};
use super::scopes::{Access, Scopes};
use super::wire::Wire;
use crate::digest::Digest;
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
        let found = self
            .persist(async |_| {
                let response = self.ask_manifest(Method::HEAD, &doing, &path).await?;
                match response.status() {
                    StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => Ok(None),
                    status if status.is_success() => Ok(Some(announced_digest(response.headers()))),
                    _ => Err(Answer::read(self, response).await.failure(&doing)),
                }
            })
            .await?;
        match found {
            None => Ok(None),
            Some(Some(digest)) => Ok(Some(digest)),
            // `Docker-Content-Digest` is no duty of a registry.
            Some(None) => Ok(Some(self.fetch_manifest(reference).await?.digest)),
        }
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
        let url = self.url(doing.repository, path).await?;
        let mut call =
            Call::new(method, url, doing).with_header(ACCEPT, HeaderValue::from_static(MANIFESTS));
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
        let mut call = Call::new(Method::GET, url.clone(), doing);
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
