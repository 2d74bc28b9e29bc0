//! `karisimbi build`

use std::path::PathBuf;

use clap::Args;

use super::session::{self, with_context};
use super::source::{self, SourceArgs};
use super::{Global, Outcome, output};
use crate::error::AnyError;
use crate::pipeline::{
    self, BuildRecord, Built, CacheUse, Origin, PipelineError, Prepared, Request, Session,
};
use crate::progress::Verb;
use crate::reference::ImageName;
use crate::settings::destinations::{self, Destinations};
use crate::settings::env::Environment;
use crate::settings::{self, SettingsError, Written};
use crate::sink::{self, CORRUPT};

/// Build images from deployments, source folders or Git URLs
///
/// Without --push and --output the image goes to oci:karisimbi-out/NAME:VERSION. The last line on
/// stdout names the image as the next command takes it.
#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    source: SourceArgs,
    /// Tag, or HOST/PROJECT/NAME:TAG; `KARISIMBI_REPO` gives HOST/PROJECT to tags without one
    #[arg(short, long = "tag", value_name = "TAG|IMAGE")]
    tags: Vec<String>,
    /// Push to the registry that the tags or container.image name
    #[arg(long)]
    push: bool,
    /// Write to oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE (- is stdout) or a registry
    #[arg(short, long = "output", value_name = "IMAGE")]
    outputs: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Fail when all layers of an image together have more bytes, such as 50MB
    #[arg(long, value_name = "SIZE", value_parser = source::size)]
    max_size: Option<u64>,
    /// Say which field of which key changed since the last build of the same target
    #[arg(long)]
    explain: bool,
    /// What stdout shows: the image's name, or the build record
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the image's digest to a file
    #[arg(long, value_name = "FILE")]
    digest_file: Option<PathBuf>,
    /// Write the build record as JSON to a file
    #[arg(long, visible_alias = "metadata-file", value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that clap sets"
)]
struct CacheArgs {
    /// Build every layer anew
    #[arg(long, conflicts_with_all = ["verify_cache", "expect_cached"])]
    no_cache: bool,
    /// Build every layer anew and compare it with the cached one
    #[arg(long)]
    verify_cache: bool,
    /// Fail when a layer had to be built
    #[arg(long)]
    expect_cached: bool,
}

/// What stdout shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line: the image's name
    #[default]
    Text,
    /// The build record
    Json,
}

impl Build {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let mut session = global.session(&[], environment)?;
        let cache = match (self.cache.no_cache, self.cache.verify_cache) {
            (true, _) => CacheUse::Rebuild,
            (_, true) => CacheUse::Verify,
            _ => CacheUse::Reuse,
        };
        let written = self.written();
        settings::apart(&written)?;
        let written: Vec<PathBuf> = written.into_iter().map(|file| file.path).collect();
        let requests = self
            .source
            .requests(&session, environment, (cache, &written))?;
        if requests.len() > 1 && (self.digest_file.is_some() || self.record.is_some()) {
            return Err(SettingsError::OneFileManyBuilds.into());
        }
        // Every name is checked before anything is built.
        let destinations = requests
            .iter()
            .map(|request| self.destinations(request, environment))
            .collect::<Result<Vec<_>, _>>()?;
        let hosts = destinations::hosts(&destinations)?;
        session.credentials =
            settings::credential_places(global.authfile.as_deref(), &hosts, environment)?;
        let mut taken = Vec::new();
        for (mut request, destinations) in requests.into_iter().zip(&destinations) {
            request.max_size = self.max_size;
            let prepared = pipeline::prepare(&request, &session)?;
            let places = destinations.places(&prepared.name, &prepared.version)?;
            if let Some(place) = places.iter().find(|place| taken.contains(*place)) {
                let place = place.to_string();
                return Err(SettingsError::OnePlaceManyBuilds { place }.into());
            }
            taken.extend_from_slice(&places);
            self.build(&request, prepared, &places, &session)?;
        }
        Ok(())
    }

    /// Files that this command writes, which are never part of a source.
    fn written(&self) -> Vec<Written> {
        let written = |flag, path: PathBuf| Written { flag, path };
        let archives = self.outputs.iter().filter_map(|text| match text.parse() {
            Ok(ImageName::OciArchive { file, .. }) => Some(file),
            Ok(ImageName::DockerArchive { file, .. }) => file,
            // A name that breaks a rule is refused later, a layout carries its own mark.
            _ => None,
        });
        let digest = self.digest_file.clone();
        let record = self.record.clone();
        archives
            .map(|path| written("--output", path))
            .chain(digest.map(|path| written("--digest-file", path)))
            .chain(record.map(|path| written("--record", path)))
            .collect()
    }

    fn destinations(
        &self,
        request: &Request,
        environment: &Environment,
    ) -> Result<Destinations, SettingsError> {
        let wanted = destinations::Wanted {
            tags: &self.tags,
            outputs: &self.outputs,
            push: if self.push {
                destinations::Push::Yes
            } else {
                destinations::Push::No
            },
            image: request.image.as_ref(),
            project: environment.text("KARISIMBI_REPO"),
            platforms: request.platforms.len(),
        };
        session::destinations(&wanted)
    }

    fn build(
        &self,
        request: &Request,
        prepared: Prepared,
        places: &[ImageName],
        session: &Session,
    ) -> Outcome {
        let built = pipeline::build_prepared(request, prepared, session)?;
        pipeline::keep_lock(&built.base, &built.lock, session)?;
        let missed = self
            .cache
            .expect_cached
            .then(|| expect_cached(&built.record));
        if self.explain || matches!(missed, Some(Err(_))) {
            explain(&built.record, session);
        }
        if let Some(missed) = missed {
            missed?;
        }
        let line = match write(&built, places, session) {
            Err(error) if error.code() == CORRUPT => {
                session
                    .reporter
                    .warn(CORRUPT, format!("{error}; building again"));
                write(&pipeline::build(request, session)?, places, session)?
            }
            other => other?,
        };
        self.write_files(&built)?;
        if places
            .iter()
            .all(|place| matches!(place, ImageName::Layout { .. }))
            && let Some(image) = &line
        {
            let text = self.next(image, &built);
            session.reporter.line(Verb::Next, text);
        }
        self.print(&built, line)
    }

    /// What people do next: run it, push it. The command is repeated only when it has no option;
    /// any other names the image that it wrote.
    fn next(&self, image: &str, built: &Built) -> String {
        let target = format!("HOST/PROJECT/{}:{}", built.name, built.version);
        let plain = self.tags.is_empty() && self.outputs.is_empty();
        if let Some(what) = self.source.alone().filter(|_| plain) {
            let what = quoted(what);
            return format!("karisimbi run {what}  |  karisimbi build {what} -t {target} --push");
        }
        let image = quoted(image);
        format!("karisimbi run {image}  |  karisimbi copy {image} {target}")
    }

    fn print(&self, built: &Built, line: Option<String>) -> Outcome {
        let text = match (self.format, line) {
            // An archive on stdout leaves no room for more.
            (_, None) => return Ok(()),
            (Format::Text, Some(line)) => line,
            (Format::Json, Some(_)) => output::json(&built.record)?,
        };
        Ok(output::data(&text)?)
    }

    fn write_files(&self, built: &Built) -> Result<(), AnyError> {
        if let (Some(path), Some(digest)) = (&self.digest_file, built.record.digest) {
            source::write_whole(path, &format!("{digest}\n"))?;
        }
        if let Some(path) = &self.record {
            let json = output::json(&built.record)?;
            source::write_whole(path, &(json + "\n"))?;
        }
        Ok(())
    }
}

fn write(
    built: &Built,
    places: &[ImageName],
    session: &Session,
) -> Result<Option<String>, AnyError> {
    let artifact = sink::Artifact {
        images: &built.images,
        index: built.index.as_ref(),
    };
    with_context(session, |context| {
        Ok(sink::write(&artifact, places, context)?)
    })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@%,=".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn explain(record: &BuildRecord, session: &Session) {
    let say = |text: String| session.reporter.line(Verb::Explained, text);
    match &record.explanation {
        None => say("this target was not built here before".to_owned()),
        Some(changes) if changes.is_empty() => {
            say("nothing changed since the last build".to_owned());
        }
        Some(changes) => {
            for change in changes {
                say(format!(
                    "{}: {}: {}",
                    change.subject, change.field, change.text
                ));
            }
        }
    }
}

fn expect_cached(record: &BuildRecord) -> Result<(), PipelineError> {
    let built: Vec<String> = record
        .images
        .iter()
        .flat_map(|image| image.layers.iter().map(move |layer| (image, layer)))
        .filter(|(_, layer)| layer.origin != Origin::Record)
        .map(|(image, layer)| format!("{} ({})", layer.name, image.platform))
        .collect();
    if built.is_empty() {
        return Ok(());
    }
    Err(PipelineError::NotCached {
        layers: built.join(", "),
    })
}
