//! What is asked of which server, and what it answered.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::revision::Era;
use super::secrets::Secrets;
use super::tools::Tool;
use crate::digest::Digest;
use crate::error::AnyError;
use crate::net::Net;

/// Makes the command of a server, anew for each start.
pub type Starter<'a> = &'a dyn Fn() -> Result<Command, AnyError>;

/// Where a server is.
#[derive(Clone, Copy)]
pub enum Server<'a> {
    /// A program that is spoken with over its standard streams. The command is made anew for each
    /// start: some servers end at a question that they don't know.
    Stdio(Starter<'a>),
    /// An address.
    Http(&'a Address<'a>),
}

/// A server that listens.
pub struct Address<'a> {
    /// The address of the endpoint.
    pub url: Url,
    /// The `Host` header, when it is not that of the address.
    pub host: Option<String>,
    /// Which of the HTTP transports.
    pub way: Way,
    /// Starts it, where that is ours to do.
    pub start: Option<Starter<'a>>,
    /// How it is reached.
    pub net: &'a Net,
}

/// Which of the HTTP transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Streamable HTTP, else HTTP+SSE.
    Auto,
    /// Streamable HTTP.
    Streamable,
    /// HTTP+SSE, deprecated since 2025-03-26.
    Sse,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// For the first answer from the start of the server, and for each one after it.
    pub timeout: Duration,
    /// Tools to call, with their arguments.
    pub calls: Vec<Call>,
    /// What lines on standard output that are no messages mean.
    pub noise: NoisePolicy,
    /// What no message may show.
    pub secrets: Arc<Secrets>,
    /// How many tools tools.json declares, where there is one.
    pub declared: Option<usize>,
}

/// A tool to call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name.
    pub tool: String,
    /// A JSON object.
    pub arguments: Value,
}

/// What lines on standard output that are no messages mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoisePolicy {
    /// A failure: clients stumble over them.
    #[default]
    Refuse,
    /// A warning.
    Warn,
}

/// What a server answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// What it calls itself.
    pub server: Named,
    /// The revision of the protocol.
    pub protocol: String,
    /// Modern or legacy.
    pub era: Era,
    /// `stdio`, `http` or `sse`.
    pub transport: &'static str,
    /// Sorted by name.
    pub tools: Vec<Tool>,
    /// Of the list's canonical JSON.
    pub tools_digest: Digest,
    /// Results of calls, in their order.
    pub calls: Vec<Called>,
    /// From the start to the list of tools, in milliseconds.
    pub milliseconds: u64,
    /// What is no failure, and worth knowing.
    pub notes: Vec<String>,
}

/// A server's own name.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Its name; may be empty.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
}

/// A call that succeeded.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    /// The tool.
    pub tool: String,
    /// Its result.
    pub result: Value,
    /// How long it took.
    pub milliseconds: u64,
}

impl std::fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdio(_) => f.write_str("Stdio"),
            Self::Http(address) => address.fmt(f),
        }
    }
}

impl std::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("url", &self.url.as_str())
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}
