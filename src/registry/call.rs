//! One request as data: what is sent, and what for.

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use url::Url;

use super::scopes::Scopes;
use crate::digest::Digest;
use crate::net::{Sent, StreamBody};
use crate::reference::Repository;

/// What a request is for: its words in messages.
#[derive(Debug)]
pub(super) struct Doing<'a> {
    /// "pushing layer sha256:… to h/p/x".
    pub(super) what: String,
    pub(super) repository: &'a Repository,
    /// The tag, where one is involved.
    pub(super) tag: Option<String>,
    /// The blob or manifest, where one is involved.
    pub(super) digest: Option<Digest>,
    pub(super) scopes: Scopes,
    /// `user "x"`.
    pub(super) user: String,
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) unauthorized: Unauthorized,
    pub(super) doing: &'a Doing<'a>,
}

/// What a request carries.
pub(super) enum Payload {
    Empty,
    Bytes(Bytes),
    /// Can be sent once; none once it was.
    Stream(Option<(StreamBody, Sent)>),
}

/// What to do about a 401.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unauthorized {
    /// Log in again, once.
    LogIn,
    /// Return it: a mount may be refused for the source's sake alone.
    Return,
}

impl<'a> Call<'a> {
    /// A request without headers and body, with a login if one is asked for.
    pub(super) fn new(method: Method, url: Url, doing: &'a Doing<'a>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            unauthorized: Unauthorized::LogIn,
            doing,
        }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn with_payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// A 401 comes back as it is: a mount may be refused for the source's sake alone.
    pub(super) fn without_login(mut self) -> Self {
        self.unauthorized = Unauthorized::Return;
        self
    }
}

impl Doing<'_> {
    pub(super) fn host(&self) -> String {
        self.repository.host.to_string()
    }

    /// What the request is about: repository, tag or digest.
    pub(super) fn subject(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.to_string(),
        }
    }

    pub(super) fn action(&self) -> &'static str {
        if self.scopes.may_push(self.repository) {
            "push to"
        } else {
            "pull from"
        }
    }
}

impl Payload {
    /// The request with this body; a stream is used up by it.
    pub(super) fn attach(
        &mut self,
        request: RequestBuilder,
        method: &Method,
    ) -> (RequestBuilder, Option<Sent>) {
        match self {
            // A POST or PUT without a length is refused by some proxies (411).
            Self::Empty if matches!(*method, Method::POST | Method::PUT) => {
                (request.header(CONTENT_LENGTH, HeaderValue::from(0)), None)
            }
            Self::Empty => (request, None),
            Self::Bytes(bytes) => (request.body(bytes.clone()), None),
            Self::Stream(stream) => match stream.take() {
                Some((body, sent)) => (request.body(reqwest::Body::wrap(body)), Some(sent)),
                None => (request, None),
            },
        }
    }
}
