//! `karisimbi base`

mod args;
mod build;
mod changes;
mod check;
mod list;
mod lock;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Global, Outcome};
use crate::base::lock::LockedBase;
use crate::base::lock_file::{BASES_LOCK, LockPlace, LockUse};
use crate::base::{BaseName, BaseOptions, LockError, Locking, PinContext};
use crate::error::AnyError;
use crate::pipeline::{self, PipelineError, Session};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError};

pub(super) use args::BaseArgs;

/// List, lock, update, verify and build bases
#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Base {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::List),
    Show(show::Show),
    Lock(lock::Lock),
    Update(lock::Update),
    Outdated(check::Outdated),
    Verify(check::Verify),
    Build(build::Build),
}

impl Base {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        match &self.action {
            Action::List(command) => command.run(global, environment),
            Action::Show(command) => command.run(global, environment),
            Action::Lock(command) => command.run(global, environment),
            Action::Update(command) => command.run(global, environment),
            Action::Outdated(command) => command.run(global, environment),
            Action::Verify(command) => command.run(global, environment),
            Action::Build(command) => command.run(global, environment),
        }
    }
}

/// What every `base` command works on: the settings of the current folder, and its lock.
pub(super) struct Ground {
    pub(super) session: Session,
    folder: PathBuf,
    pub(super) options: BaseOptions,
    pub(super) lock: LockUse,
}

impl Ground {
    pub(super) fn new(
        global: &Global,
        bases: &BaseArgs,
        environment: &Environment,
    ) -> Result<Self, AnyError> {
        let session = global.session(&[], environment)?;
        let folder = Environment::current_dir().map_err(SettingsError::current_dir)?;
        let options = settings::folder_bases(&folder, &bases.flags(&folder), environment)?;
        Ok(Self {
            session,
            lock: LockUse::open(options.lock.clone())?,
            options,
            folder,
        })
    }

    /// As [`Ground::new`], for a lock that must be there.
    fn with_lock(
        global: &Global,
        bases: &BaseArgs,
        environment: &Environment,
    ) -> Result<Self, AnyError> {
        let ground = Self::new(global, bases, environment)?;
        if ground.lock.exists() {
            return Ok(ground);
        }
        let path = ground.path();
        Err(LockError::Missing { path }.into())
    }

    /// With a lock that nothing may be missing from, and that is not written.
    pub(super) fn locked(mut self) -> Self {
        self.options.locking = Locking::Locked;
        self.lock = self.lock.read_only();
        self
    }

    /// The lock's file.
    fn path(&self) -> PathBuf {
        let path = self.lock.place().path();
        path.map_or_else(|| self.folder.join(BASES_LOCK), ToOwned::to_owned)
    }

    /// The entries of these names; of all, when there are none.
    fn entries(&self, names: &[BaseName]) -> Result<Vec<(String, LockedBase)>, LockError> {
        let wanted = if names.is_empty() {
            self.lock.names()
        } else {
            names.iter().filter_map(BaseName::lock_key).collect()
        };
        let found = wanted.into_iter().map(|name| match self.lock.entry(&name) {
            Some(base) => Ok((name, base.clone())),
            None => Err(LockError::NoBase {
                path: self.path(),
                name,
                present: self.lock.names(),
            }),
        });
        found.collect()
    }

    fn with<T>(
        &self,
        action: impl FnOnce(&PinContext<'_>) -> Result<T, PipelineError>,
    ) -> Result<T, AnyError> {
        Ok(pipeline::with_bases(&self.session, &self.options, action)?)
    }

    /// As [`Ground::with`], with the settings of one name.
    fn with_options_of<T>(
        &self,
        name: &BaseName,
        action: impl FnOnce(&PinContext<'_>) -> Result<T, PipelineError>,
    ) -> Result<T, AnyError> {
        let options = self.options_of(name);
        Ok(pipeline::with_bases(&self.session, &options, action)?)
    }

    /// The settings with the `os_packages` that the lock has for a name, where the folder names
    /// none.
    pub(super) fn options_of(&self, name: &BaseName) -> BaseOptions {
        let mut options = self.options.clone();
        let entry = name.lock_key().and_then(|key| self.lock.entry(&key));
        if let Some(LockedBase::Deb(deb)) = entry
            && options.os_packages.is_empty()
        {
            options.os_packages.clone_from(&deb.os_packages);
        }
        options
    }

    /// The lock as it is on the disk now.
    fn reopen(&mut self) -> Result<(), LockError> {
        let place: LockPlace = self.lock.place().clone();
        self.lock = LockUse::open(place)?;
        Ok(())
    }
}
