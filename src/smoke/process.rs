//! The process of a server: its streams, and its orderly end.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::message::MAX_MESSAGE;
use super::secrets::Secrets;
use crate::progress::{Event, Reporter};

/// How long a server may take to end after its input was closed, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Kept of what a server logs: its end explains a failure.
const KEPT: usize = 16 << 10;
/// How long the rest of a log is waited for after the end: others may hold the stream open.
const REST: Duration = Duration::from_millis(500);
/// Longest line of a log that is shown.
const SHOWN_LINE: usize = 4 << 10;

/// What a server prints on its standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Messages, one a line.
    Protocol,
    /// A log, as standard error.
    Log,
}

/// Part of a protocol stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line without its end.
    Text(Vec<u8>),
    /// A line beyond the largest message; nothing after it is read.
    TooLong,
    /// The stream ended.
    End,
}

/// The end of what a server logged.
#[derive(Clone, Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    /// Streams that may still bring more.
    open: usize,
}

/// Who hears what the server logs.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) secrets: Arc<Secrets>,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, when its input was closed or before.
    Itself(ExitStatus),
    /// After SIGTERM.
    Terminated(ExitStatus),
    /// By SIGKILL.
    Killed,
}

/// A running server and all it started: a process group of its own.
pub(super) struct Process {
    child: Child,
    input: Option<Sender<Vec<u8>>>,
    tail: Arc<Mutex<Tail>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a server; the lines are those of its standard output when it is
    /// [`Output::Protocol`].
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn start(
        command: &mut Command,
        output: Output,
        listener: &Listener,
    ) -> io::Result<(Self, Receiver<Line>)> {
        let input = match output {
            Output::Protocol => Stdio::piped(),
            // A server that listens has no input; one that reads it ends, which says what is wrong.
            Output::Log => Stdio::null(),
        };
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // `npx` and shells start the server as a child of theirs, which must end as well.
            .process_group(0)
            .spawn()?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (sender, lines) = sync_channel(1);
        if let Some(stderr) = child.stderr.take() {
            follow_log(stderr, Arc::clone(&tail), listener.clone());
        }
        if let Some(stdout) = child.stdout.take() {
            match output {
                Output::Protocol => read_lines(stdout, sender),
                Output::Log => follow_log(stdout, Arc::clone(&tail), listener.clone()),
            }
        }
        let input = child.stdin.take().map(feed);
        let process = Self {
            child,
            input,
            tail,
            ended: None,
        };
        Ok((process, lines))
    }

    /// Queues bytes for its standard input; a server that closed it is noticed by its silence.
    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        let gone = self
            .input
            .as_ref()
            .is_some_and(|input| input.send(bytes).is_err());
        if gone {
            self.input = None;
        }
    }

    /// Its exit status, once it has one.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // A child that can't be asked counts as running; deadlines end the waiting.
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end until a moment; `idle` is done meanwhile, for at most the given time.
    pub(super) fn wait_until(
        &mut self,
        moment: Instant,
        idle: &mut dyn FnMut(Duration),
    ) -> Option<ExitStatus> {
        loop {
            let status = self.status();
            if status.is_some() || Instant::now() >= moment {
                return status;
            }
            idle(LOOK);
        }
    }

    /// The end of what it logged, as text; all of it, if the process has ended.
    pub(super) fn log(&mut self) -> String {
        let ended = self.status().is_some();
        let until = Instant::now() + REST;
        loop {
            {
                let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
                if !ended || tail.open == 0 || Instant::now() >= until {
                    return String::from_utf8_lossy(&tail.bytes).into_owned();
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Closes its input, waits, then asks by SIGTERM, then kills. A server without input is asked
    /// at once.
    pub(super) fn stop(&mut self, idle: &mut dyn FnMut(Duration)) -> End {
        let patience = match self.input.take() {
            Some(_) => GRACE,
            None => Duration::ZERO,
        };
        let end = if let Some(status) = self.wait_until(Instant::now() + patience, idle) {
            End::Itself(status)
        } else {
            self.signal(Signal::TERM);
            let status = self.wait_until(Instant::now() + GRACE, idle);
            status.map_or(End::Killed, End::Terminated)
        };
        self.kill();
        end
    }

    /// Kills it and whatever it left behind in its group.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Nobody left in it is what was wanted.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `exit code 1`, `signal 11`
pub(super) fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// Writes what is sent, in a thread: a server that does not read must not block us.
fn feed(mut stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, parts) = channel::<Vec<u8>>();
    thread::spawn(move || {
        for part in parts {
            if stdin.write_all(&part).and_then(|()| stdin.flush()).is_err() {
                break;
            }
        }
    });
    sender
}

fn read_lines(stream: impl Read + Send + 'static, sender: SyncSender<Line>) {
    thread::spawn(move || {
        let mut stream = BufReader::with_capacity(1 << 16, stream);
        loop {
            let line = next_line(&mut stream);
            let last = !matches!(line, Line::Text(_));
            if sender.send(line).is_err() || last {
                break;
            }
        }
    });
}

fn next_line(stream: &mut impl BufRead) -> Line {
    let mut line = Vec::new();
    let limit = MAX_MESSAGE as u64 + 1;
    match stream.by_ref().take(limit).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => return Line::End,
        Ok(_) => {}
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() > MAX_MESSAGE {
        return Line::TooLong;
    }
    Line::Text(line)
}

/// Keeps the end of a log and tells its lines.
fn follow_log(stream: impl Read + Send + 'static, tail: Arc<Mutex<Tail>>, listener: Listener) {
    tail.lock().unwrap_or_else(PoisonError::into_inner).open += 1;
    thread::spawn(move || {
        let mut stream = BufReader::with_capacity(1 << 13, stream);
        let mut line = Vec::new();
        let mut begins = true;
        loop {
            line.clear();
            let read = stream
                .by_ref()
                .take(SHOWN_LINE as u64)
                .read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) {
                break;
            }
            {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.bytes.extend_from_slice(&line);
                let surplus = tail.bytes.len().saturating_sub(KEPT);
                tail.bytes.drain(..surplus);
            }
            // The rest of a long line is not shown.
            if std::mem::replace(&mut begins, line.ends_with(b"\n")) {
                let text = listener.secrets.line(&String::from_utf8_lossy(&line));
                listener.reporter.event(Event::Detail { text });
            }
        }
        tail.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
    });
}
