//! Which server is asked, and how it is started.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;

use url::Url;

use super::super::Global;
use super::super::run::{built, context, image_name};
use super::super::session::{host, with_context};
use super::{Network, Smoke, Transport, usage};
use crate::error::AnyError;
use crate::image::Image;
use crate::net::{Reach, is_loopback, shown_url};
use crate::pipeline::{Request, Session};
use crate::progress::{Reporter, Verb};
use crate::reference::ImageName;
use crate::run::{self, NetworkMode, Port};
use crate::settings;
use crate::settings::env::Environment;
use crate::sink::Opened;
use crate::smoke::{self, Address, Answered, Question, Server, SmokeError, Starter, Way};

/// Where the server is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Already running.
    Url(Url),
    /// A program of this machine.
    Program,
    /// An image.
    Image(ImageName),
    /// To be built first.
    Source(OsString),
}

impl Smoke {
    /// What was named.
    pub(super) fn place(&self) -> Result<Place, AnyError> {
        let what = self.source.one_what()?;
        if self.exec {
            return match what.to_str() {
                Some(".") => Ok(Place::Program),
                _ => Err(usage(
                    "--exec takes the place of WHAT".to_owned(),
                    "karisimbi smoke --exec -- PROGRAM ARGUMENTS",
                )),
            };
        }
        if let Some(text) = what.to_str().filter(|text| is_server(text)) {
            let url = text.parse::<Url>();
            return url.map(Place::Url).map_err(|error| {
                usage(
                    format!("the address is malformed: {error}"),
                    "write http://HOST[:PORT]/PATH",
                )
            });
        }
        Ok(match image_name(what)? {
            Some(name) => Place::Image(name),
            None => Place::Source(what.clone()),
        })
    }
}

/// An address of a server, and none of a Git repository.
fn is_server(text: &str) -> bool {
    let web = text.starts_with("http://") || text.starts_with("https://");
    let git = [".git@", ".git#", "/tree/"];
    let named = text.strip_suffix(".git").is_some();
    web && !named && !git.iter().any(|mark| text.contains(mark))
}

/// All that decides how a server is asked.
pub(super) struct Asked<'a> {
    pub(super) smoke: &'a Smoke,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) question: &'a Question,
    pub(super) reporter: &'a Arc<dyn Reporter>,
}

impl Asked<'_> {
    /// Asks the server of a place.
    pub(super) fn at(
        &self,
        place: &Place,
        global: &Global,
        environment: &Environment,
    ) -> Result<Answered, AnyError> {
        match place {
            Place::Url(url) => self.url(url.clone(), global, environment),
            Place::Program => self.program(global, environment),
            Place::Image(name) => {
                let session = global.session(host(name).as_slice(), environment)?;
                with_context(&session, |sinks| {
                    let opened = Opened::open(name, sinks)?;
                    self.image(&opened, None, (&session, global, environment))
                })
            }
            Place::Source(_) => {
                let session = global.session(&[], environment)?;
                with_context(&session, |sinks| {
                    let source = &self.smoke.source;
                    let platform = source.one_platform()?;
                    let (opened, request) =
                        built(source, platform, (&session, sinks), environment)?;
                    self.image(&opened, Some(&request), (&session, global, environment))
                })
            }
        }
    }

    /// A server that runs elsewhere.
    fn url(
        &self,
        mut url: Url,
        global: &Global,
        environment: &Environment,
    ) -> Result<Answered, AnyError> {
        let smoke = self.smoke;
        if smoke.transport == Transport::Stdio || !smoke.args.is_empty() || smoke.port.is_some() {
            return Err(usage(
                "a running server takes no arguments, no --port and no --transport stdio"
                    .to_owned(),
                "name an image, or a program with --exec",
            ));
        }
        if !self.variables.is_empty() {
            return Err(usage(
                "a running server takes no variables".to_owned(),
                "give them to whoever starts it",
            ));
        }
        let reason = match &smoke.path {
            Some(path) => {
                url.set_path(path);
                "--path"
            }
            None if url.path() == "/" => {
                url.set_path(self.default_path());
                "the address names no path (--path / for the root)"
            }
            None => "",
        };
        self.say(&url, reason);
        let local = is_loopback(&url);
        if url.scheme() == "http" && !local {
            let text = "plain HTTP: anyone on the way can read and change this".to_owned();
            self.reporter.warn("SRV-NOTE", text);
        }
        let reach = if global.offline && !local {
            Reach::Offline
        } else {
            Reach::Online
        };
        let net = smoke.net(global, reach, environment)?;
        let address = Address {
            url,
            host: smoke.host.clone(),
            way: self.way(),
            start: None,
            net: &net,
        };
        self.ask(Server::Http(&address))
    }

    /// A program of this machine, with this process's environment.
    fn program(&self, global: &Global, environment: &Environment) -> Result<Answered, AnyError> {
        let Some((program, args)) = self.smoke.args.split_first() else {
            return Err(usage(
                "--exec names no program".to_owned(),
                "karisimbi smoke --exec -- PROGRAM ARGUMENTS",
            ));
        };
        let words = |mut command: Command| {
            command.args(args).envs(self.variables);
            Ok(command)
        };
        match (self.smoke.transport, self.smoke.port) {
            (Transport::Stdio, _) | (Transport::Auto, None) => {
                self.ask(Server::Stdio(&|| words(Command::new(program))))
            }
            (_, None) => Err(usage(
                "--transport: the port of the program is not known".to_owned(),
                "pass --port PORT",
            )),
            (_, Some(port)) => {
                let own = settings::launcher()?.0;
                let container = Port {
                    host: SocketAddr::from((Ipv4Addr::LOCALHOST, port.get())),
                    container: port.get(),
                };
                let start = || words(smoke::guarded(&own, program));
                self.listener(&container, &start, (global, environment))
            }
        }
    }

    /// A container's server; an image that was built for it has its entrypoint already.
    fn image(
        &self,
        opened: &Opened<'_>,
        built: Option<&Request>,
        (session, global, environment): (&Session, &Global, &Environment),
    ) -> Result<Answered, AnyError> {
        let port = built.and_then(|request| request.options.port);
        let listens = self.listens(port, opened)?;
        let options = run::Options {
            env: self.variables.clone(),
            entrypoint: match built {
                Some(_) => Vec::new(),
                None => self.smoke.source.entrypoint_words()?,
            },
            args: self.smoke.args.clone(),
            // With this machine's network its ports are there without being carried.
            ports: listens
                .clone()
                .filter(|_| self.smoke.network == Network::None)
                .into_iter()
                .collect(),
            network: match self.smoke.network {
                Network::None => NetworkMode::None,
                Network::Host => NetworkMode::Host,
            },
            platform: self.smoke.source.one_platform()?,
            ..run::Options::default()
        };
        let path = environment.path("PATH");
        let context = context(session, path.as_deref());
        // It lives as long as its process; the one before has ended by then.
        let running = RefCell::new(None);
        let start = || {
            let runnable = run::prepare(opened, &options, &context)?;
            Ok(running.borrow_mut().insert(runnable).command())
        };
        match listens {
            None => self.ask(Server::Stdio(&start)),
            Some(port) => self.listener(&port, &start, (global, environment)),
        }
    }

    /// The port to publish, when the image's server listens; none over stdio.
    fn listens(&self, port: Option<u16>, opened: &Opened<'_>) -> Result<Option<Port>, AnyError> {
        let smoke = self.smoke;
        let exposed = exposed(&opened.images()?);
        let typed = smoke.port.map(std::num::NonZeroU16::get);
        let (container, reason) = match (smoke.transport, typed.or(port), exposed.as_slice()) {
            (Transport::Stdio, _, _) => return Ok(None),
            (_, Some(port), _) if typed.is_some() => (port, "--port"),
            (_, Some(port), _) => (port, "container.port"),
            (_, None, [port]) => (*port, "the image exposes it"),
            (Transport::Auto, None, []) => {
                let text = "the server over stdio: the image exposes no port".to_owned();
                self.reporter.line(Verb::Asked, text);
                return Ok(None);
            }
            (_, None, []) => {
                return Err(usage(
                    "the image exposes no port".to_owned(),
                    "pass --port PORT, or --transport stdio",
                ));
            }
            (_, None, several) => {
                let several: Vec<String> = several.iter().map(u16::to_string).collect();
                return Err(usage(
                    format!("the image exposes several ports: {}", several.join(", ")),
                    "choose one: --port PORT",
                ));
            }
        };
        let text = format!("port {container} of the container: {reason}");
        self.reporter.line(Verb::Asked, text);
        let host = match smoke.network {
            Network::None => free_port()?,
            // The container has our ports.
            Network::Host => SocketAddr::from((Ipv4Addr::LOCALHOST, container)),
        };
        Ok(Some(Port { host, container }))
    }

    /// A server that we start and that listens.
    fn listener(
        &self,
        port: &Port,
        start: Starter<'_>,
        (global, environment): (&Global, &Environment),
    ) -> Result<Answered, AnyError> {
        let path = self.smoke.path.as_deref();
        let path = path.unwrap_or_else(|| self.default_path());
        let text = format!("http://{}/{}", port.host, path.trim_start_matches('/'));
        let url = text
            .parse::<Url>()
            .map_err(|error| usage(format!("--path is no path: {error}"), "write it as /mcp"))?;
        self.say(&url, "");
        // The server is this machine's own: --offline does not concern it.
        let net = self.smoke.net(global, Reach::Online, environment)?;
        let address = Address {
            url,
            host: Some(match &self.smoke.host {
                Some(host) => host.clone(),
                None => format!("localhost:{}", port.container),
            }),
            way: self.way(),
            start: Some(start),
            net: &net,
        };
        self.ask(Server::Http(&address))
    }

    fn ask(&self, server: Server<'_>) -> Result<Answered, AnyError> {
        Ok(smoke::ask(server, self.question, self.reporter)?)
    }

    fn say(&self, url: &Url, reason: &str) {
        let mut text = shown_url(url);
        if !reason.is_empty() {
            text = format!("{text}: {reason}");
        }
        self.reporter.line(Verb::Asked, text);
    }

    fn default_path(&self) -> &'static str {
        match self.smoke.transport {
            Transport::Sse => "/sse",
            _ => "/mcp",
        }
    }

    fn way(&self) -> Way {
        match self.smoke.transport {
            Transport::Http => Way::Streamable,
            Transport::Sse => Way::Sse,
            Transport::Auto | Transport::Stdio => Way::Auto,
        }
    }
}

/// TCP ports that the images expose, each once.
fn exposed(images: &[Image]) -> Vec<u16> {
    let mut ports: Vec<u16> = images
        .iter()
        .filter_map(|image| image.config.read::<serde_json::Value>().ok())
        .filter_map(|config| config["config"]["ExposedPorts"].as_object().cloned())
        .flat_map(|ports| ports.into_iter().map(|(port, _)| port))
        .filter_map(|port| {
            let number = port.strip_suffix("/tcp").unwrap_or(&port);
            number.parse().ok()
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A port of loopback that nobody listens on now.
fn free_port() -> Result<SocketAddr, SmokeError> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    free.map_err(|source| SmokeError::Start {
        program: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}
