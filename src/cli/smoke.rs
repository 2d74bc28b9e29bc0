//! `karisimbi smoke`

mod place;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::output::Format;
use super::source::{SourceArgs, write_whole};
use super::{Global, Outcome, output};
use crate::deployment::{DEPLOYMENT_YAML, KARISIMBI_YAML};
use crate::error::AnyError;
use crate::net::{Net, Patience, Reach};
use crate::progress::{Reporter, Verb, counted};
use crate::settings;
use crate::settings::env::Environment;
use crate::smoke::{self, Answered, Call, Declared, NoisePolicy, Question, Secrets, SmokeError};

use place::Place;

/// Ask an MCP server for its tools: does the image answer?
///
/// WHAT is also an image, as for `run`, or the http(s):// address of a running server; a Git
/// repository over https is told by its .git. A folder or repository is built first, and an image
/// runs as `run` runs it. Exit code 0: it answered; 1: it is broken; 3: it asks for configuration,
/// such as a token.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that clap sets"
)]
pub(super) struct Smoke {
    #[command(flatten)]
    source: SourceArgs,
    /// Start the program given after -- on this machine as it is, without an image
    #[arg(long)]
    exec: bool,
    /// Arguments of the server, in place of the image's; with --exec the program first
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
    /// Variable for the server; a name alone passes on this process's value
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// File of NAME=VALUE lines
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// How to speak with the server
    #[arg(long, value_enum, default_value_t)]
    transport: Transport,
    /// Path of the endpoint over HTTP (default: /mcp, with --transport sse /sse)
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Port that the server listens on (default: the one that the image exposes)
    #[arg(long, value_name = "PORT")]
    port: Option<std::num::NonZeroU16>,
    /// Host header over HTTP (default: that of the address; for a container localhost:PORT)
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Call a tool with a JSON object of arguments; may be repeated
    #[arg(long, num_args = 2, value_names = ["TOOL", "JSON"], action = clap::ArgAction::Append)]
    call: Vec<String>,
    /// List of tools that the server must have (default: tools.json beside deployment.yaml)
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// Write the server's list to that file instead of comparing it
    #[arg(long)]
    accept: bool,
    /// Pass lines on stdout that are no messages, with a warning
    #[arg(long)]
    allow_noise: bool,
    /// Seconds for the first answer from the start, and for each one after it
    #[arg(long, value_name = "SECONDS", default_value = "45",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Network of the container: none has loopback only
    #[arg(long, value_enum, default_value_t)]
    network: Network,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// HTTP where a port is exposed, else stdio; over HTTP whichever the server speaks
    #[default]
    Auto,
    /// One message a line on standard input and output
    Stdio,
    /// Streamable HTTP
    Http,
    /// HTTP+SSE, deprecated since 2025-03-26
    Sse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Network {
    /// Loopback only
    #[default]
    None,
    /// That of this machine
    Host,
}

impl Smoke {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let variables = settings::variables(&self.env, &self.env_file)?;
        let place = self.place()?;
        let reporter = global.reporter(environment);
        let tools = self.tools_file(&place);
        let declared = match &tools {
            Some(path) if !self.accept => Some(Declared::read(path)?),
            _ => None,
        };
        if self.accept && tools.is_none() {
            return Err(usage(
                "--accept: there is no deployment.yaml to write tools.json beside".to_owned(),
                "name the file: --tools FILE",
            ));
        }
        let question = Question {
            timeout: Duration::from_secs(self.timeout),
            calls: self.calls()?,
            noise: if self.allow_noise {
                NoisePolicy::Warn
            } else {
                NoisePolicy::Refuse
            },
            secrets: Arc::new(Secrets::of(&variables)),
            declared: match &declared {
                Some(declared) => Some(declared.count()),
                None => self.accept.then_some(0),
            },
        };
        let asked = place::Asked {
            smoke: self,
            variables: &variables,
            question: &question,
            reporter: &reporter,
        };
        let answered = asked.at(&place, global, environment)?;
        for note in &answered.notes {
            reporter.warn("SRV-NOTE", note.clone());
        }
        if let Some(path) = &tools {
            self.compare(path, declared.as_ref(), &answered, reporter.as_ref())?;
        }
        self.print(&answered, &question, global)
    }

    /// Pairs of a tool and its arguments.
    fn calls(&self) -> Result<Vec<Call>, AnyError> {
        let call = |[tool, json]: &[String; 2]| {
            let problem = match serde_json::from_str(json) {
                Ok(arguments @ Value::Object(_)) => {
                    let tool = tool.clone();
                    return Ok(Call { tool, arguments });
                }
                Ok(_) => "no JSON object".to_owned(),
                Err(error) => format!("no JSON: {error}"),
            };
            Err(usage(
                format!("--call {tool}: the arguments are {problem}"),
                "write them as --call TOOL '{\"name\": \"value\"}'",
            ))
        };
        // clap hands out pairs.
        let (pairs, _) = self.call.as_chunks();
        pairs.iter().map(call).collect()
    }

    /// `--tools`, else tools.json beside a local deployment.yaml.
    fn tools_file(&self, place: &Place) -> Option<PathBuf> {
        let beside = || match place {
            Place::Source(what) => {
                let folder = Path::new(what);
                let ours = [DEPLOYMENT_YAML, KARISIMBI_YAML];
                let ours = ours.iter().any(|name| folder.join(name).is_file());
                let file = folder.join("tools.json");
                (ours && (self.accept || file.is_file())).then_some(file)
            }
            _ => None,
        };
        self.tools.clone().or_else(beside)
    }

    fn compare(
        &self,
        path: &Path,
        declared: Option<&Declared>,
        answered: &Answered,
        reporter: &dyn Reporter,
    ) -> Outcome {
        if self.accept {
            write_whole(path, &smoke::file_text(&answered.tools))?;
            let (count, digest) = (answered.tools.len(), answered.tools_digest);
            let text = format!("{}, {}, {digest}", path.display(), counted(count, "tool"));
            reporter.line(Verb::Wrote, text);
        }
        match declared.and_then(|declared| declared.drift(&answered.tools)) {
            Some(drift) => Err(SmokeError::Drift {
                path: path.to_owned(),
                drift,
            }
            .into()),
            None => Ok(()),
        }
    }

    fn print(&self, answered: &Answered, question: &Question, global: &Global) -> Outcome {
        let text = match self.format {
            Format::Json => output::json(answered)?,
            Format::Text => text(answered, question, global),
        };
        Ok(output::data(&text)?)
    }

    /// An HTTP client with this command's patience; a container of ours is no network.
    fn net(
        &self,
        global: &Global,
        reach: Reach,
        environment: &Environment,
    ) -> Result<Net, AnyError> {
        let mut network = settings::network(global.ca_file.as_deref(), reach, environment);
        // Our own deadlines are nearer.
        let long = Duration::from_secs(self.timeout + 60);
        network.patience = Patience {
            stall: long,
            commit: long,
            ..Patience::default()
        };
        Ok(Net::new(&network)?)
    }
}

/// What people read on stdout.
fn text(answered: &Answered, question: &Question, global: &Global) -> String {
    let named = [
        answered.server.name.as_str(),
        answered.server.version.as_str(),
    ];
    let name = named.join(" ");
    let name = match name.trim() {
        "" => "a server without a name",
        name => name,
    };
    let mut lines = vec![format!(
        "answered: {name}, protocol {} ({}, {}), {} in {}",
        answered.protocol,
        answered.era.word(),
        answered.transport,
        counted(answered.tools.len(), "tool"),
        seconds(answered.milliseconds),
    )];
    for called in &answered.calls {
        let summary = called.summary(&question.secrets);
        let time = seconds(called.milliseconds);
        lines.push(format!("called {} in {time}: {summary}", called.tool));
    }
    if global.verbose {
        let described = answered.tools.iter().map(|tool| {
            let description = tool.description.as_deref().unwrap_or_default();
            let first = description.lines().next().unwrap_or_default();
            let line = question.secrets.line(&format!("{}: {first}", tool.name));
            format!("  {}", line.trim_end_matches([':', ' ']))
        });
        lines.extend(described);
    }
    lines.join("\n")
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

fn usage(text: String, advice: &'static str) -> AnyError {
    SmokeError::Usage { text, advice }.into()
}
