//! Images in one file: `oci-archive` and `docker-archive`.
//!
//! Both are written as a stream, in one pass, with sorted members and fixed headers: equal images
//! give equal archives. Layers of a `docker-archive` stay as they are stored: `docker load`,
//! podman, containerd and skopeo read compressed layers (go-containerregistry writes the same
//! form), the size of a member is known before its bytes, and nothing is decompressed twice.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::MediaType;
use serde_json::json;

use super::assemble::root;
use super::blobs::{Checked, copy_layer};
use super::document::{DOCUMENT_LIMIT, Document, canonical};
use super::layout::{LAYOUT_VERSION, check_version, entry, resolve};
use super::links::follow;
use super::manifest::Index;
use super::place::{folder_of, is_special, open_special, place};
use super::regular::open_file;
use super::{BlobReader, Image, ImageError, Layer};
use crate::error::AnyError;
use crate::layer::{Descriptor, ENTRY_MTIME};
use crate::reference::Tag;

/// Members of an archive; a layout has a handful for each image.
const MEMBER_LIMIT: usize = 100_000;

/// Writes an `oci-archive`: the tar of a layout that holds these images under one tag.
///
/// # Errors
/// The opener's, IMAGE-DIGEST, IMAGE-WRITE, IMAGE-FULL.
pub fn write_oci(
    images: &[Image],
    index: Option<&Document>,
    tag: Option<&Tag>,
    open: &dyn Fn(&Layer) -> Result<BlobReader, AnyError>,
    out: &mut dyn Write,
) -> Result<Descriptor, ImageError> {
    let mut blobs = Blobs::default();
    for image in images {
        blobs.add(image);
    }
    if let Some(index) = index {
        blobs.document(index);
    }
    let root = root(images, index)?;
    let manifests = vec![entry(&root, tag.map(Tag::as_str))];
    let top = Index::new(manifests, BTreeMap::new());
    let mut tar = Tar { out };
    tar.folder("blobs/")?;
    tar.folder("blobs/sha256/")?;
    for (digest, blob) in &blobs.0 {
        let name = format!("blobs/sha256/{}", digest.hex());
        match blob {
            Member::Document(document) => tar.file(&name, &document.bytes)?,
            Member::Layer(layer) => tar.layer(&name, layer, open)?,
        }
    }
    tar.file("index.json", &canonical("the index of a layout", &top)?)?;
    tar.file("oci-layout", LAYOUT_VERSION.as_bytes())?;
    tar.end()?;
    Ok(root)
}

/// Writes a `docker-archive` of one image; `name` is what `docker load` calls it.
///
/// # Errors
/// As [`write_oci`].
pub fn write_docker(
    image: &Image,
    name: Option<&str>,
    open: &dyn Fn(&Layer) -> Result<BlobReader, AnyError>,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let config = format!("{}.json", image.config.digest.hex());
    let layers: Vec<String> = image.layers.iter().map(layer_name).collect();
    let names: Vec<String> = name.into_iter().map(with_tag).collect();
    let manifest = json!([{"Config": config, "RepoTags": names, "Layers": layers}]);
    let mut members = BTreeMap::new();
    members.insert(config, Member::Document(&image.config));
    for (name, layer) in layers.into_iter().zip(&image.layers) {
        members.insert(name, Member::Layer(layer));
    }
    let manifest = Document::encode("an archive's manifest", &manifest, MediaType::EmptyJSON)?;
    members.insert("manifest.json".to_owned(), Member::Document(&manifest));
    let mut tar = Tar { out };
    for (name, member) in members {
        match member {
            Member::Document(document) => tar.file(&name, &document.bytes)?,
            Member::Layer(layer) => tar.layer(&name, layer, open)?,
        }
    }
    tar.end()
}

/// Writes a file through one of the functions above, beside its place and renamed when whole;
/// into a device or a pipe it writes directly.
///
/// # Errors
/// The producer's, IMAGE-WRITE, IMAGE-FULL.
pub fn write_file(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    if is_special(path) {
        let file = open_special(path).map_err(|source| ImageError::write(path, source))?;
        return fill(file, path, produce);
    }
    place(folder_of(path), path, |file| fill(file, path, produce))
}

fn fill(
    file: impl Write,
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut out = io::BufWriter::with_capacity(1 << 17, file);
    produce(&mut out).map_err(|error| error.named(path))?;
    out.flush()
        .map_err(|source| ImageError::write(path, source))
}

/// `docker load` wants a tag; without one, docker means `latest`.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') {
        return name.to_owned();
    }
    format!("{name}:latest")
}

fn layer_name(layer: &Layer) -> String {
    let suffix = match layer.descriptor.media_type {
        MediaType::ImageLayer => "tar",
        MediaType::ImageLayerZstd => "tar.zst",
        _ => "tar.gz",
    };
    format!("{}.{suffix}", layer.descriptor.digest.hex())
}

enum Member<'a> {
    Document(&'a Document),
    Layer(&'a Layer),
}

/// Blobs by digest: images share layers.
#[derive(Default)]
struct Blobs<'a>(BTreeMap<crate::digest::Digest, Member<'a>>);

impl<'a> Blobs<'a> {
    fn add(&mut self, image: &'a Image) {
        self.document(&image.config);
        self.document(&image.manifest);
        for layer in &image.layers {
            self.0.insert(layer.descriptor.digest, Member::Layer(layer));
        }
    }

    fn document(&mut self, document: &'a Document) {
        self.0.insert(document.digest, Member::Document(document));
    }
}

struct Tar<'a> {
    out: &'a mut dyn Write,
}

impl Tar<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.out
            .write_all(bytes)
            .map_err(|source| ImageError::write("the archive", source))
    }

    fn header(&mut self, name: &str, kind: tar::EntryType, size: u64) -> Result<(), ImageError> {
        let mut header = tar::Header::new_ustar();
        header
            .set_path(name)
            .map_err(|source| ImageError::write(name, source))?;
        header.set_entry_type(kind);
        header.set_mode(match kind {
            tar::EntryType::Directory => 0o755,
            _ => 0o644,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(ENTRY_MTIME);
        // Layers of 8 GiB and more get GNU's binary size, which every reader knows.
        header.set_size(size);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn folder(&mut self, name: &str) -> Result<(), ImageError> {
        self.header(name, tar::EntryType::Directory, 0)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        self.header(name, tar::EntryType::Regular, bytes.len() as u64)?;
        self.write(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn layer(
        &mut self,
        name: &str,
        layer: &Layer,
        open: &dyn Fn(&Layer) -> Result<BlobReader, AnyError>,
    ) -> Result<(), ImageError> {
        let reader = open(layer).map_err(ImageError::Blob)?;
        let mut reader = Checked::new(reader, &layer.descriptor);
        self.header(name, tar::EntryType::Regular, layer.descriptor.size)?;
        copy_layer(&mut reader, self.out, layer, Path::new("the archive"))?;
        self.pad(layer.descriptor.size)
    }

    fn pad(&mut self, size: u64) -> Result<(), ImageError> {
        let missing = size.next_multiple_of(512) - size;
        let zeros = [0; 512];
        let missing = usize::try_from(missing).unwrap_or_default();
        self.write(&zeros[..missing])
    }

    fn end(&mut self) -> Result<(), ImageError> {
        self.write(&[0; 1024])?;
        self.out
            .flush()
            .map_err(|source| ImageError::write("the archive", source))
    }
}

/// An `oci-archive` that is read: blobs are opened where they lie in the file.
#[derive(Debug)]
pub struct OciArchive {
    path: PathBuf,
    members: Members,
    index: Index,
}

impl OciArchive {
    /// Opens an archive and reads its index.
    ///
    /// # Errors
    /// IMAGE-ARCHIVE when it is none, IMAGE-READ, IMAGE-JSON.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let what = format!("oci-archive:{}", path.display());
        let problem = |problem: String| ImageError::Archive {
            what: what.clone(),
            problem,
        };
        let unreadable = |source: io::Error| ImageError::Read {
            what: what.clone(),
            source,
        };
        let mut archive = Self {
            path: path.to_owned(),
            members: members(open_file(path).map_err(unreadable)?).map_err(unreadable)?,
            // Until it is read.
            index: Index::new(Vec::new(), BTreeMap::new()),
        };
        let layout = archive.small("oci-layout").map_err(unreadable)?;
        let layout = layout.ok_or_else(|| problem("it holds no oci-layout".to_owned()))?;
        check_version(&layout).map_err(problem)?;
        let index = archive.small("index.json").map_err(unreadable)?;
        let index = index.ok_or_else(|| problem("it holds no index.json".to_owned()))?;
        archive.index = serde_json::from_slice(&index).map_err(|source| ImageError::Json {
            what: format!("index.json of {what}"),
            source,
        })?;
        Ok(archive)
    }

    fn name(&self) -> String {
        format!("oci-archive:{}", self.path.display())
    }

    fn small(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(&place) = self.members.files.get(name) else {
            return Ok(None);
        };
        if place.1 > DOCUMENT_LIMIT {
            return Err(io::Error::other(format!("{name} is larger than 4 MiB")));
        }
        let mut bytes = Vec::new();
        at(&self.path, place)?.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The manifest or index behind a tag, or the only one.
    ///
    /// # Errors
    /// IMAGE-TAG with the tags that exist.
    pub fn resolve(&self, tag: Option<&Tag>) -> Result<Descriptor, ImageError> {
        resolve(&self.name(), &self.index, tag.map(Tag::as_str))
    }

    /// Opens a blob; its bytes are not checked here.
    ///
    /// # Errors
    /// IMAGE-MISSING, IMAGE-READ.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let name = format!("blobs/sha256/{}", descriptor.digest.hex());
        let Some(&place) = self.members.files.get(&name) else {
            return Err(ImageError::Missing {
                image: self.name(),
                digest: descriptor.digest,
            });
        };
        let reader = at(&self.path, place).map_err(|source| ImageError::Read {
            what: self.name(),
            source,
        })?;
        Ok(Box::new(reader))
    }
}

/// Start and size of the regular members of a tar, and where its links lead.
#[derive(Debug, Default)]
pub(super) struct Members {
    files: BTreeMap<String, (u64, u64)>,
    links: BTreeMap<String, String>,
}

impl Members {
    pub(super) fn find(&self, name: &str) -> Option<(u64, u64)> {
        let found = self.files.get(name);
        // `docker save` before 25 and skopeo write a layer once and link to it.
        let found = found.or_else(|| self.files.get(&beside(name, self.links.get(name)?)?));
        found.copied()
    }
}

/// The member that a link means, `..` taken as text.
fn beside(name: &str, target: &str) -> Option<String> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    follow(&format!("{folder}/{target}"), |_| None)
}

/// The bytes of an archive from a start on, as many as a member has.
pub(super) fn at(path: &Path, (start, size): (u64, u64)) -> io::Result<impl Read + Send + use<>> {
    let mut file = open_file(path)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(start))?;
    Ok(file.take(size))
}

/// The members of a tar, without reading their contents.
pub(super) fn members(file: fs_err::File) -> io::Result<Members> {
    let mut archive = tar::Archive::new(file);
    let mut members = Members::default();
    // Raw: names of a layout are short, and long-name members of hostile size stay unread.
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        if members.files.len() + members.links.len() >= MEMBER_LIMIT {
            return Err(io::Error::other("the archive has too many members"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let place = (entry.raw_file_position(), entry.size());
                members.files.insert(name, place);
            }
            tar::EntryType::Symlink => {
                if let Some(target) = entry.link_name_bytes() {
                    let target = String::from_utf8_lossy(&target).into_owned();
                    members.links.insert(name, target);
                }
            }
            _ => {}
        }
    }
    Ok(members)
}
