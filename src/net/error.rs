//! What can go wrong between this machine and a server, before anything is said in HTTP.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use rustls::CertificateError;

use super::HttpsProxy;
use crate::error::{Coded, Exit};

/// A failure of the network or of its set-up.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The network is needed, but `--offline` was given.
    #[error("{host} would have to be reached, but --offline is set")]
    Offline {
        /// The server.
        host: String,
    },
    /// A certificate file can't be read or parsed.
    #[error("the certificate file {} can't be used: {source}", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A certificate file or folder holds none.
    #[error("{} holds no PEM certificate", path.display())]
    NoCertificate {
        /// The file or folder.
        path: PathBuf,
    },
    /// A proxy's address is malformed.
    #[error("{name} is not the address of a proxy")]
    Proxy {
        /// The variable.
        name: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// TLS has no protocol version to offer.
    #[error("TLS can't be set up")]
    Protocols(#[source] rustls::Error),
    /// The HTTP client or a request can't be built.
    #[error("an HTTP request can't be set up")]
    Setup(#[source] reqwest::Error),
    /// The threads for the network can't be started.
    #[error("the network threads can't be started")]
    Runtime(#[source] io::Error),
    /// An http:// address outside this machine.
    #[error(
        "{host} would be spoken to over plain HTTP, which anyone on the way can read and change"
    )]
    NotEncrypted {
        /// The server.
        host: String,
    },
    /// The server answers TLS with plain HTTP.
    #[error("{host} speaks plain HTTP, not TLS; credentials and images would travel unencrypted")]
    SpeaksHttp {
        /// The server.
        host: String,
        /// What TLS said.
        source: reqwest::Error,
    },
    /// The certificate is not accepted.
    #[error("{host}'s certificate {why}")]
    Tls {
        /// The server.
        host: String,
        /// "is signed by an unknown authority", …
        why: String,
        /// What TLS said.
        source: reqwest::Error,
    },
    /// No connection.
    #[error("cannot reach {host} ({why})")]
    Unreachable {
        /// The server.
        host: String,
        /// "connection refused", …
        why: String,
        /// Whether the hint speaks of a proxy.
        proxy: &'static str,
        /// What failed.
        source: reqwest::Error,
    },
    /// The connection broke.
    #[error("the connection to {host} was lost ({why})")]
    Lost {
        /// The server.
        host: String,
        /// "connection reset by peer", …
        why: String,
        /// What failed.
        source: reqwest::Error,
    },
    /// Nothing moved for too long.
    #[error("no bytes moved for {seconds} s between this machine and {host}")]
    Stalled {
        /// The server.
        host: String,
        /// The limit.
        seconds: u64,
    },
}

impl NetError {
    /// Whether the same request may succeed when sent again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Stalled { .. }
        )
    }
}

impl Coded for NetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Offline { .. } => "NET-OFFLINE",
            Self::CertificateFile { .. } | Self::NoCertificate { .. } => "NET-CA-FILE",
            Self::Proxy { .. } => "NET-PROXY",
            Self::Protocols(_) | Self::Setup(_) | Self::Runtime(_) => "NET-SETUP",
            Self::NotEncrypted { .. } | Self::SpeaksHttp { .. } => "NET-HTTP",
            Self::Tls { .. } => "NET-TLS",
            Self::Unreachable { .. } => "NET-UNREACHABLE",
            Self::Lost { .. } => "NET-LOST",
            Self::Stalled { .. } => "NET-STALLED",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Offline { .. }
            | Self::CertificateFile { .. }
            | Self::NoCertificate { .. }
            | Self::Proxy { .. } => Exit::Usage,
            Self::Protocols(_) | Self::Setup(_) | Self::Runtime(_) => Exit::Bug,
            Self::NotEncrypted { .. } | Self::SpeaksHttp { .. } | Self::Tls { .. } => Exit::Tls,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Stalled { .. } => Exit::Network,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Offline { .. } => "run once without --offline; what it fetches is kept".to_owned(),
            Self::CertificateFile { .. } | Self::NoCertificate { .. } => {
                "the file must be PEM: -----BEGIN CERTIFICATE-----".to_owned()
            }
            Self::Proxy { .. } => "write http://HOST:PORT".to_owned(),
            Self::NotEncrypted { .. } | Self::SpeaksHttp { .. } => {
                "plain HTTP is spoken with this machine alone (localhost, 127.0.0.0/8, ::1); \
                 put TLS before the server"
                    .to_owned()
            }
            Self::Tls { why, .. } if why.contains("unknown") => {
                "pass --ca-file with the authority's certificate, or install it in the system's bundle"
                    .to_owned()
            }
            Self::Tls { why, .. } if why.contains("of an authority") => {
                "make one for the server: openssl req -x509 … -addext basicConstraints=critical,CA:FALSE"
                    .to_owned()
            }
            Self::Unreachable { proxy, .. } => {
                format!("is the name right, and is a proxy needed (HTTPS_PROXY is {proxy})?")
            }
            _ => return None,
        })
    }
}

/// Sorts a failure of the HTTP client; its own text carries the address with every query value.
pub(super) fn transport(host: String, error: reqwest::Error, proxy: HttpsProxy) -> NetError {
    let source = error.without_url();
    match tls_cause(&source) {
        Some(rustls::Error::InvalidMessage(_)) => return NetError::SpeaksHttp { host, source },
        Some(cause) if !matches!(cause, rustls::Error::General(_)) => {
            let why = tls_words(cause);
            return NetError::Tls { host, why, source };
        }
        _ => {}
    }
    let why = root_cause(&source);
    if source.is_connect() {
        let proxy = match proxy {
            HttpsProxy::Set => "set",
            HttpsProxy::Unset => "unset",
        };
        return NetError::Unreachable {
            host,
            why,
            proxy,
            source,
        };
    }
    NetError::Lost { host, why, source }
}

fn tls_words(cause: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate) = cause else {
        return format!("or TLS set-up was refused: {cause}");
    };
    match certificate {
        CertificateError::UnknownIssuer => "is signed by an unknown authority".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired (or this machine's clock is wrong)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet (is this machine's clock right?)".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "was issued for another name".to_owned()
        }
        // What `openssl req -x509` makes when nothing else is said.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "is that of an authority, which no server may use".to_owned()
        }
        other => format!("is not accepted: {other}"),
    }
}

/// An `io::Error` hides its payload from `source()`: it has to be looked into by hand.
fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    // "Connection refused (os error 111)": the number says nothing to people.
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}
