//! `karisimbi rebase`

use clap::Args;

use super::base::{BaseArgs, Ground};
use super::session::{self, host, with_context};
use super::{Global, Outcome, output};
use crate::base::BaseName;
use crate::pipeline;
use crate::reference::{ImageName, Reference};
use crate::settings::destinations::{self, Destinations, Push, Wanted};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError};
use crate::sink::{self, Artifact, Opened};

/// Put an image on another base, without its source
///
/// The result is what a build on that base gives, byte for byte. A base with another C library,
/// Python minor version, Node ABI or processor is refused. Without --push and --output the image
/// goes to oci:karisimbi-out/NAME:TAG.
#[derive(Debug, Args)]
pub(super) struct Rebase {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG|@DIGEST]
    image: ImageName,
    /// The new base: static, scratch, oci:DIR[:TAG], HOST/REPO[:TAG|@DIGEST] or another name of bases
    #[arg(long, value_name = "NAME|IMAGE")]
    base: String,
    /// Tag, or HOST/PROJECT/NAME:TAG (default: the image's own tag)
    #[arg(short, long = "tag", value_name = "TAG|IMAGE")]
    tags: Vec<String>,
    /// Push to the registry that the tags name, else to where the image came from
    #[arg(long)]
    push: bool,
    /// Write to oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE (- is stdout) or a registry
    #[arg(short, long = "output", value_name = "IMAGE")]
    outputs: Vec<String>,
    #[command(flatten)]
    bases: BaseArgs,
    /// Refuse to resolve a base that bases.lock does not pin
    #[arg(long)]
    locked: bool,
}

impl Rebase {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let base: BaseName = self.base.parse()?;
        // Every name is checked before anything is read; how many platforms there are, later.
        let destinations = self.destinations(1, environment)?;
        let mut hosts = destinations::hosts(std::slice::from_ref(&destinations))?;
        if hosts.is_empty() {
            hosts.extend(host(&self.image));
        }
        let mut ground = Ground::new(global, &self.bases, environment)?;
        if self.locked {
            ground = ground.locked();
        }
        ground.session.credentials =
            settings::credential_places(global.authfile.as_deref(), &hosts, environment)?;
        let options = ground.options_of(&base);
        let bases = (&options, &ground.lock);
        let line = with_context(&ground.session, |context| {
            let opened = Opened::open(&self.image, context)?;
            let rebased = pipeline::rebase(&opened, &base, bases, &ground.session)?;
            let destinations = self.destinations(rebased.images.len(), environment)?;
            let name = rebased.title.as_deref().map(pipeline::plain_name);
            let name = name.unwrap_or_else(|| self.name());
            let version = self.tag().or_else(|| rebased.version.clone());
            let version = version.unwrap_or_else(|| "dev".to_owned());
            let places = destinations.places(&name, &version)?;
            let artifact = Artifact {
                images: &rebased.images,
                index: rebased.index.as_ref(),
            };
            Ok(sink::write(&artifact, &places, context)?)
        })?;
        line.map_or(Ok(()), |line| Ok(output::data(&line)?))
    }

    fn destinations(
        &self,
        platforms: usize,
        environment: &Environment,
    ) -> Result<Destinations, SettingsError> {
        let home = match &self.image {
            ImageName::Registry(reference) => Some(Reference {
                digest: None,
                ..reference.clone()
            }),
            _ => None,
        };
        session::destinations(&Wanted {
            tags: &self.tags,
            outputs: &self.outputs,
            push: if self.push { Push::Yes } else { Push::No },
            image: home.as_ref(),
            project: environment.text("KARISIMBI_REPO"),
            platforms,
        })
    }

    /// The image's own tag.
    fn tag(&self) -> Option<String> {
        let tag = match &self.image {
            ImageName::Layout { tag, .. } | ImageName::OciArchive { tag, .. } => tag.as_ref(),
            ImageName::Registry(reference) => reference.tag.as_ref(),
            ImageName::DockerArchive { .. } => None,
        };
        tag.map(ToString::to_string)
    }

    /// A name for an image that has no title: of its repository, folder or file.
    fn name(&self) -> String {
        let path = match &self.image {
            ImageName::Registry(reference) => reference.repository.to_string(),
            ImageName::Layout { dir, .. } => dir.display().to_string(),
            ImageName::OciArchive { file, .. } => file.display().to_string(),
            ImageName::DockerArchive { .. } => String::new(),
        };
        pipeline::plain_name(path.rsplit('/').next().unwrap_or_default())
    }
}
