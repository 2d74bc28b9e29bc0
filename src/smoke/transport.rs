//! What every transport does: carry a request, and bring its answer or say why there is none.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::message::RpcError;
use super::revision::Era;
use crate::net::NetError;

/// A request of ours.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) id: u64,
    pub(super) method: &'static str,
    /// `params.name`, which travels in a header of modern HTTP as well.
    pub(super) name: Option<String>,
    pub(super) params: Value,
    /// The revision in force; none during `initialize`.
    pub(super) version: Option<String>,
    pub(super) era: Era,
    /// An earlier request whose result, if it comes after all, is as good as this one's answer.
    pub(super) earlier: Option<u64>,
}

impl Outgoing {
    /// Its JSON.
    pub(super) fn body(&self) -> Vec<u8> {
        json!({
            "jsonrpc": "2.0",
            "id": self.id,
            "method": self.method,
            "params": self.params,
        })
        .to_string()
        .into_bytes()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// Whose: the request's, or the earlier one's.
    pub(super) id: u64,
    pub(super) outcome: Result<Value, RpcError>,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// From the moment that the server got the request.
    pub(super) quiet: Duration,
    /// At most until then, whatever the server does.
    pub(super) until: Instant,
}

impl Wait {
    /// Until when an answer to a request that is sent now may come.
    pub(super) fn deadline(self) -> Instant {
        self.until.min(Instant::now() + self.quiet)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Time is over.
    Silent,
    /// Time is over, and nobody ever listened.
    Deaf,
    /// The server ended, or closed its output.
    Ended,
    /// A message that is larger than any real one.
    TooLarge,
    /// HTTP with a status, and no JSON-RPC in the body.
    Status { status: u16, text: String },
    /// 401; the scheme that it asks for.
    Unauthorized { challenge: String },
    /// 403 or 421.
    Refused { status: u16, text: String },
    /// A redirect that is not followed.
    Redirect { status: u16, location: String },
    /// 404 within a session: it is gone.
    SessionGone,
    /// An answer that breaks the protocol; what of it.
    Broken(String),
    /// Below HTTP.
    Net(NetError),
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

/// A way to speak with a server.
pub(super) trait Transport {
    /// Sends a request and waits for its answer.
    fn request(&mut self, request: &Outgoing, wait: Wait) -> Result<Incoming, Failure>;

    /// Sends a notification.
    fn notify(&mut self, method: &str, wait: Wait) -> Result<(), Failure>;

    /// Starts the server again, where that is ours to do.
    fn restart(&mut self) -> Result<(), Failure>;
}
