//! `os_packages`: more packages of Debian as a layer of their own on a base.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::config::with_packages;
use super::extract::Memory;
use super::merge::{Tree, extract_all};
use super::sets::{FILTER_VERSION, Usr};
use super::{AssembleError, FetchedDeb};
use crate::base::BaseFacts;
use crate::digest::Digest;
use crate::image::links::follow;
use crate::layer::{
    Entry, EntryKind, EntryPath, EntrySummary, Input, Inputs, LayerDescription, LayerError,
    LayerKey, LayerSource, LayerWriter, Node,
};

/// Packages on top of a base.
#[derive(Debug)]
pub struct OsPackages {
    key: LayerKey,
    debs: Vec<FetchedDeb>,
    /// Folders and links of the base.
    shape: BTreeMap<String, EntrySummary>,
    scratch: PathBuf,
}

/// A layer of packages on a base: the same filters as for bases, nothing generated, every path
/// through the links of the base. `debs` must hold all that the base lacks; contents are unpacked
/// in a folder below `scratch` while the layer is written.
///
/// # Errors
/// BASE-CONFLICT for a package that the base has in another version.
pub fn os_packages_layer(
    mut debs: Vec<FetchedDeb>,
    base: &BaseFacts,
    scratch: PathBuf,
) -> Result<Arc<dyn LayerSource>, AssembleError> {
    debs.sort_by(|a, b| a.package.cmp(&b.package));
    for deb in &debs {
        let status = format!("var/lib/dpkg/status.d/{}", deb.package.name);
        if base.entries.contains_key(&status) {
            return Err(AssembleError::Conflict {
                path: status,
                first: "of the base".to_owned(),
                second: format!("{} of os_packages", deb.package.name),
            });
        }
    }
    let shape: BTreeMap<String, EntrySummary> = base
        .entries
        .iter()
        .filter(|(_, entry)| matches!(entry.kind, EntryKind::Directory | EntryKind::Symlink))
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect();
    let key = LayerKey::new("deb-os-packages", FILTER_VERSION).with("base", &digest(&shape));
    let key = with_packages(key, debs.iter().map(|deb| &deb.package));
    Ok(Arc::new(OsPackages {
        key,
        debs,
        shape,
        scratch,
    }))
}

/// Folders and links decide what of the packages is written, and where.
fn digest(shape: &BTreeMap<String, EntrySummary>) -> Digest {
    let mut text = Vec::new();
    for (path, entry) in shape {
        text.extend_from_slice(path.as_bytes());
        text.push(0);
        text.extend_from_slice(entry.target.as_deref().unwrap_or_default().as_bytes());
        text.push(0);
    }
    Digest::of(&text)
}

impl OsPackages {
    fn entries(&self, folder: &std::path::Path) -> Result<Vec<Entry>, AssembleError> {
        let link = |path: &str| self.shape.get(path)?.target.as_deref();
        let usr = match link("bin") {
            Some(_) => Usr::Merged,
            None => Usr::Split,
        };
        let mut tree = Tree::default();
        let packages = Tree::of(extract_all(&self.debs, usr, folder, &Memory::new())?)?;
        for entry in packages.finish()? {
            if let Some(entry) = self.placed(entry)? {
                tree.add(entry)?;
            }
        }
        // Links of the base may lead into folders that it does not have.
        let entries = tree.finish()?;
        Ok(entries
            .into_iter()
            .filter(|entry| !self.has(entry))
            .collect())
    }

    /// The entry where the base's links lead; none for a folder or link that the base has.
    fn placed(&self, mut entry: Entry) -> Result<Option<Entry>, AssembleError> {
        let link = |path: &str| self.shape.get(path)?.target.as_deref();
        let path = entry.path.as_str();
        let place = if let Node::Directory { .. } = entry.node {
            follow(path, link)
        } else {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            follow(parent, link).map(|parent| match parent.as_str() {
                "" => name.to_owned(),
                parent => format!("{parent}/{name}"),
            })
        };
        let place = place.ok_or_else(|| AssembleError::Member {
            package: entry.package.as_deref().unwrap_or_default().to_owned(),
            member: entry.path.to_string(),
            rule: "the base has too many symbolic links there",
        })?;
        entry.path = EntryPath::new(place)?;
        if self.has(&entry) {
            return Ok(None);
        }
        if let Some(present) = self.shape.get(entry.path.as_str())
            && present.kind == EntryKind::Directory
        {
            return Err(AssembleError::Conflict {
                path: entry.path.to_string(),
                first: "of the base".to_owned(),
                second: entry.package.as_deref().unwrap_or_default().to_owned(),
            });
        }
        Ok(Some(entry))
    }

    fn has(&self, entry: &Entry) -> bool {
        let present = self.shape.get(entry.path.as_str());
        present.is_some_and(|present| match &entry.node {
            Node::Directory { .. } => present.kind == EntryKind::Directory,
            Node::Symlink { target } => present.target.as_ref() == Some(target),
            Node::File { .. } => false,
        })
    }
}

impl LayerSource for OsPackages {
    fn key(&self) -> &LayerKey {
        &self.key
    }

    fn describe(&self) -> LayerDescription {
        let names = self.debs.iter().map(|deb| deb.package.name.as_str());
        LayerDescription {
            name: "os-packages".to_owned(),
            kind: "deb-os-packages".to_owned(),
            contents: names.collect::<Vec<_>>().join(", "),
        }
    }

    fn inputs(&self) -> &[Input] {
        &[]
    }

    fn write(&self, _: &Inputs, out: &mut LayerWriter<'_>) -> Result<(), LayerError> {
        let folder = tempfile::Builder::new()
            .prefix("deb")
            .tempdir_in(&self.scratch)
            .map_err(AssembleError::disk)?;
        let entries = self.entries(folder.path())?;
        entries.iter().try_for_each(|entry| out.append(entry))
    }
}
