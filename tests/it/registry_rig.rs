//! A small registry in memory that fails on order, and keeps a log of what it was asked.
#![expect(clippy::expect_used, reason = "a rig that fails fails its test")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use karisimbi::digest::Digest;

use crate::registry_answers::{Answer, Store, answer, respond, worded};

pub(crate) use crate::registry_answers::Login;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Asked {
    fn length(&self) -> usize {
        let length = self.headers.get("content-length");
        length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }
}

/// What the rig does instead of answering.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Status and headers.
    Answer(u16, &'static str),
    /// Status, error code and message, as registries word errors.
    Says(u16, &'static str, &'static str),
    /// Status and where to go on.
    Onward(u16, String),
    /// Status and HTML, as proxies answer.
    Html(u16),
    /// Resets the connection after so many bytes of the body.
    ResetRequest(usize),
    /// Does what was asked and resets the connection.
    LoseAnswer,
    /// Sends so many bytes of the answer's body, then closes.
    CutAnswer(usize),
    /// Changes one bit of the answer's body.
    FlipBit,
    /// Says nothing for four seconds.
    Hang,
    /// Reads nothing of the body for four seconds.
    Deaf,
    /// Forgets all tokens, then goes on.
    Expire,
}

impl Fault {
    /// What is said instead of the right answer, if this fault says anything.
    fn answer(&self) -> Option<Answer> {
        Some(match self {
            Self::Answer(status, headers) => answer(*status, *headers, ""),
            Self::Says(status, code, message) => worded(*status, "", code, message),
            Self::Onward(status, to) => answer(*status, format!("Location: {to}\r\n"), ""),
            Self::Html(status) => answer(*status, "Server: nginx\r\n", "<html>"),
            _ => return None,
        })
    }
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

#[derive(Default)]
struct State {
    log: Vec<Asked>,
    rules: Vec<Rule>,
    store: Store,
}

/// The running rig.
pub(crate) struct Rig {
    state: Arc<Mutex<State>>,
    port: u16,
    stop: Arc<AtomicBool>,
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

    /// Puts a blob or manifest in, without any request.
    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let key = format!("{repository}@{}", Digest::of(bytes));
        let mut state = self.state.lock().expect("a lock");
        state.store.blobs.insert(key, bytes.to_vec());
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
    let asked = read_head(&mut reader)?;
    let fault = strike(state, &asked.method, &asked.path);
    if let Some(Fault::Deaf) = fault {
        thread::sleep(Duration::from_secs(4));
        return None;
    }
    let length = asked.length();
    let wanted = match fault {
        Some(Fault::ResetRequest(after)) => after.min(length),
        _ => length,
    };
    let mut body = vec![0; wanted];
    let received = reader.read_exact(&mut body);
    state.lock().expect("a lock").log.push(asked.clone());
    received.ok()?;
    if let Some(Fault::ResetRequest(_)) = fault {
        reset(stream);
        return None;
    }
    let mut given = fault.as_ref().and_then(Fault::answer).unwrap_or_else(|| {
        respond(
            &mut state.lock().expect("a lock").store,
            &asked,
            &body,
            login,
            port,
        )
    });
    match fault {
        Some(Fault::LoseAnswer) => {
            reset(stream);
            return None;
        }
        Some(Fault::Hang) => {
            thread::sleep(Duration::from_secs(4));
            return None;
        }
        Some(Fault::FlipBit) => given.body[0] ^= 1,
        _ => {}
    }
    let length = given.body.len();
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {length}\r\n{}\r\n",
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

/// Request line and headers.
fn read_head(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
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
    Some(Asked {
        method,
        path,
        headers,
    })
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
        state.store.tokens.clear();
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
