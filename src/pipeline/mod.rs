//! One build, straight through: source → recipe → base → plan → layers → audit → image.

mod bases;
mod error;
mod explain;
mod finish;
mod layers;
mod prepare;
pub mod rebase;
mod record;
mod step;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::base::lock_file::LockUse;
use crate::base::{BaseOptions, Flavour, Pinned};
use crate::image::{Document, Image};
use crate::layer::{Compression, Encoder};
use crate::net::Net;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::progress::Reporter;
use crate::recipe::{Options, Recipe};
use crate::reference::Reference;
use crate::registry::{Client, CredentialPlaces, Credentials};
use crate::sandbox::{Launcher, Policy, Sandbox};
use crate::source::SourceTree;
use crate::store::Store;

pub use bases::{base_name, keep_lock, with_bases};
pub use error::PipelineError;
pub use explain::Explanation;
pub use layers::{CacheUse, Origin, full_key};
pub use prepare::{detect, plain_name, prepare};
pub use rebase::{Rebased, rebase};
pub use record::BuildRecord;

/// What all builds of a process share.
pub struct Session {
    /// Blobs, records, inputs.
    pub store: Arc<Store>,
    /// Compressor threads.
    pub encoder: Encoder,
    /// Where events go.
    pub reporter: Arc<dyn Reporter>,
    /// What tools that fetch may see of the environment.
    pub tool_env: BTreeMap<String, OsString>,
    /// `--ca-file`
    pub ca_file: Option<PathBuf>,
    /// `--offline`
    pub reach: crate::net::Reach,
    /// Where foreign code runs. Without a launcher it does not run at all.
    pub sandbox: Sandbox,
    /// How the registry client is set up, once it is needed: reading certificates takes time.
    pub network: crate::net::NetSettings,
    /// Where logins are looked for.
    pub credentials: CredentialPlaces,
    /// Seconds since 1970: ages and validity in messages, never anything in bytes.
    pub now: i64,
    net: OnceLock<Arc<Net>>,
    client: OnceLock<Arc<Client>>,
}

/// What to build, with every setting already decided.
#[derive(Debug)]
pub struct Request {
    /// The source.
    pub tree: SourceTree,
    /// Names the source the same way in every build: its canonical path or its URL.
    pub identity: String,
    /// The public address of the source, for `org.opencontainers.image.source`; no credentials.
    pub url: Option<String>,
    /// Used when neither the deployment nor the source names anything: for file names only.
    pub folder_name: String,
    /// `--recipe`, or what the deployment says.
    pub recipe: Option<String>,
    /// `--base`, or what the deployment says.
    pub base: Option<String>,
    /// `--flavour`, or what the deployment says.
    pub flavour: Flavour,
    /// Where bases come from, and their lock.
    pub bases: BaseOptions,
    /// `ca_certs`: PEM files.
    pub ca_certs: Vec<PathBuf>,
    /// Platforms, in the order of the index.
    pub platforms: Vec<Platform>,
    /// For the recipe.
    pub options: Options,
    /// gzip or zstd.
    pub compression: Compression,
    /// How records are used.
    pub cache: CacheUse,
    /// `--max-size`: most bytes of all layers of one image.
    pub max_size: Option<u64>,
    /// `container.image`
    pub image: Option<Reference>,
    /// Every setting with its origin, for `plan`.
    pub settings: Vec<SettingShown>,
}

/// A setting as `plan` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingShown {
    /// Dotted path of the key in deployment.yaml.
    pub key: String,
    /// Its value as text.
    pub value: String,
    /// Where it comes from: a flag, a variable, `deployment.yaml:12:9`, a default.
    pub origin: String,
}

impl Request {
    /// Where a setting comes from; its own name when nothing tells.
    fn origin<'a>(&'a self, key: &'a str) -> &'a str {
        let shown = self.settings.iter().find(|setting| setting.key == key);
        shown.map_or(key, |setting| setting.origin.as_str())
    }
}

/// A plan and what it was made from.
pub struct Prepared {
    /// The recipe that made it.
    pub recipe: &'static dyn Recipe,
    /// The plan.
    pub plan: Plan,
    /// What its base's name stands for.
    pub base: Pinned,
    /// The lock that said so, or will.
    pub lock: LockUse,
    /// Name of the image, for references and file names.
    pub name: String,
    /// Version of the image, for tags: a valid tag.
    pub version: String,
}

/// A finished build.
#[derive(Debug)]
pub struct Built {
    /// One image for each platform.
    pub images: Vec<Image>,
    /// The index, when there are several.
    pub index: Option<Document>,
    /// What its base's name stands for.
    pub base: Pinned,
    /// The lock that said so, or will.
    pub lock: LockUse,
    /// Name of the image.
    pub name: String,
    /// Version of the image.
    pub version: String,
    /// What was done and why.
    pub record: BuildRecord,
}

impl Session {
    /// A session; nothing is read or connected yet.
    pub fn new(
        store: Arc<Store>,
        encoder: Encoder,
        reporter: Arc<dyn Reporter>,
        network: crate::net::NetSettings,
        credentials: CredentialPlaces,
    ) -> Self {
        Self {
            store,
            encoder,
            reporter,
            tool_env: BTreeMap::new(),
            ca_file: None,
            reach: crate::net::Reach::Online,
            sandbox: Sandbox::new(Launcher(PathBuf::new()), Policy::Auto),
            network,
            credentials,
            now: 0,
            net: OnceLock::new(),
            client: OnceLock::new(),
        }
    }

    /// The HTTP client, set up at its first use.
    ///
    /// # Errors
    /// A certificate file that can't be read.
    pub fn net(&self) -> Result<&Arc<Net>, PipelineError> {
        if let Some(net) = self.net.get() {
            return Ok(net);
        }
        let net = Net::new(&self.network).map_err(PipelineError::part)?;
        Ok(self.net.get_or_init(|| Arc::new(net)))
    }

    /// The registry client, set up at its first use.
    ///
    /// # Errors
    /// A certificate file that can't be read.
    pub fn client(&self) -> Result<&Arc<Client>, PipelineError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let net = Arc::clone(self.net()?);
        let credentials = Credentials::load(self.credentials.clone(), self.reporter.as_ref())
            .map_err(PipelineError::part)?;
        let client = Client::new(net, credentials, Arc::clone(&self.reporter));
        Ok(self.client.get_or_init(|| Arc::new(client)))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("store", &self.store.root())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// Builds one request to its end; nothing is written outside the store.
///
/// # Errors
/// The first of: source, recipe, base, step, layer, audit, image.
pub fn build(request: &Request, session: &Session) -> Result<Built, PipelineError> {
    let prepared = prepare(request, session)?;
    build_prepared(request, prepared, session)
}

/// Builds a plan that was prepared before.
///
/// # Errors
/// As [`build`].
pub fn build_prepared(
    request: &Request,
    prepared: Prepared,
    session: &Session,
) -> Result<Built, PipelineError> {
    let policy = (request.cache, request.compression);
    let mut prepared = prepared;
    let finished = layers::obtain(
        &prepared.plan,
        prepared.recipe,
        &request.tree,
        policy,
        session,
    )?;
    for notice in prepared.plan.notices.iter().chain(&finished.notices) {
        session.reporter.warn(notice.code, notice.text.clone());
    }
    let layers = &finished.layers;
    bases::settle(&mut prepared, layers, request)?;
    finish::audit(&prepared.plan, layers, request, session)?;
    let (images, index) = finish::assemble(&prepared, layers, request)?;
    finish::report(&prepared.plan, layers, &images, request, session);
    let record = record::make(
        request,
        &prepared,
        &finished,
        (&images, index.as_ref()),
        session,
    )?;
    Ok(Built {
        images,
        index,
        base: prepared.base,
        lock: prepared.lock,
        name: prepared.name,
        version: prepared.version,
        record,
    })
}
