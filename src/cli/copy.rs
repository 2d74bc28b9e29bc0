//! `karisimbi copy`

use clap::Args;

use super::session::with_context;
use super::{Global, Outcome, output};
use crate::image::manifest::is_index;
use crate::reference::ImageName;
use crate::settings::SettingsError;
use crate::settings::env::Environment;
use crate::sink::{self, Artifact, Opened};

/// Copy an image from one place to another; digests stay
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG|@DIGEST]
    source: ImageName,
    /// The place: also docker-archive:FILE[:NAME]
    destination: ImageName,
}

impl Copy {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(environment)?;
        let line = with_context(&session, |context| {
            let opened = Opened::open(&self.source, context)?;
            let images = opened.images()?;
            let root = opened.root();
            let artifact = Artifact {
                images: &images,
                index: is_index(&root.media_type).then_some(root),
            };
            Ok(sink::write(
                &artifact,
                std::slice::from_ref(&self.destination),
                context,
            )?)
        })?;
        line.map_or(Ok(()), |line| {
            Ok(output::data(&line).map_err(SettingsError::stdout)?)
        })
    }
}
