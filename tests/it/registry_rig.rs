//! A small registry in memory that fails on order, and keeps a log of what it was asked.
#![expect(clippy::expect_used, reason = "a rig that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karisimbi::digest::Digest;

use crate::registry_server::{PASSWORD, USER};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: usize,
}

/// What the rig does instead of answering.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Status, headers, body.
    Answer(u16, String, String),
    /// Resets the connection after so many bytes of the body.
    ResetRequest(usize),
    /// Does what was asked and resets the connection.
    LoseAnswer,
    /// Sends so many bytes of the answer's body, then closes.
    CutAnswer(usize),
    /// Changes one bit of the answer's body.
    FlipBit,
    /// Says nothing for two seconds.
    Hang,
    /// Reads nothing of the body for two seconds.
    Deaf,
    /// Forgets all tokens, then goes on.
    Expire,
}

/// When a fault strikes.
pub(crate) struct Rule {
    method: &'static str,
    path: &'static str,
    /// How many matching requests pass before it.
    skip: usize,
    times: usize,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Open,
    /// Like Harbor: tokens, `Basic` to a bad token, an empty challenge for an unknown project.
    Harbor,
}

#[derive(Default)]
struct State {
    log: Vec<Asked>,
    rules: Vec<Rule>,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    tokens: BTreeSet<String>,
    count: usize,
}

/// The running rig.
pub(crate) struct Rig {
    state: Arc<Mutex<State>>,
    port: u16,
    stop: Arc<AtomicBool>,
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

fn answer(status: u16, headers: impl Into<String>, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: headers.into(),
        body: body.into(),
    }
}

impl Rig {
    pub(crate) fn start(login: Login) -> Self {
        Self::bind("127.0.0.1:0", login)
    }

    pub(crate) fn bind(address: &str, login: Login) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (state, stop) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let state = Arc::clone(&shared);
                thread::spawn(move || while serve(&stream, &state, login, port).is_some() {});
            }
        });
        Self { state, port, stop }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The first `times` requests that match, after `skip` of them, fail.
    pub(crate) fn rule(
        &self,
        request: (&'static str, &'static str),
        skip: usize,
        times: usize,
        fault: Fault,
    ) {
        let (method, path) = request;
        let rule = Rule {
            method,
            path,
            skip,
            times,
            fault,
        };
        self.state.lock().expect("a lock").rules.push(rule);
    }

    pub(crate) fn log(&self) -> Vec<Asked> {
        self.state.lock().expect("a lock").log.clone()
    }

    /// Requests whose method and path are these.
    pub(crate) fn asked(&self, method: &str, path: &str) -> Vec<Asked> {
        let log = self.log().into_iter();
        log.filter(|asked| asked.method == method && asked.path.contains(path))
            .collect()
    }

    pub(crate) fn forget_log(&self) {
        self.state.lock().expect("a lock").log.clear();
    }

    /// Puts a blob or manifest in, without any request.
    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let key = format!("{repository}@{}", Digest::of(bytes));
        let mut state = self.state.lock().expect("a lock");
        state.blobs.insert(key, bytes.to_vec());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// Answers one request; none when the connection is to end.
fn serve(mut stream: &TcpStream, state: &Mutex<State>, login: Login, port: u16) -> Option<()> {
    let mut first = [0];
    if stream.peek(&mut first).ok()? == 1 && first[0] == 0x16 {
        // TLS, where plain HTTP is spoken.
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let fault = strike(state, &method, &path);
    if let Some(Fault::Deaf) = fault {
        thread::sleep(Duration::from_secs(2));
        return None;
    }
    let length: usize = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let wanted = match fault {
        Some(Fault::ResetRequest(after)) => after.min(length),
        _ => length,
    };
    let mut body = vec![0; wanted];
    let received = reader.read_exact(&mut body);
    let asked = Asked {
        method,
        path,
        headers,
        body: wanted,
    };
    state.lock().expect("a lock").log.push(asked.clone());
    received.ok()?;
    if let Some(Fault::ResetRequest(_)) = fault {
        reset(stream);
        return None;
    }
    let mut given = match &fault {
        Some(Fault::Answer(status, headers, body)) => {
            answer(*status, headers.as_str(), body.as_str())
        }
        _ => respond(state, &asked, &body, login, port),
    };
    match fault {
        Some(Fault::LoseAnswer) => {
            reset(stream);
            return None;
        }
        Some(Fault::Hang) => {
            thread::sleep(Duration::from_secs(2));
            return None;
        }
        Some(Fault::FlipBit) => given.body[0] ^= 1,
        _ => {}
    }
    let length = match given.headers.contains("Content-Length") {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", given.body.len()),
    };
    let head = format!(
        "HTTP/1.1 {} X\r\n{length}{}\r\n",
        given.status, given.headers
    );
    stream.write_all(head.as_bytes()).ok()?;
    if let Some(Fault::CutAnswer(after)) = fault {
        drop(stream.write_all(&given.body[..after]));
        return None;
    }
    if asked.method != "HEAD" {
        stream.write_all(&given.body).ok()?;
    }
    Some(())
}

fn strike(state: &Mutex<State>, method: &str, path: &str) -> Option<Fault> {
    let mut state = state.lock().expect("a lock");
    let rule = state.rules.iter_mut().find(|rule| {
        rule.times > 0 && [method, ""].contains(&rule.method) && path.contains(rule.path)
    })?;
    if rule.skip > 0 {
        rule.skip -= 1;
        return None;
    }
    rule.times -= 1;
    let fault = rule.fault.clone();
    if let Fault::Expire = fault {
        state.tokens.clear();
    }
    Some(fault)
}

/// An RST: the connection ends without a word, and what was underway is lost.
fn reset(stream: &TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let copy = stream.try_clone().expect("a socket");
    copy.set_nonblocking(true).expect("a socket");
    let socket = tokio::net::TcpStream::from_std(copy).expect("a socket");
    socket.set_zero_linger().expect("a socket");
}

fn respond(state: &Mutex<State>, asked: &Asked, body: &[u8], login: Login, port: u16) -> Answer {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let mut state = state.lock().expect("a lock");
    if path == "/service/token" {
        return token(&mut state, asked);
    }
    if login == Login::Harbor
        && let Some(refusal) = refusal(&state, asked, port)
    {
        return refusal;
    }
    let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
        return answer(200, "", "{}");
    };
    if let Some((repository, session)) = rest.split_once("/blobs/uploads/") {
        return upload(&mut state, repository, session, &query, body);
    }
    if let Some((repository, digest)) = rest.split_once("/blobs/") {
        let blob = state.blobs.get(&format!("{repository}@{digest}"));
        return blob.map_or_else(|| missing("BLOB_UNKNOWN"), |blob| ranged(asked, blob));
    }
    let Some((repository, name)) = rest.split_once("/manifests/") else {
        return missing("NAME_UNKNOWN");
    };
    let key = format!("{repository}:{name}");
    if asked.method == "PUT" {
        let digest = Digest::of(body).to_string();
        let kind = asked
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_default();
        let by_digest = format!("{repository}:{digest}");
        state
            .manifests
            .insert(by_digest, (kind.clone(), body.to_vec()));
        state.manifests.insert(key, (kind, body.to_vec()));
        return answer(201, format!("Docker-Content-Digest: {digest}\r\n"), "");
    }
    match state.manifests.get(&key) {
        Some((kind, bytes)) => {
            let digest = Digest::of(bytes);
            let headers = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\n");
            answer(200, headers, bytes.clone())
        }
        None => missing("MANIFEST_UNKNOWN"),
    }
}

fn missing(code: &str) -> Answer {
    answer(
        404,
        "",
        format!(r#"{{"errors":[{{"code":"{code}","message":"unknown"}}]}}"#),
    )
}

fn ranged(asked: &Asked, blob: &[u8]) -> Answer {
    let from = asked.headers.get("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match from {
        Some(from) => {
            let (last, all) = (blob.len() - 1, blob.len());
            let range = format!("Content-Range: bytes {from}-{last}/{all}\r\n");
            answer(206, range, &blob[from..])
        }
        None => answer(200, "", blob),
    }
}

fn upload(
    state: &mut State,
    repository: &str,
    session: &str,
    query: &BTreeMap<String, String>,
    body: &[u8],
) -> Answer {
    if !session.is_empty() {
        let digest = Digest::of(body).to_string();
        if query.get("digest") != Some(&digest)
            || query.get("_state").is_none_or(|s| s != "a+b/c==")
        {
            return answer(
                400,
                "",
                r#"{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}"#,
            );
        }
        state
            .blobs
            .insert(format!("{repository}@{digest}"), body.to_vec());
        return answer(201, "", "");
    }
    if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from"))
        && let Some(blob) = state.blobs.get(&format!("{from}@{digest}")).cloned()
    {
        state.blobs.insert(format!("{repository}@{digest}"), blob);
        return answer(201, "", "");
    }
    state.count += 1;
    let location = format!(
        "Location: /v2/{repository}/blobs/uploads/{}?_state=a%2Bb/c%3D%3D\r\n",
        state.count
    );
    answer(202, location, "")
}

fn token(state: &mut State, asked: &Asked) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    match asked.headers.get("authorization") {
        Some(login) if *login == basic => {
            state.count += 1;
            let token = format!("token-{}", state.count);
            state.tokens.insert(format!("Bearer {token}"));
            answer(
                200,
                "",
                format!(r#"{{"token":"{token}","expires_in":1800}}"#),
            )
        }
        _ => answer(
            401,
            "",
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}"#,
        ),
    }
}

fn refusal(state: &State, asked: &Asked, port: u16) -> Option<Answer> {
    let unauthorized = |challenge: String, words: &str| {
        let body = format!(r#"{{"errors":[{{"code":"UNAUTHORIZED","message":"{words}"}}]}}"#);
        Some(answer(
            401,
            format!("WWW-Authenticate: {challenge}\r\n"),
            body,
        ))
    };
    match asked.headers.get("authorization") {
        None => unauthorized(
            format!(
                r#"Bearer realm="http://127.0.0.1:{port}/service/token",service="harbor-registry",scope="x""#
            ),
            "unauthorized",
        ),
        Some(token) if !state.tokens.contains(token) => {
            unauthorized(r#"Basic realm="harbor""#.to_owned(), "unauthorized")
        }
        Some(_) if asked.path.contains("/nope/") => unauthorized(
            String::new(),
            "project nope not found: project nope not found",
        ),
        Some(_) => None,
    }
}
