//! A server that is spoken with over its standard streams: one message a line.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::SmokeError;
use super::message::{MAX_MESSAGE, Message, notification, parse, reply};
use super::process::{End, Line, Listener, Output, Process};
use super::question::Starter;
use super::transport::{Failure, Incoming, Outgoing, Transport, Wait};

/// How long the exit status is waited for after a server has closed its output.
const REAP: Duration = Duration::from_secs(1);
/// Kept of lines that are no messages: far more than is shown, so that no value is cut before it is
/// hidden.
const NOISE: usize = 4 << 10;

/// What stood on standard output without being a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Noise {
    /// The beginning of it: lines as they came.
    pub(super) text: Vec<u8>,
    /// How many there were.
    pub(super) lines: u64,
}

impl Noise {
    /// The first line, or the beginning of it.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.text
            .split(|byte| *byte == b'\n')
            .next()
            .filter(|line| !line.is_empty())
    }
}

/// Standard streams.
pub(super) struct Stdio<'a> {
    starter: Starter<'a>,
    listener: Listener,
    pub(super) process: Process,
    lines: Receiver<Line>,
    waiting: VecDeque<Message>,
    /// Bytes on standard output, over all starts.
    pub(super) bytes: u64,
    /// Messages among them.
    pub(super) messages: u64,
    /// Over all starts.
    pub(super) noise: Noise,
    /// Answers whose id no request had.
    pub(super) strays: u64,
    /// Bytes of our answers to its requests, which wait here until it reads them.
    replied: usize,
}

impl<'a> Stdio<'a> {
    /// Starts the server.
    ///
    /// # Errors
    /// SRV-START.
    pub(super) fn start(starter: Starter<'a>, listener: &Listener) -> Result<Self, SmokeError> {
        let (process, lines) = spawn(starter, listener)?;
        Ok(Self {
            process,
            lines,
            starter,
            listener: listener.clone(),
            waiting: VecDeque::new(),
            bytes: 0,
            messages: 0,
            noise: Noise::default(),
            strays: 0,
            replied: 0,
        })
    }

    /// The next message, or why there is none.
    fn next(&mut self, until: Instant) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            let left = until.saturating_duration_since(Instant::now());
            // Of a stream without end the next line is always there.
            if left.is_zero() {
                return Err(Failure::Silent);
            }
            match self.lines.recv_timeout(left) {
                Ok(Line::Text(line)) => self.take(&line),
                Ok(Line::TooLong) => return Err(Failure::TooLarge),
                Ok(Line::End) | Err(RecvTimeoutError::Disconnected) => {
                    // The status explains the end, and comes a moment later.
                    let moment = Instant::now() + REAP;
                    self.process.wait_until(moment, &mut thread::sleep);
                    return Err(Failure::Ended);
                }
                Err(RecvTimeoutError::Timeout) => return Err(Failure::Silent),
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        self.bytes += line.len() as u64 + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if let Some(messages) = parse(line) {
            self.messages += messages.len() as u64;
            self.waiting.extend(messages);
            return;
        }
        self.noise.lines += 1;
        let text = &mut self.noise.text;
        let left = NOISE.saturating_sub(text.len());
        text.extend(line.iter().take(left));
        if left > line.len() {
            text.push(b'\n');
        }
    }

    fn send(&mut self, mut json: Vec<u8>) {
        json.push(b'\n');
        self.process.send(json);
    }

    /// Ends the server; what it prints meanwhile is read, since a farewell on stdout is noise too.
    pub(super) fn end(&mut self) -> End {
        let mut farewell = Vec::new();
        let mut kept = 0;
        let lines = &self.lines;
        let mut listen = |pause: Duration| match lines.recv_timeout(pause) {
            Ok(Line::Text(line)) if kept < MAX_MESSAGE => {
                kept += line.len() + size_of_val(&line);
                farewell.push(line);
            }
            Ok(Line::Text(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Line::TooLong | Line::End) | Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(pause);
            }
        };
        let end = self.process.stop(&mut listen);
        // The last line may still be on its way through the reader.
        listen(Duration::from_millis(50));
        for line in farewell {
            self.take(&line);
        }
        end
    }
}

fn spawn(
    starter: Starter<'_>,
    listener: &Listener,
) -> Result<(Process, Receiver<Line>), SmokeError> {
    let mut command = starter().map_err(SmokeError::Prepare)?;
    let process = Process::start(&mut command, Output::Protocol, listener);
    process.map_err(|source| SmokeError::start(&command, source))
}

impl Transport for Stdio<'_> {
    fn request(&mut self, request: &Outgoing, wait: Wait) -> Result<Incoming, Failure> {
        self.send(request.body());
        let until = wait.deadline();
        loop {
            let message = self.next(until)?;
            let late = request
                .earlier
                .filter(|earlier| message.answers(*earlier) && is_result(&message));
            let own = message.answers(request.id);
            let stray = message.is_stray();
            match message {
                Message::Answer { outcome, .. } if own || late.is_some() => {
                    let id = late.unwrap_or(request.id);
                    return Ok(Incoming { id, outcome });
                }
                // Such as `cat`; its copy of our reply would pass for an answer.
                Message::Request { method, .. } if method == request.method => {
                    let text = "it repeats what it is sent".to_owned();
                    return Err(Failure::Broken(text));
                }
                Message::Request { id, method } => {
                    let reply = reply(&id, &method);
                    self.replied += reply.len();
                    if self.replied > MAX_MESSAGE {
                        let text = "it asks its client without end".to_owned();
                        return Err(Failure::Broken(text));
                    }
                    self.send(reply);
                }
                Message::Answer { .. } => self.strays += u64::from(stray),
                Message::Notification => {}
            }
        }
    }

    fn notify(&mut self, method: &str, _: Wait) -> Result<(), Failure> {
        self.send(notification(method));
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.waiting.clear();
        // The same lines come again.
        self.noise.lines = 0;
        // It was started before: what fails now is of the moment.
        let (process, lines) = spawn(self.starter, &self.listener)
            .map_err(|error| Failure::Broken(format!("can't be started again: {error}")))?;
        self.process = process;
        self.lines = lines;
        Ok(())
    }
}

fn is_result(message: &Message) -> bool {
    matches!(message, Message::Answer { outcome: Ok(_), .. })
}
