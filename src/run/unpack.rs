//! From layers to a folder of the store: every layer once, whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::Context;
use super::error::RunError;
use super::tree::{Facts, Ownership, Tree};
use crate::digest::Digest;
use crate::error::AnyError;
use crate::image::Image;
use crate::layer::LayerError;
use crate::layer::read::{Expected, ForeignEntry, ForeignKind, read_layer};
use crate::progress::{Verb, counted, human_bytes};
use crate::sink::Opened;

/// What is made of equal layers changes with this number.
const RULES: u32 = 1;

/// Folders and files that a container needs as places to mount on.
const FOLDERS: [(&str, u32); 5] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];
const FILES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// The image's files in the store, unpacked if they are not there yet.
pub(super) fn unpacked(
    opened: &Opened<'_>,
    image: &Image,
    context: &Context<'_>,
) -> Result<PathBuf, AnyError> {
    let ownership = if rustix::process::geteuid().is_root() {
        Ownership::Kept
    } else {
        Ownership::Ours
    };
    let key = key(image, ownership);
    if let Some(root) = context.store.unpacked(&key) {
        return Ok(root);
    }
    let _lock = context
        .store
        .lock(&format!("unpacked image {}", key.hex()))?;
    // By another process, meanwhile.
    if let Some(root) = context.store.unpacked(&key) {
        return Ok(root);
    }
    let folder = context.store.temporary_folder()?;
    let unpacked = unpack(opened, image, (&folder, ownership), context);
    match unpacked {
        Ok(()) => Ok(context.store.keep_unpacked(&key, &folder)?),
        Err(error) => {
            // Swept by the next process otherwise; the first error says more.
            let _swept = fs_err::remove_dir_all(&folder);
            Err(error)
        }
    }
}

/// Which folder: the layers and what is made of them.
fn key(image: &Image, ownership: Ownership) -> Digest {
    let mut text = format!("karisimbi unpacked {RULES} {ownership:?}\n");
    for layer in &image.layers {
        text.push_str(&layer.diff_id.0.to_string());
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

fn unpack(
    opened: &Opened<'_>,
    image: &Image,
    (folder, ownership): (&Path, Ownership),
    context: &Context<'_>,
) -> Result<(), AnyError> {
    let root = folder.join("root");
    let broken = |source| RunError::Unpacked {
        folder: folder.to_owned(),
        source,
    };
    fs_err::create_dir(&root).map_err(broken)?;
    let mut tree = Tree::open(&root, ownership).map_err(broken)?;
    tree.add_folder("", Facts::of_place(0o755))
        .map_err(broken)?;
    let mut skipped = Vec::new();
    for layer in &image.layers {
        let expected = Expected {
            digest: Some(layer.descriptor.digest),
            size: Some(layer.descriptor.size),
            diff_id: Some(layer.diff_id),
        };
        let blob = opened.blob(&layer.descriptor)?;
        tree.next_layer();
        let name = layer.descriptor.digest.to_string();
        read_layer(
            blob,
            &layer.descriptor.media_type,
            &expected,
            &mut |entry| {
                if entry.kind == ForeignKind::Special {
                    skipped.push(entry.path.clone());
                    return Ok(());
                }
                add(&mut tree, entry).map_err(|source| blame(&name, folder, entry, source))
            },
        )?;
    }
    add_places(&mut tree).map_err(broken)?;
    if let Some(first) = skipped.first() {
        let text = format!(
            "{} devices, pipes or sockets of the image are left out, first {first}",
            skipped.len()
        );
        context.reporter.warn("RUN-SKIPPED", text);
    }
    let bytes = image.layers.iter().map(|layer| layer.descriptor.size).sum();
    let text = format!(
        "unpacked image, {}, {}",
        counted(image.layers.len(), "layer"),
        human_bytes(bytes)
    );
    context.reporter.line(Verb::Built, text);
    Ok(())
}

fn add(tree: &mut Tree, entry: &mut ForeignEntry<'_>) -> io::Result<()> {
    let facts = Facts {
        mode: entry.mode,
        owner: entry.owner,
        mtime: entry.mtime,
    };
    let path = entry.path.as_str();
    match &entry.kind {
        ForeignKind::Directory => tree.add_folder(path, facts),
        ForeignKind::File => tree.add_file(path, facts, (entry.contents, entry.size)),
        ForeignKind::Symlink(target) => tree.add_link(path, target, facts),
        ForeignKind::HardLink(target) => tree.add_hard_link(path, target),
        ForeignKind::Whiteout => tree.whiteout(path),
        ForeignKind::Opaque => tree.opaque(path),
        ForeignKind::Special => Ok(()),
    }
}

fn blame(layer: &str, folder: &Path, entry: &ForeignEntry<'_>, source: io::Error) -> LayerError {
    let full = matches!(
        source.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let error = if full {
        RunError::Unpacked {
            folder: folder.to_owned(),
            source,
        }
    } else {
        RunError::Unpack {
            layer: layer.to_owned(),
            path: entry.path.clone(),
            source,
        }
    };
    LayerError::Source(error.into())
}

/// Places to mount on, where the image has none. What it has stays, whatever it is.
fn add_places(tree: &mut Tree) -> io::Result<()> {
    tree.next_layer();
    for (path, mode) in FOLDERS {
        if tree.kind(path)?.is_none() {
            tree.add_folder(path, Facts::of_place(mode))?;
        }
    }
    if tree.kind("etc")? != Some(FileType::Directory) {
        return Ok(());
    }
    for path in FILES {
        if tree.kind(path)?.is_none() {
            tree.add_file(path, Facts::of_place(0o644), (&mut io::empty(), 0))?;
        }
    }
    Ok(())
}
