//! HTTP+SSE of 2024-11-05: one GET stream brings every answer; its first event says where to POST.

use std::collections::VecDeque;
use std::time::Instant;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use url::Url;

use super::endpoint::{EVENT_STREAM, Endpoint, accept, is_type, patiently};
use super::events::{Event, Events, TooLarge};
use super::message::{MAX_MESSAGE, Message, notification, parse, reply};
use super::process::Process;
use super::transport::{Failure, Incoming, Outgoing, Transport, Wait};

/// Bytes of events that may wait unread.
const MAX_WAITING: usize = 2 * MAX_MESSAGE;

/// An open stream and the address for requests.
pub(super) struct Sse<'a> {
    endpoint: Endpoint<'a>,
    pub(super) process: Option<Process>,
    stream: Stream,
    post: Url,
}

struct Stream {
    response: Response,
    events: Events,
    waiting: VecDeque<Event>,
    /// Of the waiting events.
    bytes: usize,
}

impl<'a> Sse<'a> {
    /// Opens the stream and waits for its first event; takes the process over if that succeeds.
    pub(super) fn connect(
        endpoint: Endpoint<'a>,
        process: &mut Option<Process>,
        wait: Wait,
    ) -> Result<Self, Failure> {
        let (stream, post) = patiently(process, wait.until, || {
            endpoint.net.block_on(open(&endpoint, wait.until))
        })?;
        Ok(Self {
            endpoint,
            process: process.take(),
            stream,
            post,
        })
    }

    /// Posts a message while the stream is read: a server may write the answer first.
    async fn post(&mut self, body: Vec<u8>, until: Instant) -> Result<(), Failure> {
        let endpoint = &self.endpoint;
        let to = (Method::POST, &self.post);
        let mut sending = std::pin::pin!(endpoint.send(to, HeaderMap::new(), Some(body), until));
        let response = loop {
            tokio::select! {
                biased;
                response = &mut sending => break response?,
                read = self.stream.read(endpoint, until) => read?,
            }
        };
        let response = endpoint.checked(response, until).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(endpoint.unexpected(response, until).await)
    }

    async fn exchange(&mut self, request: &Outgoing, until: Instant) -> Result<Incoming, Failure> {
        self.post(request.body(), until).await?;
        loop {
            let event = self.stream.next(&self.endpoint, until).await?;
            if !["", "message"].contains(&event.kind.as_str()) {
                continue;
            }
            for message in parse(&event.data).unwrap_or_default() {
                let own = message.answers(request.id);
                match message {
                    Message::Answer { outcome, .. } if own => {
                        let id = request.id;
                        return Ok(Incoming { id, outcome });
                    }
                    Message::Request { id, method } => {
                        let body = reply(&id, &method);
                        self.post(body, until).await?;
                    }
                    Message::Answer { .. } | Message::Notification => {}
                }
            }
        }
    }
}

async fn open(endpoint: &Endpoint<'_>, until: Instant) -> Result<(Stream, Url), Failure> {
    let to = (Method::GET, &endpoint.url);
    let response = endpoint.send(to, accept(EVENT_STREAM), None, until).await?;
    let response = endpoint.checked(response, until).await?;
    if !response.status().is_success() || !is_type(&response, EVENT_STREAM) {
        return Err(endpoint.unexpected(response, until).await);
    }
    let mut stream = Stream {
        response,
        events: Events::default(),
        waiting: VecDeque::new(),
        bytes: 0,
    };
    let first = stream.next(endpoint, until).await?;
    if first.kind != "endpoint" {
        let text = format!("the first event is {:?}, not \"endpoint\"", first.kind);
        return Err(Failure::Broken(text));
    }
    let address = String::from_utf8_lossy(&first.data);
    let post = endpoint.url.join(address.trim());
    match post {
        // Another server would get our requests from whoever this one names.
        Ok(post) if post.origin() == endpoint.url.origin() => Ok((stream, post)),
        _ => Err(Failure::Broken(format!(
            "it wants requests at {:?}, which is not on the same server",
            address.trim()
        ))),
    }
}

impl Stream {
    async fn next(&mut self, endpoint: &Endpoint<'_>, until: Instant) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.bytes -= event.size();
                return Ok(event);
            }
            self.read(endpoint, until).await?;
        }
    }

    /// Reads one piece; safe to be given up in between.
    async fn read(&mut self, endpoint: &Endpoint<'_>, until: Instant) -> Result<(), Failure> {
        let Some(chunk) = endpoint.chunk(&mut self.response, until).await? else {
            return Err(Failure::Broken("the stream of events ended".to_owned()));
        };
        let events = self.events.push(&chunk);
        let events = events.map_err(|TooLarge| Failure::TooLarge)?;
        self.bytes += events.iter().map(Event::size).sum::<usize>();
        self.waiting.extend(events);
        if self.bytes > MAX_WAITING {
            return Err(Failure::TooLarge);
        }
        Ok(())
    }
}

impl Transport for Sse<'_> {
    fn request(&mut self, request: &Outgoing, wait: Wait) -> Result<Incoming, Failure> {
        let net = self.endpoint.net;
        net.block_on(self.exchange(request, wait.deadline()))
    }

    fn notify(&mut self, method: &str, wait: Wait) -> Result<(), Failure> {
        let net = self.endpoint.net;
        net.block_on(self.post(notification(method), wait.deadline()))
    }

    fn restart(&mut self) -> Result<(), Failure> {
        Err(Failure::Ended)
    }
}
