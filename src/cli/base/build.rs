//! `karisimbi base build`

use std::collections::BTreeMap;

use clap::Args;

use super::{BaseArgs, Ground};
use crate::base::lock::LockedBase;
use crate::base::{self, Base, BaseError, BaseName, Pinned, pin};
use crate::cli::session::{self, with_context};
use crate::cli::{Global, Outcome, output};
use crate::error::AnyError;
use crate::image::{self, Document, Image};
use crate::pipeline::{self, PipelineError};
use crate::platform::Platform;
use crate::progress::{Verb, human_bytes};
use crate::settings::destinations::{self, Push, Wanted};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError};
use crate::sink;

/// Assemble bases and write them as images of their own
///
/// The digest of each platform's manifest is the one that images built on the base carry as
/// org.opencontainers.image.base.digest. Without --push and --output the image goes to
/// oci:karisimbi-out/NAME:SUITE. What the lock lacks is written into it.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Bases: static, cc, python3.13, node24, deb:SUITE/NAME, embedded:static
    #[arg(value_name = "NAME", required = true)]
    names: Vec<BaseName>,
    /// Platforms, separated by commas (default: linux/amd64)
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    platforms: Vec<Platform>,
    /// Tag, or HOST/PROJECT/NAME:TAG; `KARISIMBI_REPO` gives HOST/PROJECT to tags without one
    #[arg(short, long = "tag", value_name = "TAG|IMAGE")]
    tags: Vec<String>,
    /// Push to the registry that the tags name
    #[arg(long)]
    push: bool,
    /// Write to oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE (- is stdout) or a registry
    #[arg(short, long = "output", value_name = "IMAGE")]
    outputs: Vec<String>,
    /// Leave Python's compiled standard library out: smaller, and slower at every start
    #[arg(long)]
    no_pyc: bool,
    #[command(flatten)]
    bases: BaseArgs,
}

impl Build {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let mut ground = Ground::new(global, &self.bases, environment)?;
        let platforms = self.platforms();
        let destinations = session::destinations(&Wanted {
            tags: &self.tags,
            outputs: &self.outputs,
            push: if self.push { Push::Yes } else { Push::No },
            image: None,
            project: environment.text("KARISIMBI_REPO"),
            platforms: platforms.len(),
        })?;
        let hosts = destinations::hosts(std::slice::from_ref(&destinations))?;
        ground.session.credentials =
            settings::credential_places(global.authfile.as_deref(), &hosts, environment)?;
        let mut taken = Vec::new();
        for name in &self.names {
            let (pinned, bases) = self.assembled(name, &platforms, &ground)?;
            let places = destinations.places(&file_name(name), &version(&pinned))?;
            if let Some(place) = places.iter().find(|place| taken.contains(*place)) {
                let place = place.to_string();
                return Err(SettingsError::OnePlaceManyBuilds { place }.into());
            }
            let (images, index) = images(name, &platforms, &bases)?;
            report(name, &images, index.as_ref(), &ground);
            let artifact = sink::Artifact {
                images: &images,
                index: index.as_ref(),
            };
            let line = with_context(&ground.session, |context| {
                Ok(sink::write(&artifact, &places, context)?)
            })?;
            taken.extend(places);
            if !self.no_pyc {
                pipeline::keep_lock(&pinned, &ground.lock, &ground.session)?;
                ground.reopen()?;
            }
            if let Some(line) = line {
                output::data(&line)?;
            }
        }
        Ok(())
    }

    fn platforms(&self) -> Vec<Platform> {
        let mut platforms = self.platforms.clone();
        if platforms.is_empty() {
            platforms.push(Platform::linux_amd64());
        }
        platforms.sort();
        platforms.dedup();
        platforms
    }

    fn assembled(
        &self,
        name: &BaseName,
        platforms: &[Platform],
        ground: &Ground,
    ) -> Result<(Pinned, Vec<Base>), AnyError> {
        ground.with(|context| {
            let resolved = || -> Result<_, BaseError> {
                let mut pinned = pin::pin(name, platforms, &ground.lock, context)?;
                let bases = match (pinned.locked(), &pinned.what) {
                    (Some(LockedBase::Deb(deb)), _) if self.no_pyc => {
                        base::assembled::without_bytecode(deb, platforms, context)?
                    }
                    (Some(LockedBase::Deb(_)), _) | (_, pin::What::Itself(BaseName::Embedded)) => {
                        pinned.bases(platforms, context)?
                    }
                    _ => {
                        return Err(BaseError::NotAssembled {
                            name: name.to_string(),
                        });
                    }
                };
                Ok((pinned, bases))
            };
            resolved().map_err(PipelineError::part)
        })
    }
}

fn images(
    name: &BaseName,
    platforms: &[Platform],
    bases: &[Base],
) -> Result<(Vec<Image>, Option<Document>), AnyError> {
    let images = platforms
        .iter()
        .zip(bases)
        .map(|(platform, base)| Image::of_base(platform, base))
        .collect::<Result<Vec<_>, _>>()?;
    // A manifest alone has none: its digest is the base's.
    let title = bases
        .first()
        .map_or_else(|| name.to_string(), |base| base.name.clone());
    let annotations: BTreeMap<String, String> = [
        ("org.opencontainers.image.title".to_owned(), title),
        (
            "org.opencontainers.image.created".to_owned(),
            "1970-01-01T00:00:00Z".to_owned(),
        ),
    ]
    .into();
    let index = (images.len() > 1)
        .then(|| image::index(&images, annotations))
        .transpose()?;
    Ok((images, index))
}

fn report(name: &BaseName, images: &[Image], index: Option<&Document>, ground: &Ground) {
    for image in images {
        let size = human_bytes(image.layer_bytes());
        let text = format!(
            "{name}, {size}, {}, {}",
            image.platform, image.manifest.digest
        );
        ground.session.reporter.line(Verb::Image, text);
    }
    if let Some(index) = index {
        let text = format!("{name}, {} platforms, {}", images.len(), index.digest);
        ground.session.reporter.line(Verb::Image, text);
    }
}

/// `python3.13` of `deb:trixie/python3.13`.
fn file_name(name: &BaseName) -> String {
    match name {
        BaseName::Deb { set, .. } => set.clone(),
        BaseName::Short(short) => short.runtime().to_owned(),
        _ => "static".to_owned(),
    }
}

fn version(pinned: &Pinned) -> String {
    match pinned.locked() {
        Some(LockedBase::Deb(deb)) => deb.suite.clone(),
        _ => "embedded".to_owned(),
    }
}
