//! `ca_certs`: certificate authorities of one's own, added to the bundle of any base.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use super::pem::{self, MAX_BUNDLE};
use super::{Base, BaseContext, BaseError, BaseFacts, BaseLayer, facts};
use crate::digest::Digest;
use crate::image::links::follow;
use crate::layer::read::{Expected, ForeignKind, read_layer};
use crate::layer::{
    Content, Entry, EntryKind, EntryPath, Executable, InlineLayer, LayerDescription, LayerError,
    LayerKey, LayerSource, Node, Owner,
};

/// Version of the rules for this layer.
const RULES: u32 = 1;

/// Where programs look for the bundle: Debian and Alpine (Go, OpenSSL), Red Hat, SUSE, and
/// Alpine's OpenSSL.
const PLACES: [&str; 5] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// A layer with the base's bundle and the certificates of these PEM files, by name and contents:
/// at the real place of each bundle that the base has, or at Debian's when it has none.
///
/// # Errors
/// BASE-CERT for a file without certificates, a damaged one, or a private key; those of reading
/// the base.
pub fn ca_layer(
    base: &Base,
    pems: &[(String, Vec<u8>)],
    context: &BaseContext<'_>,
) -> Result<Arc<dyn LayerSource>, BaseError> {
    let mut added: Vec<Vec<u8>> = Vec::new();
    for (name, bytes) in pems {
        for der in pem::parse(name, bytes)? {
            if !added.contains(&der) {
                added.push(der);
            }
        }
    }
    let facts = facts(base, context)?;
    let tree = Places { facts: &facts };
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut key = LayerKey::new("ca-certificates", RULES);
    for path in tree.bundles() {
        let present = tree.read(base, &path, context)?;
        key = key.with(&format!("bundle /{path}"), &Digest::of(&present));
        let bytes = merged(present, &added);
        let made = tree.file(&path, bytes);
        for entry in made.map_err(|error| BaseError::Source(error.into()))? {
            entries.insert(entry.path.as_str().to_owned(), entry);
        }
    }
    // In their order, which the bundle keeps.
    let digests = added.iter().map(|der| Digest::of(der).hex());
    key = key.with("certificates", &digests.collect::<Vec<_>>().join(" "));
    let description = LayerDescription {
        name: "ca-certificates".to_owned(),
        kind: "ca-certificates".to_owned(),
        contents: format!("{} certificate authorities more", added.len()),
    };
    let entries = entries.into_values().collect();
    Ok(Arc::new(InlineLayer::new(key, description, entries)))
}

/// The bundle of the base, verbatim, and what it lacks.
fn merged(mut bundle: Vec<u8>, added: &[Vec<u8>]) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bundle).into_owned();
    let present: BTreeSet<Vec<u8>> = pem::blocks(&text).filter_map(Result::ok).collect();
    if bundle.last().is_some_and(|last| *last != b'\n') {
        bundle.push(b'\n');
    }
    for der in added.iter().filter(|der| !present.contains(*der)) {
        bundle.extend_from_slice(pem::encode(der).as_bytes());
    }
    bundle
}

/// The base's tree as far as bundles matter.
struct Places<'a> {
    facts: &'a BaseFacts,
}

impl Places<'_> {
    fn real(&self, path: &str) -> Option<String> {
        follow(path, |path| self.facts.entries.get(path)?.target.as_deref())
    }

    /// Whether the base has a file there.
    fn is_file(&self, path: &str) -> bool {
        let entry = self.facts.entries.get(path);
        entry.is_some_and(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
    }

    /// The real paths of all bundles; Debian's when there is none.
    fn bundles(&self) -> BTreeSet<String> {
        let real = PLACES.iter().filter_map(|place| self.real(place));
        let mut found: BTreeSet<String> = real.filter(|path| self.is_file(path)).collect();
        if found.is_empty() {
            let [place, ..] = PLACES;
            found.insert(self.real(place).unwrap_or_else(|| place.to_owned()));
        }
        found
    }

    /// The contents of a file of the base; none when it has no such file.
    fn read(
        &self,
        base: &Base,
        path: &str,
        context: &BaseContext<'_>,
    ) -> Result<Vec<u8>, BaseError> {
        if !self.is_file(path) {
            return Ok(Vec::new());
        }
        let memo = base.layers.iter().fold(
            format!("karisimbi bundle {RULES}\n{path}\n"),
            |text, layer| format!("{text}{} {}\n", layer.descriptor.digest, layer.diff_id),
        );
        let memo = Digest::of(memo.as_bytes());
        if let Some(bytes) = context.store.memo(&memo) {
            return Ok(bytes);
        }
        for layer in base.layers.iter().rev() {
            if let Some(bytes) = self.read_from(base, layer, path, context)? {
                let what = format!("the certificate authorities of base {}", base.name);
                context.store.remember(&what, &memo, &bytes);
                return Ok(bytes);
            }
        }
        Err(BaseError::Config {
            base: base.name.clone(),
            problem: format!("its layers do not hold the contents of /{path}"),
        })
    }

    /// The contents of a file if this layer brings it.
    fn read_from(
        &self,
        base: &Base,
        layer: &BaseLayer,
        path: &str,
        context: &BaseContext<'_>,
    ) -> Result<Option<Vec<u8>>, BaseError> {
        let failed = |source| BaseError::Layer {
            base: base.name.clone(),
            layer: layer.descriptor.digest.to_string(),
            source,
        };
        // A hard link names a file of the same layer, which comes before it.
        let mut wanted = path.to_owned();
        let mut found = None;
        for _ in 0..2 {
            let blob = context.open_layer(layer).map_err(BaseError::Source)?;
            let expected = Expected {
                digest: Some(layer.descriptor.digest),
                size: Some(layer.descriptor.size),
                diff_id: Some(layer.diff_id),
            };
            let mut linked = None;
            read_layer(
                blob.take(layer.descriptor.size.saturating_add(1)),
                &layer.descriptor.media_type,
                &expected,
                &mut |entry| {
                    if self.placed(&entry.path).as_deref() != Some(wanted.as_str()) {
                        return Ok(());
                    }
                    match &entry.kind {
                        ForeignKind::File => found = Some(contents(entry.contents)?),
                        ForeignKind::HardLink(target) => linked = self.placed(target),
                        _ => {}
                    }
                    Ok(())
                },
            )
            .map_err(failed)?;
            match linked {
                Some(target) if found.is_none() => wanted = target,
                _ => break,
            }
        }
        Ok(found)
    }

    /// Where a layer's entry lies: its folder through the base's links.
    fn placed(&self, path: &str) -> Option<String> {
        let Some((parent, name)) = path.rsplit_once('/') else {
            return Some(path.to_owned());
        };
        let parent = self.real(parent)?;
        Some(
            format!("{parent}/{name}")
                .trim_start_matches('/')
                .to_owned(),
        )
    }

    /// A file, and the folders above it that the base lacks.
    fn file(&self, path: &str, bytes: Vec<u8>) -> Result<Vec<Entry>, LayerError> {
        let file = EntryPath::new(path)?;
        let mut entries = Vec::new();
        let mut parent = file.parent();
        while let Some(folder) = parent {
            parent = folder.parent();
            if !self.facts.entries.contains_key(folder.as_str()) {
                entries.push(Entry {
                    path: folder,
                    node: Node::Directory {
                        mode: 0o755,
                        owner: Owner::ROOT,
                    },
                    package: None,
                });
            }
        }
        entries.push(Entry {
            path: file,
            node: Node::File {
                executable: Executable::No,
                content: Content::Bytes(bytes.into()),
            },
            package: None,
        });
        Ok(entries)
    }
}

fn contents(reader: &mut dyn std::io::Read) -> Result<Vec<u8>, LayerError> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_BUNDLE + 1).read_to_end(&mut bytes);
    let what = match read {
        Ok(count) if count as u64 <= MAX_BUNDLE => return Ok(bytes),
        Ok(_) => "its bundle of certificates has more than 16 MiB".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(LayerError::Tar { what, source: None })
}
