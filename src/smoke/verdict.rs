//! From what went wrong in a dialogue to what is wrong with the server.

use std::process::ExitStatus;

use super::cause;
use super::dialogue::Trouble;
use super::error::{Evidence, SmokeError};
use super::message::RpcError;
use super::process::{Process, shown};
use super::question::Question;
use super::stdio::Noise;
use super::transport::Failure;

/// Lines of the log that a message shows.
const SHOWN: usize = 12;
/// Characters that a message shows of a line which is no message.
const NOISE: usize = 120;

/// What was seen of the server.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) last: &'static str,
    pub(super) status: Option<ExitStatus>,
    /// Its log, where that is ours to read.
    pub(super) log: Option<String>,
    /// Bytes and messages on standard output, of a server that speaks there.
    pub(super) stdout: Option<(u64, u64)>,
    pub(super) noise: Noise,
    /// Answers whose id no request had.
    pub(super) strays: u64,
    /// Address and Host header, of a server that listens.
    pub(super) address: Option<(String, String)>,
}

impl Scene {
    /// Looks at the server's process, if it is ours.
    pub(super) fn look(last: &'static str, process: Option<&mut Process>) -> Self {
        let mut scene = Self {
            last,
            ..Self::default()
        };
        if let Some(process) = process {
            scene.status = process.status();
            scene.log = Some(process.log());
        }
        scene
    }

    fn evidence(&self, question: &Question) -> Evidence {
        Evidence {
            last: self.last,
            stdout: self.stdout.map(|(bytes, _)| bytes),
            noise: self.noise.first().map(|line| noise_text(line, question)),
            end: self.status.map(shown),
            strays: self.strays,
            log: self
                .log
                .as_deref()
                .map(|log| question.secrets.last_lines(log, SHOWN)),
        }
    }

    /// What it wrote for people: its log, and what is no message on standard output.
    fn words(&self) -> String {
        let noise = &self.noise.text;
        let log = self.log.as_deref().unwrap_or_default();
        format!("{log}\n{}", String::from_utf8_lossy(noise))
    }

    fn url(&self) -> String {
        self.address
            .as_ref()
            .map_or_else(|| "the server".to_owned(), |(url, _)| url.clone())
    }
}

/// The error that a dialogue ends with.
pub(super) fn verdict(trouble: Trouble, scene: &Scene, question: &Question) -> SmokeError {
    let line = |text: &str| question.secrets.line(text);
    match trouble {
        Trouble::Refused(error) => refused(&error, scene, question),
        Trouble::InputRequired(wanted) => SmokeError::InputRequired {
            method: scene.last,
            wanted: line(&wanted),
        },
        // With a server of ours there is no network in between.
        Trouble::Failed(Failure::Net(error)) if scene.log.is_some() => SmokeError::Protocol {
            what: line(&error.to_string()),
            evidence: Box::new(scene.evidence(question)),
        },
        Trouble::Failed(Failure::Net(error)) => error.into(),
        Trouble::Failed(Failure::TooLarge) => SmokeError::TooLarge { method: scene.last },
        Trouble::Failed(Failure::Unauthorized { challenge }) => SmokeError::Unauthorized {
            url: scene.url(),
            status: 401,
            text: line(&challenge),
        },
        Trouble::Failed(Failure::Refused { status, text }) => {
            forbidden(status, &text, scene, question)
        }
        Trouble::Failed(Failure::Redirect { status, location }) => SmokeError::Redirect {
            url: scene.url(),
            status,
            location: line(&location),
        },
        Trouble::Failed(Failure::Status { status, text }) => SmokeError::Http {
            url: scene.url(),
            method: scene.last,
            status,
            text: line(&text),
        },
        Trouble::Failed(Failure::SessionGone) => SmokeError::Protocol {
            what: "the sessions that it opens are gone at once (404)".to_owned(),
            evidence: Box::new(scene.evidence(question)),
        },
        Trouble::Failed(Failure::Ended) if scene.status.is_none() => SmokeError::Protocol {
            what: "it closed its stdout and runs on".to_owned(),
            evidence: Box::new(scene.evidence(question)),
        },
        Trouble::Failed(Failure::Deaf) => SmokeError::NotListening {
            seconds: question.timeout.as_secs(),
            evidence: Box::new(Evidence {
                last: "nothing",
                ..scene.evidence(question)
            }),
        },
        Trouble::Failed(Failure::Silent | Failure::Ended) => silent(scene, question),
        Trouble::Broken(what) | Trouble::Failed(Failure::Broken(what)) => {
            if scene.status.is_some() {
                return silent(scene, question);
            }
            SmokeError::Protocol {
                what: line(&what),
                evidence: Box::new(scene.evidence(question)),
            }
        }
    }
}

fn silent(scene: &Scene, question: &Question) -> SmokeError {
    let evidence = Box::new(scene.evidence(question));
    let words = scene.words();
    let Some(status) = scene.status else {
        return SmokeError::NoAnswer {
            seconds: question.timeout.as_secs(),
            evidence,
        };
    };
    if let Some(found) = cause::library(&words) {
        let line = question.secrets.line(found);
        return SmokeError::Library { line, evidence };
    }
    let spoke = scene.stdout.is_some_and(|(_, messages)| messages > 0);
    let demanded = cause::demanded(&words, Some(status)).filter(|_| !spoke);
    if let Some(variables) = demanded
        // Advice to check a token, after a call that failed for want of a network.
        && !(variables.is_empty() && cause::wants_network(&words))
    {
        return SmokeError::NeedsConfig {
            variables: shown_names(&variables, question),
            declared: question.declared,
            evidence,
        };
    }
    if status.success() && scene.noise.lines > 0 {
        return noise(&scene.noise, ", and it ended without one", question);
    }
    let advice = cause::advice(&words, Some(status));
    let listener = scene.address.is_some() && status.success();
    SmokeError::Exited {
        evidence,
        advice: advice.or(listener.then_some("a server that speaks over stdio? --transport stdio")),
    }
}

/// An error instead of an answer: a server may start without its configuration and complain late.
fn refused(error: &RpcError, scene: &Scene, question: &Question) -> SmokeError {
    let data = match &error.data {
        serde_json::Value::String(text) => text.as_str(),
        _ => "",
    };
    let words = format!("{}\n{data}", error.message);
    // The codes of the protocol's own errors speak of our request.
    if !(-32700..=-32600).contains(&error.code) || error.code == -32603 {
        let modern = (-32029..=-32020).contains(&error.code);
        if !modern && let Some(variables) = cause::demanded(&words, None) {
            return SmokeError::NeedsConfig {
                variables: shown_names(&variables, question),
                declared: question.declared,
                evidence: Box::new(scene.evidence(question)),
            };
        }
    }
    SmokeError::Refused {
        method: scene.last,
        code: error.code,
        message: question.secrets.line(words.trim()),
    }
}

fn forbidden(status: u16, text: &str, scene: &Scene, question: &Question) -> SmokeError {
    let lower = text.to_ascii_lowercase();
    let (url, host) = scene.address.clone().unwrap_or_default();
    let text = question.secrets.line(text);
    if status == 421 || lower.contains("host") || lower.contains("origin") {
        return SmokeError::HostRejected {
            url,
            host,
            status,
            text,
        };
    }
    SmokeError::Unauthorized { url, status, text }
}

/// SRV-STDOUT-NOISE for what was found on standard output.
pub(super) fn noise(noise: &Noise, rest: &'static str, question: &Question) -> SmokeError {
    SmokeError::Noise {
        first: noise_text(noise.first().unwrap_or_default(), question),
        lines: noise.lines,
        rest,
    }
}

fn shown_names(names: &[String], question: &Question) -> Vec<String> {
    names
        .iter()
        .map(|name| question.secrets.line(name))
        .collect()
}

fn noise_text(line: &[u8], question: &Question) -> String {
    let text = question.secrets.hide(&String::from_utf8_lossy(line));
    text.chars().take(NOISE).collect()
}
