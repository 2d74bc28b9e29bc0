//! Our own box: mounts, a new root, no rights, and the program in it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::places::Root;
use super::program::Found;
use super::signals::unblocked;
use super::{filter, mounts, privileges, program};
use crate::run::HOSTNAME;
use crate::run::error::RunError;
use crate::run::spec::Spec;

/// Sets everything up and starts the program; yields its process id.
pub(super) fn start(spec: &Spec) -> Result<u32, RunError> {
    let (root, found) = assemble(spec)?;
    mounts::add_system(&root, spec)?;
    mounts::enter(&root)?;
    drop(root);
    privileges::drop(spec).map_err(|error| RunError::setup("giving up rights", error))?;
    nix::unistd::chdir(spec.working_dir.as_str()).map_err(|errno| RunError::Folder {
        folder: spec.working_dir.clone(),
        source: errno.into(),
    })?;
    filter::apply()?;
    let mut command = Command::new(&found.path);
    command
        .arg0(&found.name)
        .args(&found.args)
        .env_clear()
        .envs(&spec.env);
    spawn(&mut command).map_err(|error| program::explain(&spec.words, &error))
}

/// A name, mounts and a root of our own, for any box; yields the root and the program in it.
pub(super) fn assemble(spec: &Spec) -> Result<(Root, Found), RunError> {
    rustix::system::sethostname(HOSTNAME.as_bytes())
        .map_err(|errno| RunError::setup("the host name", errno))?;
    mounts::own_namespace()?;
    let root = mounts::assemble(spec)?;
    let found = program::find(&root.tree, spec)?;
    Ok((root, found))
}

/// Starts what the inner init waits for; yields its process id.
pub(super) fn spawn(command: &mut Command) -> io::Result<u32> {
    if !privileges::has_terminal() {
        // Signals to our group reach it through us, once.
        command.process_group(0);
    }
    let child = unblocked(|| command.spawn()).flatten()?;
    Ok(child.id())
}
