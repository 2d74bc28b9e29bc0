//! The only place that prints: data to stdout, events and errors to stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::AnyError;
use crate::net::steers;
use crate::progress::{Event, Reporter, Verb};
use crate::settings::SettingsError;

/// How events are shown (`--progress`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressMode {
    /// Lines, and bars when stderr is a terminal.
    #[default]
    Auto,
    /// Lines only.
    Plain,
    /// One JSON object per event.
    Json,
}

/// What stdout shows (`--format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// JSON
    Json,
}

/// How much is shown (`-q`, `-v`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Volume {
    /// Warnings and errors.
    Quiet,
    /// One line per event.
    Normal,
    /// Also the output of tools.
    Verbose,
}

/// What an event becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Plain,
    /// With colour.
    Coloured,
}

/// Shows the events of a build on stderr.
#[derive(Debug)]
pub(super) struct Terminal {
    form: Form,
    volume: Volume,
    bars: MultiProgress,
    active: Mutex<Vec<(String, ProgressBar)>>,
}

impl Terminal {
    /// A reporter for this process's stderr; colour only on a terminal, and never with `NO_COLOR`.
    pub(super) fn new(mode: ProgressMode, volume: Volume, no_color: bool) -> Self {
        let terminal = io::stderr().is_terminal() && mode == ProgressMode::Auto;
        let bars = MultiProgress::new();
        if !terminal || volume == Volume::Quiet {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let form = match mode {
            ProgressMode::Json => Form::Json,
            _ if terminal && !no_color => Form::Coloured,
            _ => Form::Plain,
        };
        Self {
            form,
            volume,
            bars,
            active: Mutex::new(Vec::new()),
        }
    }

    fn print(&self, text: &str) {
        self.bars.suspend(|| write_stderr(text));
    }

    fn show_json(&self, event: &Event) {
        let hidden = match event {
            Event::Detail { .. } => self.volume < Volume::Verbose,
            Event::Warning { .. } => false,
            _ => self.volume == Volume::Quiet,
        };
        if !hidden && let Ok(line) = serde_json::to_string(event) {
            self.print(&line);
        }
    }

    fn show_line(&self, verb: Verb, text: &str) {
        let word = format!("{:<8}", verb.word());
        match self.form {
            Form::Coloured => self.print(&format!("\u{1b}[1;32m{word}\u{1b}[0m {text}")),
            Form::Plain | Form::Json => self.print(&format!("{word} {text}")),
        }
    }

    fn move_bar(&self, name: &str, done: u64, total: Option<u64>) {
        let Ok(mut active) = self.active.lock() else {
            return;
        };
        let index = active
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or_else(|| {
                active.push((name.to_owned(), self.bars.add(new_bar(name, total))));
                active.len() - 1
            });
        if let Some((_, bar)) = active.get(index) {
            // More may have been found since.
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
        }
    }

    fn end_bar(&self, name: &str) {
        let Ok(mut active) = self.active.lock() else {
            return;
        };
        if let Some(index) = active.iter().position(|(known, _)| known == name) {
            let (_, bar) = active.swap_remove(index);
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

fn new_bar(name: &str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "         {msg} {wide_bar} {bytes}/{total_bytes}",
        None => "         {msg} {spinner} {elapsed}",
    };
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(name.to_owned())
}

impl Reporter for Terminal {
    fn event(&self, event: Event) {
        if self.form == Form::Json {
            return self.show_json(&event);
        }
        match event {
            Event::Line { verb, text } if self.volume >= Volume::Normal => {
                self.show_line(verb, &text);
            }
            Event::Warning { code, text } => self.print(&format!("warning[{code}]: {text}")),
            Event::Detail { text } if self.volume >= Volume::Verbose => {
                self.print(&format!("         {text}"));
            }
            Event::Progress { name, done, total } => self.move_bar(&name, done, total),
            Event::Finished { name } => self.end_bar(&name),
            Event::Line { .. } | Event::Detail { .. } => {}
        }
    }
}

/// Prints data, followed by a newline, to stdout.
///
/// # Errors
/// Those of stdout; a closed pipe is no error, the reader has what it wanted.
pub(super) fn data(text: &str) -> Result<(), SettingsError> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(SettingsError::stdout),
    }
}

/// JSON for people and programs. Text of others is in it: JSON itself escapes only the older half of
/// the characters that steer a terminal.
pub(super) fn json(value: &impl Serialize) -> Result<String, SettingsError> {
    let plain = serde_json::to_string_pretty(value).map_err(SettingsError::json)?;
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        // Outside of texts there is nothing of the kind but line feeds.
        if c != '\n' && steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _infallible = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

/// Prints what is wrong with the arguments, without the usage text around it.
pub(super) fn usage_error(code: &str, rendered: &str, hint: Option<String>) {
    let body = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let end = ["\nUsage: ", "\nFor more information"]
        .iter()
        .filter_map(|mark| body.find(mark))
        .min();
    let (message, after) = body.split_at(end.unwrap_or(body.len()));
    let mut lines: Vec<String> = message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.replace("  tip: ", "hint: "))
        .collect();
    let usage = after.lines().find_map(|line| line.strip_prefix("Usage: "));
    let command = usage.map(|usage| {
        let words = usage.split(' ');
        let command: Vec<&str> = words
            .take_while(|word| !word.starts_with(['[', '<', '-']))
            .collect();
        format!("{} --help", command.join(" "))
    });
    lines.extend(hint.or(command).map(|hint| format!("hint: {hint}")));
    write_stderr(&format!("error[{code}]: {}", lines.join("\n")));
}

/// Whether stdout is a terminal, which shows no archive.
pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Stdout for data that is no text: an archive.
pub(super) fn stdout() -> Box<dyn Write> {
    Box::new(io::stdout())
}

/// Prints an error with the chain of its causes and its next step; as JSON where events are.
pub(super) fn error(error: &AnyError, mode: ProgressMode) {
    let message = error.to_string();
    let mut causes: Vec<String> = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let line = error.to_string();
        // Wrappers that repeat their source's words add nothing.
        if !causes.last().unwrap_or(&message).ends_with(&line) {
            causes.push(line);
        }
        cause = error.source();
    }
    if mode == ProgressMode::Json {
        let event = serde_json::json!({
            "event": "error",
            "code": error.code(),
            "text": message,
            "causes": causes,
            "hint": error.hint(),
            "exit": error.exit() as u8,
        });
        return write_stderr(&event.to_string());
    }
    let mut text = format!("error[{}]: {message}", error.code());
    for cause in causes {
        text.push_str("\n  because: ");
        text.push_str(&cause.replace('\n', "\n           "));
    }
    // Several problems have a hint each, on a line of its own.
    for line in error.hint().iter().flat_map(|hint| hint.lines()) {
        text.push_str("\nhint: ");
        text.push_str(line);
    }
    write_stderr(&text);
}

/// Prints what is known of a bug of ours.
pub(super) fn bug(what: &str) {
    write_stderr(&format!(
        "error[BUG]: {what}\nhint: this is a bug in karisimbi {}; please report it with the command",
        env!("CARGO_PKG_VERSION")
    ));
}

fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    // Without a stderr there is nobody to tell.
    drop(writeln!(stderr, "{text}"));
}
