//! What a smoke test can end with, other than an answer.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::tools::Drift;
use crate::error::{AnyError, Coded, Exit};
use crate::net::NetError;
use crate::progress::counted;

/// What was seen of a server that did not answer: lines of their own after a message, fit to be
/// shown.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The method that was sent last.
    pub last: &'static str,
    /// Bytes on standard output, of a server that speaks there.
    pub stdout: Option<u64>,
    /// The first line there that was no message.
    pub noise: Option<String>,
    /// How it ended, if it did.
    pub end: Option<String>,
    /// Answers whose id no request had.
    pub strays: u64,
    /// The last lines of its log, of a server whose log is ours to read.
    pub log: Option<Vec<String>>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  last sent: {}", self.last)?;
        if let Some(bytes) = self.stdout {
            write!(f, "; {bytes} bytes on its stdout")?;
        }
        if let Some(noise) = &self.noise {
            write!(f, ", which begin with {noise:?}")?;
        }
        if let Some(end) = &self.end {
            write!(f, "; it ended with {end}")?;
        }
        if self.strays > 0 {
            let answers = counted(self.strays, "answer");
            write!(f, "; {answers} with the id of no request")?;
        }
        let Some(log) = &self.log else {
            return Ok(());
        };
        if log.is_empty() {
            return f.write_str("; it logged nothing");
        }
        f.write_str("\n  its log ends:")?;
        for line in log {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Why a smoke test failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SmokeError {
    #[error("the server asks for configuration{}{}{evidence}", listed(.variables), known(*.declared))]
    NeedsConfig {
        variables: Vec<String>,
        /// Tools that tools.json names, when there is one.
        declared: Option<usize>,
        evidence: Box<Evidence>,
    },
    #[error("{url} wants a login: it answered {status}{}", after(.text))]
    Unauthorized {
        url: String,
        status: u16,
        text: String,
    },
    #[error("nothing listens on its port within {seconds} s{evidence}")]
    NotListening {
        seconds: u64,
        evidence: Box<Evidence>,
    },
    #[error("no answer within {seconds} s{evidence}")]
    NoAnswer {
        seconds: u64,
        evidence: Box<Evidence>,
    },
    #[error("the server ended without an answer{evidence}")]
    Exited {
        evidence: Box<Evidence>,
        advice: Option<&'static str>,
    },
    #[error("a library or program does not fit the image: {line}{evidence}")]
    Library {
        line: String,
        evidence: Box<Evidence>,
    },
    #[error("stdout is for messages alone{rest}; {}: {first:?}", others(*.lines))]
    Noise {
        first: String,
        lines: u64,
        rest: &'static str,
    },
    #[error("{url} refuses the Host header {host}: it answered {status}{}", after(.text))]
    HostRejected {
        url: String,
        host: String,
        status: u16,
        text: String,
    },
    #[error("{url} answered {} with {status}{}", .method, after(.text))]
    Http {
        url: String,
        method: &'static str,
        status: u16,
        text: String,
    },
    #[error("{url} redirects to {location} ({status})")]
    Redirect {
        url: String,
        status: u16,
        location: String,
    },
    #[error("the server refuses {method}: {message} ({code})")]
    Refused {
        method: &'static str,
        code: i64,
        message: String,
    },
    #[error("the server breaks the protocol: {what}{evidence}")]
    Protocol {
        what: String,
        evidence: Box<Evidence>,
    },
    #[error("the server answered {method} with a message of more than 8 MiB")]
    TooLarge { method: &'static str },
    #[error("the server answers {method} only after its client has answered it: {wanted}")]
    InputRequired {
        method: &'static str,
        wanted: String,
    },
    #[error("the server names no tools")]
    NoTools,
    #[error("calling {tool} failed: {text}")]
    Call { tool: String, text: String },
    #[error("the tools differ from {path}: {drift}")]
    Drift { path: PathBuf, drift: Drift },
    #[error("{path} {why}")]
    ToolsFile { path: PathBuf, why: String },
    #[error("{program} can't be started")]
    Start { program: String, source: io::Error },
    #[error(transparent)]
    Prepare(AnyError),
    #[error("{text}")]
    Usage { text: String, advice: &'static str },
    #[error(transparent)]
    Net(#[from] NetError),
}

impl SmokeError {
    /// A program can't be started.
    pub(super) fn start(command: &Command, source: io::Error) -> Self {
        Self::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(": {}", names.join(", "))
}

fn known(declared: Option<usize>) -> String {
    // None are declared where --accept is still to write the file.
    let declared = declared.filter(|count| *count > 0);
    declared.map_or_else(String::new, |count| {
        format!("; tools.json declares its {count} tools")
    })
}

fn others(lines: u64) -> String {
    match lines {
        1 => "a line there is none".to_owned(),
        lines => format!("{lines} lines there are none, the first"),
    }
}

fn after(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!(": {text}")
}

impl Coded for SmokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NeedsConfig { .. } => "SRV-NEEDS-CONFIG",
            Self::Unauthorized { .. } => "SRV-UNAUTHORIZED",
            Self::NoAnswer { .. } | Self::NotListening { .. } => "SRV-NO-ANSWER",
            Self::Exited { .. } => "SRV-EXITED",
            Self::Library { .. } => "SRV-LIBC",
            Self::Noise { .. } => "SRV-STDOUT-NOISE",
            Self::HostRejected { .. } => "SRV-HOST-REJECTED",
            Self::Http { .. } => "SRV-HTTP",
            Self::Redirect { .. } => "SRV-REDIRECT",
            Self::Refused { .. } => "SRV-REFUSED",
            Self::Protocol { .. } => "SRV-PROTOCOL",
            Self::TooLarge { .. } => "SRV-TOO-LARGE",
            Self::InputRequired { .. } => "SRV-INPUT-REQUIRED",
            Self::NoTools => "SRV-NO-TOOLS",
            Self::Call { .. } => "SRV-CALL",
            Self::Drift { .. } => "SRV-TOOLS-DRIFT",
            Self::ToolsFile { .. } => "SRV-TOOLS-FILE",
            Self::Start { .. } => "SRV-START",
            Self::Usage { .. } => "USE-SMOKE",
            Self::Prepare(error) => error.code(),
            Self::Net(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NeedsConfig { .. } | Self::Unauthorized { .. } => Exit::NeedsConfig,
            Self::ToolsFile { .. } | Self::Usage { .. } => Exit::Usage,
            Self::Prepare(error) => error.exit(),
            Self::Net(error) => error.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NeedsConfig { variables, .. } => match variables.first() {
                Some(flag) if flag.starts_with(['-', '<']) => {
                    "give it its arguments: karisimbi smoke … -- ARGUMENTS".to_owned()
                }
                Some(name) => format!(
                    "a made-up value is mostly enough to list tools: karisimbi smoke … -e {name}=x"
                ),
                None => "its log says what: -e NAME=VALUE for variables, -- ARGUMENTS for the rest"
                    .to_owned(),
            },
            Self::Unauthorized { .. } => {
                "the server is there; smoke has no login for it: ask one that needs none".to_owned()
            }
            Self::NoAnswer { .. } => {
                "is it a server for this transport (--transport)? A slow start needs --timeout"
                    .to_owned()
            }
            Self::NotListening { .. } => {
                "does it listen on another port (--port), or speak over stdio (--transport stdio)?"
                    .to_owned()
            }
            Self::Library { .. } => {
                "install it in the image, or take a base with its libc and architecture".to_owned()
            }
            Self::Noise { .. } => {
                "print to stderr instead; --allow-noise passes it with a warning".to_owned()
            }
            Self::HostRejected { .. } => {
                "add the name to the server's allowed hosts, or pass --host with one that is there"
                    .to_owned()
            }
            Self::Http { .. } => {
                "is that the server's address? --path PATH; --transport sse for GET /sse; a Git \
                 repository over https is told by its .git"
                    .to_owned()
            }
            Self::Redirect { .. } => "name that address, if you trust it".to_owned(),
            Self::NoTools => {
                "if that is right: --accept writes tools.json with an empty list".to_owned()
            }
            Self::Drift { .. } => "--accept writes the new list".to_owned(),
            Self::ToolsFile { .. } => "--accept writes it anew".to_owned(),
            Self::Usage { advice, .. }
            | Self::Exited {
                advice: Some(advice),
                ..
            } => (*advice).to_owned(),
            Self::Prepare(error) => return error.hint(),
            Self::Net(error) => return error.hint(),
            _ => return None,
        })
    }
}
