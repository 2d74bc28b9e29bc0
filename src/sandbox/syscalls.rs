//! seccomp: system calls that no build needs, and sockets. A refused call fails with EPERM, so
//! that tools which only try it go on; calls of another instruction set end the process.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::NetworkAccess;

/// Never needed, whatever the arguments.
const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // The file system's shape, and files by other ways than their names.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // It tells the names in folders that can't be listed, as they change.
    libc::SYS_inotify_add_watch,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    // Attributes and access lists: Landlock has no right for them.
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Keys of the session.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // io_uring makes system calls that no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_setns,
    // System V and POSIX queues and memory are shared with processes outside the box.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Newer than the C library's list; the numbers are the same on all architectures.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
/// The first number that this list knows nothing of. Numbers of x32 calls have bit 30 set.
const UNKNOWN: u32 = 470;

/// `include/uapi/linux/sched.h`: every kind of namespace.
const NEW_TIME: u64 = 0x80;
const NAMESPACES: [u64; 7] = [
    libc::CLONE_NEWNS as u64,
    libc::CLONE_NEWCGROUP as u64,
    libc::CLONE_NEWUTS as u64,
    libc::CLONE_NEWIPC as u64,
    libc::CLONE_NEWUSER as u64,
    libc::CLONE_NEWPID as u64,
    libc::CLONE_NEWNET as u64,
];

/// Socket types without their flags.
const TYPE_MASK: u64 = 0xf;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const SEQPACKET: u64 = libc::SOCK_SEQPACKET as u64;

/// Whether Landlock says which files may be truncated by their names (Linux 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truncation {
    Confined,
    /// Then nothing may be.
    Free,
}

/// `PRIO_PROCESS`, whose type depends on the C library.
const PROCESS_PRIORITY: u64 = 0;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyscallsError {
    #[error("seccomp: {0}")]
    Build(#[from] seccompiler::BackendError),
    #[error("seccomp refused: {0}")]
    Install(#[from] seccompiler::Error),
}

/// The filter of this machine's architecture.
pub(super) fn filter(
    network: NetworkAccess,
    truncation: Truncation,
) -> Result<BpfProgram, SyscallsError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: Rules = REFUSED
        .iter()
        .chain(REFUSED_HERE)
        .map(|number| (*number, Vec::new()))
        .collect();
    if truncation == Truncation::Free {
        rules.insert(libc::SYS_truncate, Vec::new());
    }
    namespaces(&mut rules)?;
    devices(&mut rules)?;
    neighbours(&mut rules)?;
    set_id(&mut rules)?;
    match network {
        NetworkAccess::Denied => offline(&mut rules)?,
        NetworkAccess::Allowed => online(&mut rules)?,
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        architecture,
    )?;
    let body: BpfProgram = filter.try_into()?;
    let mut program = unknown_numbers();
    program.extend(body);
    Ok(program)
}

/// Installs it for this process and all that come of it.
pub(super) fn install(program: &BpfProgram) -> Result<(), SyscallsError> {
    Ok(seccompiler::apply_filter(program)?)
}

/// `clone3` and `openat2` hide their flags from filters, and what a newer call can do is not known: both look
/// like an older kernel, on which C libraries use the calls that are filtered below.
fn unknown_numbers() -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const NUMBER: u32 = 0;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let number = |call| u32::try_from(call).unwrap_or(UNKNOWN);
    vec![
        step(LOAD_WORD, 0, 0, NUMBER),
        step(JUMP_IF_EQUAL, 2, 0, number(libc::SYS_clone3)),
        step(JUMP_IF_EQUAL, 1, 0, number(libc::SYS_openat2)),
        step(JUMP_IF_AT_LEAST, 0, 1, UNKNOWN),
        step(RETURN, 0, 0, missing),
    ]
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, SyscallsError> {
    // All that are looked at are ints, of which the kernel ignores the upper half.
    let word = SeccompCmpArgLen::Dword;
    Ok(SeccompCondition::new(argument, word, operator, value)?)
}

/// A rule for when all of these hold.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, SyscallsError> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| condition(*argument, operator.clone(), *value))
        .collect::<Result<_, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

fn namespaces(rules: &mut Rules) -> Result<(), SyscallsError> {
    let has = |flag| when(&[(0, SeccompCmpOp::MaskedEq(flag), flag)]);
    let clone: Vec<SeccompRule> = NAMESPACES.into_iter().map(has).collect::<Result<_, _>>()?;
    let mut unshare = clone.clone();
    // In the flags of clone these bits are the signal's.
    unshare.push(has(NEW_TIME)?);
    rules.insert(libc::SYS_clone, clone);
    rules.insert(libc::SYS_unshare, unshare);
    Ok(())
}

/// `include/uapi/asm-generic/ioctls.h`
const TIOCLINUX: u64 = 0x541c;
const TIOCSTI: u64 = 0x5412;

/// Calls with a mode, and which argument it is.
#[cfg(target_arch = "x86_64")]
const MODES: &[(i64, u8)] = &[
    (libc::SYS_chmod, 1),
    (libc::SYS_creat, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mkdir, 1),
    (libc::SYS_mkdirat, 2),
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mkdirat, 2),
    (libc::SYS_mknodat, 2),
];

/// Calls that may create a file: which arguments their flags and their mode are.
#[cfg(target_arch = "x86_64")]
const OPENS: &[(i64, u8, u8)] = &[(libc::SYS_open, 1, 2), (libc::SYS_openat, 2, 3)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[(i64, u8, u8)] = &[(libc::SYS_openat, 2, 3)];

/// `include/uapi/linux/fs.h`, `fsverity.h`: they need no right to write the file that is open.
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;
const FS_IOC_ENABLE_VERITY: u64 = 0x4080_6685;

/// Calls that steer a process of the same user by its number: which argument that is. 0 is the
/// caller. Landlock knows of none of them.
const OF_A_PROCESS: &[(i64, u8)] = &[
    // Its limits, too: with no time left it is killed.
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
];

/// Limits and priorities of other processes.
fn neighbours(rules: &mut Rules) -> Result<(), SyscallsError> {
    for (call, process) in OF_A_PROCESS {
        let mut others = vec![when(&[(*process, SeccompCmpOp::Ne, 0)])?];
        // 0 is the caller only where it is said that a process is meant, not a user.
        let process_only = match *call {
            libc::SYS_setpriority => Some(PROCESS_PRIORITY),
            libc::SYS_ioprio_set => Some(1), // IOPRIO_WHO_PROCESS
            _ => None,
        };
        if let Some(kind) = process_only {
            others.push(when(&[(0, SeccompCmpOp::Ne, kind)])?);
        }
        rules.insert(*call, others);
    }
    Ok(())
}

/// Device files, attributes of files that are only read, and typing into somebody's terminal.
fn devices(rules: &mut Rules) -> Result<(), SyscallsError> {
    let kinds = [libc::S_IFCHR, libc::S_IFBLK];
    let made = |argument| {
        kinds
            .iter()
            .map(|kind| {
                let mask = SeccompCmpOp::MaskedEq(u64::from(libc::S_IFMT));
                when(&[(argument, mask, u64::from(*kind))])
            })
            .collect::<Result<Vec<_>, _>>()
    };
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, made(1)?);
    rules.insert(libc::SYS_mknodat, made(2)?);
    let requests = [
        TIOCSTI,
        TIOCLINUX,
        FS_IOC_SETFLAGS,
        FS_IOC_FSSETXATTR,
        FS_IOC_ENABLE_VERITY,
    ];
    let refused = requests
        .map(|request| when(&[(1, SeccompCmpOp::Eq, request)]))
        .into_iter()
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, refused);
    Ok(())
}

/// Files that run as their owner or group: Landlock has no right for changing modes, and root owns
/// the system's programs. The list is that of systemd's `RestrictSUIDSGID`.
fn set_id(rules: &mut Rules) -> Result<(), SyscallsError> {
    let bits = [libc::S_ISUID, libc::S_ISGID].map(u64::from);
    let has = |argument, bits| (argument, SeccompCmpOp::MaskedEq(bits), bits);
    for (call, mode) in MODES {
        let list = rules.entry(*call).or_default();
        for bit in bits {
            list.push(when(&[has(*mode, bit)])?);
        }
    }
    // Only then does the mode say anything.
    let creates = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];
    for (call, flags, mode) in OPENS {
        let list = rules.entry(*call).or_default();
        for flag in creates {
            for bit in bits {
                let flag = u64::from(flag.unsigned_abs());
                list.push(when(&[has(*flags, flag), has(*mode, bit)])?);
            }
        }
    }
    Ok(())
}

/// No socket but streams of `AF_UNIX`, no connection to anybody. A pair of datagram sockets could
/// send to any other by its path.
fn offline(rules: &mut Rules) -> Result<(), SyscallsError> {
    let unix = u64::from(libc::AF_UNIX.unsigned_abs());
    let all_but = |allowed: &[u64]| -> Result<Vec<SeccompRule>, SyscallsError> {
        let foreign = when(&[(0, SeccompCmpOp::Ne, unix)]);
        let kinds = (0..=TYPE_MASK)
            .filter(|kind| !allowed.contains(kind))
            .map(|kind| when(&[(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind)]));
        std::iter::once(foreign).chain(kinds).collect()
    };
    rules.insert(libc::SYS_socket, all_but(&[STREAM])?);
    rules.insert(libc::SYS_socketpair, all_but(&[STREAM, SEQPACKET])?);
    rules.insert(libc::SYS_connect, Vec::new());
    Ok(())
}

/// The families that fetching needs.
fn online(rules: &mut Rules) -> Result<(), SyscallsError> {
    let families = [
        libc::AF_UNIX,
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
    ];
    let others = families.map(|family| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
    rules.insert(libc::SYS_socket, vec![when(&others)?]);
    Ok(())
}
