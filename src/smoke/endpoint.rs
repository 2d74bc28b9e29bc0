//! What both HTTP transports share: requests to one address, and what every answer is checked for.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, StatusCode};
use tokio::time::timeout_at;
use url::Url;

use super::message::MAX_MESSAGE;
use super::process::Process;
use super::transport::Failure;
use crate::net::{Net, NetError, authority, shown_url};

/// Pause between attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(50);
/// An attempt that is this short was no silence of a server.
const BRIEF: Duration = Duration::from_millis(250);
/// Read of a body that is only quoted.
pub(super) const QUOTED: usize = 4 << 10;

/// The media type of a stream of events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// An address and how it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Endpoint<'a> {
    pub(super) net: &'a Net,
    pub(super) url: Url,
    /// The `Host` header, when it is not that of the address.
    pub(super) host: Option<HeaderValue>,
}

impl Endpoint<'_> {
    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        (method, url): (Method, &Url),
        headers: HeaderMap,
        body: Option<Vec<u8>>,
        until: Instant,
    ) -> Result<Response, Failure> {
        let mut request = self.net.request_named(method, url)?.headers(headers);
        request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(host) = &self.host {
            request = request.header(HOST, host.clone());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        in_time(until, self.net.send(request, None)).await?
    }

    /// The next piece of a body.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        until: Instant,
    ) -> Result<Option<bytes::Bytes>, Failure> {
        in_time(until, self.net.chunk(response)).await?
    }

    /// A whole body.
    pub(super) async fn body(
        &self,
        response: &mut Response,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(response, until).await? {
            if body.len() + chunk.len() > MAX_MESSAGE {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// An answer that is none, with what it says.
    pub(super) async fn unexpected(&self, mut response: Response, until: Instant) -> Failure {
        Failure::Status {
            status: response.status().as_u16(),
            text: self.quote(&mut response, until).await,
        }
    }

    /// The first bytes of a body that says why.
    async fn quote(&self, response: &mut Response, until: Instant) -> String {
        let mut quoted = Vec::new();
        // What is lost of a quotation is no failure of its own.
        while let Ok(Some(chunk)) = self.chunk(response, until).await {
            quoted.extend_from_slice(&chunk);
            if quoted.len() >= QUOTED {
                break;
            }
        }
        quoted.truncate(QUOTED);
        String::from_utf8_lossy(&quoted).into_owned()
    }

    /// Refusals that mean the same for every request: 3xx, 401, 403, 421.
    pub(super) async fn checked(
        &self,
        mut response: Response,
        until: Instant,
    ) -> Result<Response, Failure> {
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED => Err(Failure::Unauthorized {
                challenge: header_text(response.headers(), "www-authenticate"),
            }),
            StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => {
                let text = self.quote(&mut response, until).await;
                Err(Failure::Refused {
                    status: status.as_u16(),
                    text,
                })
            }
            status if status.is_redirection() => Err(Failure::Redirect {
                status: status.as_u16(),
                location: header_text(response.headers(), LOCATION.as_str()),
            }),
            _ => match header_text(response.headers(), CONTENT_ENCODING.as_str()).as_str() {
                "" | "identity" => Ok(response),
                other => Err(Failure::Broken(format!(
                    "its answer is encoded as {other}, although only identity was accepted"
                ))),
            },
        }
    }

    /// The address that a redirect names, if the request may be sent there as it is: the same
    /// server, which knows itself by the `Host` that it was sent, and a status that keeps method
    /// and body.
    pub(super) fn same_server(&self, status: u16, location: &str) -> Option<Url> {
        let named = self.url.join(location).ok()?;
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let by_host = host == Some(authority(&named).as_str());
        let same =
            named.scheme() == self.url.scheme() && (by_host || named.origin() == self.url.origin());
        let mut url = self.url.clone();
        url.set_path(named.path());
        url.set_query(named.query());
        (same && url != self.url && [307, 308].contains(&status)).then_some(url)
    }

    /// The address, for messages.
    pub(super) fn shown(&self) -> String {
        shown_url(&self.url)
    }
}

/// Both kinds of answers, as every request of streamable HTTP has to say.
pub(super) fn accept(types: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(types))])
}

/// Whether an answer is of this media type, whatever its parameters.
pub(super) fn is_type(response: &Response, wanted: &str) -> bool {
    let text = header_text(response.headers(), CONTENT_TYPE.as_str());
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(wanted)
}

fn header_text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn in_time<T>(
    until: Instant,
    future: impl Future<Output = Result<T, NetError>>,
) -> Result<Result<T, Failure>, Failure> {
    match timeout_at(until.into(), future).await {
        Ok(result) => Ok(result.map_err(Failure::Net)),
        Err(_elapsed) => Err(Failure::Silent),
    }
}

/// Attempts something until a server that was just started listens. Who forwards its port may
/// accept connections before it does, and then loses them.
pub(super) fn patiently<T>(
    process: &mut Option<Process>,
    until: Instant,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut lost = false;
    loop {
        let begun = Instant::now();
        let outcome = attempt();
        let Some(process) = process else {
            return outcome;
        };
        match outcome {
            Err(Failure::Net(error)) if error.is_transient() => {
                if process.status().is_some() {
                    return Err(Failure::Ended);
                }
                if Instant::now() >= until {
                    return Err(Failure::Deaf);
                }
                lost = true;
                std::thread::sleep(PAUSE);
            }
            // The last of many lost attempts, cut off by the end of time.
            Err(Failure::Silent) if lost && begun.elapsed() < BRIEF => return Err(Failure::Deaf),
            other => return other,
        }
    }
}
