//! Settings: flags > environment > deployment.yaml > recipe > default, each with its origin.

mod bases;
mod choice;
pub mod destinations;
pub mod env;
mod error;
mod request;
mod written;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::layer::Compression;
use crate::net::{NetSettings, Proxies, Reach};
use crate::pipeline::CacheUse;
use crate::platform::Platform;
use crate::reference::Host;
use crate::registry::{CredentialPlaces, ExplicitLogin, Secret};
use crate::sandbox::Launcher;

use env::Environment;

pub use bases::{BaseFlags, folder_bases};
pub use error::SettingsError;
pub use request::{request, source_name};
pub use written::{Written, apart};

/// What the flags of build, detect and plan say, parsed.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--ref`
    pub reference: Option<String>,
    /// `--directory`
    pub directory: Option<String>,
    /// `--recipe`
    pub recipe: Option<String>,
    /// `--recipes`
    pub recipes: Option<PathBuf>,
    /// `--base`
    pub base: Option<String>,
    /// Flags about where bases come from.
    pub bases: BaseFlags,
    /// `--platform`
    pub platforms: Vec<Platform>,
    /// `--entrypoint`
    pub entrypoint: Vec<String>,
    /// `--set`: dotted path and value.
    pub sets: Vec<(String, String)>,
    /// `--trust-config`
    pub trust: Trust,
    /// `--compression`
    pub compression: Compression,
    /// `--no-cache`, `--verify-cache`
    pub cache: CacheUse,
    /// Files that the command writes: never part of a source.
    pub written: Vec<PathBuf>,
}

/// Whose deployment.yaml is obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Only that of a local folder.
    #[default]
    LocalOnly,
    /// Also one found inside a cloned URL.
    CloneToo,
}

/// The cache folder: flag, `KARISIMBI_CACHE_DIR`, `XDG_CACHE_HOME`, `HOME`.
///
/// # Errors
/// CFG-CACHE-DIR when none of them is set. Relative ones of the last two do not count, as the XDG
/// base directory specification says.
pub fn cache_dir(flag: Option<&Path>, environment: &Environment) -> Result<PathBuf, SettingsError> {
    let own = || {
        flag.map(Path::to_owned)
            .or_else(|| environment.path("KARISIMBI_CACHE_DIR"))
    };
    let shared = || {
        environment
            .path("XDG_CACHE_HOME")
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("karisimbi"))
    };
    let home = || {
        environment
            .path("HOME")
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(".cache/karisimbi"))
    };
    let folder = own()
        .or_else(shared)
        .or_else(home)
        .ok_or(SettingsError::NoCacheDir)?;
    std::path::absolute(&folder).map_err(SettingsError::current_dir)
}

/// Compressor threads: flag, `KARISIMBI_THREADS`, one per core.
///
/// # Errors
/// A value that is no number.
pub fn threads(
    flag: Option<NonZeroUsize>,
    environment: &Environment,
) -> Result<usize, SettingsError> {
    if let Some(threads) = flag {
        return Ok(threads.get());
    }
    match environment.text("KARISIMBI_THREADS") {
        Some(text) => text
            .parse::<NonZeroUsize>()
            .map(NonZeroUsize::get)
            .map_err(|source| SettingsError::Number {
                name: "KARISIMBI_THREADS",
                value: text.to_owned(),
                source,
            }),
        // A machine that does not tell its cores gets one thread: slower, never wrong.
        None => Ok(std::thread::available_parallelism().map_or(1, NonZeroUsize::get)),
    }
}

/// Our own program, which the sandbox re-executes as its launcher.
///
/// # Errors
/// When the system does not say where it is.
pub fn launcher() -> std::io::Result<Launcher> {
    Environment::own_program().map(Launcher)
}

/// `SOURCE_DATE_EPOCH`, in seconds since 1970.
///
/// # Errors
/// A value that is no number.
pub fn source_date_epoch(environment: &Environment) -> Result<Option<i64>, SettingsError> {
    let Some(text) = environment.text("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let name = "SOURCE_DATE_EPOCH";
    let seconds: u32 = text.parse().map_err(|source| SettingsError::Number {
        name,
        value: text.to_owned(),
        source,
    })?;
    Ok(Some(i64::from(seconds)))
}

/// Certificates, proxies and limits of HTTP.
pub fn network(ca_file: Option<&Path>, reach: Reach, environment: &Environment) -> NetSettings {
    let either = |upper: &str, lower: &str| {
        environment
            .text(lower)
            .or_else(|| environment.text(upper))
            .map(str::to_owned)
    };
    NetSettings {
        ca_files: ca_file.map(Path::to_owned).into_iter().collect(),
        ssl_cert_file: environment.path("SSL_CERT_FILE"),
        ssl_cert_dir: environment.path("SSL_CERT_DIR"),
        proxies: Proxies {
            http: either("HTTP_PROXY", "http_proxy"),
            https: either("HTTPS_PROXY", "https_proxy"),
            all: either("ALL_PROXY", "all_proxy"),
            no_proxy: either("NO_PROXY", "no_proxy"),
        },
        reach,
        ..NetSettings::default()
    }
}

/// Where registry logins are looked for; `hosts` are the registries that the command names, of
/// which `REGISTRY_USERNAME` and `REGISTRY_PASSWORD` are sent to that one alone.
///
/// # Errors
/// One of the two variables without the other; both, and several registries.
pub fn credential_places(
    authfile: Option<&Path>,
    hosts: &[Host],
    environment: &Environment,
) -> Result<CredentialPlaces, SettingsError> {
    Ok(CredentialPlaces {
        explicit: explicit_login(hosts, environment)?,
        authfile: authfile.map(Path::to_owned),
        registry_auth_file: environment.path("REGISTRY_AUTH_FILE"),
        xdg_runtime_dir: environment.path("XDG_RUNTIME_DIR"),
        xdg_config_home: environment.path("XDG_CONFIG_HOME"),
        docker_config: environment.path("DOCKER_CONFIG"),
        home: environment.path("HOME"),
        path: environment.path("PATH").map(PathBuf::into_os_string),
    })
}

fn explicit_login(
    hosts: &[Host],
    environment: &Environment,
) -> Result<Option<ExplicitLogin>, SettingsError> {
    let (user_name, password_name) = ("REGISTRY_USERNAME", "REGISTRY_PASSWORD");
    let half = |set, missing| Err(SettingsError::HalfLogin { set, missing });
    let (user, password) = match (environment.text(user_name), environment.text(password_name)) {
        (None, None) => return Ok(None),
        (Some(_), None) => return half(user_name, password_name),
        (None, Some(_)) => return half(password_name, user_name),
        (Some(user), Some(password)) => (user, password),
    };
    match hosts {
        [] => Ok(None),
        [host] => Ok(Some(ExplicitLogin {
            host: host.clone(),
            user: user.to_owned(),
            password: Secret::new(password),
            origin: user_name.to_owned(),
        })),
        several => {
            let hosts: Vec<&str> = several.iter().map(Host::as_str).collect();
            Err(SettingsError::LoginWhere {
                hosts: hosts.join(", "),
            })
        }
    }
}

/// `PATH=VALUE`
///
/// # Errors
/// USE-SET when there is no `=`.
pub fn pair(text: &str) -> Result<(String, String), SettingsError> {
    text.split_once('=')
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .ok_or_else(|| SettingsError::Set {
            text: text.to_owned(),
        })
}

/// The words of an exec form: a single JSON array, or one word for each value.
///
/// # Errors
/// USE-ENTRYPOINT for JSON that is not an array of strings, and for an empty word.
pub fn words(values: &[String]) -> Result<Vec<String>, SettingsError> {
    let words = match values {
        [json] if json.trim_start().starts_with('[') => {
            serde_json::from_str(json).map_err(|source| SettingsError::Words {
                text: json.clone(),
                source,
            })?
        }
        words => words.to_vec(),
    };
    // A variable of a script that is not set, rather than a program without a name.
    if words.iter().any(String::is_empty) {
        return Err(SettingsError::EmptyWord);
    }
    Ok(words)
}
