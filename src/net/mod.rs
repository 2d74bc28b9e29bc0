//! One HTTP client set-up: certificates, proxies, time limits, offline; used by the registry
//! client, recipes and bases. Redirects and retries are the caller's rules, since only it knows
//! which host may see a password and what can be sent twice.

mod body;
mod download;
mod error;
mod redact;
mod retry;
mod roots;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, NoProxy, Proxy, RequestBuilder, Response, redirect};
use rustls::ClientConfig;
use rustls::crypto::ring;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use url::Url;

use crate::reference::Host;

pub use crate::source::git::Reach;
pub use download::{Cleartext, Download, DownloadError, Login};
pub use error::NetError;

pub(crate) use body::{Feed, Sent, StreamBody};
pub(crate) use redact::{plain_words, shown_url, steers};
pub(crate) use retry::{ATTEMPTS, pause_before, retry_after};

/// Everything that decides how the network is reached; nothing is read from the environment here.
#[derive(Clone, Debug, Default)]
pub struct NetSettings {
    /// PEM files whose certificates are trusted besides the roots (`--ca-file`).
    pub ca_files: Vec<PathBuf>,
    /// The value of `SSL_CERT_FILE`: replaces the system's bundle.
    pub ssl_cert_file: Option<PathBuf>,
    /// The value of `SSL_CERT_DIR`: replaces the system's bundle.
    pub ssl_cert_dir: Option<PathBuf>,
    /// Proxies.
    pub proxies: Proxies,
    /// Whether the network may be used at all.
    pub reach: Reach,
    /// The `User-Agent`; `karisimbi/VERSION` when empty.
    pub user_agent: String,
    /// How long to wait for what.
    pub patience: Patience,
}

/// The values of the proxy variables; loopback is never proxied.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `http_proxy`: for http:// addresses.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for https:// addresses.
    pub https: Option<String>,
    /// `ALL_PROXY`: for both, where no other is set.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, domains and CIDR ranges that are reached directly.
    pub no_proxy: Option<String>,
}

/// Time limits. There is none on a whole transfer: a slow line that moves is fine.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Without any byte moving.
    pub stall: Duration,
    /// For the answer after a whole body was sent: Harbor's proxy itself waits 900 s.
    pub commit: Duration,
    /// Before the first retry; doubled each time.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_mins(1),
            commit: Duration::from_mins(15),
            pause: Duration::from_millis(500),
        }
    }
}

/// The HTTP client and the runtime that drives it; its interface to the rest of the crate blocks.
pub struct Net {
    client: Client,
    runtime: Runtime,
    reach: Reach,
    patience: Patience,
    https_proxy: HttpsProxy,
}

/// Whether a proxy is set for https, for the message about an unreachable host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpsProxy {
    Set,
    Unset,
}

impl Net {
    /// Loads the certificates and sets up client and runtime; opens no connection.
    pub fn new(settings: &NetSettings) -> Result<Self, NetError> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(NetError::Protocols)?
            .with_root_certificates(roots::load(settings)?)
            .with_no_client_auth();
        let agent = match settings.user_agent.as_str() {
            "" => concat!("karisimbi/", env!("CARGO_PKG_VERSION")),
            agent => agent,
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            // One HTTP/2 connection would carry all uploads, and one reset would end them all.
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(settings.patience.connect)
            .user_agent(agent);
        for proxy in proxies(&settings.proxies)? {
            builder = builder.proxy(proxy);
        }
        let https_proxy = match settings.proxies {
            Proxies {
                https: None,
                all: None,
                ..
            } => HttpsProxy::Unset,
            _ => HttpsProxy::Set,
        };
        Ok(Self {
            client: builder.build().map_err(NetError::Setup)?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("karisimbi-net")
                .enable_all()
                .build()
                .map_err(NetError::Runtime)?,
            reach: settings.reach,
            patience: settings.patience,
            https_proxy,
        })
    }

    /// The time limits in force.
    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Runs a future to its end on the calling thread.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// A request that may be sent: online, and https unless the host is this machine.
    pub(crate) fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, NetError> {
        self.allow(url)?;
        Ok(self.client.request(method, url.clone()))
    }

    /// A request to an address that the user named and that gets no secret of ours: plain HTTP is
    /// the user's choice there.
    pub(crate) fn request_named(
        &self,
        method: Method,
        url: &Url,
    ) -> Result<RequestBuilder, NetError> {
        match self.allow(url) {
            Ok(()) | Err(NetError::NotEncrypted { .. }) => {
                Ok(self.client.request(method, url.clone()))
            }
            Err(other) => Err(other),
        }
    }

    /// Refuses what would leave the machine offline or unencrypted.
    pub(crate) fn allow(&self, url: &Url) -> Result<(), NetError> {
        let host = authority(url);
        if self.reach == Reach::Offline {
            return Err(NetError::Offline { host });
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback(url) => Ok(()),
            _ => Err(NetError::NotEncrypted { host }),
        }
    }

    /// Sends a request and waits for the head of the answer, as long as bytes move.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        sent: Option<&Sent>,
    ) -> Result<Response, NetError> {
        let request = request
            .build()
            .map_err(|error| NetError::Setup(error.without_url()))?;
        let url = request.url().clone();
        let mut answer = std::pin::pin!(self.client.execute(request));
        let mut seen = sent.map_or(0, Sent::bytes);
        loop {
            let complete = sent.is_none_or(Sent::is_complete);
            let limit = match sent {
                Some(_) if complete => self.patience.commit,
                _ => self.patience.stall,
            };
            match timeout(limit, &mut answer).await {
                Ok(answer) => {
                    return answer.map_err(|error| self.transport_error(&url, error));
                }
                Err(_elapsed) => {
                    let now = sent.map_or(0, Sent::bytes);
                    // The last byte may have left during this wait: then the commit begins.
                    let committing = !complete && sent.is_some_and(Sent::is_complete);
                    if now == seen && !committing {
                        return Err(stalled(&url, limit));
                    }
                    seen = now;
                }
            }
        }
    }

    /// The next part of an answer's body.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, NetError> {
        let url = response.url().clone();
        match timeout(self.patience.stall, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.transport_error(&url, error)),
            Err(_elapsed) => Err(stalled(&url, self.patience.stall)),
        }
    }

    fn transport_error(&self, url: &Url, error: reqwest::Error) -> NetError {
        error::transport(authority(url), error, self.https_proxy)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("reach", &self.reach)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's address may carry a password.
        let set = |value: &Option<String>| value.as_ref().map(|_| "set");
        f.debug_struct("Proxies")
            .field("http", &set(&self.http))
            .field("https", &set(&self.https))
            .field("all", &set(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

fn stalled(url: &Url, limit: Duration) -> NetError {
    NetError::Stalled {
        host: authority(url),
        seconds: limit.as_secs(),
    }
}

/// `HOST[:PORT]` as a reference writes it.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether an address is this machine's.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = authority(url).parse::<Host>();
    host.is_ok_and(|host| host.is_loopback())
}

fn proxies(settings: &Proxies) -> Result<Vec<Proxy>, NetError> {
    let direct = format!(
        "localhost,127.0.0.0/8,::1,{}",
        settings.no_proxy.as_deref().unwrap_or_default()
    );
    let named = [
        ("http_proxy", &settings.http),
        ("HTTPS_PROXY", &settings.https),
        ("ALL_PROXY", &settings.all),
    ];
    named
        .into_iter()
        .filter_map(|(name, url)| Some((name, url.as_deref()?)))
        .filter(|(_, url)| !url.is_empty())
        .map(|(name, url)| {
            let proxy = match name {
                "http_proxy" => Proxy::http(url),
                "HTTPS_PROXY" => Proxy::https(url),
                _ => Proxy::all(url),
            };
            let proxy = proxy.map_err(|source| NetError::Proxy {
                name,
                source: source.without_url(),
            })?;
            Ok(proxy.no_proxy(NoProxy::from_string(&direct)))
        })
        .collect()
}
