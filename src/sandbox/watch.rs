//! Limits that the kernel has none for: bytes on a disk, processes of one tree. Best effort: they
//! are looked at forty times a second.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Limits;

/// A file system is full for us when this is left.
const RESERVE: u64 = 64 << 20;
/// Looks from one at the disks to the next: a disk may be on another machine.
const DISKS: u32 = 4;
/// Files counted below the writable folders.
const MOST_FILES: usize = 2_000_000;

/// Watches one program.
#[derive(Debug)]
pub(super) struct Watch {
    started: Instant,
    limits: Limits,
    disks: Vec<Disk>,
    /// Tasks on the machine when the program was started.
    tasks: u64,
    looks: u32,
}

/// One file system.
#[derive(Debug)]
struct Disk {
    device: u64,
    folders: Vec<PathBuf>,
    used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Space {
    used: u64,
    available: u64,
}

impl Watch {
    /// Begins before the program starts.
    pub(super) fn new(limits: Limits, folders: &[PathBuf]) -> Self {
        let mut disks: Vec<Disk> = Vec::new();
        for folder in folders {
            let (Ok(data), Some(space)) = (fs_err::metadata(folder), space(folder)) else {
                continue;
            };
            match disks.iter_mut().find(|disk| disk.device == data.dev()) {
                Some(disk) => disk.folders.push(folder.clone()),
                None => disks.push(Disk {
                    device: data.dev(),
                    folders: vec![folder.clone()],
                    used: space.used,
                }),
            }
        }
        Self {
            started: Instant::now(),
            limits,
            disks,
            tasks: machine_tasks().unwrap_or(0),
            looks: 0,
        }
    }

    /// The limit that was passed, in words.
    pub(super) fn passed(&mut self) -> Option<String> {
        self.looks = self.looks.wrapping_add(1);
        if let Some(time) = self.limits.time
            && self.started.elapsed() > time
        {
            return Some(format!("it did not end within {} s", time.as_secs_f64()));
        }
        let disks = self.looks.is_multiple_of(DISKS);
        self.too_many()
            .or_else(|| disks.then(|| self.too_large()).flatten())
    }

    fn too_many(&self) -> Option<String> {
        let most = u64::from(self.limits.processes);
        // One small file says whether counting is worth while.
        let new = machine_tasks().map(|tasks| tasks.saturating_sub(self.tasks));
        if new.is_some_and(|new| new < most / 2) {
            return None;
        }
        let count = descendants();
        (count > most).then(|| format!("it has {count} processes; {most} are allowed"))
    }

    fn too_large(&self) -> Option<String> {
        let most = self.limits.disk;
        self.disks.iter().find_map(|disk| {
            let now = space(disk.folders.first()?)?;
            let grown = now.used.saturating_sub(disk.used);
            if grown < most {
                return None;
            }
            // Others may have written there too. What was written and deleted is in no folder.
            let counted = || {
                disk.folders
                    .iter()
                    .map(|folder| size(folder, disk.device))
                    .sum::<u64>()
            };
            (now.available < RESERVE || counted() >= most).then(|| {
                format!(
                    "it wrote more than {} to the disk of {}",
                    crate::progress::human_bytes(most),
                    disk.folders
                        .first()
                        .map_or("", |path| path.to_str().unwrap_or("its folder"))
                )
            })
        })
    }
}

fn space(folder: &Path) -> Option<Space> {
    let data = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        used: data.f_blocks.saturating_sub(data.f_bfree) * data.f_frsize,
        available: data.f_bavail * data.f_frsize,
    })
}

/// Bytes of the files below a folder, on its own disk.
fn size(folder: &Path, device: u64) -> u64 {
    let mut open = vec![folder.to_owned()];
    let (mut bytes, mut seen) = (0, 0);
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MOST_FILES {
                return bytes;
            }
            let Ok(data) = entry.metadata() else { continue };
            if data.dev() == device {
                bytes += data.blocks() * 512;
                if data.is_dir() {
                    open.push(entry.path());
                }
            }
        }
    }
    bytes
}

/// Processes and threads of the whole machine: the fourth field of loadavg, after a slash.
fn machine_tasks() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/loadavg").ok()?;
    let field = text.split(' ').nth(3)?;
    field.split_once('/')?.1.parse().ok()
}

/// How many processes come of this one.
fn descendants() -> u64 {
    let parents = parents();
    let mut ours = vec![std::process::id()];
    let mut next = 0;
    while let Some(parent) = ours.get(next).copied() {
        next += 1;
        let first = parents.partition_point(|(above, _)| *above < parent);
        let children = parents
            .iter()
            .skip(first)
            .take_while(|(above, _)| *above == parent);
        ours.extend(children.map(|(_, pid)| *pid).filter(|pid| *pid != parent));
    }
    ours.len() as u64 - 1
}

/// Every process with its parent, sorted by the parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((parent(pid)?, pid))
        })
        .collect();
    found.sort_unstable();
    found
}

/// The fourth field of a process's stat; the second is a name that may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs_err::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(')')?.1.split(' ').nth(2)?.parse().ok()
}

/// The processes whose parent this one is, with their names.
pub(super) fn children() -> Vec<(u32, String)> {
    let own = std::process::id();
    // The kernel's own list, where it has been built in.
    let listed = fs_err::read_to_string(format!("/proc/{own}/task/{own}/children"));
    let pids: Vec<u32> = match listed {
        Ok(text) => text
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect(),
        Err(_) => parents()
            .into_iter()
            .filter(|(parent, _)| *parent == own)
            .map(|(_, pid)| pid)
            .collect(),
    };
    pids.into_iter()
        .map(|pid| {
            let name = fs_err::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            // The process chose it, and it goes to a terminal.
            let name = String::from_utf8_lossy(&name);
            (pid, name.chars().filter(|c| !c.is_control()).collect())
        })
        .collect()
}
