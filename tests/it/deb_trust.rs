//! The trust chain of Debian packages, against mirrors that the tests make and break.

mod closures;
mod faults;
mod files;
mod frames;
mod mirror;
mod oracles;
mod served;
mod signing;

use std::path::PathBuf;
use std::sync::Arc;

use karisimbi::base::deb::{
    DebContext, DebError, FetchedDeb, Mirrors, Resolution, Wanted, fetch, resolve,
};
use karisimbi::base::lock::LockedSource;
use karisimbi::error::Coded as _;
use karisimbi::layer::Encoder;
use karisimbi::net::{Net, NetSettings};
use karisimbi::sandbox::{Launcher, Policy, Sandbox};
use karisimbi::store::Store;

use crate::support::Heard;
use mirror::Mirror;

/// The time in all tests: 15 January 2027.
const NOW: i64 = 1_800_000_000;

/// One machine: a cache and a configuration.
struct Machine {
    cache: tempfile::TempDir,
    mirrors: Mirrors,
    now: i64,
    earlier: Vec<LockedSource>,
    warnings: Arc<Heard>,
}

impl Machine {
    /// One that is configured for a mirror and its key.
    fn of(mirror: &Mirror) -> Self {
        Self::with(Mirrors {
            mirror: Some(mirror.url()),
            keyrings: vec![mirror.folder().join("keys.gpg")],
            ..Mirrors::default()
        })
    }

    fn with(mirrors: Mirrors) -> Self {
        Self {
            cache: tempfile::tempdir().expect("a folder"),
            mirrors,
            now: NOW,
            earlier: Vec::new(),
            warnings: Arc::default(),
        }
    }

    fn act<T>(&self, action: impl FnOnce(&DebContext<'_>) -> T) -> T {
        let store = Store::open(
            &self.cache.path().join("cache"),
            Arc::clone(&self.warnings) as _,
        );
        let store = store.expect("a store");
        let net = Net::new(&NetSettings::default()).expect("a net");
        let sandbox = Sandbox::new(Launcher(PathBuf::from("/none")), Policy::Off);
        action(&DebContext {
            store: &store,
            encoder: &Encoder::new(1),
            net: Some(&net),
            mirrors: &self.mirrors,
            sandbox: &sandbox,
            now: self.now,
            reporter: self.warnings.as_ref(),
        })
    }

    /// Resolves packages of trixie for amd64.
    fn resolve(&self, roots: &[&str]) -> Result<Resolution, DebError> {
        let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        let wanted = Wanted {
            suite: "trixie",
            roots: &roots,
            exclude: &["left-out".to_owned()],
            architectures: &["amd64"],
            earlier: &self.earlier,
        };
        self.act(|context| resolve(&wanted, context))
    }

    fn fetch(&self, resolution: &Resolution) -> Result<Vec<FetchedDeb>, DebError> {
        self.act(|context| fetch(&resolution.packages[0], &resolution.sources, context))
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.warnings()
    }

    /// Everything that the cache keeps of a mirror: blobs and memos.
    fn kept(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["blobs/sha256", "memos", "tmp"] {
            let path = self.cache.path().join("cache").join(folder);
            for entry in fs_err::read_dir(path).into_iter().flatten() {
                let name = entry.expect("an entry").file_name();
                found.push(format!("{folder}/{}", name.to_string_lossy()));
            }
        }
        found
    }
}

/// An error as the program shows it: code, message with its causes.
fn told(error: &DebError) -> String {
    let mut text = format!("{} {error}", error.code());
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// `NAME VERSION` of the packages of amd64.
fn names(resolution: &Resolution) -> Vec<String> {
    let of = |p: &karisimbi::base::lock::LockedPackage| format!("{} {}", p.name, p.version);
    resolution.packages[0].iter().map(of).collect()
}
