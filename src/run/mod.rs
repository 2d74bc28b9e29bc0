//! Runs an image here without a container engine (docs/guides/run.md).
//!
//! [`prepare`] unpacks the image into the store, tries out what this machine allows and writes
//! down the run; [`Runnable::command`] is our own program as the container's init (`init`).

mod choose;
mod emulator;
mod error;
mod init;
mod spec;
mod tree;
mod unpack;
mod ways;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::AnyError;
use crate::platform::Platform;
use crate::progress::{Reporter, Verb};
use crate::sandbox::Launcher;
use crate::sink::Opened;
use crate::store::Store;

use emulator::Emulation;
use spec::Spec;
use tree::{Ownership, Tree};

pub use choose::host_platform;
pub use error::RunError;
pub use init::init;

/// The name of every container.
const HOSTNAME: &str = "karisimbi";

/// How an image is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Variables over the image's.
    pub env: BTreeMap<String, String>,
    /// Words in place of the image's entrypoint and command; empty keeps them.
    pub entrypoint: Vec<String>,
    /// Arguments in place of the image's command; empty keeps it.
    pub args: Vec<String>,
    /// Folder in the container in place of the image's.
    pub working_dir: Option<String>,
    /// `-v HOST:PATH[:ro]`
    pub volumes: Vec<Volume>,
    /// `-p [ADDRESS:]HOST:CONTAINER`
    pub ports: Vec<Port>,
    /// `--network`
    pub network: NetworkMode,
    /// Which image of an index; none: this machine's, else the only one.
    pub platform: Option<Platform>,
}

/// A folder or file of this machine in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Absolute path on this machine.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may write there.
    pub access: Access,
}

/// Whether a volume may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read only.
    ReadOnly,
    /// Also written.
    ReadWrite,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Address and port of this machine; 127.0.0.1 unless written.
    pub host: std::net::SocketAddr,
    /// TCP port in the container.
    pub container: u16,
}

/// `--network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// Loopback only.
    #[default]
    None,
    /// That of this machine.
    Host,
}

/// What running uses.
pub struct Context<'a> {
    /// Keeps unpacked roots by diff id.
    pub store: &'a Store,
    /// Hears which way was taken.
    pub reporter: &'a dyn Reporter,
    /// Our own program, for the init of a user namespace.
    pub launcher: &'a Launcher,
    /// Where runc, crun and qemu are looked for.
    pub path: Option<&'a std::ffi::OsStr>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// An image that is ready to run: unpacked, with its launcher chosen. What it made for this one
/// run goes away when it is dropped, and the container ends then, too.
///
/// A started [`Runnable::command`] ends the whole container when it gets SIGTERM and the program
/// ends by it, and at once when it is killed (`Child::kill`), when this value is dropped, or when
/// this process dies in any way. Its exit code is the program's, 128+n after signal n; 125 to 127
/// are errors of the launch, which it prints on standard error.
#[derive(Debug)]
pub struct Runnable {
    /// Which way it runs and what that isolates, for people.
    pub way: String,
    launcher: PathBuf,
    folder: PathBuf,
    /// Held as long as the container shall live.
    lock: fs_err::File,
}

impl Runnable {
    /// The process; its streams are the caller's to set. The environment is closed. It can be
    /// started once.
    pub fn command(&self) -> Command {
        self.init(init::WATCHED)
    }

    fn init(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.launcher);
        command
            .args([init::ARGUMENT, init::OUTER])
            .arg(self.folder.join("run.json"))
            .arg(mode)
            .env_clear();
        command
    }

    /// Turns this process into the container's init; yields only an error.
    ///
    /// # Errors
    /// RUN-SETUP.
    pub fn become_it(self, store: &Store) -> RunError {
        if let Err(error) = store.outlive_exec() {
            return RunError::setup("the cache's locks", error);
        }
        let error = self.init(init::ALONE).exec();
        RunError::setup("starting the init", error)
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // Ends the container; the kernel does the same when this process dies.
        let _held = flock(self.lock.file(), FlockOperation::Unlock);
        // What can't be removed now is swept by the next process.
        let _swept_later = fs_err::remove_dir_all(&self.folder);
    }
}

/// Chooses the image, unpacks it and chooses the way to run it.
///
/// # Errors
/// RUN-* with exit code 125; 126 for a program that can't be executed, 127 for one that is not
/// there.
pub fn prepare(
    opened: &Opened<'_>,
    options: &Options,
    context: &Context<'_>,
) -> Result<Runnable, AnyError> {
    let folder = context.store.temporary_folder()?;
    let prepared = prepare_in(folder.clone(), opened, options, context);
    if prepared.is_err() {
        // What can't be removed now is swept by the next process.
        let _swept_later = fs_err::remove_dir_all(&folder);
    }
    prepared
}

fn prepare_in(
    folder: PathBuf,
    opened: &Opened<'_>,
    options: &Options,
    context: &Context<'_>,
) -> Result<Runnable, AnyError> {
    let ports = ports(options)?;
    let name = opened.name();
    // Before anything is fetched: where nothing can run, nothing is unpacked either.
    let way = ways::choose(name, &folder, context)?;
    let image = choose::image(opened, options)?;
    let emulation = emulator::choose(name, &image.platform, context.path)?;
    let root = unpack::unpacked(opened, &image, context)?;
    let tree = Tree::open(&root, Ownership::Ours)
        .map_err(|error| RunError::setup("the image's files", error))?;
    let chosen = choose::process(name, &image, options, &tree)?;
    if chosen.not_root {
        let text = "the image wants root; it runs as uid 1001, as in a restricted pod".to_owned();
        context.reporter.warn("RUN-USER", text);
    }
    let text = way.describe(options.network, chosen.uid);
    let mut spec = Spec {
        image: name.to_owned(),
        root,
        folder,
        rights: way.rights,
        boxer: way.boxer,
        processes: way.processes,
        network: options.network,
        uid: chosen.uid,
        gid: chosen.gid,
        words: chosen.words,
        env: chosen.env,
        working_dir: chosen.working_dir,
        volumes: options.volumes.clone(),
        ports,
        emulator: None,
        architecture: image.platform.architecture.clone(),
    };
    let text = match emulation {
        Emulation::None => text,
        Emulation::Kernel => format!("{text}, {} through binfmt_misc", image.platform),
        Emulation::Mounted(volume, place) => {
            let emulator = volume.source.display().to_string();
            spec.volumes.push(volume);
            spec.emulator = Some(place);
            format!("{text}, {} through {emulator}", image.platform)
        }
    };
    context.reporter.line(Verb::Ran, text.clone());
    let lock = write(&spec).map_err(|error| RunError::setup("the folder of the run", error))?;
    Ok(Runnable {
        way: text,
        launcher: context.launcher.0.clone(),
        folder: spec.folder,
        lock,
    })
}

/// On this machine's network, a port is what the program listens on.
fn ports(options: &Options) -> Result<Vec<Port>, RunError> {
    if options.network == NetworkMode::None {
        return Ok(options.ports.clone());
    }
    match options
        .ports
        .iter()
        .find(|port| port.host.port() != port.container)
    {
        None => Ok(Vec::new()),
        Some(port) => Err(RunError::Port {
            port: format!("{}:{}", port.host, port.container),
            why: "with --network host the program listens on this machine itself; \
                  both ports must be equal"
                .to_owned(),
        }),
    }
}

fn write(spec: &Spec) -> std::io::Result<fs_err::File> {
    let file = |name: &str| spec.folder.join(name);
    let mut description = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file("run.json"))?;
    description.write_all(&serde_json::to_vec(spec)?)?;
    fs_err::write(file("hostname"), format!("{HOSTNAME}\n"))?;
    let hosts = format!("127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n");
    fs_err::write(file("hosts"), hosts)?;
    for name in ["hostname", "hosts"] {
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(file(name), PermissionsExt::from_mode(0o644))?;
    }
    let lock = fs_err::File::create(file("lock"))?;
    flock(lock.file(), FlockOperation::LockExclusive)?;
    Ok(lock)
}
