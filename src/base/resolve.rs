//! Names of bases → bases.

use std::io::{self, Write};

use oci_spec::image::MediaType;
use serde_json::Map;

use super::{Base, BaseError, BaseLayer, BaseName, convert, embedded};
use crate::digest::{Digest, Hashing};
use crate::error::AnyError;
use crate::image::manifest::Root;
use crate::image::{Blob, BlobReader, Blobs, DOCUMENT_LIMIT, Document, Layout};
use crate::layer::{Descriptor, Encoder};
use crate::platform::Platform;
use crate::progress::{Reporter, Verb};
use crate::reference::{Reference, Repository};
use crate::store::Store;

/// Writes a blob of a repository to a writer.
pub type FetchBlob<'a> =
    dyn Fn(&Repository, &Descriptor, &mut (dyn Write + Send)) -> Result<(), AnyError> + 'a;

/// What a registry client does for bases.
pub struct ManifestSource<'a> {
    /// Fetches the manifest or index of a reference.
    pub manifest: &'a dyn Fn(&Reference) -> Result<Document, AnyError>,
    /// Fetches a blob; its bytes are checked by the caller.
    pub blob: &'a FetchBlob<'a>,
}

impl std::fmt::Debug for ManifestSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestSource").finish_non_exhaustive()
    }
}

/// What resolving may use.
pub struct BaseContext<'a> {
    /// Keeps layers, documents and facts of bases.
    pub store: &'a Store,
    /// Encodes the layer of the embedded base.
    pub encoder: &'a Encoder,
    /// The registry; none when offline.
    pub registry: Option<&'a ManifestSource<'a>>,
    /// Hears what was resolved.
    pub reporter: &'a dyn Reporter,
}

impl std::fmt::Debug for BaseContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseContext").finish_non_exhaustive()
    }
}

/// Resolves a base for each platform, in their order. Names that stand for different things in
/// different places are pinned first ([`super::pin`]).
///
/// # Errors
/// BASE-PLATFORM with what exists, BASE-MEDIA, BASE-CONFIG, BASE-OFFLINE, those of the layout or
/// the registry.
pub fn resolve(
    name: &BaseName,
    platforms: &[Platform],
    context: &BaseContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    match name {
        BaseName::Scratch => Ok(platforms.iter().map(scratch).collect()),
        BaseName::Embedded => embedded::resolve(platforms, context),
        BaseName::Layout { dir, tag } => {
            let layout = Layout::open(dir)?;
            let open = |descriptor: &Descriptor| Ok(layout.open_blob(descriptor)?);
            let blobs = Blobs::new(&open);
            let root = blobs.document(&layout.resolve(tag.as_ref())?)?;
            let documents = Documents {
                name: name.to_string(),
                blob: Blob::Layout(dir.clone()),
                get: &|descriptor| Ok(blobs.document(descriptor)?),
            };
            documents.bases(&root, platforms)
        }
        BaseName::Registry(reference) => {
            registry(&reference.to_string(), reference, platforms, context)
        }
        BaseName::Short(_) | BaseName::Deb { .. } => Err(BaseError::NotPinned {
            name: name.to_string(),
        }),
    }
}

/// What a tag stands for now; its manifest is kept, so that [`pinned`] need not ask again.
///
/// # Errors
/// BASE-OFFLINE, those of the registry.
pub(super) fn digest_of(
    reference: &Reference,
    context: &BaseContext<'_>,
) -> Result<Digest, BaseError> {
    let registry = context.online(&reference.to_string())?;
    let document = (registry.manifest)(reference).map_err(BaseError::Source)?;
    context.keep(&reference.to_string(), &document);
    Ok(document.digest)
}

/// The bases of an image whose tag a lock pins; they are named as without a lock.
///
/// # Errors
/// As [`resolve`].
pub(super) fn pinned(
    reference: &Reference,
    digest: Digest,
    platforms: &[Platform],
    context: &BaseContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    let pinned = Reference {
        digest: Some(digest),
        ..reference.clone()
    };
    registry(&reference.to_string(), &pinned, platforms, context)
}

fn scratch(platform: &Platform) -> Base {
    let mut config = Map::new();
    config.insert("os".to_owned(), platform.os.clone().into());
    config.insert(
        "architecture".to_owned(),
        platform.architecture.clone().into(),
    );
    Base {
        name: "scratch".to_owned(),
        digest: None,
        config,
        layers: Vec::new(),
    }
}

fn registry(
    name: &str,
    reference: &Reference,
    platforms: &[Platform],
    context: &BaseContext<'_>,
) -> Result<Vec<Base>, BaseError> {
    let root = if let Some(digest) = &reference.digest {
        context.manifest(name, &reference.repository, digest)?
    } else {
        let registry = context.online(name)?;
        let root = (registry.manifest)(reference).map_err(BaseError::Source)?;
        let text = format!("base {name}, {}", root.digest);
        context.reporter.line(Verb::Resolved, text);
        root
    };
    let documents = Documents {
        name: name.to_owned(),
        blob: Blob::Registry(reference.repository.clone()),
        get: &|descriptor| match descriptor.media_type {
            MediaType::ImageConfig => context.config(name, &reference.repository, descriptor),
            _ => context.manifest(name, &reference.repository, &descriptor.digest),
        },
    };
    documents.bases(&root, platforms)
}

/// The documents of one base, wherever they are.
struct Documents<'a> {
    name: String,
    blob: Blob,
    get: &'a dyn Fn(&Descriptor) -> Result<Document, BaseError>,
}

impl Documents<'_> {
    fn bases(&self, root: &Document, platforms: &[Platform]) -> Result<Vec<Base>, BaseError> {
        platforms
            .iter()
            .map(|platform| self.base(root, platform))
            .collect()
    }

    fn base(&self, root: &Document, wanted: &Platform) -> Result<Base, BaseError> {
        let (document, manifest) = match Root::read(root)? {
            Root::Manifest(manifest) => (root.clone(), manifest),
            Root::Index(index) => {
                let entry = index.select(&self.name, wanted).map_err(as_base)?;
                let document = (self.get)(&entry.descriptor)?;
                let manifest = document.read()?;
                (document, manifest)
            }
        };
        let config = (self.get)(&convert::config_descriptor(&self.name, &manifest)?)?;
        convert::base(&self.name, &document, &config, wanted, &self.blob)
    }
}

/// The errors of choosing from an index, with the codes of bases.
fn as_base(error: crate::image::ImageError) -> BaseError {
    use crate::image::ImageError;
    match error {
        ImageError::Platform {
            image,
            wanted,
            present,
        } => BaseError::Platform {
            base: image,
            wanted,
            present,
        },
        ImageError::Media { what, media_type } => BaseError::Media {
            base: what,
            what: "its manifest".to_owned(),
            media_type,
        },
        other => BaseError::Image(other),
    }
}

impl BaseContext<'_> {
    fn online(&self, base: &str) -> Result<&ManifestSource<'_>, BaseError> {
        self.registry.ok_or_else(|| BaseError::NoRegistry {
            base: base.to_owned(),
        })
    }

    /// A manifest by digest: kept as a memo, so that pinned bases need no registry.
    fn manifest(
        &self,
        base: &str,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, BaseError> {
        if let Some(document) = self
            .store
            .memo(&manifest_memo(digest))
            .and_then(|memo| remembered(&memo, digest))
        {
            return Ok(document);
        }
        let reference = Reference {
            repository: repository.clone(),
            tag: None,
            digest: Some(*digest),
        };
        let document = (self.online(base)?.manifest)(&reference).map_err(BaseError::Source)?;
        if document.digest != *digest {
            return Err(BaseError::Config {
                base: base.to_owned(),
                problem: format!("the registry sent {} for {digest}", document.digest),
            });
        }
        self.keep(base, &document);
        Ok(document)
    }

    fn keep(&self, base: &str, document: &Document) {
        let mut memo = format!("{}\n", document.media_type).into_bytes();
        memo.extend_from_slice(&document.bytes);
        let what = format!("the manifest of base {base}");
        self.store
            .remember_input(&what, &manifest_memo(&document.digest), &memo);
    }

    fn config(
        &self,
        base: &str,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Document, BaseError> {
        let open = |descriptor: &Descriptor| -> Result<BlobReader, AnyError> {
            if descriptor.size > DOCUMENT_LIMIT {
                // `Blobs::document` refuses it; nothing is fetched for that.
                return Ok(Box::new(io::empty()));
            }
            Ok(self.blob(base, repository, descriptor)?)
        };
        Ok(Blobs::new(&open).document(descriptor)?)
    }

    /// A blob of a registry, fetched into the store on its first use.
    fn blob(
        &self,
        base: &str,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobReader, BaseError> {
        let (store, digest) = (self.store, &descriptor.digest);
        let source = |error: crate::store::StoreError| BaseError::Source(error.into());
        let path = if let Some(path) = store.blob(digest, descriptor.size) {
            path
        } else {
            let mut out = Hashing::new(store.blob_writer().map_err(source)?);
            (self.online(base)?.blob)(repository, descriptor, &mut out)
                .map_err(BaseError::Source)?;
            let (out, found, size) = out.finish();
            if (found, size) != (*digest, descriptor.size) {
                return Err(BaseError::Digest {
                    base: base.to_owned(),
                    digest: *digest,
                    found,
                    size,
                });
            }
            store.commit_input(out, digest).map_err(source)?
        };
        open(&path).map_err(|source| BaseError::Read {
            base: base.to_owned(),
            layer: digest.to_string(),
            source,
        })
    }

    /// The stored bytes of a base's layer; a registry's are fetched into the store.
    ///
    /// # Errors
    /// BASE-READ, BASE-OFFLINE, those of the layout, store or registry.
    pub fn open_layer(&self, layer: &BaseLayer) -> Result<BlobReader, AnyError> {
        let descriptor = &layer.descriptor;
        match &layer.blob {
            Blob::Layout(dir) => Ok(Layout::open(dir)?.open_blob(descriptor)?),
            Blob::Registry(repository) => {
                Ok(self.blob(&repository.to_string(), repository, descriptor)?)
            }
            Blob::Store => {
                let path = self.store.blob(&descriptor.digest, descriptor.size);
                let path = path.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::NotFound, "it is not in the cache")
                });
                let opened = path.and_then(|path| open(&path));
                Ok(opened.map_err(|source| BaseError::Read {
                    base: "in the cache".to_owned(),
                    layer: descriptor.digest.to_string(),
                    source,
                })?)
            }
        }
    }
}

fn manifest_memo(digest: &Digest) -> Digest {
    Digest::of(format!("karisimbi base manifest\n{digest}").as_bytes())
}

fn open(path: &std::path::Path) -> io::Result<BlobReader> {
    Ok(Box::new(fs_err::File::open(path)?))
}

/// A memo of [`BaseContext::manifest`]; a damaged one is fetched again.
fn remembered(memo: &[u8], digest: &Digest) -> Option<Document> {
    let end = memo.iter().position(|byte| *byte == b'\n')?;
    let media_type = std::str::from_utf8(&memo[..end]).ok()?;
    let document = Document::from_bytes(memo[end + 1..].to_vec(), media_type.into());
    (document.digest == *digest).then_some(document)
}
