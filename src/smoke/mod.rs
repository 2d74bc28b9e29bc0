//! The MCP handshake against a server: does the image answer?
//!
//! [`ask`] speaks with a server of either era over stdio, streamable HTTP or HTTP+SSE, and yields
//! its tools, or an error that tells "asks for configuration" from "broken". `dialogue` is the
//! protocol, the transports below it carry messages, `verdict` and `cause` name what is wrong.
//! Everything that a server sends is limited in size and time.

mod cause;
mod dialogue;
mod endpoint;
mod error;
mod events;
mod guard;
mod http;
mod message;
mod process;
mod question;
mod revision;
mod secrets;
mod sse;
mod stdio;
mod tools;
mod transport;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::net::authority;
use crate::progress::Reporter;

use dialogue::{Agreed, Dialogue, Trouble};
use endpoint::Endpoint;
use http::Http;
use process::{End, Listener, Output, Process};
use revision::LEGACY;
use sse::Sse;
use stdio::Stdio;
use transport::{Failure, Transport, Wait};
use verdict::{Scene, verdict};

pub use error::{Evidence, SmokeError};
pub use guard::{guard, guarded};
pub use question::{
    Address, Answered, Call, Called, Named, NoisePolicy, Question, Server, Starter, Way,
};
pub use revision::Era;
pub use secrets::Secrets;
pub use tools::{Declared, Drift, Tool, digest, file_text};

/// What a dialogue yields.
struct Heard {
    agreed: Agreed,
    tools: Vec<Tool>,
    calls: Vec<Called>,
    notes: Vec<String>,
    elapsed: Duration,
}

/// How a dialogue ended, with the method that was sent last.
type Outcome = (Result<Heard, Trouble>, &'static str);

/// Asks a server for its tools, and ends it if it was started here. The reporter hears what the
/// server logs, as details.
///
/// # Errors
/// SRV-NEEDS-CONFIG and SRV-UNAUTHORIZED with exit code 3, other SRV-* with 1, and NET-*.
pub fn ask(
    server: Server<'_>,
    question: &Question,
    reporter: &Arc<dyn Reporter>,
) -> Result<Answered, SmokeError> {
    let listener = Listener {
        reporter: Arc::clone(reporter),
        secrets: Arc::clone(&question.secrets),
    };
    match server {
        Server::Stdio(starter) => over_stdio(starter, question, &listener),
        Server::Http(address) => over_http(address, question, &listener),
    }
}

fn over_stdio(
    starter: Starter<'_>,
    question: &Question,
    listener: &Listener,
) -> Result<Answered, SmokeError> {
    let begun = Instant::now();
    let mut stdio = Stdio::start(starter, listener)?;
    let (heard, last) = converse(&mut stdio, question, begun);
    let heard = match heard {
        Ok(heard) => heard,
        Err(trouble) => {
            let mut scene = Scene::look(last, Some(&mut stdio.process));
            scene.stdout = Some((stdio.bytes, stdio.messages));
            scene.noise = stdio.noise;
            scene.strays = stdio.strays;
            return Err(verdict(trouble, &scene, question));
        }
    };
    let end = stdio.end();
    let mut answered = answered(heard, "stdio", question)?;
    answered.notes.extend(note(end));
    if stdio.noise.lines > 0 {
        let error = verdict::noise(&stdio.noise, "", question);
        match question.noise {
            NoisePolicy::Refuse => return Err(error),
            NoisePolicy::Warn => answered.notes.push(error.to_string()),
        }
    }
    Ok(answered)
}

/// What an end says that no answer does.
fn note(end: End) -> Option<String> {
    match end {
        End::Itself(status) if status.success() => None,
        End::Itself(status) => Some(format!(
            "at the end of its input it ended with {}",
            process::shown(status)
        )),
        End::Terminated(_) => Some("it did not end with its input; SIGTERM ended it".to_owned()),
        End::Killed => Some("it ended neither with its input nor by SIGTERM".to_owned()),
    }
}

fn over_http(
    address: &Address<'_>,
    question: &Question,
    listener: &Listener,
) -> Result<Answered, SmokeError> {
    let started = Instant::now();
    let host = address.host.as_deref().map(HeaderValue::from_str);
    let endpoint = Endpoint {
        net: address.net,
        url: address.url.clone(),
        host: host.transpose().map_err(|error| SmokeError::Usage {
            text: format!("--host is fit for no header: {error}"),
            advice: "write HOST or HOST:PORT",
        })?,
    };
    let process = address.start.map(|start| {
        let mut command = start().map_err(SmokeError::Prepare)?;
        let process = Process::start(&mut command, Output::Log, listener);
        process.map_err(|source| SmokeError::start(&command, source))
    });
    let process = process.transpose()?.map(|(process, _no_lines)| process);
    if address.way == Way::Sse {
        return over_sse(&endpoint, process, question, (started, None));
    }
    let mut http = Http::new(endpoint, process);
    let (heard, last) = converse(&mut http, question, started);
    let endpoint = http.endpoint.clone();
    let trouble = match heard {
        Ok(heard) => {
            http.close();
            let process = http.process.as_mut();
            let end = process.map(|process| process.stop(&mut std::thread::sleep));
            let mut answered = answered(heard, "http", question)?;
            if end == Some(End::Killed) {
                answered.notes.push("SIGTERM does not end it".to_owned());
            }
            return Ok(answered);
        }
        Err(trouble) => trouble,
    };
    let scene = scene(last, http.process.as_mut(), &endpoint);
    if address.way == Way::Auto && last == "initialize" && may_be_sse(&trouble) {
        let first = verdict(trouble, &scene, question);
        return over_sse(&endpoint, http.process, question, (started, Some(first)));
    }
    Err(verdict(trouble, &scene, question))
}

/// 400, 404 and 405 to `initialize` are what a server of 2024-11-05 says to a POST.
fn may_be_sse(trouble: &Trouble) -> bool {
    let status = match trouble {
        Trouble::Failed(Failure::Status { status, .. }) => Some(*status),
        Trouble::Refused(error) => error.status,
        _ => None,
    };
    status.is_some_and(|status| [400, 404, 405].contains(&status))
}

/// HTTP+SSE; `first` is why the other transport failed, where it was tried.
fn over_sse(
    endpoint: &Endpoint<'_>,
    mut process: Option<Process>,
    question: &Question,
    (started, first): (Instant, Option<SmokeError>),
) -> Result<Answered, SmokeError> {
    let wait = Wait {
        quiet: question.timeout,
        until: started + question.timeout,
    };
    let mut sse = match Sse::connect(endpoint.clone(), &mut process, wait) {
        Ok(sse) => sse,
        Err(failure) => {
            let opened = matches!(failure, Failure::Broken(_));
            return Err(match first {
                // No stream either: why POST failed says more.
                Some(first) if !opened => first,
                _ => {
                    let scene = scene("GET", process.as_mut(), endpoint);
                    verdict(failure.into(), &scene, question)
                }
            });
        }
    };
    let mut dialogue = Dialogue::new(&mut sse, wait.until, question.timeout);
    let agreed = dialogue.initialize(LEGACY, None);
    let heard = agreed.and_then(|agreed| hear(&mut dialogue, agreed, question, started));
    let last = dialogue.last;
    match heard {
        Ok(mut heard) => {
            let note = "HTTP+SSE is deprecated since 2025-03-26: Streamable HTTP takes its place";
            heard.notes.push(note.to_owned());
            let process = sse.process.take();
            // The open stream would delay its end.
            drop(sse);
            if let Some(mut process) = process {
                process.stop(&mut std::thread::sleep);
            }
            answered(heard, "sse", question)
        }
        Err(trouble) => {
            let scene = scene(last, sse.process.as_mut(), endpoint);
            Err(verdict(trouble, &scene, question))
        }
    }
}

fn scene(last: &'static str, process: Option<&mut Process>, endpoint: &Endpoint<'_>) -> Scene {
    let mut scene = Scene::look(last, process);
    let host = match &endpoint.host {
        Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        None => authority(&endpoint.url),
    };
    scene.address = Some((endpoint.shown(), host));
    scene
}

/// Handshake, list and calls; a session that the server lost is begun again once.
fn converse(transport: &mut dyn Transport, question: &Question, started: Instant) -> Outcome {
    let first = started + question.timeout;
    let mut dialogue = Dialogue::new(transport, first, question.timeout);
    let agreed = dialogue.negotiate();
    let heard = agreed.and_then(
        |agreed| match hear(&mut dialogue, agreed, question, started) {
            Err(Trouble::Failed(Failure::SessionGone)) => {
                dialogue
                    .notes
                    .push("it lost its session once (404)".to_owned());
                let agreed = dialogue.initialize(LEGACY, None)?;
                hear(&mut dialogue, agreed, question, started)
            }
            other => other,
        },
    );
    (heard, dialogue.last)
}

fn hear(
    dialogue: &mut Dialogue<'_>,
    agreed: Agreed,
    question: &Question,
    started: Instant,
) -> Result<Heard, Trouble> {
    let tools = match dialogue.tools() {
        // A server of resources or prompts alone.
        Err(Trouble::Refused(error))
            if error.code == -32601 && agreed.capabilities["tools"].is_null() =>
        {
            Vec::new()
        }
        other => tools::sorted(other?).map_err(Trouble::Broken)?,
    };
    let elapsed = started.elapsed();
    let mut calls = Vec::new();
    for call in &question.calls {
        let begun = Instant::now();
        let result = dialogue.call(&call.tool, &call.arguments)?;
        calls.push(Called {
            tool: call.tool.clone(),
            result,
            milliseconds: milliseconds(begun.elapsed()),
        });
    }
    Ok(Heard {
        agreed,
        tools,
        calls,
        notes: std::mem::take(&mut dialogue.notes),
        elapsed,
    })
}

fn answered(
    heard: Heard,
    transport: &'static str,
    question: &Question,
) -> Result<Answered, SmokeError> {
    let Heard {
        agreed,
        tools,
        calls,
        mut notes,
        elapsed,
    } = heard;
    for called in &calls {
        if called.result["isError"] == Value::Bool(true) {
            return Err(SmokeError::Call {
                tool: called.tool.clone(),
                text: question.secrets.line(&texts(&called.result)),
            });
        }
    }
    if tools.is_empty() && question.declared.is_none() {
        let offers = |name: &str| agreed.capabilities[name].is_object();
        if offers("tools") || !(offers("resources") || offers("prompts")) {
            return Err(SmokeError::NoTools);
        }
        notes.push("it offers no tools, only resources or prompts".to_owned());
    }
    Ok(Answered {
        server: Named {
            name: question.secrets.line(&agreed.name),
            version: question.secrets.line(&agreed.release),
        },
        protocol: question.secrets.line(&agreed.version),
        era: agreed.era,
        transport,
        tools_digest: digest(&tools),
        tools,
        calls,
        milliseconds: milliseconds(elapsed),
        notes: notes
            .iter()
            .map(|note| question.secrets.line(note))
            .collect(),
    })
}

/// The text parts of a call's result.
fn texts(result: &Value) -> String {
    let parts = result["content"].as_array().into_iter().flatten();
    let texts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
    texts.join(" ")
}

impl Called {
    /// The beginning of its text, on one line.
    pub fn summary(&self, secrets: &Secrets) -> String {
        secrets.line(&texts(&self.result))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
