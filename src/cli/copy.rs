//! `karisimbi copy`

use clap::Args;

use super::session::{host, with_context};
use super::{Global, Outcome, output};
use crate::digest::Digest;
use crate::image::manifest::is_index;
use crate::reference::{ImageName, Reference};
use crate::settings::SettingsError;
use crate::settings::env::Environment;
use crate::sink::{self, Artifact, Opened};

/// Copy an image from one place to another; digests stay
///
/// A destination without a tag gets the source's.
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or HOST/REPO[:TAG|@DIGEST]
    source: ImageName,
    /// The place: also docker-archive:FILE[:NAME]
    destination: ImageName,
}

impl Copy {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        // The login of the variables is for the place that is written to, else for the source.
        let named = host(&self.destination).or_else(|| host(&self.source));
        let session = global.session(named.as_slice(), environment)?;
        let line = with_context(&session, |context| {
            let destination = with_source_tag(&self.destination, &self.source);
            let opened = Opened::open(&self.source, context)?;
            let images = opened.images()?;
            let root = opened.root();
            expect_digest(&destination, root.digest)?;
            let artifact = Artifact {
                images: &images,
                index: is_index(&root.media_type).then_some(root),
            };
            Ok(sink::write(
                &artifact,
                std::slice::from_ref(&destination),
                context,
            )?)
        })?;
        line.map_or(Ok(()), |line| Ok(output::data(&line)?))
    }
}

/// A destination without a tag gets the source's, if that has one.
fn with_source_tag(destination: &ImageName, source: &ImageName) -> ImageName {
    let tag = match source {
        ImageName::Layout { tag, .. } | ImageName::OciArchive { tag, .. } => tag.clone(),
        ImageName::Registry(reference) => reference.tag.clone(),
        ImageName::DockerArchive { .. } => None,
    };
    match destination.clone() {
        ImageName::Layout { dir, tag: None } => ImageName::Layout { dir, tag },
        ImageName::OciArchive { file, tag: None } => ImageName::OciArchive { file, tag },
        ImageName::Registry(Reference {
            repository,
            tag: None,
            digest: None,
        }) => ImageName::Registry(Reference {
            repository,
            tag,
            digest: None,
        }),
        other => other,
    }
}

/// A destination may name the digest that must arrive.
fn expect_digest(destination: &ImageName, digest: Digest) -> Result<(), SettingsError> {
    match destination {
        ImageName::Registry(reference) if reference.digest.is_some_and(|named| named != digest) => {
            Err(SettingsError::OtherDigest {
                place: destination.to_string(),
                digest,
            })
        }
        _ => Ok(()),
    }
}
