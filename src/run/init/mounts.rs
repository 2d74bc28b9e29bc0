//! The file system of the container.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};
use rustix::fs::{FileType, fstat};

use super::places::{NOTHING, Root, Shape, bind, link_of, mount_tmpfs, restrict};
use crate::run::error::RunError;
use crate::run::spec::{Processes, Spec};
use crate::run::tree::{Facts, Ownership, Tree};
use crate::run::{Access, NetworkMode, Volume};

/// Devices that programs expect; the kernel checks every use of them.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Parts of /proc that tell of this machine or steer it, as runc and crun hide them.
pub(super) const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];
/// Parts of /proc that are read only.
pub(super) const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Bytes of /tmp, and of /dev/shm.
const TMP_OPTIONS: &str = "mode=1777,size=1g";
pub(super) const SHM_OPTIONS: &str = "mode=1777,size=64m";

fn step<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> RunError {
    move |error| RunError::setup(what, error)
}

/// A mount namespace of our own, from which nothing reaches this machine's.
pub(super) fn own_namespace() -> Result<(), RunError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(step("unshare(CLONE_NEWNS)"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, flags, NOTHING).map_err(step("making mounts private"))
}

/// The image's files, read only, with volumes and the files about names over them.
pub(super) fn assemble(spec: &Spec) -> Result<Root, RunError> {
    let mut root = Root::mount(&spec.root).map_err(step("mounting the image"))?;
    check_places(&root, spec)?;
    add_tmp(&root, spec)?;
    root.add_writable("tmp").map_err(step("/tmp"))?;
    for volume in &spec.volumes {
        add_volume(&mut root, volume)?;
    }
    let (hosts, resolver) = match spec.network {
        NetworkMode::None => (spec.folder.join("hosts"), None),
        NetworkMode::Host => ("/etc/hosts".into(), Some(PathBuf::from("/etc/resolv.conf"))),
    };
    let files = [
        ("etc/hostname", Some(spec.folder.join("hostname"))),
        ("etc/hosts", Some(hosts)),
        ("etc/resolv.conf", resolver),
    ];
    for (name, source) in files {
        // An image whose /etc is a link to nowhere does without.
        let Some(source) = source.filter(|source| source.exists()) else {
            continue;
        };
        let given = |volume: &Volume| volume.target.trim_matches('/') == name;
        if spec.volumes.iter().any(given) {
            continue;
        }
        if let Ok(Some(_)) = root.tree.handle(name) {
            let place = root.place(name, Shape::File).map_err(step(name))?;
            bind(&source, &link_of(&place)).map_err(step(name))?;
            let placed = root.tree.handle(name).map_err(step(name))?;
            let placed = placed.unwrap_or(place);
            restrict(&link_of(&placed), MsFlags::MS_RDONLY).map_err(step(name))?;
        }
    }
    root.seal().map_err(step("sealing the root"))?;
    Ok(root)
}

fn add_volume(root: &mut Root, volume: &Volume) -> Result<(), RunError> {
    let refuse = |why: String| RunError::Volume {
        volume: format!("{}:{}", volume.source.display(), volume.target),
        why,
    };
    let stat = fs_err::metadata(&volume.source).map_err(|error| refuse(error.to_string()))?;
    let shape = if stat.is_dir() {
        Shape::Folder
    } else {
        Shape::File
    };
    let place = root
        .place(&volume.target, shape)
        .map_err(|error| refuse(format!("no place in the image: {error}")))?;
    let failed = |error: io::Error| refuse(format!("can't be mounted: {error}"));
    bind(&volume.source, &link_of(&place)).map_err(failed)?;
    let target = volume.target.trim_matches('/');
    let placed = root.tree.handle(target).map_err(failed)?;
    let placed = placed.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let link = link_of(&placed);
    let real = fs_err::read_link(&link).map_err(failed)?;
    match volume.access {
        Access::ReadWrite => restrict(&link, MsFlags::empty()).map_err(failed),
        Access::ReadOnly => {
            restrict(&link, MsFlags::MS_RDONLY).map_err(failed)?;
            for below in mounts_below(&real).map_err(failed)? {
                restrict(&below, MsFlags::MS_RDONLY).map_err(failed)?;
            }
            Ok(())
        }
    }
}

/// Mounts inside a mounted folder: taking rights from the folder takes none from them.
pub(super) fn mounts_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let table = fs_err::read_to_string("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(points
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(folder) && point != folder)
        .collect())
}

/// Octal escapes of spaces and the like (`proc_pid_mountinfo(5)`).
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escape, plain)| {
        text.replace(escape, plain)
    })
}

/// What is mounted at a link covers the place that it points to: no two ways would do the same
/// with such an image, and runc starts none whose /proc is one.
fn check_places(root: &Root, spec: &Spec) -> Result<(), RunError> {
    let refuse = |why: String| RunError::Image {
        image: spec.image.clone(),
        why,
    };
    for name in ["proc", "dev"] {
        let kind = root.tree.kind(name).map_err(step(name))?;
        if kind != Some(FileType::Directory) {
            return Err(refuse(format!("/{name} is no folder")));
        }
    }
    let identity = |name| -> io::Result<_> {
        let stat = fstat(root.tree.folder(name)?)?;
        Ok((stat.st_dev, stat.st_ino))
    };
    match (identity("tmp"), identity("").map_err(step("/"))?) {
        (Ok(tmp), whole) if tmp != whole => Ok(()),
        _ => Err(refuse("/tmp leads to no folder of its own".to_owned())),
    }
}

/// A place that every container has.
fn system_place(root: &Root, spec: &Spec, name: &str) -> Result<OwnedFd, RunError> {
    let handle = root.tree.handle(name).map_err(step(name))?;
    handle.ok_or_else(|| RunError::Image {
        image: spec.image.clone(),
        why: format!("/{name} is a link to nothing"),
    })
}

fn add_tmp(root: &Root, spec: &Spec) -> Result<(), RunError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let place = system_place(root, spec, "tmp")?;
    mount_tmpfs(&link_of(&place), flags, TMP_OPTIONS).map_err(step("mounting /tmp"))
}

/// /proc and /dev.
pub(super) fn add_system(root: &Root, spec: &Spec) -> Result<(), RunError> {
    let proc = system_place(root, spec, "proc")?;
    add_processes(root, &proc, spec.processes)?;
    let dev = system_place(root, spec, "dev")?;
    add_devices(root, &dev).map_err(step("mounting /dev"))
}

/// A new /proc.
pub(super) fn mount_proc(place: &Path) -> Result<(), nix::errno::Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), place, Some("proc"), flags, NOTHING)
}

fn add_processes(root: &Root, place: &OwnedFd, processes: Processes) -> Result<(), RunError> {
    if processes == Processes::Outer {
        return bind(Path::new("/proc"), &link_of(place)).map_err(step("mounting the outer /proc"));
    }
    mount_proc(&link_of(place)).map_err(step("mounting /proc"))?;
    let proc = root.tree.folder("proc").map_err(step("/proc"))?;
    let proc = link_of(&proc);
    let hide = |path: &str| -> io::Result<()> {
        let path = proc.join(path.trim_start_matches("/proc/"));
        let Ok(stat) = fs_err::symlink_metadata(&path) else {
            return Ok(());
        };
        if stat.is_dir() {
            return mount_tmpfs(&path, MsFlags::MS_RDONLY, "size=0k,mode=0555");
        }
        Ok(mount(
            Some("/dev/null"),
            &path,
            NOTHING,
            MsFlags::MS_BIND,
            NOTHING,
        )?)
    };
    for path in MASKED {
        hide(path).map_err(step(path))?;
    }
    for path in READ_ONLY {
        let path = proc.join(path.trim_start_matches("/proc/"));
        if path.exists() {
            let what = || path.display().to_string();
            bind(&path, &path).map_err(step(what()))?;
            restrict(&path, MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC).map_err(step(what()))?;
        }
    }
    Ok(())
}

fn add_devices(root: &Root, place: &OwnedFd) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount_tmpfs(&link_of(place), flags, "mode=0755,size=64k")?;
    let dev = root.tree.folder("dev")?;
    let mut tree = Tree::open(&link_of(&dev), Ownership::Ours)?;
    for name in DEVICES {
        let source = Path::new("/dev").join(name);
        if source.exists() {
            tree.add_file(name, Facts::of_place(0o666), (&mut io::empty(), 0))?;
            let flags = MsFlags::MS_BIND;
            mount(
                Some(&source),
                &link_of(&dev).join(name),
                NOTHING,
                flags,
                NOTHING,
            )?;
        }
    }
    for (name, target) in DEVICE_LINKS {
        tree.add_link(name, target, Facts::of_place(0o777))?;
    }
    tree.add_folder("pts", Facts::of_place(0o755))?;
    tree.add_folder("shm", Facts::of_place(0o1777))?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    let pts = link_of(&dev).join("pts");
    mount(Some("devpts"), &pts, Some("devpts"), safe, options)?;
    let shm = link_of(&dev).join("shm");
    let safe = safe | MsFlags::MS_NODEV;
    mount_tmpfs(&shm, safe, SHM_OPTIONS)?;
    let flags = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NOEXEC;
    Ok(mount(NOTHING, &link_of(&dev), NOTHING, flags, NOTHING)?)
}

/// Makes the root ours and forgets this machine's.
pub(super) fn enter(root: &Root) -> Result<(), RunError> {
    let enter = || -> nix::Result<()> {
        chdir(root.path())?;
        // Both on one place, the old root on top: pivot_root(2), "pivot_root(".", ".")".
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        chdir("/")
    };
    enter().map_err(step("changing the root"))
}
