//! `karisimbi verify`

use clap::Args;

use super::{Global, Outcome};
use crate::reference::ImageName;
use crate::settings::env::Environment;

/// Recompute every digest, size and diff id of an image from its content
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG|@DIGEST]
    image: ImageName,
}

impl Verify {
    pub(super) fn run(&self, _: &Global, _: &Environment) -> Outcome {
        todo!("{}", self.image)
    }
}
