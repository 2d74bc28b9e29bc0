//! Finds the program in the image, and says why there is none that can run.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FileType, fstat};

use crate::image::DEFAULT_PATH;
use crate::layer::elf;
use crate::run::error::RunError;
use crate::run::spec::Spec;
use crate::run::tree::Tree;

/// The longest first line of a script that Linux reads.
const MAX_LINE: usize = 256;

/// What is executed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: String,
    /// The name that it is told.
    pub(super) name: String,
    pub(super) args: Vec<String>,
}

/// Finds the first of the words, as a shell would, and checks that it can start.
pub(super) fn find(tree: &Tree, spec: &Spec) -> Result<Found, RunError> {
    let (name, args) = spec.words.split_first().ok_or_else(|| RunError::Nothing {
        image: spec.image.clone(),
    })?;
    if tree.folder(&spec.working_dir).is_err() {
        return Err(RunError::Folder {
            folder: spec.working_dir.clone(),
            source: io::ErrorKind::NotFound.into(),
        });
    }
    let path = search(tree, name, spec)?;
    let script = check(tree, &path, spec)?;
    let mut found = Found {
        path,
        name: name.clone(),
        args: args.to_vec(),
    };
    if let Some(emulator) = &spec.emulator {
        emulate(&mut found, emulator, script);
    }
    Ok(found)
}

/// An emulator executes no script: it gets the interpreter.
fn emulate(found: &mut Found, emulator: &str, script: Option<Vec<String>>) {
    let mut args = Vec::new();
    match script {
        Some(interpreter) => {
            args.extend(interpreter);
            args.push(found.path.clone());
        }
        None => args.extend(["-0".to_owned(), found.name.clone(), found.path.clone()]),
    }
    args.append(&mut found.args);
    *found = Found {
        path: emulator.to_owned(),
        name: emulator.to_owned(),
        args,
    };
}

fn search(tree: &Tree, name: &str, spec: &Spec) -> Result<String, RunError> {
    if name.contains('/') {
        return Ok(if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("{}/{name}", spec.working_dir.trim_end_matches('/'))
        });
    }
    let path = spec.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    for folder in path.split(':').filter(|folder| folder.starts_with('/')) {
        let candidate = format!("{}/{name}", folder.trim_end_matches('/'));
        if !name.is_empty() && is_executable(tree, &candidate).unwrap_or(false) {
            return Ok(candidate);
        }
    }
    Err(RunError::NotFound {
        program: name.to_owned(),
        why: format!("is in no folder of the image's PATH, {path}"),
        hint: missing_hint(tree, name),
    })
}

fn is_executable(tree: &Tree, path: &str) -> io::Result<bool> {
    let Some(handle) = tree.handle(path.trim_start_matches('/'))? else {
        return Ok(false);
    };
    let mode = fstat(&handle)?.st_mode;
    Ok(FileType::from_raw_mode(mode) == FileType::RegularFile && mode & 0o111 != 0)
}

/// Checks what would make `execve` fail; for a script, the words of its first line.
fn check(tree: &Tree, path: &str, spec: &Spec) -> Result<Option<Vec<String>>, RunError> {
    let not_executable = |why: &str| RunError::NotExecutable {
        program: path.to_owned(),
        why: why.to_owned(),
    };
    let file = executable(tree, path)?;
    let mut head = Vec::new();
    let mut reader = BufReader::new(&file).take(MAX_LINE as u64);
    let unreadable = |error: io::Error| not_executable(&error.to_string());
    reader.read_until(b'\n', &mut head).map_err(unreadable)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let words = interpreter(line)
            .ok_or_else(|| not_executable("its first line, from #!, names no interpreter"))?;
        let interpreter = words.first().cloned().unwrap_or_default();
        return match tree.handle(interpreter.trim_start_matches('/')) {
            Ok(Some(_)) => executable(tree, &interpreter).map(|_file| Some(words)),
            _ => Err(missing_interpreter(path, &interpreter)),
        };
    }
    let Some(summary) = elf::summarise(path, &file) else {
        return Err(not_executable(
            "it is neither a program nor a script whose first line begins with #!",
        ));
    };
    if let Some(loader) = &summary.interpreter
        && tree
            .handle(loader.trim_start_matches('/'))
            .ok()
            .flatten()
            .is_none()
    {
        return Err(RunError::NotFound {
            program: path.to_owned(),
            why: format!("needs the loader {loader}, which is not in the image"),
            hint: "build it static, or on a base with this C library (--base cc)".to_owned(),
        });
    }
    if !runs_on(&summary.machine, &spec.architecture) {
        return Err(not_executable(&format!(
            "it is for {}, and the image says {}",
            summary.machine, spec.architecture
        )));
    }
    Ok(None)
}

/// A regular file with an x bit.
fn executable(tree: &Tree, path: &str) -> Result<std::fs::File, RunError> {
    let not_executable = |why: &str| RunError::NotExecutable {
        program: path.to_owned(),
        why: why.to_owned(),
    };
    let unreadable = |error: io::Error| not_executable(&error.to_string());
    let inside = path.trim_start_matches('/');
    if tree.handle(inside).map_err(unreadable)?.is_none() {
        return Err(RunError::NotFound {
            program: path.to_owned(),
            why: "is not in the image".to_owned(),
            hint: missing_hint(tree, path),
        });
    }
    let Some(file) = tree.read(inside).map_err(unreadable)? else {
        return Err(not_executable("it is no regular file"));
    };
    if file.metadata().map_err(unreadable)?.mode() & 0o111 == 0 {
        return Err(not_executable("its mode has no x bit"));
    }
    Ok(file)
}

/// The words behind `#!` as the kernel splits them (`fs/binfmt_script.c`): an interpreter and all
/// else as one argument. Nothing else than spaces and tabs is left out.
fn interpreter(line: &[u8]) -> Option<Vec<String>> {
    let blank = |c: char| matches!(c, ' ' | '\t');
    let text = String::from_utf8_lossy(line);
    let whole = text.ends_with('\n');
    let text = text.trim_end_matches('\n').trim_matches(blank);
    let (name, argument) = text.split_once(blank).unwrap_or((text, ""));
    // A name that is cut off is none.
    let known = !name.is_empty() && (whole || text.len() + 2 < MAX_LINE || text.contains(blank));
    let argument = argument.trim_start_matches(blank);
    let words = [name, argument].into_iter().filter(|word| !word.is_empty());
    known.then(|| words.map(str::to_owned).collect())
}

/// Whether programs for one processor run on another.
fn runs_on(program: &str, image: &str) -> bool {
    program == image || matches!((program, image), ("386", "amd64") | ("arm", "arm64"))
}

fn missing_interpreter(path: &str, interpreter: &str) -> RunError {
    if let Some(name) = interpreter.strip_suffix('\r') {
        return RunError::NotFound {
            program: path.to_owned(),
            why: format!("is a script for {name} with a carriage return"),
            hint: "its lines end in CR LF, as on Windows: write them with LF".to_owned(),
        };
    }
    RunError::NotFound {
        program: path.to_owned(),
        why: format!("is a script for {interpreter}, which is not in the image"),
        hint: "bases without a shell run programs only: write the exec form, such as \
               -- /usr/bin/python3 FILE"
            .to_owned(),
    }
}

fn missing_hint(tree: &Tree, name: &str) -> String {
    let shell = tree.handle("bin/sh").ok().flatten().is_some();
    if shell {
        return String::new();
    }
    if matches!(name.rsplit('/').next(), Some("sh" | "bash" | "env")) {
        return "this image has no shell".to_owned();
    }
    "this image has no shell, so nothing but its own programs can be run".to_owned()
}

/// What is left to fail when the program starts.
pub(super) fn explain(words: &[String], error: &io::Error) -> RunError {
    let program = words.first().cloned().unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => RunError::NotFound {
            program,
            why: format!("can't be started: {error}"),
            hint: "something that it needs to start is not in the image".to_owned(),
        },
        _ => RunError::NotExecutable {
            program,
            why: match error.raw_os_error() {
                Some(nix::libc::ENOEXEC) => "it is no program for this processor".to_owned(),
                Some(nix::libc::EACCES) => {
                    "permission denied: its user may not, or the cache is on a noexec file system"
                        .to_owned()
                }
                _ => error.to_string(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_split_as_the_kernel_does() {
        let long = format!("{}\n", "/".repeat(300));
        for (line, words) in [
            ("/bin/sh\n", Some(vec!["/bin/sh"])),
            ("/bin/sh", Some(vec!["/bin/sh"])),
            (" \t/bin/sh\t-x  -e \n", Some(vec!["/bin/sh", "-x  -e"])),
            ("/bin/sh\r\n", Some(vec!["/bin/sh\r"])),
            (" \n", None),
            (&long[..254], None),
        ] {
            let found = interpreter(line.as_bytes());
            let words = words.map(|words| words.iter().map(ToString::to_string).collect());
            assert_eq!(found, words, "{line:?}");
        }
    }

    #[test]
    fn an_emulator_gets_the_program_or_the_scripts_interpreter() {
        let found = || Found {
            path: "/app/run".to_owned(),
            name: "run".to_owned(),
            args: vec!["a".to_owned()],
        };
        let script = ["/usr/bin/env", "python3 -I"].map(str::to_owned).to_vec();
        for (script, args) in [
            (None, vec!["-0", "run", "/app/run", "a"]),
            (
                Some(script),
                vec!["/usr/bin/env", "python3 -I", "/app/run", "a"],
            ),
        ] {
            let mut found = found();
            emulate(&mut found, "/.karisimbi/qemu", script);
            assert_eq!(found.path, "/.karisimbi/qemu");
            assert_eq!(found.args, args);
        }
    }
}
