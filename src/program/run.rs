//! Runs a program to its end within limits of time and of what it prints.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Most bytes kept of standard error: the end is what explains a failure.
const KEPT_ERRORS: usize = 1 << 20;
/// Bytes read at once, and how many such pieces may wait.
const PIECE: usize = 1 << 16;
const WAITING: usize = 4;
/// How often a silent program is looked after.
const LOOK: Duration = Duration::from_millis(20);
/// How long a program that was told to end may take, and how long a stream that another process holds open is read after the program's end.
const GRACE: Duration = Duration::from_secs(1);
/// Longest command that a message repeats.
const SHOWN: usize = 300;

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From its start to its end.
    pub(crate) time: Duration,
    /// Bytes on its standard output.
    pub(crate) output: usize,
}

/// Why there is no outcome of a program. It no longer runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// It could not be started or read from.
    #[error("can't be run")]
    Io(#[from] io::Error),
    /// It went beyond a limit; the text says which program and which limit.
    #[error("{0}")]
    Stopped(String),
}

/// A piece of one of the two streams.
enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Runs the command with nothing on its standard input. Of standard error the end is kept.
///
/// # Errors
/// When it can't be started, and when it goes beyond a limit: then it is killed. What it started
/// itself loses the reader of its output.
pub(crate) fn run(command: &mut Command, limits: Limits) -> Result<Output, RunError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let outcome = follow(&mut child, limits);
    if outcome.is_err() {
        end(&mut child);
    }
    outcome.map_err(|error| match error {
        RunError::Stopped(what) => RunError::Stopped(format!("{}: {what}", shown(command))),
        error @ RunError::Io(_) => error,
    })
}

/// Ends a program: asks first, since the sandbox's supervisor then ends what the program started.
fn end(child: &mut Child) {
    // Once it was waited for, its number may be another's.
    if let (Ok(None), Ok(pid)) = (child.try_wait(), i32::try_from(child.id())) {
        // Already gone, or killed below: the first error says more.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _late = wait(child, Instant::now() + GRACE);
    }
    let _gone = child.kill();
    let _reaped = child.wait();
}

fn follow(child: &mut Child, limits: Limits) -> Result<Output, RunError> {
    let mut deadline = Instant::now() + limits.time;
    let (sender, pieces) = sync_channel(WAITING);
    read(child.stdout.take(), sender.clone(), Piece::Out);
    read(child.stderr.take(), sender, Piece::Err);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut ended: Option<ExitStatus> = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match pieces.recv_timeout(left.min(LOOK)) {
            Ok(Piece::Out(bytes)) => stdout.extend(bytes),
            Ok(Piece::Err(bytes)) => {
                stderr.extend(bytes);
                let surplus = stderr.len().saturating_sub(KEPT_ERRORS);
                stderr.drain(..surplus);
            }
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() {
                    ended = child.try_wait()?;
                    if ended.is_some() {
                        deadline = deadline.min(Instant::now() + GRACE);
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                ended = match ended {
                    Some(status) => Some(status),
                    None => wait(child, deadline)?,
                };
                break;
            }
        }
        if stdout.len() > limits.output {
            let limit = limits.output;
            let text = format!("printed more than {limit} bytes and was stopped");
            return Err(RunError::Stopped(text));
        }
    }
    let status = ended.ok_or_else(|| {
        let limit = limits.time.as_secs_f64();
        RunError::Stopped(format!("did not end within {limit} s and was stopped"))
    })?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Reads a stream in a thread of its own until nobody listens: a process that the program left
/// behind may hold the stream open for ever, so nobody waits for the thread.
fn read(
    stream: Option<impl Read + Send + 'static>,
    sender: SyncSender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
) {
    let Some(mut stream) = stream else { return };
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            match stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(size) => {
                    if sender.send(piece(buffer[..size].to_vec())).is_err() {
                        break;
                    }
                }
            }
        }
    });
}

/// Waits for a program that has closed its streams; none when it outlives the deadline.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LOOK);
    }
}

/// The program and its arguments, for messages.
fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limits: Limits) -> Result<Output, RunError> {
        run(Command::new("/bin/sh").args(["-c", script]), limits)
    }

    const WIDE: Limits = Limits {
        time: Duration::from_secs(30),
        output: 1 << 20,
    };

    #[test]
    fn yields_what_a_program_says_and_how_it_ends() {
        let output = sh("cat; echo out; echo err >&2; exit 3", WIDE).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (output.stdout, output.stderr),
            (b"out\n".to_vec(), b"err\n".to_vec())
        );
        // Of errors the end is kept.
        let script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2";
        let output = sh(script, WIDE).unwrap();
        assert!(output.stderr.len() <= KEPT_ERRORS && output.stderr.ends_with(b"the end\n"));
        let missing = run(&mut Command::new("/nonexistent"), WIDE);
        assert!(matches!(missing, Err(RunError::Io(_))), "{missing:?}");
    }

    #[test]
    fn stops_what_goes_beyond_a_limit() {
        let short = Limits {
            time: Duration::from_millis(300),
            ..WIDE
        };
        for (script, limits, what) in [
            ("while :; do echo x; done", WIDE, "more than 1048576 bytes"),
            ("exec yes", WIDE, "more than 1048576 bytes"),
            ("exec sleep 600", short, "did not end within 0.3 s"),
            // The shell's child keeps the streams open after the shell was killed.
            ("sleep 20; true", short, "did not end within 0.3 s"),
            (
                "exec >&- 2>&-; sleep 20; true",
                short,
                "did not end within 0.3 s",
            ),
            (
                "while :; do echo x >&2; done",
                short,
                "did not end within 0.3 s",
            ),
        ] {
            let started = Instant::now();
            let error = sh(script, limits).unwrap_err().to_string();
            assert!(error.contains(what), "{script}: {error}");
            assert!(error.starts_with("/bin/sh -c "), "{error}");
            assert!(started.elapsed() < Duration::from_secs(10), "{script}");
        }
    }

    #[test]
    fn a_process_left_behind_is_not_waited_for() {
        let started = Instant::now();
        let output = sh("echo out; sleep 20 &", WIDE).unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
