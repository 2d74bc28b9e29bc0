//! Packages → layers → a base.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fs_err as fs;
use tempfile::TempDir;

use super::config::{PACKAGES, Parts, RUNTIME, base_of};
use super::extract::Memory;
use super::merge::{Tree, extract_all};
use super::python::{Compiler, tool_architecture};
use super::sets::{PackageSet, Usr, usr};
use super::{AssembleError, Bytecode, DebContext, FetchedDeb, accounts, certificates, node};
use crate::base::Base;
use crate::base::lock::LockedFile;
use crate::error::AnyError;
use crate::layer::{Compression, Entry, LayerKey, LayerRecord};
use crate::platform::Platform;
use crate::progress::{Verb, human_bytes, human_time};
use crate::store::Store;

/// What a base is assembled from.
#[derive(Clone, Debug)]
pub struct Ingredients<'a> {
    /// The base's name: `deb:trixie/python3.13`.
    pub name: String,
    /// `trixie`
    pub suite: &'a str,
    /// What is asked for.
    pub set: &'a PackageSet,
    /// What the base is for.
    pub platform: &'a Platform,
    /// The packages.
    pub debs: &'a [FetchedDeb],
    /// The packages for this machine's own architecture ([`tool_architecture`]) at the same
    /// versions, whose interpreter compiles Python's standard library; may be the same as `debs`.
    pub tool_debs: &'a [FetchedDeb],
    /// Runtimes that are no packages, with the place of each.
    pub files: &'a [(LockedFile, PathBuf)],
    /// Whether Python's standard library is compiled.
    pub bytecode: Bytecode,
}

/// Assembles a base; layers with a record in the store are not made again.
///
/// # Errors
/// BASE-DEB, BASE-COMPR, BASE-PATH, BASE-CONFLICT, BASE-PYC, BASE-DISK, those of the layer engine,
/// the store and the sandbox.
pub fn assemble(ingredients: &Ingredients<'_>, context: &DebContext<'_>) -> Result<Base, AnyError> {
    let parts = Parts {
        suite: ingredients.suite,
        set: ingredients.set,
        platform: ingredients.platform,
        bytecode: ingredients.bytecode,
    };
    let maker = Maker {
        ingredients,
        context,
    };
    let packages = ingredients.debs.iter().map(|deb| &deb.package);
    let key = parts.packages(packages);
    let record = maker.record(PACKAGES, &key, |folder| maker.packages(folder))?;
    let mut records = vec![(PACKAGES.to_owned(), record)];
    for (file, path) in ingredients.files {
        let key = parts.runtime(file);
        let record = maker.record(RUNTIME, &key, |folder| node::extract(file, path, folder))?;
        records.push((RUNTIME.to_owned(), record));
    }
    Ok(base_of(
        &ingredients.name,
        ingredients.set,
        ingredients.platform,
        &records,
    )?)
}

struct Maker<'a> {
    ingredients: &'a Ingredients<'a>,
    context: &'a DebContext<'a>,
}

impl Maker<'_> {
    /// The record of a layer: the store's, or that of the layer made now.
    fn record(
        &self,
        name: &str,
        key: &LayerKey,
        make: impl FnOnce(&Path) -> Result<Vec<Entry>, AssembleError>,
    ) -> Result<LayerRecord, AssembleError> {
        let store = self.context.store;
        if let Some(record) = store.record(key) {
            return Ok(record);
        }
        let started = Instant::now();
        let scratch = scratch(store)?;
        let entries = make(scratch.path())?;
        let record = store.encode_blob(self.context.encoder, Compression::Gzip, |out| {
            entries.iter().try_for_each(|entry| out.append(entry))
        })?;
        self.check_machine(&record)?;
        store.remember_record(key, &record);
        let text = format!(
            "base {}, {name}, {}, {}",
            self.ingredients.name,
            human_bytes(record.descriptor.size),
            human_time(started.elapsed())
        );
        self.context.reporter.line(Verb::Built, text);
        Ok(record)
    }

    /// The entries of the layer of packages.
    fn packages(&self, scratch: &Path) -> Result<Vec<Entry>, AssembleError> {
        let Ingredients {
            suite, set, debs, ..
        } = self.ingredients;
        let usr = usr(suite)?;
        let minor = match (set, self.ingredients.bytecode) {
            (PackageSet::Python { minor }, Bytecode::Ship) => Some(*minor),
            _ => None,
        };
        let memory = match minor {
            // The interpreter reads them from there.
            Some(_) => Memory::none(),
            None => Memory::new(),
        };
        let mut tree = Self::tree(debs, usr, &folder(scratch, "debs")?, &memory)?;
        if let Some(minor) = minor {
            let tools = self.tools(usr, scratch)?;
            let compiler = Compiler {
                minor,
                sandbox: self.context.sandbox,
                folder: &folder(scratch, "python")?,
            };
            for entry in compiler.compile(&tree, tools.as_ref().unwrap_or(&tree))? {
                tree.add(entry)?;
            }
        }
        certificates::bundle(&mut tree)?;
        accounts::complete(&mut tree, set, usr)?;
        tree.finish()
    }

    fn tree(
        debs: &[FetchedDeb],
        usr: Usr,
        folder: &Path,
        memory: &Memory,
    ) -> Result<Tree, AssembleError> {
        let mut debs = debs.to_vec();
        debs.sort_by(|a, b| a.package.cmp(&b.package));
        Tree::of(extract_all(&debs, usr, folder, memory)?)
    }

    /// The tree whose interpreter runs here; none when it is the base's own.
    fn tools(&self, usr: Usr, scratch: &Path) -> Result<Option<Tree>, AssembleError> {
        let here = tool_architecture()?;
        if super::architecture(self.ingredients.platform) == Some(here) {
            return Ok(None);
        }
        let program = format!("{}-minimal", self.ingredients.set);
        let version = |debs: &[FetchedDeb]| {
            let found = debs.iter().find(|deb| deb.package.name == program);
            found.map(|deb| deb.package.version.clone())
        };
        let debs = self.ingredients.tool_debs;
        let foreign = |deb: &&FetchedDeb| ![here, "all"].contains(&deb.package.arch.as_str());
        let (wanted, found) = (version(self.ingredients.debs), version(debs));
        if wanted != found || found.is_none() || debs.iter().find(foreign).is_some() {
            let wanted = wanted.unwrap_or_default();
            let what = format!(
                "it needs {program} {wanted} for {here}, and what is there is {}",
                found.as_deref().unwrap_or("nothing")
            );
            return Err(AssembleError::Interpreter { what, source: None });
        }
        Self::tree(debs, usr, &folder(scratch, "tools")?, &Memory::none()).map(Some)
    }

    /// Refuses programs for another processor.
    fn check_machine(&self, record: &LayerRecord) -> Result<(), AssembleError> {
        let wanted = &self.ingredients.platform.architecture;
        let mut programs = record.summary.elf.iter();
        match programs.find(|program| program.machine != *wanted) {
            Some(program) => Err(AssembleError::Machine {
                path: program.path.clone(),
                machine: program.machine.clone(),
                wanted: wanted.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn folder(scratch: &Path, name: &str) -> Result<PathBuf, AssembleError> {
    let folder = scratch.join(name);
    fs::create_dir(&folder).map_err(AssembleError::disk)?;
    Ok(folder)
}

/// A folder of the store that is gone with its guard.
pub(super) fn scratch(store: &Store) -> Result<TempDir, AssembleError> {
    let folder = store.temporary_folder()?;
    tempfile::Builder::new()
        .prefix("deb")
        .tempdir_in(folder)
        .map_err(AssembleError::disk)
}

impl From<AssembleError> for crate::base::BaseError {
    fn from(error: AssembleError) -> Self {
        Self::Source(AnyError::from(error))
    }
}
