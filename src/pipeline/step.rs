//! Runs one step: closed environment, captured output, a locked slot.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use crate::plan::{Step, StepOutcome};
use crate::progress::{Event, Reporter};
use crate::sandbox::{self, Level, Sandbox, SandboxError};
use crate::store::{Lock, Store};

use super::PipelineError;

/// Most bytes kept of each of a step's streams: the end is what explains a failure.
const KEPT_OUTPUT: usize = 1 << 20;
/// Longest line passed on as an event.
const LONGEST_LINE: usize = 4096;

/// The slot of a step, held by this process until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    folder: PathBuf,
    lock: Lock,
}

impl Slot {
    /// Waits until no other build writes to the step's slot.
    pub(super) fn acquire(step: &Step, store: &Store) -> Result<Self, PipelineError> {
        let lock = store.lock(&format!("step-{}", step.slot.hex()))?;
        Ok(Self {
            folder: store.step_slot(&step.slot)?,
            lock,
        })
    }

    /// Where the step's outputs are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Runs the step to its end; a failure of the program is an outcome, not an error.
pub(super) fn run(
    step: &Step,
    slot: &Slot,
    sandbox: &Sandbox,
    reporter: &Arc<dyn Reporter>,
) -> Result<StepOutcome, PipelineError> {
    if let Some((code, text)) = sandbox.notice() {
        reporter.warn(code, text);
    }
    let unable = |source| PipelineError::Spawn {
        program: step.program.clone(),
        source,
    };
    let (plain, confinement) = (step.command(slot.folder()), step.confinement(slot.folder()));
    let confined = sandbox
        .clone()
        .without_input()
        .confine(&plain, &confinement);
    let mut command = confined.map_err(PipelineError::part)?;
    command
        // The lock's (empty) file as stdin: should this process be killed, the sandbox's supervisor
        // (without a sandbox the orphan itself) keeps the lock until all have ended, so that no
        // other build reads what they are still writing. The program can't open the lock.
        .stdin(slot.lock.share().map_err(unable)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unable)?;
    reporter.event(Event::Progress {
        name: step.name.clone(),
        done: 0,
        total: None,
    });
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Tools print the addresses that they fetch from, logins included.
    let detail = |line: &str| {
        let shown = step.scrub(line.trim_end());
        let text = shown.chars().take(LONGEST_LINE).collect();
        reporter.event(Event::Detail { text });
    };
    let (stdout, stderr) = std::thread::scope(|scope| {
        let out = scope.spawn(|| out.map(|stream| capture(stream, &|_| {})));
        let err = scope.spawn(|| err.map(|stream| capture(stream, &detail)));
        (join(out), join(err))
    });
    let status = child.wait().map_err(unable)?;
    reporter.event(Event::Finished {
        name: step.name.clone(),
    });
    // Only what the box itself ended has its words at the end.
    if !status.success()
        && let Some(why) = sandbox::stopped(&stderr)
    {
        let step = step.name.clone();
        return Err(PipelineError::part(SandboxError::Stopped { step, why }));
    }
    if !status.success() && sandbox.level() > Level::None && sandbox::refused(&stderr) {
        reporter.warn("SBX-HINT", hint(step, sandbox.level()));
    }
    Ok(StepOutcome {
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
        slot: slot.folder.clone(),
    })
}

/// What may be behind a refusal.
fn hint(step: &Step, level: Level) -> String {
    let folders = step.readable.iter().chain(&step.writable);
    let folders: Vec<String> = folders.map(|path| path.display().to_string()).collect();
    format!(
        "something was refused to \"{}\": in the sandbox (level {level}) it is {} and sees, of your files, \
         {} alone; --sandbox off tells whether that is why",
        step.name,
        step.network.word(),
        folders.join(", ")
    )
}

fn join(thread: std::thread::ScopedJoinHandle<'_, Option<String>>) -> String {
    // A reader that panicked has nothing to show; the exit status still tells success from failure.
    thread.join().unwrap_or_default().unwrap_or_default()
}

/// Reads a stream to its end, shows each line to `hear`, and keeps the last ones.
fn capture(stream: impl Read, hear: &dyn Fn(&str)) -> String {
    let mut reader = BufReader::new(stream);
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut size = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A limit, so that a program that never ends a line can't fill the memory.
        match reader
            .by_ref()
            .take(KEPT_OUTPUT as u64)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        hear(&text);
        size += text.len();
        kept.push_back(text);
        while size > KEPT_OUTPUT && kept.len() > 1 {
            size -= kept.pop_front().map_or(0, |dropped| dropped.len());
        }
    }
    kept.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Argument;
    use crate::sandbox::{Launcher, Policy};

    #[test]
    fn keeps_the_end_of_a_long_output() {
        let text = "x".repeat(99) + "\n";
        let long = text.repeat(2 * KEPT_OUTPUT / text.len()) + "the end\n";
        let kept = capture(long.as_bytes(), &|_| {});
        assert!(
            kept.len() <= KEPT_OUTPUT && kept.ends_with("the end\n"),
            "{}",
            kept.len()
        );
    }

    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<String>>);

    impl Reporter for Heard {
        fn event(&self, event: Event) {
            if let Event::Detail { text } = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }

    #[test]
    fn what_a_tool_prints_is_shown_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Arc::new(crate::progress::Silent)).unwrap();
        let text = |text: &str| Argument::Text(text.into());
        let script = "echo \"get https://user:pass@h.example/m with $TOKEN\" >&2";
        let step = Step {
            key: crate::layer::StepKey::new("test", 1),
            name: "test".to_owned(),
            program: "/bin/sh".into(),
            args: vec![text("-c"), text(script)],
            env: [("TOKEN".to_owned(), Argument::Secret("s3cret-token".into()))].into(),
            directory: "/".into(),
            inputs: Vec::new(),
            network: crate::plan::Network::Online,
            readable: Vec::new(),
            writable: Vec::new(),
            slot: crate::digest::Digest::of(b"slot"),
            outputs: Vec::new(),
        };
        let heard = Arc::new(Heard::default());
        let reporter: Arc<dyn Reporter> = heard.clone();
        let slot = Slot::acquire(&step, &store).unwrap();
        let sandbox = Sandbox::new(Launcher("/".into()), Policy::Off);
        assert!(run(&step, &slot, &sandbox, &reporter).unwrap().succeeded());
        let heard = heard.0.lock().unwrap();
        assert_eq!(*heard, ["get https://***@h.example/m with ***"]);
    }
}
