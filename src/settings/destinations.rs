//! Where a finished image goes: from tags, outputs and the deployment's image name.

use std::path::PathBuf;

use crate::reference::{ImageName, Reference, Repository, Tag};

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
enum Typed {
    Tag(Tag),
    Full(Reference),
}

/// The places to write to, registries last: a push that fails leaves the local copies.
///
/// # Errors
/// Names that break a rule, `--push` without a registry.
pub fn choose(
    wanted: &Wanted<'_>,
    name: &str,
    version: &str,
) -> Result<Vec<ImageName>, SettingsError> {
    let tags = wanted
        .tags
        .iter()
        .map(|text| typed(text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut places = Vec::new();
    for output in wanted.outputs {
        places.push(with_tag(output.parse()?, &tags, version)?);
    }
    if wanted.push == Push::Yes {
        places.extend(
            pushed(wanted, &tags, name, version)?
                .into_iter()
                .map(ImageName::Registry),
        );
    }
    if places.is_empty() {
        let dir = PathBuf::from(DEFAULT_OUTPUT).join(name);
        places.push(with_tag(
            ImageName::Layout { dir, tag: None },
            &tags,
            version,
        )?);
    }
    places.sort_by_key(|place| matches!(place, ImageName::Registry(_)));
    Ok(places)
}

fn typed(text: &str) -> Result<Typed, SettingsError> {
    if text.contains('/') {
        Ok(Typed::Full(text.parse()?))
    } else {
        Ok(Typed::Tag(text.parse()?))
    }
}

fn first_tag(tags: &[Typed], version: &str) -> Result<Tag, SettingsError> {
    let typed = tags.iter().find_map(|tag| match tag {
        Typed::Tag(tag) => Some(tag.clone()),
        Typed::Full(reference) => reference.tag.clone(),
    });
    typed.map_or_else(|| Ok(version.parse()?), Ok)
}

/// An output without a tag gets the first `--tag`, else the version.
fn with_tag(place: ImageName, tags: &[Typed], version: &str) -> Result<ImageName, SettingsError> {
    Ok(match place {
        ImageName::Layout { dir, tag: None } => ImageName::Layout {
            dir,
            tag: Some(first_tag(tags, version)?),
        },
        ImageName::OciArchive { file, tag: None } => ImageName::OciArchive {
            file,
            tag: Some(first_tag(tags, version)?),
        },
        ImageName::Registry(Reference {
            repository,
            tag: None,
            digest: None,
        }) => ImageName::Registry(Reference {
            repository,
            tag: Some(first_tag(tags, version)?),
            digest: None,
        }),
        other => other,
    })
}

fn pushed(
    wanted: &Wanted<'_>,
    tags: &[Typed],
    name: &str,
    version: &str,
) -> Result<Vec<Reference>, SettingsError> {
    let repository = || -> Result<Repository, SettingsError> {
        if let Some(image) = wanted.image {
            return Ok(image.repository.clone());
        }
        let project = wanted.project.ok_or(SettingsError::PushWhere)?;
        Ok(format!("{}/{name}", project.trim_end_matches('/')).parse()?)
    };
    let mut references = Vec::new();
    for tag in tags {
        references.push(match tag {
            Typed::Full(reference) if reference.tag.is_some() => reference.clone(),
            Typed::Full(reference) => Reference {
                repository: reference.repository.clone(),
                tag: Some(version.parse()?),
                digest: None,
            },
            Typed::Tag(tag) => Reference {
                repository: repository()?,
                tag: Some(tag.clone()),
                digest: None,
            },
        });
    }
    if references.is_empty() {
        references.push(match wanted.image {
            Some(image) => image.clone(),
            None => Reference {
                repository: repository()?,
                tag: Some(version.parse()?),
                digest: None,
            },
        });
    }
    // `latest` last: whoever pulls it gets an image whose version tag is there too.
    references.sort_by_key(|r| r.tag.as_ref().is_some_and(|tag| tag.as_str() == "latest"));
    Ok(references)
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
        };
        match choose(&wanted, "app", "1.2") {
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
            ["oci:x:1.2", "docker-archive:-"]
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
        assert!(chosen(&[], &[], Push::Yes, None)[0].contains("--push"));
    }
}
