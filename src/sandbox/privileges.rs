//! What a process gives up before it becomes the program: privileges, open files, limits.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, close, setgroups, setresgid, setresuid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::Limits;

/// Open files of one process.
const OPEN_FILES: u64 = 1 << 16;
/// The kernel counts the processes and threads of a user on the whole node: images of many makers
/// run as 1001. Ours are counted by the supervisor, and this is only a last resort.
const TASKS: u64 = 1 << 17;

/// What root keeps: reading and writing the files of others, as in a checkout of another user.
/// Landlock still says which. Not `CAP_FOWNER` and `CAP_CHOWN`: modes and owners are what Landlock
/// has no right for.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// What it takes to become another user who can still open the files of others, and to end
/// processes of that user.
const CHANGES_USER: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Who a program of root's is: a number that no system gives to anybody (systemd's list of users
/// and groups leaves 65520 to 65533 free), so that no file outside is its own.
const NOBODY: u32 = 65_530;

/// Capabilities, whose last number grows with the kernel.
const MOST_CAPABILITIES: u32 = 63;

/// Which user a program is that root starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootBecomes {
    /// Somebody who owns nothing, where this process may become another user.
    Nobody,
    /// What it was.
    Root,
}

/// Gives up every capability but those that open files, and root's own name; yields who the program
/// is.
pub(super) fn drop_capabilities(root: RootBecomes) -> io::Result<RootBecomes> {
    let now = rustix::thread::capabilities(None)?;
    let kept = now.permitted & KEPT;
    let changed = root == RootBecomes::Nobody
        && rustix::process::geteuid().is_root()
        && now.effective.contains(CHANGES_USER)
        && become_nobody()?;
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
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & kept,
            permitted: kept,
            inheritable: if changed { kept } else { none },
        },
    )?;
    if !changed {
        return Ok(RootBecomes::Root);
    }
    // Only these outlive the execution of a program by a user other than root.
    for number in 0..=MOST_CAPABILITIES {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            rustix::thread::configure_capability_in_ambient_set(one, true)?;
        }
    }
    Ok(RootBecomes::Nobody)
}

/// Whether there is such a user here: in a user namespace there may be none.
fn become_nobody() -> io::Result<bool> {
    // Else access(2) would answer for a user without capabilities, and the change would take them.
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    match setgroups(&[]).and_then(|()| setresuid(uid, uid, uid)) {
        Ok(()) => {}
        Err(Errno::EINVAL | Errno::EPERM) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    setresgid(gid, gid, gid)?;
    Ok(true)
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
pub(crate) fn close_files() -> io::Result<()> {
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
