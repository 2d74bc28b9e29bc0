//! From one WHAT and the flags to one request: source, deployment, options, each with its origin.

use std::path::{Path, PathBuf};

use crate::deployment::{self, Deployment, Found, Place};
use crate::error::AnyError;
use crate::pipeline::{Request, Session, SettingShown};
use crate::platform::Platform;
use crate::recipe::{Options, Revision, Specs};
use crate::source::{GitSource, SourceName, SourceTree, git};

use super::env::Environment;
use super::{Flags, SettingsError, Trust, destinations, source_date_epoch};

/// Files that make a folder a source by itself, whatever its deployment says of a URL.
const SOURCE_MARKS: &[&str] = &[
    "go.mod",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
];

/// A source that is on this disk now.
struct Source {
    root: PathBuf,
    tree: SourceTree,
    identity: String,
    /// Without credentials, for annotations.
    url: Option<String>,
    folder_name: String,
    /// Last element of the URL, a hint for choosing a main package.
    repository: Option<String>,
    /// Folder below the root that the URL names.
    directory: Option<String>,
    revision: Option<Revision>,
    origin: String,
}

/// The request for one WHAT.
///
/// # Errors
/// Sources that can't be found or cloned, and every problem of the configuration.
pub fn request(
    what: &str,
    flags: &Flags,
    current: &Path,
    (session, environment): (&Session, &Environment),
) -> Result<Request, AnyError> {
    let (deployment, source) = match SourceName::parse(what)? {
        SourceName::Git(remote) => {
            let remote = remote.with(flags.reference.as_deref(), flags.directory.as_deref())?;
            let source = cloned(&remote, session)?;
            let folder = source
                .root
                .join(source.directory.as_deref().unwrap_or_default());
            let obeyed = flags.trust == Trust::CloneToo;
            let (deployment, _) = configured(obeyed.then_some(folder.as_path()), flags, session)?;
            (deployment, source)
        }
        SourceName::Folder(folder) => local(&folder, flags, current, session)?,
    };
    assemble(deployment, source, flags, environment)
}

/// A local folder: its deployment, and the source that the deployment places.
fn local(
    what: &Path,
    flags: &Flags,
    current: &Path,
    session: &Session,
) -> Result<(Deployment, Source), AnyError> {
    let folder = match fs_err::canonicalize(current.join(what)) {
        Ok(folder) if folder.is_dir() => folder,
        Ok(path) => return Err(SettingsError::NotFolder { path }.into()),
        Err(_missing) => {
            return Err(SettingsError::NoFolder {
                path: what.to_owned(),
            }
            .into());
        }
    };
    if let Some(reference) = &flags.reference {
        return Err(SettingsError::RefOfFolder {
            reference: reference.clone(),
            path: folder,
        }
        .into());
    }
    let (deployment, file) = configured(Some(&folder), flags, session)?;
    let place = match &file {
        Some(file) => deployment.place(file),
        None => Place::Folder(folder.clone()),
    };
    let source = match place {
        Place::Git {
            url,
            reference,
            commit,
        } => cloned_for(&url, commit.as_deref().or(reference.as_deref()), session)?,
        Place::Folder(root) => match deployment
            .github_url
            .as_deref()
            .filter(|_| !is_source(&root))
        {
            Some(url) => cloned_for(url, None, session)?,
            None => folder_source(root, &folder, session)?,
        },
    };
    Ok((deployment, source))
}

fn is_source(folder: &Path) -> bool {
    SOURCE_MARKS.iter().any(|mark| folder.join(mark).exists())
        || folder.file_name().is_some_and(|name| name == "source")
}

/// The configuration of a folder, with `--set` over it; and its file, when there is one.
fn configured(
    folder: Option<&Path>,
    flags: &Flags,
    session: &Session,
) -> Result<(Deployment, Option<PathBuf>), AnyError> {
    let found = folder.map_or(Ok(Found::Nothing), deployment::find)?;
    match found {
        Found::Configuration(file) => {
            let name = file
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let deployment = Deployment::parse_with(&name, &file.text, &flags.sets)?;
            Ok((deployment, Some(file.path)))
        }
        Found::KubernetesObject { path, kind } => {
            let text = format!(
                "{} is a Kubernetes {kind}, not ours: building the bare source \
                 (our file's other name is karisimbi.yaml)",
                path.display()
            );
            session.reporter.warn("CFG-KUBERNETES", text);
            Ok((Deployment::from_sets(&flags.sets)?, None))
        }
        Found::Nothing => Ok((Deployment::from_sets(&flags.sets)?, None)),
    }
}

fn folder_source(root: PathBuf, named: &Path, session: &Session) -> Result<Source, AnyError> {
    let folder_name = named
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let tree = tree_of(&root, session)?;
    let revision = git::revision(&tree, Some(&session.store), &session.tool_env)?;
    Ok(Source {
        identity: root.display().to_string(),
        url: None,
        folder_name,
        repository: None,
        directory: None,
        revision,
        origin: "folder".to_owned(),
        root,
        tree,
    })
}

fn tree_of(root: &Path, session: &Session) -> Result<SourceTree, AnyError> {
    let exclude = [
        session.store.root().to_owned(),
        root.join(destinations::DEFAULT_OUTPUT),
    ];
    Ok(SourceTree::open(root, &exclude, Some(&session.store))?)
}

fn cloned_for(url: &str, reference: Option<&str>, session: &Session) -> Result<Source, AnyError> {
    match SourceName::parse(url)? {
        SourceName::Git(remote) => cloned(&remote.with(reference, None)?, session),
        SourceName::Folder(path) => Err(SettingsError::NoFolder { path }.into()),
    }
}

fn cloned(remote: &GitSource, session: &Session) -> Result<Source, AnyError> {
    let reporter = session.reporter.as_ref();
    let checkout = git::clone(
        remote,
        &session.store,
        reporter,
        &session.tool_env,
        session.reach,
    )?;
    Ok(Source {
        tree: tree_of(&checkout.root, session)?,
        root: checkout.root,
        origin: format!("clone of {}", checkout.url),
        identity: checkout.url.clone(),
        url: Some(checkout.url),
        folder_name: checkout.repository.clone(),
        repository: Some(checkout.repository),
        directory: Some(checkout.directory).filter(|directory| !directory.is_empty()),
        revision: Some(checkout.revision),
    })
}

fn assemble(
    deployment: Deployment,
    source: Source,
    flags: &Flags,
    environment: &Environment,
) -> Result<Request, AnyError> {
    let mut shown = Settings {
        deployment: &deployment,
        shown: Vec::new(),
    };
    let epoch = source_date_epoch(environment)?;
    let directory = shown.pick(
        "source.directory",
        [
            (flags.directory.clone(), "--directory"),
            (source.directory.clone(), "the URL"),
        ],
        Some(deployment.source.directory.clone()).filter(|directory| !directory.is_empty()),
    );
    let directory = inside(&directory.unwrap_or_default())?;
    let recipe = shown.pick(
        "recipe.use",
        [(flags.recipe.clone(), "--recipe"), (None, "")],
        deployment.recipe_name.clone(),
    );
    let base = shown.pick(
        "base",
        [(flags.base.clone(), "--base"), (None, "")],
        deployment.base.clone(),
    );
    let platforms = platforms(&mut shown, flags);
    let entrypoint = match flags.entrypoint.as_slice() {
        [] => deployment.container.entrypoint.clone(),
        typed => {
            shown.put("container.entrypoint", &typed.join(" "), "--entrypoint");
            typed.to_vec()
        }
    };
    let revision_time = source.revision.as_ref().map(|revision| revision.time);
    shown.put_created(epoch, revision_time);
    shown.put("source", &source.identity, &source.origin);
    shown.put_rest();
    let settings = shown.shown;
    let language = recipe
        .clone()
        .or_else(|| deployment.repo_type.map(|t| t.recipe().to_owned()));
    Ok(Request {
        tree: source.tree,
        identity: source.identity,
        url: source.url,
        folder_name: source.folder_name,
        recipe,
        base,
        platforms,
        options: Options {
            name: deployment.name,
            version: deployment.version,
            repository: source.repository,
            directory,
            entrypoint,
            args: deployment.container.args,
            env: deployment.container.env.into_iter().collect(),
            port: deployment.container.port,
            recipe: recipe_options(deployment.recipe, language.as_deref()),
            files: deployment.files,
            revision: source.revision,
            created: epoch.or(revision_time),
            specs: match &flags.recipes {
                Some(folder) => Specs::read(folder)?,
                None => Specs::default(),
            },
        },
        compression: flags.compression,
        cache: flags.cache,
        max_size: None,
        image: deployment.container.image,
        settings,
    })
}

/// The options of the recipe that will run: of the named one, else of all.
fn recipe_options(
    recipes: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Vec<String>>>,
    language: Option<&str>,
) -> std::collections::BTreeMap<String, Vec<String>> {
    recipes
        .into_iter()
        .filter(|(name, _)| language.is_none_or(|language| language == name))
        .flat_map(|(_, options)| options)
        .collect()
}

fn platforms(shown: &mut Settings<'_>, flags: &Flags) -> Vec<Platform> {
    let join = |platforms: &[Platform]| {
        platforms
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut platforms = if !flags.platforms.is_empty() {
        shown.put("platforms", &join(&flags.platforms), "--platform");
        flags.platforms.clone()
    } else if !shown.deployment.platforms.is_empty() {
        shown.deployment.platforms.clone()
    } else {
        let default = vec![Platform::linux_amd64()];
        shown.put("platforms", &join(&default), "default");
        default
    };
    // The order in which platforms are typed is no part of an image.
    platforms.sort();
    platforms.dedup();
    platforms
}

/// A folder below the root, without `.` and trailing `/`.
fn inside(directory: &str) -> Result<String, SettingsError> {
    let parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if directory.starts_with('/') || parts.contains(&"..") {
        return Err(SettingsError::Outside {
            path: directory.to_owned(),
            flag: "source.directory",
        });
    }
    Ok(parts.join("/"))
}

/// Collects settings with their origins.
struct Settings<'a> {
    deployment: &'a Deployment,
    shown: Vec<SettingShown>,
}

impl Settings<'_> {
    fn put(&mut self, key: &str, value: &str, origin: &str) {
        self.shown.push(SettingShown {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        });
    }

    /// The first that is set: the flags in their order, then the file's value.
    fn pick(
        &mut self,
        key: &str,
        flags: [(Option<String>, &str); 2],
        file: Option<String>,
    ) -> Option<String> {
        for (value, origin) in flags {
            if let Some(value) = value {
                self.put(key, &value, origin);
                return Some(value);
            }
        }
        file
    }

    fn put_created(&mut self, epoch: Option<i64>, commit: Option<i64>) {
        match (epoch, commit) {
            (Some(time), _) => self.put("created", &time.to_string(), "SOURCE_DATE_EPOCH"),
            (None, Some(time)) => self.put("created", &time.to_string(), "time of the commit"),
            (None, None) => self.put("created", "0", "default"),
        }
    }

    /// The values of the file that no flag replaced.
    fn put_rest(&mut self) {
        for (key, origin) in &self.deployment.origins {
            if self.shown.iter().all(|setting| setting.key != *key) {
                let value = self.deployment.texts.get(key).map_or("", String::as_str);
                self.put(key, value, &origin.to_string());
            }
        }
        self.shown.sort_by(|a, b| a.key.cmp(&b.key));
    }
}
