//! Every environment variable that the program reads, and nothing else reads any.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A variable and what it decides.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it decides, for the reference.
    pub purpose: &'static str,
    /// Who sees it.
    pub scope: Scope,
}

/// Who sees a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// karisimbi itself.
    Own,
    /// karisimbi, and the tools that fetch (`go mod download`, `git`).
    Network,
    /// Only the tools that fetch.
    Tools,
}

const fn own(name: &'static str, purpose: &'static str) -> Variable {
    Variable {
        name,
        purpose,
        scope: Scope::Own,
    }
}

const fn network(name: &'static str, purpose: &'static str) -> Variable {
    Variable {
        name,
        purpose,
        scope: Scope::Network,
    }
}

const fn tools(name: &'static str, purpose: &'static str) -> Variable {
    Variable {
        name,
        purpose,
        scope: Scope::Tools,
    }
}

/// All of them; docs/reference/environment.md is made from this table.
pub const VARIABLES: &[Variable] = &[
    own("KARISIMBI_CACHE_DIR", "cache folder; `--cache-dir` wins"),
    own(
        "KARISIMBI_REPO",
        "default HOST/PROJECT for tags that name no registry",
    ),
    own(
        "KARISIMBI_MIRROR",
        "Debian mirror that bases are assembled from; `--mirror` wins",
    ),
    own(
        "KARISIMBI_BASE_REGISTRY",
        "HOST/PROJECT in which bases are looked for by their short names; `--base-registry` wins",
    ),
    own(
        "KARISIMBI_THREADS",
        "compressor threads; never changes bytes",
    ),
    own(
        "SOURCE_DATE_EPOCH",
        "`created` of images, in seconds since 1970; wins over the commit's time",
    ),
    own("XDG_CACHE_HOME", "parent of the default cache folder"),
    own("HOME", "parent of `.cache` and of `.docker/config.json`"),
    own("NO_COLOR", "any value: no colour"),
    own(
        "DOCKER_CONFIG",
        "folder of `config.json` with registry logins",
    ),
    own(
        "REGISTRY_AUTH_FILE",
        "file with registry logins, before Docker's",
    ),
    own(
        "REGISTRY_USERNAME",
        "user for the one registry that the command names; sent to no other",
    ),
    own("REGISTRY_PASSWORD", "password of REGISTRY_USERNAME"),
    own("XDG_RUNTIME_DIR", "parent of `containers/auth.json`"),
    network(
        "XDG_CONFIG_HOME",
        "parent of `containers/auth.json` and of the go command's `env` file",
    ),
    network("PATH", "where `go` and `git` are found"),
    network("SSL_CERT_FILE", "bundle of trusted certificates"),
    network("SSL_CERT_DIR", "folder of trusted certificates"),
    network("HTTP_PROXY", "proxy for http; never used for loopback"),
    network("HTTPS_PROXY", "proxy for https; never used for loopback"),
    network("ALL_PROXY", "proxy where the two above are not set"),
    network("NO_PROXY", "hosts that are reached without a proxy"),
    network("http_proxy", "as HTTP_PROXY"),
    network("https_proxy", "as HTTPS_PROXY"),
    network("all_proxy", "as ALL_PROXY"),
    network("no_proxy", "as NO_PROXY"),
    tools("GOPROXY", "module proxies, for the download phase alone"),
    tools(
        "GOPRIVATE",
        "modules that no proxy or checksum database sees",
    ),
    tools("GONOPROXY", "as the go command defines it"),
    tools("GONOSUMDB", "as the go command defines it"),
    tools("GOSUMDB", "checksum database"),
    tools("GOINSECURE", "as the go command defines it"),
    tools("GOAUTH", "credentials for modules"),
    tools("NETRC", "credentials for modules"),
    tools("GIT_SSH_COMMAND", "ssh program for git"),
    tools("GIT_SSL_CAINFO", "certificates for git"),
    tools("GIT_ASKPASS", "credential program for git"),
    tools("SSH_AUTH_SOCK", "ssh agent"),
];

/// `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_0`, …: configuration for git, seen by tools that fetch.
const GIT_CONFIG_PREFIX: &str = "GIT_CONFIG_";

/// The variables of this process, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, OsString>,
}

impl Environment {
    /// Reads the process's environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn capture() -> Self {
        let named = VARIABLES
            .iter()
            .filter_map(|v| std::env::var_os(v.name).map(|value| (v.name.to_owned(), value)));
        let git = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(GIT_CONFIG_PREFIX).then_some((name, value))
        });
        Self {
            values: named
                .chain(git)
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        }
    }

    /// A variable that is text; one that is not UTF-8 counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|value| value.to_str())
    }

    /// A variable that is a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).map(PathBuf::from)
    }

    /// Whether it is set to anything.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// What tools that fetch may see.
    pub fn for_tools(&self) -> BTreeMap<String, OsString> {
        let shared = |name: &str| {
            let listed = VARIABLES.iter().find(|variable| variable.name == name);
            listed.is_none_or(|variable| variable.scope != Scope::Own) || name == "HOME"
        };
        let mut tools = self.values.clone();
        tools.retain(|name, _| shared(name));
        // Go's own HOME is a private folder: without this it would not find the user's logins.
        if let Some(netrc) = self.path("HOME").map(|home| home.join(".netrc"))
            && netrc.is_file()
        {
            tools
                .entry("NETRC".to_owned())
                .or_insert(netrc.into_os_string());
        }
        tools
    }

    /// Where this program's own file is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn own_program() -> std::io::Result<PathBuf> {
        std::env::current_exe()
    }

    /// The current directory, for paths that are typed relative to it.
    ///
    /// # Errors
    /// When it was deleted or can't be reached.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub fn current_dir() -> std::io::Result<PathBuf> {
        std::env::current_dir()
    }

    /// The clock, in seconds since 1970: for ages and validity, never for bytes.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub fn now() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is as good as none.
        since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    }
}
