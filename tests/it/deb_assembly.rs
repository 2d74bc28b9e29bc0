//! Debian packages → layers of bases: what is kept, what is generated, and what is refused.

mod authorities;
mod hostile;
mod layers;
mod package;
mod runtime;

use std::path::Path;
use std::sync::Arc;

use karisimbi::base::deb::{
    AssembleError, Bytecode, DebContext, FetchedDeb, Ingredients, Mirrors, PackageSet, assemble,
};
use karisimbi::base::{Base, BaseContext, BaseFacts, facts};
use karisimbi::error::AnyError;
use karisimbi::layer::{Encoder, LayerSource};
use karisimbi::platform::Platform;
use karisimbi::progress::Silent;
use karisimbi::sandbox::{Launcher, Policy, Sandbox};
use karisimbi::store::Store;

use crate::support::{run, tool};
use package::Package;

/// A store of its own, and what assembling needs besides.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    encoder: Encoder,
    mirrors: Mirrors,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache"), Arc::new(Silent)).unwrap();
        let launcher = Launcher(env!("CARGO_BIN_EXE_karisimbi").into());
        Self {
            folder,
            store,
            encoder: Encoder::new(2),
            mirrors: Mirrors::default(),
            sandbox: Sandbox::new(launcher, Policy::Auto),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn context(&self) -> DebContext<'_> {
        DebContext {
            store: &self.store,
            encoder: &self.encoder,
            net: None,
            mirrors: &self.mirrors,
            sandbox: &self.sandbox,
            now: 0,
            reporter: &Silent,
        }
    }

    fn base_context(&self) -> BaseContext<'_> {
        BaseContext {
            store: &self.store,
            encoder: &self.encoder,
            registry: None,
            reporter: &Silent,
        }
    }

    /// A static base of trixie from these packages.
    fn assemble(&self, debs: &[FetchedDeb]) -> Result<Base, AnyError> {
        self.assemble_for("trixie", &PackageSet::Static, debs)
    }

    fn assemble_for(
        &self,
        suite: &str,
        set: &PackageSet,
        debs: &[FetchedDeb],
    ) -> Result<Base, AnyError> {
        let ingredients = Ingredients {
            name: format!("deb:{suite}/{set}"),
            suite,
            set,
            platform: &Platform::linux_amd64(),
            debs,
            tool_debs: debs,
            files: &[],
            bytecode: Bytecode::Ship,
        };
        assemble(&ingredients, &self.context())
    }

    fn facts(&self, base: &Base) -> BaseFacts {
        facts(base, &self.base_context()).unwrap()
    }

    /// The tar of a base's layer, as `tar` lists it: mode, owner, name, target.
    fn listing(&self, base: &Base, layer: usize) -> Vec<String> {
        let descriptor = &base.layers[layer].descriptor;
        let blob = self
            .store
            .blob(&descriptor.digest, descriptor.size)
            .unwrap();
        list(&blob)
    }

    /// A file of a base's layer.
    fn file(&self, base: &Base, layer: usize, path: &str) -> String {
        let descriptor = &base.layers[layer].descriptor;
        let blob = self
            .store
            .blob(&descriptor.digest, descriptor.size)
            .unwrap();
        content(&blob, path)
    }

    /// A layer source's blob, in the file of that name.
    fn write(&self, name: &str, layer: &dyn LayerSource) -> std::path::PathBuf {
        let out = std::fs::File::create(self.path().join(name)).unwrap();
        let inputs = karisimbi::layer::Inputs::default();
        let compression = karisimbi::layer::Compression::Gzip;
        let written = self
            .encoder
            .encode(out, compression, |out| layer.write(&inputs, out));
        written.unwrap();
        self.path().join(name)
    }
}

fn list(blob: &Path) -> Vec<String> {
    let listed = run(tool("tar").args(["--numeric-owner", "-tvzf"]).arg(blob));
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next().unwrap(), words.next().unwrap());
        // Size, date and time follow.
        let name: Vec<&str> = words.skip(3).collect();
        format!("{mode} {owner} {}", name.join(" "))
    };
    listed.lines().map(line).collect()
}

fn content(blob: &Path, path: &str) -> String {
    run(tool("tar").arg("-xOzf").arg(blob).arg(path))
}

/// The code and the text of an error, sources included.
fn told(error: &AnyError) -> (&'static str, String) {
    (error.code(), error.to_string())
}

/// The same of an error of assembling itself.
fn said(error: &AssembleError) -> (&'static str, String) {
    use karisimbi::error::Coded as _;
    (error.code(), error.to_string())
}

/// A certificate that is real as far as its outline goes; `seed` tells two apart.
fn certificate(seed: u8) -> String {
    use base64::Engine as _;
    let der = [0x30, 8, 0x30, 1, seed, 0x30, 0, 0x03, 1, 0];
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// What every base needs to be recognised.
fn base_files() -> Package {
    Package::new("base-files")
        .file("etc/debian_version", "13.8\n")
        .file("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\n")
        .link("etc/os-release", "../usr/lib/os-release")
        .file("usr/share/ca-certificates/mozilla/B.crt", certificate(2))
        .file(
            "usr/share/ca-certificates/mozilla/A.crt",
            certificate(1).trim_end(),
        )
}
