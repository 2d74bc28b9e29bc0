//! The handshake of both eras over any transport, the list of tools, and calls.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::message::{MAX_MESSAGE, RpcError};
use super::revision::{
    Best, Era, HEADER_MISMATCH, Introduction, LEGACY, LEGACY_KNOWN, MISSING_CAPABILITY, MODERN,
    UNSUPPORTED_VERSION, best, client, is_date,
};
use super::tools::Tool;
use super::transport::{Failure, Incoming, Outgoing, Transport, Wait};

/// Silence after `server/discover` that means a legacy server.
const SILENCE: Duration = Duration::from_secs(5);
/// How often `server/discover` is corrected and sent again.
const CORRECTIONS: usize = 4;
/// Pages and tools that no real server has.
const MAX_PAGES: usize = 500;
const MAX_TOOLS: usize = 10_000;
/// Longest cursor: some servers put their state into it.
const MAX_CURSOR: usize = 64 << 10;

/// What both sides agreed on, and what the server says of itself.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) era: Era,
    pub(super) version: String,
    pub(super) name: String,
    pub(super) release: String,
    pub(super) capabilities: Value,
}

/// Why the dialogue stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No answer.
    Failed(Failure),
    /// An error as the answer.
    Refused(RpcError),
    /// An answer that breaks the protocol.
    Broken(String),
    /// The server asks its client for something before it answers.
    InputRequired(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How requests are written.
enum Speech {
    Modern(Introduction),
    Legacy(Option<String>),
}

/// What `server/discover` led to.
enum Discovered {
    Modern(Agreed),
    /// `initialize` with this version; the id of a `server/discover` that may still be answered.
    Legacy(String, Option<u64>),
}

/// A dialogue with one server.
pub(super) struct Dialogue<'t> {
    transport: &'t mut dyn Transport,
    timeout: Duration,
    first: Instant,
    next: u64,
    speech: Speech,
    /// The method that was sent last.
    pub(super) last: &'static str,
    /// What the user should know although it is no failure.
    pub(super) notes: Vec<String>,
}

impl<'t> Dialogue<'t> {
    /// A dialogue whose first answer comes until `first`, and every later one within `timeout`.
    pub(super) fn new(transport: &'t mut dyn Transport, first: Instant, timeout: Duration) -> Self {
        Self {
            transport,
            timeout,
            first,
            next: 1,
            speech: Speech::Modern(Introduction::new(MODERN)),
            last: "nothing",
            notes: Vec::new(),
        }
    }

    /// Finds out the era and the version.
    pub(super) fn negotiate(&mut self) -> Result<Agreed, Trouble> {
        let (version, earlier) = match self.discover(Introduction::new(MODERN))? {
            Discovered::Modern(agreed) => return Ok(agreed),
            Discovered::Legacy(version, earlier) => (version, earlier),
        };
        self.initialize(&version, earlier)
    }

    fn discover(&mut self, mut me: Introduction) -> Result<Discovered, Trouble> {
        let mut refused = None;
        for _ in 0..CORRECTIONS {
            self.speech = Speech::Modern(me.clone());
            let wait = Wait {
                // With little time, some of it is left for `initialize`.
                quiet: SILENCE.min(self.timeout / 3),
                until: self.first,
            };
            let id = self.next;
            let answer = self.request("server/discover", None, json!({}), (wait, None));
            let error = match answer.map(|answer| answer.outcome) {
                Ok(Ok(result)) => return self.discovered(&result, me),
                Ok(Err(error)) => error,
                Err(failure) => return self.fall_back(failure, id),
            };
            match correction(&error, &me) {
                Correction::Modern(corrected) => me = corrected,
                Correction::Legacy(version) => return Ok(Discovered::Legacy(version, None)),
                Correction::None if is_modern(&error) => return Err(Trouble::Refused(error)),
                // A server that spoke of versions is modern: it is never fallen back from.
                Correction::None if refused.is_some() => return Err(Trouble::Refused(error)),
                Correction::None => return Ok(legacy(None)),
            }
            refused = Some(error);
        }
        Err(refused.map_or_else(
            || Trouble::Broken("server/discover was never answered".to_owned()),
            Trouble::Refused,
        ))
    }

    /// Silence and refusals mean a legacy server; an end means one that did not like the question.
    fn fall_back(&mut self, failure: Failure, id: u64) -> Result<Discovered, Trouble> {
        match failure {
            Failure::Silent if Instant::now() < self.first => Ok(legacy(Some(id))),
            Failure::Ended => {
                self.transport.restart()?;
                Ok(legacy(None))
            }
            Failure::Status { .. } | Failure::Broken(_) => Ok(legacy(None)),
            other => Err(other.into()),
        }
    }

    fn discovered(&mut self, result: &Value, me: Introduction) -> Result<Discovered, Trouble> {
        complete(result)?;
        let version = match best(&result["supportedVersions"]) {
            Some(Best::Modern(version)) => version,
            Some(Best::Legacy(version)) => return Ok(Discovered::Legacy(version, None)),
            None => {
                let text = "the answer to server/discover names no supportedVersions".to_owned();
                return Err(Trouble::Broken(text));
            }
        };
        let about = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        let agreed = Agreed {
            era: Era::Modern,
            name: text(&about["name"]),
            release: text(&about["version"]),
            capabilities: result["capabilities"].clone(),
            version: version.clone(),
        };
        self.speech = Speech::Modern(Introduction { version, ..me });
        Ok(Discovered::Modern(agreed))
    }

    /// The handshake of the legacy era.
    pub(super) fn initialize(
        &mut self,
        version: &str,
        earlier: Option<u64>,
    ) -> Result<Agreed, Trouble> {
        self.speech = Speech::Legacy(None);
        let params =
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client()});
        let wait = Wait {
            quiet: self.timeout,
            until: match Instant::now() {
                now if now < self.first => self.first,
                // A session that is begun again.
                now => now + self.timeout,
            },
        };
        let answer = self.request("initialize", None, params, (wait, earlier))?;
        let me = Introduction::new(MODERN);
        let result = match answer.outcome {
            Ok(result) if Some(answer.id) == earlier => {
                let note = "server/discover was answered late: the start is slow";
                self.notes.push(note.to_owned());
                return self.modern_only(|dialogue| dialogue.discovered(&result, me));
            }
            Ok(result) => result,
            // "No handshake here": a modern server that was silent before.
            Err(error) if error.code == UNSUPPORTED_VERSION => {
                return match correction(&error, &Introduction::new(version)) {
                    Correction::Modern(me) => self.modern_only(|dialogue| dialogue.discover(me)),
                    _ => Err(Trouble::Refused(error)),
                };
            }
            Err(error) => return Err(Trouble::Refused(error)),
        };
        self.initialized(&result)
    }

    fn modern_only(
        &mut self,
        discover: impl FnOnce(&mut Self) -> Result<Discovered, Trouble>,
    ) -> Result<Agreed, Trouble> {
        match discover(self)? {
            Discovered::Modern(agreed) => Ok(agreed),
            Discovered::Legacy(..) => Err(Trouble::Broken(
                "the server refuses both server/discover and initialize".to_owned(),
            )),
        }
    }

    fn initialized(&mut self, result: &Value) -> Result<Agreed, Trouble> {
        let Some(version) = result["protocolVersion"].as_str() else {
            let text = "the answer to initialize names no protocolVersion".to_owned();
            return Err(Trouble::Broken(text));
        };
        if !LEGACY_KNOWN.contains(&version) {
            self.notes
                .push(format!("the server speaks an unknown revision: {version}"));
        }
        // Other texts may not be fit for a header.
        self.speech = Speech::Legacy(Some(version.to_owned()).filter(|v| is_date(v)));
        let wait = self.later();
        self.transport.notify("notifications/initialized", wait)?;
        let about = &result["serverInfo"];
        Ok(Agreed {
            era: Era::Legacy,
            version: version.to_owned(),
            name: text(&about["name"]),
            release: text(&about["version"]),
            capabilities: result["capabilities"].clone(),
        })
    }

    /// All pages of `tools/list`.
    pub(super) fn tools(&mut self) -> Result<Vec<Tool>, Trouble> {
        let mut tools = Vec::new();
        let mut cursors = BTreeSet::new();
        let mut size = 0;
        let mut params = json!({});
        for _ in 0..MAX_PAGES {
            let wait = (self.later(), None);
            let answer = self.request("tools/list", None, params, wait)?;
            let result = answer.outcome.map_err(Trouble::Refused)?;
            complete(&result)?;
            size += result["tools"].to_string().len();
            if size > MAX_MESSAGE {
                let text = "tools/list names tools of more than 8 MiB in all".to_owned();
                return Err(Trouble::Broken(text));
            }
            Tool::read(&result["tools"], &mut tools).map_err(Trouble::Broken)?;
            if tools.len() > MAX_TOOLS {
                let text = format!("tools/list names more than {MAX_TOOLS} tools");
                return Err(Trouble::Broken(text));
            }
            let cursor = match &result["nextCursor"] {
                Value::Null => return Ok(tools),
                Value::String(cursor) if cursor.len() > MAX_CURSOR => {
                    let text = "nextCursor is longer than 64 KiB".to_owned();
                    return Err(Trouble::Broken(text));
                }
                Value::String(cursor) => cursor.clone(),
                _ => return Err(Trouble::Broken("nextCursor is no text".to_owned())),
            };
            params = json!({"cursor": cursor});
            if !cursors.insert(cursor) {
                let text = "the pages of tools/list go in circles: a cursor came twice".to_owned();
                return Err(Trouble::Broken(text));
            }
        }
        let text = format!("tools/list has more than {MAX_PAGES} pages");
        Err(Trouble::Broken(text))
    }

    /// Calls a tool and yields its result.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value, Trouble> {
        let params = json!({"name": tool, "arguments": arguments});
        let wait = (self.later(), None);
        let answer = self.request("tools/call", Some(tool.to_owned()), params, wait)?;
        let result = answer.outcome.map_err(Trouble::Refused)?;
        complete(&result)?;
        Ok(result)
    }

    fn later(&self) -> Wait {
        Wait {
            quiet: self.timeout,
            until: Instant::now() + self.timeout,
        }
    }

    fn request(
        &mut self,
        method: &'static str,
        name: Option<String>,
        params: Value,
        (wait, earlier): (Wait, Option<u64>),
    ) -> Result<Incoming, Failure> {
        let (era, version, params) = match &self.speech {
            Speech::Modern(me) => (Era::Modern, Some(me.version.clone()), me.params(params)),
            Speech::Legacy(version) => (Era::Legacy, version.clone(), params),
        };
        let request = Outgoing {
            id: self.next,
            method,
            name,
            params,
            version,
            era,
            earlier,
        };
        self.next += 1;
        self.last = method;
        self.transport.request(&request, wait)
    }
}

/// Nothing was said of versions.
fn legacy(earlier: Option<u64>) -> Discovered {
    Discovered::Legacy(LEGACY.to_owned(), earlier)
}

/// What to change after an error.
enum Correction {
    Modern(Introduction),
    Legacy(String),
    None,
}

fn is_modern(error: &RpcError) -> bool {
    [HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION].contains(&error.code)
}

fn correction(error: &RpcError, me: &Introduction) -> Correction {
    let corrected = match error.code {
        UNSUPPORTED_VERSION => match best(&error.data["supported"]) {
            Some(Best::Modern(version)) if version != me.version => Introduction {
                version,
                capabilities: me.capabilities.clone(),
            },
            Some(Best::Legacy(version)) => return Correction::Legacy(version),
            _ => return Correction::None,
        },
        MISSING_CAPABILITY => {
            let required = &error.data["requiredCapabilities"];
            if !required.is_object() || *required == me.capabilities {
                return Correction::None;
            }
            Introduction {
                version: me.version.clone(),
                capabilities: required.clone(),
            }
        }
        _ => return Correction::None,
    };
    Correction::Modern(corrected)
}

/// Refuses a result that is no whole answer yet.
fn complete(result: &Value) -> Result<(), Trouble> {
    match result["resultType"].as_str() {
        _ if !result.is_object() => Err(Trouble::Broken("a result is no object".to_owned())),
        None | Some("complete") => Ok(()),
        Some("input_required") => {
            let wanted = result["inputRequests"].as_object();
            let methods = wanted.into_iter().flat_map(|requests| requests.values());
            let methods: BTreeSet<&str> = methods
                .filter_map(|request| request["method"].as_str())
                .collect();
            let methods: Vec<&str> = methods.into_iter().collect();
            Err(Trouble::InputRequired(methods.join(", ")))
        }
        Some(other) => Err(Trouble::Broken(format!("unknown resultType {other:?}"))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
