//! New namespaces for this process and its children.

use std::fmt::Write as _;
use std::io;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

use super::network;
use crate::run::NetworkMode;
use crate::run::spec::Rights;

/// What the kernel refused, and with which error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) source: io::Error,
}

fn refused(what: &str) -> impl FnOnce(nix::errno::Errno) -> Refused {
    let what = what.to_owned();
    move |errno| Refused {
        what,
        source: errno.into(),
    }
}

/// Joins new namespaces: all but that of mounts, which the inner init makes, and that of processes
/// ([`new_processes`]). This process must have one thread.
pub(super) fn enter(
    rights: Rights,
    (uid, gid): (u32, u32),
    mode: NetworkMode,
) -> Result<(), Refused> {
    if rights == Rights::UserNamespace {
        let ids = (geteuid().as_raw(), getegid().as_raw());
        unshare(CloneFlags::CLONE_NEWUSER).map_err(refused("unshare(CLONE_NEWUSER)"))?;
        map(ids, (uid, gid))?;
        keep_capabilities().map_err(|source| Refused {
            what: "capabilities in a new user namespace".to_owned(),
            source,
        })?;
    }
    let mut flags = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let mut name = "unshare(CLONE_NEWIPC|CLONE_NEWUTS".to_owned();
    if mode == NetworkMode::None {
        flags |= CloneFlags::CLONE_NEWNET;
        name.push_str("|CLONE_NEWNET");
    }
    name.push(')');
    unshare(flags).map_err(refused(&name))?;
    if mode == NetworkMode::None {
        network::loopback_up().map_err(|source| Refused {
            what: "bringing up the loopback of a new network namespace".to_owned(),
            source,
        })?;
        network::open_low_ports();
    }
    Ok(())
}

/// Puts the next child into a new process namespace, as its process 1. Afterwards this thread can
/// start no others: they would be in another process namespace than its children.
pub(super) fn new_processes() -> Result<(), Refused> {
    unshare(CloneFlags::CLONE_NEWPID).map_err(refused("unshare(CLONE_NEWPID)"))
}

/// Our own user becomes the container's; no other exists there.
fn map((uid, gid): (u32, u32), inside: (u32, u32)) -> Result<(), Refused> {
    let put = |file: &str, line: String| {
        let path = format!("/proc/self/{file}");
        fs_err::write(&path, line).map_err(|source| Refused { what: path, source })
    };
    let line = |inside: u32, outside: u32| {
        let mut line = String::new();
        let _infallible = write!(line, "{inside} {outside} 1");
        line
    };
    put("setgroups", "deny".to_owned())?;
    put("uid_map", line(inside.0, uid))?;
    put("gid_map", line(inside.1, gid))
}

/// A user other than 0 loses its capabilities when it executes something, the inner init too,
/// unless they are ambient.
fn keep_capabilities() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for capability in CapabilitySet::all().iter() {
        if sets.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}
