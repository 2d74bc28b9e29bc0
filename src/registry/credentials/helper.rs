//! Credential helpers: `docker-credential-NAME get`, with the server's name on standard input.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{LoginKind, Secret};
use crate::program::on_path;

const LIMIT: Duration = Duration::from_secs(10);
const LARGEST: u64 = 1 << 16;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Whether the helper is on the PATH.
pub(super) fn is_there(name: &str, path: &OsStr) -> bool {
    on_path(path, &format!("docker-credential-{name}")).is_some()
}

/// Asks a helper for a server's login; none if it knows none. Errors never hold its output.
pub(super) fn get(
    name: &str,
    server: &str,
    path: &OsStr,
) -> Result<Option<(String, LoginKind)>, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(valid) {
        return Err("its name has characters other than A-Z a-z 0-9 _ -".to_owned());
    }
    let program = on_path(path, &format!("docker-credential-{name}"))
        .ok_or_else(|| "it is not on the PATH".to_owned())?;
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that ends without reading says why by its exit code.
        let _broken_pipe = writeln!(input, "{server}");
    }
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        output.map(|output| output.take(LARGEST).read_to_end(&mut bytes));
        bytes
    });
    let success = wait(&mut child)?;
    let bytes = reader
        .join()
        .map_err(|_panic| "its output can't be read".to_owned())?;
    if !success {
        let text = String::from_utf8_lossy(&bytes);
        return if text.contains("credentials not found") {
            Ok(None)
        } else {
            Err("it ended with an error".to_owned())
        };
    }
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|error| format!("its answer is no JSON (column {})", error.column()))?;
    let secret = Secret::new(answer.secret);
    let kind = match answer.username.as_str() {
        "<token>" => LoginKind::IdentityToken(secret),
        _ => LoginKind::Password(secret),
    };
    Ok(Some((answer.username, kind)))
}

fn wait(child: &mut Child) -> Result<bool, String> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if started.elapsed() < LIMIT => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let killed = child.kill().and_then(|()| child.wait());
                return Err(match killed {
                    Ok(_) => format!("it did not answer within {} s", LIMIT.as_secs()),
                    Err(error) => format!("it did not answer and can't be stopped: {error}"),
                });
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn helper(script: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker-credential-t");
        fs_err::write(&path, format!("#!/bin/sh\nread server\n{script}\n")).unwrap();
        fs_err::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn answers_misses_and_failures() {
        for (script, expected) in [
            (
                r#"echo "{\"Username\":\"u\",\"Secret\":\"$server\"}""#,
                "u h.example",
            ),
            (r#"echo '{"Username":"<token>","Secret":"r"}'"#, "token r"),
            (
                "echo credentials not found in native keychain; exit 1",
                "miss",
            ),
            ("echo s3cret; exit 1", "it ended with an error"),
            ("echo s3cret", "its answer is no JSON (column 1)"),
        ] {
            let dir = helper(script);
            let answer = match get("t", "h.example", dir.path().as_os_str()) {
                Ok(Some((user, LoginKind::Password(secret)))) => {
                    format!("{user} {}", secret.reveal())
                }
                Ok(Some((_, LoginKind::IdentityToken(secret)))) => {
                    format!("token {}", secret.reveal())
                }
                Ok(None) => "miss".to_owned(),
                Err(why) => why,
            };
            assert_eq!(answer, expected, "{script}");
        }
        for (name, why) in [("../x", "its name has"), ("absent", "not on the PATH")] {
            let error = get(name, "h", OsStr::new("/nonexistent")).err().unwrap();
            assert!(error.contains(why), "{error}");
        }
    }
}
