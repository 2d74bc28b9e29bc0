//! Where a finished image goes: from tags, outputs and the deployment's image name.
//!
//! Everything that can be refused is refused by [`Destinations::parse`], before a build starts;
//! the name and version that a recipe finds only fill in what was not typed.

use std::path::PathBuf;

use crate::reference::{self, Host, ImageName, Reference, Repository, Tag};

use super::SettingsError;

/// The folder of the default output.
pub const DEFAULT_OUTPUT: &str = "karisimbi-out";

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `--tag`, as typed.
    pub tags: &'a [String],
    /// `--output`, as typed.
    pub outputs: &'a [String],
    /// `--push`
    pub push: Push,
    /// `container.image`
    pub image: Option<&'a Reference>,
    /// `KARISIMBI_REPO`: `HOST/PROJECT`.
    pub project: Option<&'a str>,
    /// How many platforms are built.
    pub platforms: usize,
}

/// Whether to push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// To the registry that tags or `container.image` name.
    Yes,
    /// Only where `--output` names a registry.
    No,
}

/// A tag as typed: with or without a repository.
#[derive(Clone, Debug)]
enum Typed {
    Tag(Tag),
    Full(Reference),
}

/// The repository of tags that name none.
#[derive(Clone, Debug)]
enum Home {
    /// `container.image`
    Image(Reference),
    /// `KARISIMBI_REPO`; the name of the image comes after it.
    Project(String),
    /// Nothing says where.
    Nowhere,
}

/// Destinations that passed every check that needs no build.
#[derive(Clone, Debug)]
pub struct Destinations {
    tags: Vec<Typed>,
    outputs: Vec<ImageName>,
    push: Push,
    home: Home,
}

impl Destinations {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// Names that break a rule, `--push` without a registry, a docker-archive for several
    /// platforms, more than one archive on stdout.
    pub fn parse(wanted: &Wanted<'_>) -> Result<Self, SettingsError> {
        let parsed = Self {
            tags: wanted
                .tags
                .iter()
                .map(|text| typed(text))
                .collect::<Result<_, _>>()?,
            outputs: wanted
                .outputs
                .iter()
                .map(|text| output(text))
                .collect::<Result<_, _>>()?,
            push: wanted.push,
            home: home(wanted)?,
        };
        let stdout = |place: &&ImageName| is_stdout(place);
        if parsed.outputs.iter().filter(stdout).count() > 1 {
            return Err(SettingsError::OneStdout);
        }
        let docker = |place: &&ImageName| matches!(place, ImageName::DockerArchive { .. });
        if let Some(place) = parsed.outputs.iter().find(docker)
            && wanted.platforms > 1
        {
            return Err(SettingsError::OnePlatform {
                place: place.to_string(),
            });
        }
        let needs_home =
            parsed.tags.is_empty() || parsed.tags.iter().any(|tag| matches!(tag, Typed::Tag(_)));
        if parsed.push == Push::Yes && needs_home && matches!(parsed.home, Home::Nowhere) {
            return Err(SettingsError::PushWhere);
        }
        Ok(parsed)
    }

    /// Whether an archive goes to stdout.
    pub fn use_stdout(&self) -> bool {
        self.outputs.iter().any(is_stdout)
    }

    /// The places to write to, registries last: a push that fails leaves the local copies.
    ///
    /// # Errors
    /// A name that makes no valid reference.
    pub fn places(&self, name: &str, version: &str) -> Result<Vec<ImageName>, SettingsError> {
        let tag = match self.tags.iter().find_map(Typed::tag) {
            Some(tag) => tag.clone(),
            None => version.parse()?,
        };
        let full = self.tags.iter().find_map(|typed| match typed {
            Typed::Full(reference) => Some(tagged(reference.clone(), tag.clone()).to_string()),
            Typed::Tag(_) => None,
        });
        let docker_name = full.unwrap_or_else(|| format!("{name}:{tag}"));
        let mut places: Vec<ImageName> = self
            .outputs
            .iter()
            .map(|place| with_tag(place.clone(), &tag, &docker_name))
            .collect();
        if self.push == Push::Yes {
            places.extend(
                self.pushed(name, version)?
                    .into_iter()
                    .map(ImageName::Registry),
            );
        }
        if places.is_empty() {
            places.push(ImageName::Layout {
                dir: PathBuf::from(DEFAULT_OUTPUT).join(name),
                tag: Some(tag),
            });
        }
        places.sort_by_key(|place| matches!(place, ImageName::Registry(_)));
        Ok(places)
    }

    fn pushed(&self, name: &str, version: &str) -> Result<Vec<Reference>, SettingsError> {
        let named = |repository: Repository, tag: Tag| Reference {
            repository,
            tag: Some(tag),
            digest: None,
        };
        let mut references = Vec::new();
        for typed in &self.tags {
            references.push(match typed {
                Typed::Full(reference) => tagged(reference.clone(), version.parse()?),
                Typed::Tag(tag) => named(self.home.repository(name)?, tag.clone()),
            });
        }
        if references.is_empty() {
            references.push(match &self.home {
                Home::Image(image) => tagged(image.clone(), version.parse()?),
                home => named(home.repository(name)?, version.parse()?),
            });
        }
        // `latest` last: whoever pulls it gets an image whose version tag is there too.
        references.sort_by_key(|r| r.tag.as_ref().is_some_and(|tag| tag.as_str() == "latest"));
        Ok(references)
    }
}

/// The registries that are pushed to, each once.
///
/// # Errors
/// None that [`Destinations::parse`] lets through.
pub fn hosts(all: &[Destinations]) -> Result<Vec<Host>, SettingsError> {
    let mut hosts = Vec::new();
    for destinations in all {
        // Any name and version give the same hosts.
        for place in destinations.places("name", "version")? {
            if let ImageName::Registry(reference) = place {
                hosts.push(reference.repository.host);
            }
        }
    }
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

impl Typed {
    fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Full(reference) => reference.tag.as_ref(),
        }
    }
}

impl Home {
    fn repository(&self, name: &str) -> Result<Repository, SettingsError> {
        match self {
            Self::Image(image) => Ok(image.repository.clone()),
            Self::Project(project) => Ok(format!("{project}/{name}").parse()?),
            Self::Nowhere => Err(SettingsError::PushWhere),
        }
    }
}

/// With this tag, if it has none.
fn tagged(mut reference: Reference, tag: Tag) -> Reference {
    reference.tag.get_or_insert(tag);
    reference
}

fn home(wanted: &Wanted<'_>) -> Result<Home, SettingsError> {
    match (wanted.image, wanted.project) {
        (Some(image), _) => Ok(Home::Image(image.clone())),
        (None, Some(project)) => {
            let project = reference::project(project);
            let project = project.map_err(|source| SettingsError::Project { source })?;
            Ok(Home::Project(project))
        }
        (None, None) => Ok(Home::Nowhere),
    }
}

fn typed(text: &str) -> Result<Typed, SettingsError> {
    // `name:tag` is no tag either: the message about registries helps more.
    if !text.contains(['/', ':']) {
        return Ok(Typed::Tag(text.parse()?));
    }
    let reference: Reference = text.strip_prefix("docker://").unwrap_or(text).parse()?;
    if reference.digest.is_some() {
        return Err(SettingsError::Digest {
            text: text.to_owned(),
        });
    }
    Ok(Typed::Full(reference))
}

fn output(text: &str) -> Result<ImageName, SettingsError> {
    match text.parse()? {
        ImageName::Registry(Reference {
            digest: Some(_), ..
        }) => Err(SettingsError::Digest {
            text: text.to_owned(),
        }),
        place => Ok(place),
    }
}

fn is_stdout(place: &ImageName) -> bool {
    matches!(place, ImageName::DockerArchive { file: None, .. })
}

/// An output without a tag gets the first `--tag`, else the version; `docker load` shows the name.
fn with_tag(place: ImageName, tag: &Tag, docker_name: &str) -> ImageName {
    match place {
        ImageName::Layout { dir, tag: None } => ImageName::Layout {
            dir,
            tag: Some(tag.clone()),
        },
        ImageName::OciArchive { file, tag: None } => ImageName::OciArchive {
            file,
            tag: Some(tag.clone()),
        },
        ImageName::DockerArchive { file, name: None } => ImageName::DockerArchive {
            file,
            name: Some(docker_name.to_owned()),
        },
        ImageName::Registry(reference) => ImageName::Registry(tagged(reference, tag.clone())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(tags: &[&str], outputs: &[&str], push: Push, project: Option<&str>) -> Vec<String> {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
        let wanted = Wanted {
            tags: &tags,
            outputs: &outputs,
            push,
            image: None,
            project,
            platforms: 1,
        };
        match Destinations::parse(&wanted).and_then(|parsed| parsed.places("app", "1.2")) {
            Ok(places) => places.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn places_follow_from_what_was_typed() {
        let host = Some("h.example/p");
        assert_eq!(
            chosen(&[], &[], Push::No, host),
            ["oci:karisimbi-out/app:1.2"]
        );
        assert_eq!(
            chosen(&["v9"], &[], Push::No, None),
            ["oci:karisimbi-out/app:v9"]
        );
        assert_eq!(
            chosen(&[], &["oci:x", "docker-archive:-"], Push::No, None),
            ["oci:x:1.2", "docker-archive:-:app:1.2"]
        );
        assert_eq!(chosen(&[], &[], Push::Yes, host), ["h.example/p/app:1.2"]);
        assert_eq!(
            chosen(
                &["latest", "r.example/a/b", "v3"],
                &["oci:x"],
                Push::Yes,
                host
            ),
            [
                "oci:x:latest",
                "r.example/a/b:1.2",
                "h.example/p/app:v3",
                "h.example/p/app:latest"
            ]
        );
    }

    #[test]
    fn names_that_break_a_rule_are_refused() {
        for (tags, outputs, project, part) in [
            (&[][..], &[][..], None, "--push"),
            (&["v1"], &[], None, "--push"),
            (&["app:v1"], &[], None, "names no registry"),
            (&["-x"], &[], None, "a tag has"),
            (&[], &["h.example/A"], None, "lower case"),
            (&[], &[], Some("alpine"), "KARISIMBI_REPO"),
            (
                &[],
                &["docker-archive:-", "docker-archive:-"],
                None,
                "stdout",
            ),
        ] {
            let error = chosen(tags, outputs, Push::Yes, project).join(" ");
            assert!(error.contains(part), "{tags:?} {outputs:?}: {error}");
        }
    }
}
