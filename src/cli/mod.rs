//! The command line: one file per command, each an argument type and a `run` that translates
//! and prints.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the doc comments of arguments are help texts: `oci:DIR[:TAG]` is no link"
)]

mod base;
mod build;
mod cache;
mod completions;
mod copy;
mod detect;
mod inspect;
mod output;
mod plan;
mod rebase;
mod run;
mod session;
mod smoke;
mod source;
mod tag;
mod verify;
mod version;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{AnyError, Coded, Exit};
use crate::reference::{InvalidName, without_login};
use crate::sandbox::Policy;
use crate::settings::env::Environment;

use output::ProgressMode;

const GROUPS: &str = "\
{about}

Usage: {usage}

Build:
  build        Build images from deployments, source folders or Git URLs
  detect       Show which recipe takes a source, and why
  plan         Show what a build would do, as text, JSON or a mermaid graph

Inspect:
  inspect      Show an image's manifest, config and layers
  verify       Recompute every digest, size and diff id of an image from its content

Run:
  run          Run an image here without a container engine
  smoke        Ask an MCP server for its tools: does the image answer?

Deploy:
  copy         Copy an image from one place to another; digests stay
  tag          Give an image in a registry another tag
  rebase       Put an image on another base, without its source

Maintain:
  base         List, lock, update, verify and build bases
  cache        Show, prune, verify or clear the cache
  completions  Print shell completions
  version      Print the version

Global options:
{options}

Exit codes: 0 done, 1 the build or a check failed, 2 usage or configuration, 3 smoke: the server asks
for configuration, 10 to 15 registry and network, 70 a bug, 75 try again, 130 interrupted; run: the
program's own, 125 not started, 126 not executable, 127 not found. docs/reference/exit-codes.md
explains them.
";

/// Builds OCI images from Git repositories: no Dockerfile, no daemon, no root.
///
/// Recipes read the repository and assemble layers directly; equal inputs give equal bytes.
#[derive(Debug, Parser)]
#[command(
    name = "karisimbi",
    version,
    help_template = GROUPS,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that clap sets"
)]
struct Global {
    /// How events are shown on stderr
    #[arg(long, global = true, value_enum, default_value_t)]
    progress: ProgressMode,
    /// Show warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Also show what tools print
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Cache folder (default: `KARISIMBI_CACHE_DIR`, else karisimbi in `XDG_CACHE_HOME` or ~/.cache)
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<std::path::PathBuf>,
    /// Trust the certificates of this PEM file too
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<std::path::PathBuf>,
    /// Registry logins, as `docker login` or `podman login` wrote them
    #[arg(long, global = true, value_name = "FILE")]
    authfile: Option<std::path::PathBuf>,
    /// Use what is on this disk and connect to nothing
    #[arg(long, global = true)]
    offline: bool,
    /// Confine the tools that build a source: require a full sandbox, take the best one of this
    /// machine (default), or none
    #[arg(long, global = true, value_name = "require|auto|off")]
    sandbox: Option<Policy>,
    /// Compressor threads (default: one per core); never changes bytes
    #[arg(long, global = true, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Build),
    Detect(detect::Detect),
    Plan(plan::Plan),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Copy(copy::Copy),
    Tag(tag::Tag),
    Cache(cache::Cache),
    Completions(completions::Completions),
    Run(run::Run),
    Smoke(smoke::Smoke),
    Rebase(rebase::Rebase),
    Base(base::Base),
    Version(version::Version),
}

/// Runs the init of a container, or the guard of a smoke test, when the arguments ask for it.
/// Called first in `main`, before any thread exists.
pub fn init(args: &[OsString]) -> Option<ExitCode> {
    if let Some(error) = crate::smoke::guard(args) {
        output::error(&error.into(), ProgressMode::Plain);
        return Some(ExitCode::from(Exit::NotFound as u8));
    }
    let code = match crate::run::init(args)? {
        Ok(code) => code,
        Err(error) => {
            let error = AnyError::from(error);
            output::error(&error, ProgressMode::Plain);
            error.exit() as u8
        }
    };
    Some(ExitCode::from(code))
}

/// Parses, runs, prints the error, and yields the exit code.
pub fn main(args: Vec<OsString>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        output::bug(&panic.to_string());
        // A bug must not end with a code that means something else.
        std::process::exit(i32::from(Exit::Bug as u8));
    }));
    let environment = Environment::capture();
    let runs = run::command_position(&args).is_some();
    let cli = match Cli::try_parse_from(run::with_volumes(args)) {
        Ok(cli) => cli,
        // 2 may be what the program itself ends with.
        Err(error) if runs && error.use_stderr() => {
            usage(&error);
            return ExitCode::from(Exit::NotRun as u8);
        }
        Err(error) => return usage(&error),
    };
    let outcome = match cli.command {
        Command::Build(command) => command.run(&cli.global, &environment),
        Command::Detect(command) => command.run(&cli.global, &environment),
        Command::Plan(command) => command.run(&cli.global, &environment),
        Command::Inspect(command) => command.run(&cli.global, &environment),
        Command::Verify(command) => command.run(&cli.global, &environment),
        Command::Copy(command) => command.run(&cli.global, &environment),
        Command::Tag(command) => command.run(&cli.global, &environment),
        Command::Cache(command) => command.run(&cli.global, &environment),
        Command::Completions(command) => command.run(),
        Command::Run(command) => command.run(&cli.global, &environment),
        Command::Smoke(command) => command.run(&cli.global, &environment),
        Command::Rebase(command) => command.run(&cli.global, &environment),
        Command::Base(command) => command.run(&cli.global, &environment),
        Command::Version(_) => version::Version::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, cli.global.progress);
            ExitCode::from(error.exit() as u8)
        }
    }
}

/// The code of arguments that are none of ours.
const USAGE: &str = "USE-ARGUMENT";

/// Help and version are data; anything else is one error with its code, without the usage text.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed stdout is the reader's choice.
            drop(error.print());
            return ExitCode::SUCCESS;
        }
        // `karisimbi` alone is a question; `karisimbi cache` alone is a mistake.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let text = error.render().to_string();
            let root = text.contains("<COMMAND>") && text.contains("Maintain:");
            return if root && output::data(text.trim_end()).is_ok() {
                ExitCode::SUCCESS
            } else {
                output::usage_error(USAGE, &text, None);
                ExitCode::from(Exit::Usage as u8)
            };
        }
        _ => {}
    }
    let source = std::error::Error::source(error);
    let name = source.and_then(|source| source.downcast_ref::<InvalidName>());
    let code = name.map_or(USAGE, InvalidName::code);
    let mut text = error.render().to_string();
    // It quotes what was typed, which may hold a login.
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidValue) {
        text = text.replace(typed, &without_login(typed));
    }
    output::usage_error(code, &text, name.and_then(InvalidName::hint));
    ExitCode::from(Exit::Usage as u8)
}

/// The command tree, for completions and the reference.
fn command() -> clap::Command {
    Cli::command()
}

/// The text of docs/reference/cli.md: every command's `--help`.
pub fn reference() -> String {
    let mut text = String::from("# Command line\n\nMade from `--help`; a test keeps it so.\n");
    let mut root = command();
    root.build();
    let mut open = vec![(root, "karisimbi".to_owned())];
    while let Some((mut command, name)) = open.pop() {
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _infallible = write!(
            text,
            "\n## {name}\n\n```text\n{}\n```\n",
            lines.join("\n").trim_end()
        );
        let below: Vec<_> = command
            .get_subcommands()
            .map(|sub| (sub.clone(), format!("{name} {}", sub.get_name())))
            .collect();
        open.extend(below.into_iter().rev());
    }
    text
}

type Outcome = Result<(), AnyError>;
