//! `karisimbi tag`

use clap::Args;

use super::{Global, Outcome, output};
use crate::progress::Verb;
use crate::reference::{Reference, Tag as TagName};
use crate::settings::env::Environment;

/// Give an image in a registry another tag
#[derive(Debug, Args)]
pub(super) struct Tag {
    /// HOST/REPO[:TAG|@DIGEST]
    image: Reference,
    /// The new tags
    #[arg(required = true)]
    tags: Vec<TagName>,
}

impl Tag {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(
            std::slice::from_ref(&self.image.repository.host),
            environment,
        )?;
        let client = session.client()?;
        let manifest = client.fetch_manifest(&self.image)?;
        let repository = &self.image.repository;
        for tag in &self.tags {
            client.push_manifest(repository, &manifest.bytes, &manifest.media_type, Some(tag))?;
            session.reporter.line(
                Verb::Pushed,
                format!("{repository}:{tag}, {}", manifest.digest),
            );
        }
        let line = format!("{repository}@{}", manifest.digest);
        Ok(output::data(&line)?)
    }
}
