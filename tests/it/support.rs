//! Shared by the tests: the program, real tools, folders.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use karisimbi::progress::{Event, Reporter};

/// The built program.
pub(crate) fn karisimbi() -> Command {
    Command::new(env!("CARGO_BIN_EXE_karisimbi"))
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A real tool that must be there: a test that needs one fails without it, it is never skipped.
pub(crate) fn tool(name: &str) -> Command {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .any(|dir| dir.join(name).is_file());
    assert!(
        found,
        "{name} is not installed; scripts/test installs what the tests need"
    );
    Command::new(name)
}

/// Runs a command that must succeed, and yields its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", shown(&output));
    String::from_utf8(output.stdout).expect("UTF-8 on standard output")
}

/// Runs a command that must fail, and yields its exit code and standard error.
pub(crate) fn fail(command: &mut Command) -> (i32, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        !output.status.success(),
        "{command:?} succeeded\n{}",
        shown(&output)
    );
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Both streams of a finished command.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Writes a file with the folders above it.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    std::fs::write(path, contents).expect("a file");
}

/// A reporter that keeps what a user would see.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn event(&self, event: Event) {
        self.0.lock().expect("a lock").push(event);
    }
}

impl Heard {
    /// The warnings so far, as `CODE: text`.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.0.lock().expect("a lock");
        let text = |event: &Event| match event {
            Event::Warning { code, text } => Some(format!("{code}: {text}")),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }

    /// The same, which are then forgotten.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        let taken = self.warnings();
        self.0.lock().expect("a lock").clear();
        taken
    }
}
