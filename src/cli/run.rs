//! `karisimbi run`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Command};

use super::session::{host, with_context};
use super::source::SourceArgs;
use super::{Global, Outcome};
use crate::error::{AnyError, Coded, Exit};
use crate::pipeline::{self, CacheUse, Request, Session};
use crate::platform::Platform;
use crate::reference::ImageName;
use crate::run::{self, NetworkMode, Options};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError};
use crate::sink::{Context, Opened};

/// Run an image here without a container engine
///
/// WHAT is built first, as `build` does, and written nowhere. It is a folder that is there, else
/// an image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or
/// [docker://]HOST/REPO[:TAG|@DIGEST], else a Git URL. The program runs as uid 1001 with no
/// capabilities on a read-only root with a fresh /tmp and no network, as in a restricted pod. Its
/// exit code is passed on; 125 says that it was not started, 126 that it can't be executed, 127
/// that it is not there.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    source: SourceArgs,
    /// Set a variable; without a value, to that of this environment
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE on each line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Show a folder or file of this machine in the container; -v is short for it behind `run`,
    /// where --verbose has no short form
    #[arg(long = "volume", value_name = "HERE:THERE[:ro]")]
    volumes: Vec<String>,
    /// Carry connections to a TCP port here (on 127.0.0.1 unless an address is written) to one there
    #[arg(short, long = "publish", value_name = "[ADDRESS:]HERE:THERE")]
    publish: Vec<String>,
    /// The network that the program sees
    #[arg(long, value_enum, default_value_t)]
    network: NetworkArg,
    /// Folder in the container that the program starts in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Arguments in place of the image's
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// `--network`
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum NetworkArg {
    /// A loopback of its own; -p reaches it
    #[default]
    None,
    /// That of this machine
    Host,
}

/// An error before the program started: whatever its own exit code is, a caller must be able to
/// tell it from the program's.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct NotRun(AnyError);

impl Coded for NotRun {
    fn code(&self) -> &'static str {
        self.0.code()
    }

    fn exit(&self) -> Exit {
        match self.0.exit() {
            exit @ (Exit::NotExecutable | Exit::NotFound | Exit::Interrupted) => exit,
            _ => Exit::NotRun,
        }
    }

    fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

impl Run {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let ran = self.start(global, environment);
        ran.map_err(|error| NotRun(error).into())
    }

    fn start(&self, global: &Global, environment: &Environment) -> Outcome {
        let what = self.source.one_what()?;
        let mut options = self.options()?;
        let image = image_name(what)?;
        if image.is_none() {
            // It becomes the image's own.
            options.entrypoint = Vec::new();
        }
        let hosts = image.as_ref().and_then(host);
        let session = global.session(hosts.as_slice(), environment)?;
        let path = environment.path("PATH");
        let context = context(&session, path.as_deref());
        with_context(&session, |sink| {
            let opened = if let Some(image) = &image {
                Opened::open(image, sink)?
            } else {
                let platform = options.platform.clone();
                built(&self.source, platform, (&session, sink), environment)?.0
            };
            let runnable = run::prepare(&opened, &options, &context)?;
            Err(runnable.become_it(&session.store).into())
        })
    }

    fn options(&self) -> Result<Options, AnyError> {
        let relative = |text: &String| !text.starts_with('/');
        let current = if self.volumes.iter().any(relative) {
            Environment::current_dir().map_err(SettingsError::current_dir)?
        } else {
            PathBuf::from("/")
        };
        Ok(Options {
            env: settings::variables(&self.env, &self.env_file)?,
            entrypoint: self.source.entrypoint_words()?,
            args: self.args.clone(),
            working_dir: self.workdir.clone(),
            volumes: self
                .volumes
                .iter()
                .map(|text| settings::volume(text, &current))
                .collect::<Result<_, _>>()?,
            ports: self
                .publish
                .iter()
                .map(|text| settings::port(text))
                .collect::<Result<_, _>>()?,
            network: match self.network {
                NetworkArg::None => NetworkMode::None,
                NetworkArg::Host => NetworkMode::Host,
            },
            platform: self.source.one_platform()?,
        })
    }
}

/// What running uses of a session.
pub(super) fn context<'a>(session: &'a Session, path: Option<&'a Path>) -> run::Context<'a> {
    run::Context {
        store: &session.store,
        reporter: session.reporter.as_ref(),
        launcher: session.sandbox.launcher(),
        path: path.map(Path::as_os_str),
    }
}

/// What WHAT builds, for one platform, and the request for it.
pub(super) fn built<'a>(
    source: &SourceArgs,
    platform: Option<Platform>,
    (session, sink): (&Session, &'a Context<'a>),
    environment: &Environment,
) -> Result<(Opened<'a>, Request), AnyError> {
    let use_cache = (CacheUse::Reuse, [].as_slice());
    let requests = source.requests(session, environment, use_cache)?;
    let mut request = requests.into_iter().next().ok_or(SettingsError::OneWhat)?;
    // The image of one platform is the same, whatever others it is published with.
    request.platforms = vec![platform.unwrap_or_else(run::host_platform)];
    let built = pipeline::build(&request, session)?;
    let name = format!("{}:{}", built.name, built.version);
    let opened = Opened::built(name, built.images, built.index, sink)?;
    Ok((opened, request))
}

/// `-v` means a volume behind `run`, as people type it, and not `--verbose`, which is an option of
/// every command.
pub(super) fn with_volumes(args: Vec<OsString>) -> Vec<OsString> {
    let Some(command) = command_position(&args) else {
        return args;
    };
    let end = args
        .iter()
        .position(|arg| arg == "--")
        .unwrap_or(args.len());
    let longer = |(index, arg): (usize, OsString)| {
        let attached = arg.to_str().and_then(|arg| arg.strip_prefix("-v"));
        match attached {
            Some(attached) if index > command && index < end => match attached {
                "" => OsString::from("--volume"),
                attached => OsString::from(format!("--volume={attached}")),
            },
            _ => arg,
        }
    };
    args.into_iter().enumerate().map(longer).collect()
}

/// Where the arguments say `run`, when that is their command.
pub(super) fn command_position(args: &[OsString]) -> Option<usize> {
    let options = Global::augment_args(Command::new("karisimbi"));
    let with_value: Vec<String> = options
        .get_arguments()
        .filter(|option| option.get_action().takes_values())
        .filter_map(|option| Some(format!("--{}", option.get_long()?)))
        .collect();
    let mut index = 1;
    loop {
        let arg = args.get(index)?.to_str()?;
        match arg {
            "run" => return Some(index),
            arg if with_value.iter().any(|option| option == arg) => index += 2,
            arg if arg.starts_with('-') => index += 1,
            _ => return None,
        }
    }
}

/// The image that a text names, when it is no folder that is there and no Git URL.
pub(super) fn image_name(what: &OsString) -> Result<Option<ImageName>, AnyError> {
    let Some(text) = what.to_str() else {
        return Ok(None);
    };
    if Path::new(what).is_dir() || text.starts_with(['.', '/', '~']) {
        return Ok(None);
    }
    let transports = ["oci:", "oci-archive:", "docker-archive:", "docker://"];
    if transports
        .iter()
        .any(|transport| text.starts_with(transport))
    {
        let name: ImageName = text.parse().map_err(SettingsError::Name)?;
        return Ok(Some(name));
    }
    if text.contains("://") {
        return Ok(None);
    }
    // What is no reference is a folder or a URL, whose own words say what is wrong with it.
    Ok(text.parse().ok().map(ImageName::Registry))
}
