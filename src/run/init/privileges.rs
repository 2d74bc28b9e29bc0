//! What the inner init gives up before the program starts.

use std::io::{self, IsTerminal};

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use crate::run::spec::{Rights, Spec};

/// The container ends with whoever started it.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Whether a terminal is among the standard streams.
pub(super) fn has_terminal() -> bool {
    let (input, output, errors) = (
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    );
    input.is_terminal() || output.is_terminal() || errors.is_terminal()
}

/// Lets go of standard input and output, so that their other ends see when the program closes
/// its own. Standard error stays for our errors.
pub(super) fn close_streams() -> io::Result<()> {
    // Both ends of a pipe that nobody uses.
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::stdio::dup2_stdin(&read)?;
    rustix::stdio::dup2_stdout(&write)?;
    Ok(())
}

/// Becomes the user of the container, for good.
pub(super) fn drop(spec: &Spec) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        // Those that this kernel does not know are none.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    clear_ambient_capability_set()?;
    let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
    if spec.rights == Rights::Root {
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    set_no_new_privs(true)?;
    // The program has the same user: it must not trace us, or open our executable through /proc.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // A change of user cleared it.
    die_with_parent()
}
