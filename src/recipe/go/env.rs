//! The closed environment that go runs in: nothing is inherited but what is listed here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::GoError;
use super::options::{Cgo, GoOptions};
use crate::net::Reach;
use crate::plan::Argument;
use crate::platform::Platform;
use crate::recipe::Context;
use crate::store::Store;

/// What only downloads may see; none of it can change the bytes of a build.
pub(super) const DOWNLOAD: [&str; 16] = [
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "GOINSECURE",
    "GOAUTH",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSH_COMMAND",
    "SSH_AUTH_SOCK",
    "GOVCS",
];

/// go's own default.
pub(super) const DEFAULT_PROXY: &str = "https://proxy.golang.org,direct";

/// Private folders of go below the store: telemetry lives in HOME, the checksum database's state
/// in GOPATH.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    root: PathBuf,
}

const FOLDERS: [(&str, &str); 6] = [
    ("HOME", "home"),
    ("GOPATH", "path"),
    ("GOCACHE", "build"),
    ("GOMODCACHE", "mod"),
    ("GOTMPDIR", "tmp"),
    // The C compiler's.
    ("TMPDIR", "tmp"),
];

impl Folders {
    /// Creates them.
    pub(super) fn create(store: &Store) -> Result<Self, GoError> {
        let root = store.folder("go")?;
        for (_, name) in FOLDERS {
            let path = root.join(name);
            fs_err::create_dir_all(&path).map_err(|source| GoError::Cache { path, source })?;
        }
        Ok(Self { root })
    }

    /// The folder below which all of them lie.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// An environment: names in order, values that may be secret.
pub(super) type Env = BTreeMap<String, Argument>;

/// An argument or value that is no secret.
pub(super) fn text(value: impl Into<OsString>) -> Argument {
    Argument::Text(value.into())
}

/// What both phases share.
pub(super) fn base(
    folders: &Folders,
    context: &Context<'_>,
    gotoolchain: &str,
    gowork: Option<&Path>,
) -> Env {
    let mut env: Env = FOLDERS
        .iter()
        .map(|(name, folder)| ((*name).to_owned(), text(folders.root.join(folder))))
        .collect();
    let mut set = |name: &str, value: Argument| env.insert(name.to_owned(), value);
    set("GOENV", text("off"));
    set("GOTOOLCHAIN", text(gotoolchain));
    // Without the first the module cache can't be deleted by other means than go's. Without the
    // second `go list` runs `git status` in the source, and with it whatever programs the
    // repository's configuration names.
    set("GOFLAGS", text("-modcacherw -buildvcs=false"));
    set("GOWORK", gowork.map_or_else(|| text("off"), text));
    set("LC_ALL", text("C"));
    if let Some(path) = context.env.get("PATH") {
        set("PATH", text(path.clone()));
    }
    env
}

/// The environment of downloads: network and credentials.
pub(super) fn download(mut env: Env, context: &Context<'_>) -> Env {
    let user = user_go_env(context);
    for name in DOWNLOAD {
        let lower = name.to_ascii_lowercase();
        let value = context.env.get(name).or_else(|| {
            name.ends_with("_PROXY")
                .then(|| context.env.get(lower.as_str()))
                .flatten()
        });
        if let Some(value) = value.or_else(|| user.get(name)) {
            env.insert(name.to_owned(), secret_if_it_is(name, value));
        }
    }
    for (name, value) in context
        .env
        .iter()
        .filter(|(name, _)| name.starts_with("GIT_CONFIG_"))
    {
        env.insert(name.clone(), Argument::Secret(value.clone()));
    }
    if let Some(file) = &context.ca_file {
        env.insert("SSL_CERT_FILE".to_owned(), text(file));
    }
    // Nobody is there to type a password.
    env.insert("GIT_TERMINAL_PROMPT".to_owned(), text("0"));
    if context.reach == Reach::Offline {
        env.insert("GOPROXY".to_owned(), text("off"));
    }
    env
}

/// Values that can hold a password are never printed.
fn secret_if_it_is(name: &str, value: &OsString) -> Argument {
    let shown = value.to_string_lossy();
    if name == "GOAUTH" || name == "GIT_SSH_COMMAND" || shown.contains('@') {
        Argument::Secret(value.clone())
    } else {
        text(value.clone())
    }
}

/// What the user wrote with `go env -w`: the file is not go's to read here, since it may also
/// change bytes, but its download settings are the user's.
pub(super) fn user_go_env(context: &Context<'_>) -> BTreeMap<String, OsString> {
    let below = |name: &str, rest: &str| context.env.get(name).map(|dir| Path::new(dir).join(rest));
    let file = match context.env.get("GOENV") {
        Some(off) if off == "off" => None,
        Some(file) => Some(PathBuf::from(file)),
        None => below("XDG_CONFIG_HOME", "go/env").or_else(|| below("HOME", ".config/go/env")),
    };
    // It is optional, and go itself says nothing when it can't be read.
    let Some(text) = file.and_then(|file| fs_err::read_to_string(file).ok()) else {
        return BTreeMap::new();
    };
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(name, _)| DOWNLOAD.contains(name))
        .map(|(name, value)| (name.to_owned(), OsString::from(value)))
        .collect()
}

/// The variables that decide what a compilation yields; they are in the key.
pub(super) fn compile(
    platform: &Platform,
    options: &GoOptions,
) -> Result<BTreeMap<String, String>, GoError> {
    let mut env = BTreeMap::from([
        ("GOOS".to_owned(), platform.os.clone()),
        ("GOARCH".to_owned(), platform.architecture.clone()),
        (
            "CGO_ENABLED".to_owned(),
            if options.cgo == Cgo::Off { "0" } else { "1" }.to_owned(),
        ),
    ]);
    let variant = platform.variant.as_deref();
    let level = match platform.architecture.as_str() {
        "amd64" => {
            let level = variant.or(options.goamd64.as_deref()).unwrap_or("v1");
            Some(("GOAMD64", level.to_owned()))
        }
        "arm64" => Some(("GOARM64", variant.map_or("v8.0".to_owned(), arm64_level))),
        "arm" => Some((
            "GOARM",
            variant.unwrap_or("v7").trim_start_matches('v').to_owned(),
        )),
        "386" | "ppc64le" | "s390x" | "riscv64" | "loong64" => None,
        other => {
            return Err(GoError::Platform {
                architecture: other.to_owned(),
            });
        }
    };
    if let Some((name, value)) = level {
        env.insert(name.to_owned(), value);
    }
    if let Some(experiments) = &options.goexperiment {
        env.insert("GOEXPERIMENT".to_owned(), experiments.clone());
    }
    Ok(env)
}

/// OCI writes `v9`, go `v9.0`.
fn arm64_level(variant: &str) -> String {
    if variant.contains('.') {
        variant.to_owned()
    } else {
        format!("{variant}.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_become_gos_variables() {
        for (platform, goamd64, expected) in [
            (
                "linux/amd64",
                None,
                "CGO_ENABLED=0 GOAMD64=v1 GOARCH=amd64 GOOS=linux",
            ),
            (
                "linux/amd64",
                Some("v2"),
                "CGO_ENABLED=0 GOAMD64=v2 GOARCH=amd64 GOOS=linux",
            ),
            (
                "linux/amd64/v3",
                Some("v2"),
                "CGO_ENABLED=0 GOAMD64=v3 GOARCH=amd64 GOOS=linux",
            ),
            (
                "linux/arm64",
                None,
                "CGO_ENABLED=0 GOARCH=arm64 GOARM64=v8.0 GOOS=linux",
            ),
            (
                "linux/arm64/v9",
                None,
                "CGO_ENABLED=0 GOARCH=arm64 GOARM64=v9.0 GOOS=linux",
            ),
            (
                "linux/arm/v6",
                None,
                "CGO_ENABLED=0 GOARCH=arm GOARM=6 GOOS=linux",
            ),
            ("linux/s390x", None, "CGO_ENABLED=0 GOARCH=s390x GOOS=linux"),
        ] {
            let options = GoOptions {
                goamd64: goamd64.map(ToOwned::to_owned),
                ..GoOptions::default()
            };
            let env = compile(&platform.parse().unwrap(), &options).unwrap();
            let shown: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(shown.join(" "), expected);
        }
        let options = GoOptions::default();
        let error = compile(&"linux/m68k".parse().unwrap(), &options).unwrap_err();
        assert!(error.to_string().contains("linux/m68k"));
    }
}
