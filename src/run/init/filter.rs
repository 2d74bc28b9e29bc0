//! System calls that no program in a container gets: those that reach kernel-wide state, open new
//! user namespaces, or type into the terminal that it shares with its user.
//!
//! Capabilities guard most of them already; this is the second door, as in the profiles of runc
//! and flatpak.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use crate::run::error::RunError;

/// Refused with EPERM, whatever their arguments.
pub(super) const REFUSED: [(&str, libc::c_long); 41] = [
    ("acct", libc::SYS_acct),
    ("add_key", libc::SYS_add_key),
    ("bpf", libc::SYS_bpf),
    ("chroot", libc::SYS_chroot),
    ("delete_module", libc::SYS_delete_module),
    ("finit_module", libc::SYS_finit_module),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("fsopen", libc::SYS_fsopen),
    ("fspick", libc::SYS_fspick),
    ("init_module", libc::SYS_init_module),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("io_uring_register", libc::SYS_io_uring_register),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("kcmp", libc::SYS_kcmp),
    ("kexec_load", libc::SYS_kexec_load),
    ("keyctl", libc::SYS_keyctl),
    ("lookup_dcookie", libc::SYS_lookup_dcookie),
    ("mount", libc::SYS_mount),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("move_mount", libc::SYS_move_mount),
    ("move_pages", libc::SYS_move_pages),
    ("name_to_handle_at", libc::SYS_name_to_handle_at),
    ("nfsservctl", libc::SYS_nfsservctl),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("open_tree", libc::SYS_open_tree),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("pivot_root", libc::SYS_pivot_root),
    ("quotactl", libc::SYS_quotactl),
    ("reboot", libc::SYS_reboot),
    ("request_key", libc::SYS_request_key),
    ("setdomainname", libc::SYS_setdomainname),
    ("sethostname", libc::SYS_sethostname),
    ("setns", libc::SYS_setns),
    ("settimeofday", libc::SYS_settimeofday),
    ("swapoff", libc::SYS_swapoff),
    ("swapon", libc::SYS_swapon),
    ("syslog", libc::SYS_syslog),
    ("umount2", libc::SYS_umount2),
    ("unshare", libc::SYS_unshare),
    ("userfaultfd", libc::SYS_userfaultfd),
];

/// `ioctl` requests that put input into a terminal.
pub(super) const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541c]; // TIOCSTI, TIOCLINUX

/// Filters this process and what it starts. Processors that the filter has no words for go
/// without: capabilities and namespaces are what isolates.
pub(super) fn apply() -> Result<(), RunError> {
    let processor = if cfg!(target_arch = "x86_64") {
        TargetArch::x86_64
    } else if cfg!(target_arch = "aarch64") {
        TargetArch::aarch64
    } else {
        return Ok(());
    };
    let failed = |what: String| RunError::Internal {
        what: format!("the filter of system calls: {what}"),
    };
    let new_user = u64::try_from(libc::CLONE_NEWUSER).unwrap_or_default();
    let condition = |index, operator, value| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(|error| failed(error.to_string()))
    };
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
        .iter()
        .map(|(_, number)| (*number, Vec::new()))
        .collect();
    let masked = SeccompCmpOp::MaskedEq(new_user);
    refused.insert(libc::SYS_clone, vec![condition(0, masked, new_user)?]);
    let input = TERMINAL_INPUT
        .iter()
        .map(|request| condition(1, SeccompCmpOp::Eq, *request))
        .collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_ioctl, input);
    // Its arguments are in memory, which no filter sees; C libraries use clone instead.
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    for (rules, errno) in [(absent, libc::ENOSYS), (refused, libc::EPERM)] {
        let errno = u32::try_from(errno).unwrap_or_default();
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno),
            processor,
        );
        let program: Result<BpfProgram, _> = filter.and_then(BpfProgram::try_from);
        let program = program.map_err(|error| failed(error.to_string()))?;
        apply_filter(&program).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}
