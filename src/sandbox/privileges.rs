//! What a process gives up before it becomes the program: privileges, open files, limits.

use std::io;

use nix::unistd::close;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::Limits;

/// Open files of one process.
const OPEN_FILES: u64 = 1 << 16;
/// The kernel counts the processes and threads of a user on the whole node: images of many makers
/// run as 1001. Ours are counted by the supervisor, and this is only a last resort.
const TASKS: u64 = 1 << 17;

/// What root keeps: reading and writing the files of others, as in a checkout of another user.
/// Landlock still says which.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// Capabilities, whose last number grows with the kernel.
const MOST_CAPABILITIES: u32 = 63;

/// Gives up every capability but those that open files.
pub(super) fn drop_capabilities() -> rustix::io::Result<()> {
    let now = rustix::thread::capabilities(None)?;
    // Without this one the bounding set can't shrink; then there is nothing that a program could
    // get back either, because of no_new_privs.
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..=MOST_CAPABILITIES {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if !KEPT.contains(one)
                && rustix::thread::capability_is_in_bounding_set(one).unwrap_or(false)
            {
                rustix::thread::remove_capability_from_bounding_set(one)?;
            }
        }
    }
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & KEPT,
            permitted: now.permitted & KEPT,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// Lowers the limits that the kernel knows.
pub(super) fn lower_limits(limits: &Limits) -> rustix::io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, OPEN_FILES)?;
    lower(Resource::Fsize, limits.disk)?;
    lower(Resource::Nproc, TASKS)
}

fn lower(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let now = getrlimit(resource);
    let lower = |value: Option<u64>| Some(value.map_or(most, |value| value.min(most)));
    setrlimit(
        resource,
        Rlimit {
            current: lower(now.current),
            maximum: lower(now.maximum),
        },
    )
}

/// No core dump of this process.
pub(super) fn no_core() -> rustix::io::Result<()> {
    lower(Resource::Core, 0)
}

/// Closes what was left open by whoever started us; only the three streams remain.
pub(super) fn close_files() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs_err::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok())
            && number > 2
        {
            open.push(number);
        }
    }
    for number in open {
        // The one that listed them is closed already.
        let _closed = close(number);
    }
    Ok(())
}
