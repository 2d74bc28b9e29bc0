//! Logins of Git URLs.

use karisimbi::error::Coded as _;
use std::sync::{Arc, Mutex};

use super::clones::clone_of;
use crate::support::tool;

/// A server that answers every request with 401 and keeps what it was sent.
fn refusing_server() -> (u16, Arc<Mutex<String>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            keep.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
            let answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, seen)
}

#[test]
fn credentials_reach_the_server_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (port, seen) = refusing_server();
    let text = format!("http://someone:s3cr3t@127.0.0.1:{port}/o/r@v1");
    let error = clone_of(&text, &dir.path().join("cache")).unwrap_err();
    assert_eq!((error.code(), error.exit() as u8), ("SRC-GIT-AUTH", 10));
    let said = format!("{error} {error:?} {}", error.hint().unwrap());
    assert!(
        !said.contains("s3cr3t") && !said.contains("someone"),
        "{said}"
    );
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.contains("Authorization: Basic c29tZW9uZTpzM2NyM3Q="),
        "{seen}"
    );
    let kept = tool("grep")
        .args(["-ra", "s3cr3t"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(kept.stdout.is_empty(), "{kept:?}");

    let text = format!("http://127.0.0.1:{port}/o/r");
    let error = clone_of(&text, &dir.path().join("cache")).unwrap_err();
    assert_eq!(error.code(), "SRC-GIT-AUTH", "{error}");
}
