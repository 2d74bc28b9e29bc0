//! Streamable HTTP: every request is a POST, its answer JSON or a stream of events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde_json::Value;
use std::time::{Duration, Instant};

use super::endpoint::{EVENT_STREAM, Endpoint, QUOTED, accept, is_type, patiently};
use super::events::{Events, TooLarge};
use super::message::{MAX_MESSAGE, Message, notification, parse, reply};
use super::process::Process;
use super::revision::{Era, is_date};
use super::transport::{Failure, Incoming, Outgoing, Transport, Wait};

const BOTH: &str = "application/json, text/event-stream";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Longest session id.
const MAX_SESSION: usize = 1024;
/// Redirects within one server that are followed: Python frameworks add or take a final slash.
const REDIRECTS: usize = 3;
/// How long the end of a session may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whether the server was ever heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    None,
    Made,
}

/// A server at one address.
pub(super) struct Http<'a> {
    pub(super) endpoint: Endpoint<'a>,
    pub(super) process: Option<Process>,
    contact: Contact,
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
}

/// An answer and the session that it opens.
struct Heard {
    incoming: Incoming,
    session: Option<HeaderValue>,
}

impl<'a> Http<'a> {
    /// Nothing is sent yet. A process of ours may still be starting.
    pub(super) fn new(endpoint: Endpoint<'a>, process: Option<Process>) -> Self {
        Self {
            endpoint,
            process,
            contact: Contact::None,
            session: None,
            version: None,
        }
    }

    /// Ends the session; a server need not support it.
    pub(super) fn close(&self) {
        if self.session.is_none() {
            return;
        }
        let to = (Method::DELETE, &self.endpoint.url);
        let until = Instant::now() + FAREWELL;
        let farewell = self.endpoint.send(to, self.session_headers(), None, until);
        drop(self.endpoint.net.block_on(farewell));
    }

    /// What is said of a session outside of its requests.
    fn session_headers(&self) -> HeaderMap {
        let mut headers = accept(BOTH);
        headers.extend(self.session.clone().map(|id| (SESSION, id)));
        headers.extend(self.version.clone().map(|version| (VERSION, version)));
        headers
    }

    fn headers(&self, request: &Outgoing) -> Result<HeaderMap, Failure> {
        let mut headers = accept(BOTH);
        let version = request.version.as_deref().filter(|v| is_date(v));
        if let Some(version) = version {
            headers.insert(VERSION, header(version)?);
        }
        match request.era {
            Era::Modern => {
                headers.insert(METHOD, header(request.method)?);
                if let Some(name) = &request.name {
                    headers.insert(NAME, header(&name_value(name))?);
                }
            }
            Era::Legacy => headers.extend(self.session.clone().map(|id| (SESSION, id))),
        }
        Ok(headers)
    }

    async fn post(
        &self,
        headers: HeaderMap,
        body: Vec<u8>,
        until: Instant,
    ) -> Result<Response, Failure> {
        let to = (Method::POST, &self.endpoint.url);
        let response = self.endpoint.send(to, headers, Some(body), until).await?;
        let response = self.endpoint.checked(response, until).await?;
        if response.status().as_u16() == 404 && self.session.is_some() {
            return Err(Failure::SessionGone);
        }
        Ok(response)
    }

    async fn exchange(&self, request: &Outgoing, until: Instant) -> Result<Heard, Failure> {
        let headers = self.headers(request)?;
        let mut response = self.post(headers, request.body(), until).await?;
        let status = response.status();
        let session = response.headers().get(SESSION).cloned();
        if status.is_success() && is_type(&response, EVENT_STREAM) {
            let incoming = self.stream(&mut response, request, until).await?;
            return Ok(Heard { incoming, session });
        }
        let body = self.endpoint.body(&mut response, until).await?;
        let answer = parse(&body).and_then(|messages| answer(messages, request, status.as_u16()));
        match answer {
            Some(incoming) => Ok(Heard { incoming, session }),
            None => Err(Failure::Status {
                status: status.as_u16(),
                text: String::from_utf8_lossy(&body[..body.len().min(QUOTED)]).into_owned(),
            }),
        }
    }

    /// Reads events up to the answer; what the server asks meanwhile is answered by POST.
    async fn stream(
        &self,
        response: &mut Response,
        request: &Outgoing,
        until: Instant,
    ) -> Result<Incoming, Failure> {
        let mut events = Events::default();
        let mut total = 0_usize;
        while let Some(chunk) = self.endpoint.chunk(response, until).await? {
            total = total.saturating_add(chunk.len());
            if total > 4 * MAX_MESSAGE {
                return Err(Failure::TooLarge);
            }
            let found = events.push(&chunk).map_err(|TooLarge| Failure::TooLarge)?;
            for event in found {
                for message in parse(&event.data).unwrap_or_default() {
                    match message {
                        Message::Answer { .. } if message.answers(request.id) => {
                            let answer = answer(vec![message], request, 200);
                            return answer.ok_or(Failure::Ended);
                        }
                        Message::Request { id, method } => {
                            self.answer_request(&id, &method, request, until).await;
                        }
                        Message::Answer { .. } | Message::Notification => {}
                    }
                }
            }
        }
        let text = format!("the stream of {} ended without its answer", request.method);
        Err(Failure::Broken(text))
    }

    async fn answer_request(&self, id: &Value, method: &str, request: &Outgoing, until: Instant) {
        let body = reply(id, method);
        if let Ok(headers) = self.headers(request) {
            // A server that refuses it will not send the answer that is waited for.
            drop(self.post(headers, body, until).await);
        }
    }

    /// One request, with redirects within the server followed.
    fn attempt(&mut self, request: &Outgoing, wait: Wait) -> Result<Heard, Failure> {
        let mut left = REDIRECTS;
        loop {
            let until = wait.deadline();
            let heard = self.endpoint.net.block_on(self.exchange(request, until));
            match heard {
                Err(Failure::Redirect { status, location }) if left > 0 => {
                    match self.endpoint.same_server(status, &location) {
                        Some(url) => self.endpoint.url = url,
                        None => return Err(Failure::Redirect { status, location }),
                    }
                    left -= 1;
                }
                other => return other,
            }
        }
    }
}

impl Transport for Http<'_> {
    fn request(&mut self, request: &Outgoing, wait: Wait) -> Result<Incoming, Failure> {
        if request.method == "initialize" {
            self.session = None;
        }
        let heard = match self.contact {
            Contact::Made => self.attempt(request, wait),
            Contact::None => {
                let mut process = self.process.take();
                let heard = patiently(&mut process, wait.until, || self.attempt(request, wait));
                self.process = process;
                heard
            }
        };
        if !matches!(
            heard,
            Err(Failure::Net(_) | Failure::Silent | Failure::Deaf | Failure::Ended)
        ) {
            self.contact = Contact::Made;
        }
        let heard = heard?;
        if request.method == "initialize" {
            self.session = heard.session.map(session).transpose()?;
            let version = heard.incoming.outcome.as_ref().ok();
            let version = version.and_then(|result| result["protocolVersion"].as_str());
            self.version = version
                .filter(|version| is_date(version))
                .map(header)
                .transpose()?;
        }
        Ok(heard.incoming)
    }

    fn notify(&mut self, method: &str, wait: Wait) -> Result<(), Failure> {
        let headers = self.session_headers();
        let body = notification(method);
        let until = wait.deadline();
        self.endpoint.net.block_on(async {
            let response = self.post(headers, body, until).await?;
            if response.status().is_success() {
                return Ok(());
            }
            Err(self.endpoint.unexpected(response, until).await)
        })
    }

    fn restart(&mut self) -> Result<(), Failure> {
        // What ended before it listened was not ended by a request.
        Err(Failure::Ended)
    }
}

/// The answer among the messages of a body. With an error status it is any error: servers give it
/// ids of their own.
fn answer(messages: Vec<Message>, request: &Outgoing, status: u16) -> Option<Incoming> {
    let failed = status >= 400;
    messages.into_iter().find_map(|message| {
        let ours = message.answers(request.id);
        match message {
            Message::Answer { outcome, .. } if ours || (failed && outcome.is_err()) => {
                Some(Incoming {
                    id: request.id,
                    outcome: outcome.map_err(|mut error| {
                        error.status = failed.then_some(status);
                        error
                    }),
                })
            }
            _ => None,
        }
    })
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|error| Failure::Broken(format!("{text:?} is fit for no header: {error}")))
}

/// A session id as the specification allows it: visible ASCII.
fn session(id: HeaderValue) -> Result<HeaderValue, Failure> {
    let bytes = id.as_bytes();
    if bytes.len() <= MAX_SESSION && bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(id);
    }
    Err(Failure::Broken(
        "its session id is no visible ASCII of at most 1024 characters".to_owned(),
    ))
}

/// `Mcp-Name`: a name that no header can carry as it is, or that looks like an encoded one,
/// travels in base64.
fn name_value(name: &str) -> String {
    let plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && name.trim() == name
        && !(name.starts_with("=?base64?") && name.ends_with("?="));
    if plain {
        return name.to_owned();
    }
    format!("=?base64?{}?=", STANDARD.encode(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_headers() {
        for (name, value) in [
            ("get_weather", "get_weather"),
            ("two words", "two words"),
            ("", ""),
            (" edge", "=?base64?IGVkZ2U=?="),
            ("wéter", "=?base64?d8OpdGVy?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
            ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
        ] {
            assert_eq!(name_value(name), value);
        }
    }
}
