//! Real registries (docker-registry) on free ports of this machine; they end with their value.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a server that does not start fails its test"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use karisimbi::digest::Digest;
use tempfile::TempDir;

use crate::support::{free_port, run, tool};

/// The one user that may push: a robot, whose `$` and `+` are what scripts stumble over.
pub(crate) const USER: &str = "robot$karisimbi+ci";
/// Its password.
pub(crate) const PASSWORD: &str = "s3cret";

/// A running docker-registry.
pub(crate) struct Registry {
    process: Child,
    dir: TempDir,
    port: u16,
    tokens: Option<TokenServer>,
}

impl Registry {
    /// Without login.
    pub(crate) fn plain() -> Self {
        Self::start(tempfile::tempdir().expect("a folder"), "", "", None)
    }

    /// With user and password.
    pub(crate) fn basic() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let line = run(tool("htpasswd").args(["-nbB", "-C", "4", USER, PASSWORD]));
        let file = dir.path().join("htpasswd");
        fs_err::write(&file, line.trim()).expect("a file");
        let auth = format!(
            "auth: {{htpasswd: {{realm: rig, path: {}}}}}\n",
            file.display()
        );
        Self::start(dir, "", &auth, None)
    }

    /// With tokens of a token server like Harbor's.
    pub(crate) fn token() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        run(tool("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=t",
            ])
            .arg("-keyout")
            .arg(path("token.key"))
            .arg("-out")
            .arg(path("token.crt")));
        let tokens = TokenServer::start(path("token.key"));
        let auth = format!(
            "auth: {{token: {{realm: 'http://127.0.0.1:{}/service/token', service: harbor-registry, \
             issuer: harbor-token-issuer, rootcertbundle: {}}}}}\n",
            tokens.port,
            path("token.crt").display()
        );
        Self::start(dir, ", relativeurls: true", &auth, Some(tokens))
    }

    /// With TLS; the authority is [`Registry::ca_file`].
    pub(crate) fn tls() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let openssl = |args: &str| {
            let mut command = tool("openssl");
            command.args(args.split(' ')).current_dir(dir.path());
            run(&mut command);
        };
        openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3 -subj /CN=rig",
        );
        openssl("req -newkey rsa:2048 -nodes -keyout srv.key -out srv.csr -subj /CN=localhost");
        let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n\
                          extendedKeyUsage=serverAuth\n";
        fs_err::write(path("ext"), extensions).expect("a file");
        openssl(
            "x509 -req -in srv.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3 -extfile ext -out srv.crt",
        );
        let tls = format!(
            ", tls: {{certificate: {}, key: {}}}",
            path("srv.crt").display(),
            path("srv.key").display()
        );
        Self::start(dir, &tls, "", None)
    }

    fn start(dir: TempDir, http: &str, auth: &str, tokens: Option<TokenServer>) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let root = dir.path().display();
            let config = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}, \
                 delete: {{enabled: true}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}\n\
                 http: {{addr: '127.0.0.1:{port}'{http}}}\n{auth}"
            );
            fs_err::write(dir.path().join("config.yml"), config).expect("a file");
            let out = |name: &str| fs_err::File::create(dir.path().join(name)).expect("a file");
            let mut process = tool("docker-registry")
                .arg("serve")
                .arg(dir.path().join("config.yml"))
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdout(Stdio::from(out("access.log").into_file()))
                .stderr(Stdio::from(out("errors.log").into_file()))
                .spawn()
                .expect("docker-registry");
            if came_up(&mut process, port) {
                return Self {
                    process,
                    dir,
                    port,
                    tokens,
                };
            }
        }
        panic!(
            "docker-registry does not start: see {}",
            dir.path().display()
        );
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority of [`Registry::tls`].
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A file as `docker login` writes it, with the user of these registries.
    pub(crate) fn authfile(&self) -> PathBuf {
        let file = self.dir.path().join("auth.json");
        fs_err::write(&file, authfile(&self.host(), USER, PASSWORD)).expect("a file");
        file
    }

    /// Requests so far, one `METHOD PATH STATUS` each.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs_err::read_to_string(self.dir.path().join("access.log")).expect("a log");
        // 127.0.0.1 - - [date] "GET /v2/ HTTP/1.1" 200 2 "" "karisimbi/0.1.0"
        log.lines()
            .filter_map(|line| {
                let mut quoted = line.split('"');
                let request = quoted.nth(1)?;
                let status = quoted.next()?.trim().split(' ').next()?;
                Some(format!("{} {status}", request.strip_suffix(" HTTP/1.1")?))
            })
            .collect()
    }

    /// How many tokens were asked for.
    pub(crate) fn token_requests(&self) -> usize {
        let tokens = self.tokens.as_ref().expect("a token server");
        tokens.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The text of a credentials file.
pub(crate) fn authfile(host: &str, user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!(r#"{{"auths": {{"{host}": {{"auth": "{pair}"}}}}}}"#)
}

fn came_up(process: &mut Child, port: u16) -> bool {
    for _ in 0..1000 {
        if process.try_wait().expect("a process").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    drop(process.kill());
    drop(process.wait());
    false
}

/// A token server: `robot$karisimbi+ci` may do everything, everybody may pull.
struct TokenServer {
    port: u16,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl TokenServer {
    fn start(key: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (asked, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                count.fetch_add(1, Ordering::SeqCst);
                issue(stream, &key);
            }
        });
        Self { port, asked, stop }
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, so that it sees the order to stop.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn issue(mut stream: TcpStream, key: &PathBuf) {
    let lines: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let target = lines[0].split(' ').nth(1).expect("a target");
    let url = url::Url::parse(&format!("http://h{target}")).expect("a URL");
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let login = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let known = login.is_some_and(|login| login == format!("Basic {basic}"));
    let answer = if login.is_some() && !known {
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    } else {
        let scopes = url
            .query_pairs()
            .filter(|(name, _)| name == "scope")
            .map(|(_, value)| value.into_owned());
        let body = format!(
            r#"{{"token":"{}","expires_in":1800}}"#,
            token(scopes, known, key)
        );
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    drop(stream.write_all(answer.as_bytes()));
}

fn token(scopes: impl Iterator<Item = String>, known: bool, key: &PathBuf) -> String {
    let access: Vec<_> = scopes
        .map(|scope| {
            let name = scope.split(':').nth(1).expect("a name").to_owned();
            let actions: &[&str] = if known { &["pull", "push"] } else { &["pull"] };
            serde_json::json!({"type": "repository", "name": name, "actions": actions})
        })
        .collect();
    #[expect(clippy::disallowed_methods, reason = "tokens carry the time")]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(serde_json::json!({"typ": "JWT", "alg": "RS256", "kid": key_id(key)}));
    let claims = part(serde_json::json!({
        "iss": "harbor-token-issuer", "sub": if known { USER } else { "" },
        "aud": "harbor-registry", "exp": now + 1800, "nbf": now - 1, "iat": now - 1,
        "jti": "1", "access": access,
    }));
    let signed = format!("{head}.{claims}");
    let mut child = tool("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    let mut input = child.stdin.take().expect("stdin");
    input.write_all(signed.as_bytes()).expect("bytes");
    drop(input);
    let output = child.wait_with_output().expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(output.stdout))
}

/// The key's name as libtrust makes it: base32 of 240 bits of the hash of the public key.
fn key_id(key: &PathBuf) -> String {
    let output = tool("openssl")
        .args(["rsa", "-pubout", "-outform", "DER", "-in"])
        .arg(key)
        .output()
        .expect("a public key");
    let digest = Digest::of(&output.stdout);
    let bits: Vec<u8> = digest.as_bytes()[..30]
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let letters: Vec<char> = bits
        .chunks(5)
        .map(|five| {
            let value = five.iter().fold(0, |value, bit| value << 1 | bit);
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(value)])
        })
        .collect();
    letters
        .chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join(":")
}
