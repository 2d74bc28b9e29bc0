//! Mirrors behind HTTP: what a server may do, and what never leaves this machine.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use karisimbi::base::deb::fetch;
use karisimbi::base::lock::LockedPackage;

use super::mirror::{Mirror, PACKAGES, Package, package};
use super::{Machine, names, told};
use crate::support::write;

const HELLO: Package = package("hello", "1.0-1", "");

/// What a server does instead of answering, once for each path.
#[derive(Clone, Debug)]
enum Instead {
    /// This status.
    Status(u16),
    /// Half of the file.
    Half,
    /// The file is elsewhere.
    Redirect(String),
    /// Another file than there is.
    Wrong,
}

/// Serves a folder on a free port of this machine.
struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Request lines and `Authorization` headers.
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn of(folder: &Path, instead: &[(&str, Instead)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut instead: BTreeMap<String, Instead> = instead
            .iter()
            .map(|(path, what)| ((*path).to_owned(), what.clone()))
            .collect();
        let (folder, stopped, lines) = (folder.to_owned(), Arc::clone(&stop), Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.expect("a connection");
                // A client that goes away is no fault of the server's.
                let _gone = answer(stream, &folder, &mut instead, &lines);
            }
        });
        Self {
            port,
            stop,
            thread: Some(thread),
            log,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/debian", self.port)
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("a lock").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _wake = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }
}

fn answer(
    stream: TcpStream,
    folder: &Path,
    instead: &mut BTreeMap<String, Instead>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut entry = path.clone();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if line.to_ascii_lowercase().starts_with("authorization:") {
            entry = format!("{entry} {}", line.trim());
        }
    }
    log.lock().expect("a lock").push(entry);
    let file: PathBuf = folder.join(path.trim_start_matches('/'));
    let body = fs_err::read(&file).ok();
    let key = instead
        .keys()
        .find(|end| path.ends_with(end.as_str()))
        .cloned();
    let what = key.and_then(|key| instead.remove(&key));
    let (status, body) = match (what, body) {
        (Some(Instead::Status(status)), _) => (status.to_string(), b"busy".to_vec()),
        (Some(Instead::Redirect(to)), _) => (format!("302 Found\r\nLocation: {to}"), Vec::new()),
        (Some(Instead::Wrong), Some(body)) => ("200 OK".to_owned(), vec![b'x'; body.len()]),
        (Some(Instead::Half), Some(body)) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            return stream.write_all(&body[..body.len() / 2]);
        }
        (_, Some(body)) => ("200 OK".to_owned(), body),
        (_, None) => ("404 Not Found".to_owned(), Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

fn machine_of(mirror: &Mirror, url: String) -> Machine {
    let mut machine = Machine::of(mirror);
    machine.mirrors.mirror = Some(url);
    machine
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let packages = format!("{PACKAGES}.gz");
    for (path, instead) in [
        ("trixie/InRelease", Instead::Status(503)),
        ("trixie/InRelease", Instead::Half),
        (packages.as_str(), Instead::Half),
        // A mirror that is being updated: index and InRelease are fetched once more.
        (packages.as_str(), Instead::Wrong),
        (packages.as_str(), Instead::Status(404)),
        ("_amd64.deb", Instead::Half),
        ("_amd64.deb", Instead::Wrong),
        ("_amd64.deb", Instead::Status(429)),
    ] {
        let mirror = Mirror::new(&[HELLO]);
        let shown = format!("{path} {instead:?}");
        let server = Server::of(mirror.folder(), &[(path, instead)]);
        let machine = machine_of(&mirror, server.url());
        let resolution = machine.resolve(&["hello"]);
        let resolution = resolution.unwrap_or_else(|e| panic!("{shown}: {}", told(&e)));
        assert_eq!(names(&resolution), ["hello 1.0-1"]);
        let fetched = machine.fetch(&resolution);
        let fetched = fetched.unwrap_or_else(|e| panic!("{shown}: {}", told(&e)));
        let bytes = fs_err::read_to_string(&fetched[0].path).expect("a file");
        assert_eq!(bytes, HELLO.contents(), "{shown}");
    }
}

#[test]
fn redirects_are_followed_within_limits() {
    let mirror = Mirror::new(&[HELLO]);
    let other = Server::of(mirror.folder(), &[]);
    let elsewhere = format!("{}/dists/trixie/InRelease", other.url());
    for (to, code) in [
        (elsewhere.as_str(), ""),
        ("file:///etc/passwd", "NET-REDIRECT"),
        ("ftp://x.example/y", "NET-REDIRECT"),
    ] {
        let redirect = Instead::Redirect(to.to_owned());
        let server = Server::of(mirror.folder(), &[("trixie/InRelease", redirect)]);
        let outcome = machine_of(&mirror, server.url()).resolve(&["hello"]);
        match code {
            "" => drop(outcome.expect("packages")),
            code => {
                let told = told(&outcome.expect_err(to));
                assert!(told.starts_with(code), "{told}");
            }
        }
    }
}

#[test]
fn by_hash_is_used_where_it_is_offered_and_done_without_where_it_is_not() {
    let mirror = Mirror::new(&[HELLO]);
    let mut release = mirror.index("trixie", &[HELLO]);
    release.by_hash = true;
    mirror.sign(&release, &[&mirror.signer]);
    let server = Server::of(mirror.folder(), &[]);
    machine_of(&mirror, server.url())
        .resolve(&["hello"])
        .expect("packages");
    let packed = release.files[&format!("{PACKAGES}.gz")].0.hex();
    let by_hash = format!("dists/trixie/main/binary-amd64/by-hash/SHA256/{packed}");
    assert!(server.log().contains(&format!("/debian/{by_hash}")));
    // The plain name has the index of another time by now.
    let plain = mirror.file(&format!("dists/trixie/{PACKAGES}.gz"));
    let index = fs_err::read(&plain).expect("a file");
    write(&mirror.file(&by_hash), index);
    write(&plain, "of another time");
    machine_of(&mirror, server.url())
        .resolve(&["hello"])
        .expect("packages");
}

#[test]
fn a_mirrors_password_goes_to_the_mirror_and_nowhere_else() {
    let mirror = Mirror::new(&[HELLO]);
    let other = Server::of(mirror.folder(), &[]);
    let to = format!("{}/{}", other.url(), HELLO.path());
    let path = HELLO.path();
    let server = Server::of(mirror.folder(), &[(&path, Instead::Redirect(to))]);
    let url = server
        .url()
        .replace("127.0.0.1", "robot:s3cret%40x@127.0.0.1");
    let machine = machine_of(&mirror, url);
    let resolution = machine.resolve(&["hello"]).expect("packages");
    machine.fetch(&resolution).expect("files");
    // robot:s3cret@x
    let sent = server.log();
    assert!(
        sent.iter()
            .all(|line| line.contains("cm9ib3Q6czNjcmV0QHg=")),
        "{sent:?}"
    );
    let elsewhere = other.log();
    assert!(!elsewhere.is_empty(), "the redirect was not followed");
    assert!(
        elsewhere.iter().all(|line| !line.contains("uthorization")),
        "{elsewhere:?}"
    );
    let lock = serde_json::to_string(&resolution.sources).expect("JSON");
    assert!(
        !lock.contains("s3cret") && !lock.contains("robot"),
        "{lock}"
    );
    fs_err::remove_file(mirror.in_release("trixie")).expect("a file");
    let told = told(&machine.resolve(&["hello"]).expect_err("no suite"));
    let words = [machine.warnings().join("\n"), told].concat();
    assert!(!words.contains("s3cret"), "{words}");
}

#[test]
fn the_lock_s_mirror_is_asked_when_this_machine_s_has_no_such_file() {
    let old = Mirror::new(&[HELLO]);
    let server = Server::of(old.folder(), &[]);
    let resolution = machine_of(&old, server.url())
        .resolve(&["hello"])
        .expect("packages");
    let new = Mirror::new(&[package("hello", "2", "")]);
    let machine = Machine::of(&new);
    machine.fetch(&resolution).expect("files");
    // A lock does not make this machine read its own files.
    let mut hostile = resolution.clone();
    hostile.sources[0].mirror = old.url();
    let told = told(&Machine::of(&new).fetch(&hostile).expect_err("a folder"));
    assert!(told.starts_with("BASE-404"), "{told}");
}

#[test]
fn a_lock_can_not_lead_astray() {
    let mirror = Mirror::new(&[HELLO]);
    let machine = Machine::of(&mirror);
    let sound = machine.resolve(&["hello"]).expect("packages").packages;
    for (alter, words) in [
        (
            ["filename", "../../etc/passwd"],
            "is no path below a mirror",
        ),
        (["filename", "/etc/passwd"], "is no path below a mirror"),
        (["filename", "pool/%2e%2e/x"], "is no path below a mirror"),
        (["name", "\u{1b}[2Jhello"], "its name is none"),
        (["version", "1\r2"], "is no version"),
        (["suite", "../x"], "no mirror has the suite \"../x\""),
    ] {
        let [field, value] = alter;
        let mut json = serde_json::to_value(&sound[0]).expect("JSON");
        json[0][field] = value.into();
        let packages: Vec<LockedPackage> = serde_json::from_value(json).expect("packages");
        let fetched = Machine::of(&mirror).act(|context| fetch(&packages, &[], context));
        let told = told(&fetched.expect_err(value));
        assert!(told.contains(words), "{told}");
        assert!(!told.contains('\u{1b}') && !told.contains('\r'), "{told:?}");
    }
}

#[test]
fn offline_nothing_is_asked() {
    let mirror = Mirror::new(&[HELLO]);
    let server = Server::of(mirror.folder(), &[]);
    let machine = machine_of(&mirror, server.url());
    let resolution = machine.resolve(&["hello"]).expect("packages");
    let asked = server.log().len();
    let offline = |context: &karisimbi::base::deb::DebContext<'_>| {
        let context = karisimbi::base::deb::DebContext {
            net: None,
            ..*context
        };
        fetch(&resolution.packages[0], &resolution.sources, &context)
    };
    let told_offline = told(&machine.act(offline).expect_err("not fetched yet"));
    assert!(told_offline.starts_with("BASE-OFFLINE"), "{told_offline}");
    assert_eq!(server.log().len(), asked);
    machine.fetch(&resolution).expect("files");
    machine.act(offline).expect("files of the store");
}

#[test]
fn the_machines_apt_is_checked_like_a_stranger() {
    let packages = [HELLO, package("world", "1", "")];
    let helper = PathBuf::from("/usr/lib/apt/apt-helper");
    assert!(helper.is_file(), "the tests need a machine with apt");
    for (name, alter, code) in [
        ("sound", None, ""),
        ("another file", Some("evil".to_owned()), "BASE-HASH"),
        (
            "a file without end",
            Some("x".repeat(32 << 20)),
            "BASE-HASH",
        ),
        ("no file", Some(String::new()), "BASE-404"),
    ] {
        let mirror = Mirror::new(&packages);
        let server = Server::of(mirror.folder(), &[]);
        let mut machine = machine_of(&mirror, server.url());
        machine.mirrors.apt_helper = Some(helper.clone());
        // Neither updates nor fixes are there: apt's words for that are understood.
        let resolution = machine.resolve(&["hello", "world"]).expect(name);
        assert_eq!(machine.warnings().len(), 2, "{:?}", machine.warnings());
        let file = mirror.file(&HELLO.path());
        match alter {
            None => {}
            Some(other) if other.is_empty() => fs_err::remove_file(file).expect("a file"),
            Some(other) => write(&file, other),
        }
        let fetched = machine.fetch(&resolution);
        if code.is_empty() {
            let bytes = fs_err::read_to_string(&fetched.expect(name)[0].path).expect("a file");
            assert_eq!(bytes, HELLO.contents());
            let asked = server.log();
            let files = asked.iter().filter(|path| path.contains("/pool/"));
            assert_eq!(files.count(), 2, "{asked:?}");
        } else {
            let told = told(&fetched.expect_err(name));
            assert!(told.starts_with(code), "{name}: {told}");
        }
    }
}
