//! `karisimbi verify`

use clap::Args;

use super::session::{host, with_context};
use super::{Global, Outcome, output};
use crate::error::Coded;
use crate::image::{self, Blobs, Mismatch};
use crate::layer::Descriptor;
use crate::reference::ImageName;
use crate::settings::env::Environment;
use crate::sink::Opened;

/// Recompute every digest, size and diff id of an image from its content
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or HOST/REPO[:TAG|@DIGEST]
    image: ImageName,
}

/// An image is not what its documents say.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not what it says:{}", listed(.found))]
struct Wrong {
    name: String,
    found: Vec<Mismatch>,
}

fn listed(found: &[Mismatch]) -> String {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

impl Coded for Wrong {
    fn code(&self) -> &'static str {
        "IMAGE-MISMATCH"
    }

    fn hint(&self) -> Option<String> {
        Some("build or copy it again from a place that verifies".to_owned())
    }
}

impl Verify {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(host(&self.image).as_slice(), environment)?;
        let digest = with_context(&session, |context| {
            let opened = Opened::open(&self.image, context)?;
            let open = |descriptor: &Descriptor| opened.blob(descriptor);
            let root = opened.root().descriptor();
            let found = image::verify(&root, &Blobs::new(&open));
            if found.is_empty() {
                return Ok(root.digest);
            }
            Err(Wrong {
                name: opened.name().to_owned(),
                found,
            }
            .into())
        })?;
        let text = format!("{} verified, {digest}", self.image);
        Ok(output::data(&text)?)
    }
}
