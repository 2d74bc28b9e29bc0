//! Landlock: which files, which TCP ports, whose abstract sockets and whom to signal.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::syscalls::Truncation;
use super::{Confinement, NetworkAccess};

/// The newest version whose rights are asked for; an older kernel gives those that it has.
const NEWEST: ABI = ABI::V9;

/// What every program may read: the system's programs, libraries and public settings. The rest of
/// /etc, /home, /root, /var, /run, /tmp and /srv stays closed.
const SYSTEM: &[&str] = &[
    "/bin",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/run/current-system",
    "/sbin",
    "/usr",
    // Of each process itself; Landlock closes what belongs to processes outside the box
    // (environ, mem, fd, root, …), whoever owns them.
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/ld-musl-aarch64.path",
    "/etc/ld-musl-x86_64.path",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssh/ssh_config",
    "/etc/ssh/ssh_config.d",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// Devices that hold nothing.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Confines this process for ever; says what an old kernel leaves to the filter of system calls.
pub(super) fn confine(confinement: &Confinement) -> Result<Truncation, FilesError> {
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?;
    if confinement.network == NetworkAccess::Denied {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V10))?;
    }
    let mut rules = ruleset.scope(Scope::from_all(NEWEST))?.create()?;
    let read = AccessFs::from_read(NEWEST);
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | IoctlDev});
    // Whoever may name a device could reach the machine's disks.
    let write = AccessFs::from_all(NEWEST) & !make_bitflags!(AccessFs::{MakeChar | MakeBlock});
    for path in SYSTEM {
        rules = allow(rules, Path::new(path), read)?;
    }
    for path in DEVICES {
        rules = allow(rules, Path::new(path), device)?;
    }
    for path in &confinement.read {
        // A socket that is named, such as an ssh agent's, may be spoken to.
        rules = allow(rules, path, read | AccessFs::ResolveUnix)?;
    }
    for path in &confinement.write {
        rules = allow(rules, path, write)?;
    }
    let status = rules.restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(FilesError::Unavailable);
    }
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if effective_abi >= ABI::V3 => {
            Truncation::Confined
        }
        _ => Truncation::Free,
    })
}

/// Adds a path, when it is there and can be named by this user.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, FilesError> {
    let (Ok(file), Ok(data)) = (PathFd::new(path), fs_err::metadata(path)) else {
        return Ok(rules);
    };
    let access = if data.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    Ok(rules.add_rule(PathBeneath::new(file, access))?)
}

/// Why files can't be confined.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("Landlock refused: {0}")]
    Refused(#[from] RulesetError),
    #[error("Landlock is not available")]
    Unavailable,
}
