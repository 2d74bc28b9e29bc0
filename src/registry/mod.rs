//! The only module that speaks the distribution protocol
//! (<https://github.com/opencontainers/distribution-spec>): push and pull, Harbor first.
//!
//! A verb of the protocol (`push`, `pull`) makes calls; `wire` sends one with the login of `auth`,
//! follows redirects and tries again; `answer` tells what a failed one means. Rules go into the
//! part that knows them: which status passes into `answer`, how long to wait into `net::retry`,
//! where to be sent on into `location`.

mod answer;
mod auth;
mod bar;
mod blob;
mod call;
mod challenge;
mod credentials;
mod error;
mod failure;
mod location;
mod policy;
mod pull;
mod push;
mod scopes;
mod token;
mod wire;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::image::MediaType;

use crate::digest::Digest;
use crate::layer::Descriptor;
use crate::net::Net;
use crate::progress::Reporter;
use crate::reference::{Reference, Repository, Tag};

pub use credentials::{CredentialPlaces, Credentials, CredentialsError, ExplicitLogin, Secret};
pub use error::RegistryError;
pub use policy::Policy;

use scopes::{Access, Scopes};
use wire::Wire;

/// A client of all registries. Its methods block and may be called from several threads at once;
/// they share logins and connections.
pub struct Client {
    wire: Arc<Wire>,
}

/// A manifest or index as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// Its media type, as the registry says, else as it says itself.
    pub media_type: MediaType,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// Where the bytes of a blob come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobSource {
    /// A file that holds exactly the blob.
    File(PathBuf),
    /// The blob itself, for small ones.
    Bytes(Vec<u8>),
    /// Another repository: mounted if it is on the same host, else streamed from there.
    Registry(Repository),
}

/// How a blob came to be in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobOutcome {
    /// It was there already.
    Exists,
    /// The registry took it from another of its repositories.
    Mounted {
        /// That repository.
        from: Repository,
    },
    /// It was sent.
    Uploaded {
        /// Its size.
        bytes: u64,
        /// How often it was tried; 1 when all went well.
        attempts: u32,
    },
    /// It was read from another registry and sent.
    Streamed {
        /// The repository it was read from.
        from: Repository,
        /// Its size.
        bytes: u64,
        /// How often it was tried; 1 when all went well.
        attempts: u32,
    },
}

impl Client {
    /// A client; it opens no connection yet.
    pub fn new(net: Arc<Net>, credentials: Credentials, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            wire: Arc::new(Wire::new(net, credentials, reporter)),
        }
    }

    /// Logs in for a push to `repository` with mounts from `mount_from` (other hosts are left
    /// out), by one token for all of it, and fails before any upload if it is known not to be
    /// allowed.
    pub fn check_push(
        &self,
        repository: &Repository,
        mount_from: &[Repository],
    ) -> Result<(), RegistryError> {
        self.run(self.wire.check_push(repository, mount_from))
    }

    /// The manifest or index that a reference names (`latest` if it has neither tag nor digest),
    /// at most 4 MiB; its digest is verified.
    pub fn fetch_manifest(&self, reference: &Reference) -> Result<FetchedManifest, RegistryError> {
        self.run(self.wire.fetch_manifest(reference))
    }

    /// The digest that a reference stands for at the moment; none if it does not exist, or if a
    /// policy hides it (only a pull or push tells more).
    pub fn head_manifest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        self.run(self.wire.head_manifest(reference))
    }

    /// Writes a blob to `out`. It is verified while it passes; after an error the caller throws
    /// away what was written.
    pub fn fetch_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        out: &mut (dyn Write + Send),
    ) -> Result<(), RegistryError> {
        self.run(self.wire.fetch_blob(repository, digest, size, out))
    }

    /// Whether a blob is there, with this size.
    pub fn blob_exists(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, RegistryError> {
        self.run(async {
            let scopes = Scopes::of(repository, Access::Pull);
            let what = format!("looking for {digest} in {repository}");
            let doing = self.wire.doing(repository, scopes, what)?;
            self.wire
                .persist(async |_| self.wire.has_blob(&doing, digest, size).await)
                .await
        })
    }

    /// Makes sure that a blob is in a repository: looked for first, mounted if possible, else
    /// sent, as often as it takes (5 times at most).
    pub fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<BlobOutcome, RegistryError> {
        self.run(self.wire.push_blob(repository, descriptor, source))
    }

    /// Pushes a manifest by its digest, or to a tag. Its blobs must be there; tags go last.
    pub fn push_manifest(
        &self,
        repository: &Repository,
        bytes: &[u8],
        media_type: &MediaType,
        tag: Option<&Tag>,
    ) -> Result<Digest, RegistryError> {
        self.run(self.wire.push_manifest(repository, bytes, media_type, tag))
    }

    /// All tags of a repository, sorted by bytes.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        self.run(self.wire.tags(repository))
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        self.wire.net.block_on(future)
    }
}

impl Wire {
    async fn check_push(
        &self,
        repository: &Repository,
        mount_from: &[Repository],
    ) -> Result<(), RegistryError> {
        let scopes = Scopes::of(repository, Access::PullPush).with_sources(repository, mount_from);
        let account = self.account(repository)?;
        self.persist(async |_| account.authorization(self, &scopes).await.map(drop))
            .await?;
        let Some(words) = account.push_withheld(&scopes, &repository.path).await else {
            return Ok(());
        };
        Err(if account.is_anonymous() {
            account.login_needed(self)
        } else {
            RegistryError::Denied {
                user: account.shown_user(),
                action: "push to",
                repository: repository.to_string(),
                words,
            }
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
