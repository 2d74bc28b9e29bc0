//! From the global options and the environment to a session.

use std::path::PathBuf;
use std::sync::Arc;

use super::output::{Terminal, Volume};
use super::{Global, output};
use crate::error::AnyError;
use crate::layer::Encoder;
use crate::net::{NetSettings, Reach};
use crate::pipeline::Session;
use crate::progress::Reporter;
use crate::reference::{Host, ImageName};
use crate::sandbox::{Launcher, Sandbox};
use crate::settings::destinations::{Destinations, Wanted};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError};
use crate::sink;
use crate::store::Store;

impl Global {
    /// The reporter that the flags ask for.
    pub(super) fn reporter(&self, environment: &Environment) -> Arc<dyn Reporter> {
        let volume = match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        };
        Arc::new(Terminal::new(
            self.progress,
            volume,
            environment.has("NO_COLOR"),
        ))
    }

    /// The store that the flags and the environment ask for.
    pub(super) fn store(
        &self,
        environment: &Environment,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Store, AnyError> {
        let folder = settings::cache_dir(self.cache_dir.as_deref(), environment)?;
        Ok(Store::open(&folder, Arc::clone(reporter))?)
    }

    /// A session for builds and transfers; `hosts` are the registries that the command names.
    pub(super) fn session(
        &self,
        hosts: &[Host],
        environment: &Environment,
    ) -> Result<Session, AnyError> {
        let reporter = self.reporter(environment);
        let store = Arc::new(self.store(environment, &reporter)?);
        let threads = settings::threads(self.threads, environment)?;
        let reach = if self.offline {
            Reach::Offline
        } else {
            Reach::Online
        };
        let network: NetSettings = settings::network(self.ca_file.as_deref(), reach, environment);
        let places = settings::credential_places(self.authfile.as_deref(), hosts, environment)?;
        let mut session = Session::new(store, Encoder::new(threads), reporter, network, places);
        session.now = Environment::now();
        session.tool_env = environment.for_tools();
        session.ca_file.clone_from(&self.ca_file);
        session.reach = reach;
        // Without /proc it can't be found; only what runs tools fails then, with SBX-LAUNCHER.
        let launcher = settings::launcher().unwrap_or_else(|_| Launcher(PathBuf::new()));
        let policy = settings::sandbox_policy(self.sandbox, environment)?;
        session.sandbox = Sandbox::new(launcher, policy);
        Ok(session)
    }
}

/// Checks what was asked for; an archive is not written to a terminal.
pub(super) fn destinations(wanted: &Wanted<'_>) -> Result<Destinations, SettingsError> {
    let parsed = Destinations::parse(wanted)?;
    if parsed.use_stdout() && output::stdout_is_terminal() {
        return Err(SettingsError::ArchiveOnTerminal);
    }
    Ok(parsed)
}

/// The registry of an image's name, if it is in one.
pub(super) fn host(name: &ImageName) -> Option<Host> {
    match name {
        ImageName::Registry(reference) => Some(reference.repository.host.clone()),
        _ => None,
    }
}

/// Runs `action` with what sinks use.
pub(super) fn with_context<T>(
    session: &Session,
    action: impl FnOnce(&sink::Context<'_>) -> Result<T, AnyError>,
) -> Result<T, AnyError> {
    let client = || Ok(Arc::clone(session.client()?));
    action(&sink::Context {
        store: &session.store,
        reporter: session.reporter.as_ref(),
        client: &client,
        stdout: &output::stdout,
    })
}
