//! From one WHAT and the flags to one request: source, deployment, options, each with its origin.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::base::lock_file::{BASES_LOCK, LockPlace};
use crate::deployment::{self, Deployment, Found, Place, Recognised};
use crate::error::AnyError;
use crate::pipeline::{Request, Session};
use crate::recipe::{Options, Revision, Specs};
use crate::source::{GitSource, InvalidSource, SourceName, SourceTree, git};

use super::bases::{ChosenBases, anchored};
use super::choice::{Chosen, Settings};
use super::env::Environment;
use super::{Flags, SettingsError, Trust, source_date_epoch};

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
    /// Where its bases.lock is, unless a flag says so.
    lock: LockPlace,
    /// Where relative paths of its configuration count from.
    config_folder: PathBuf,
}

/// What one WHAT names; a text that is not UTF-8 can only be a folder.
///
/// # Errors
/// SRC-URL.
pub fn source_name(what: &OsStr) -> Result<SourceName, InvalidSource> {
    match what.to_str() {
        Some(text) => SourceName::parse(text),
        None => Ok(SourceName::Folder(PathBuf::from(what))),
    }
}

/// The request for one WHAT.
///
/// # Errors
/// Sources that can't be found or cloned, and every problem of the configuration.
pub fn request(
    what: &OsStr,
    flags: &Flags,
    current: &Path,
    (session, environment): (&Session, &Environment),
) -> Result<Request, AnyError> {
    let (deployment, source) = match source_name(what)? {
        SourceName::Git(remote) => {
            let remote = remote.with(flags.reference.as_deref(), flags.directory.as_deref())?;
            let mut source = cloned(&remote, flags, session)?;
            let directory = source.directory.as_deref().unwrap_or_default();
            let folder = source.root.join(directory);
            let obeyed = flags.trust == Trust::CloneToo;
            if !obeyed {
                report_ignored(&source.tree, directory, session);
            }
            let (deployment, file) =
                configured(obeyed.then_some(folder.as_path()), flags, session)?;
            if obeyed {
                let beside = file.map_or_else(|| source.root.clone(), |_| folder.clone());
                source.lock = LockPlace::Clone(beside.join(BASES_LOCK));
                source.config_folder = folder;
            }
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
        Err(source) => {
            let path = what.to_owned();
            let missing = matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory
            );
            return Err(if missing {
                SettingsError::NoFolder { path }.into()
            } else {
                SettingsError::Unreadable { path, source }.into()
            });
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
    let beside = file.as_ref().map(|_| folder.join(BASES_LOCK));
    let place = match &file {
        Some(file) => deployment.place(file),
        None => Place::Folder(folder.clone()),
    };
    let mut source = match place {
        Place::Git {
            url,
            reference,
            commit,
        } => cloned_for(
            &url,
            commit.as_deref().or(reference.as_deref()),
            flags,
            session,
        )?,
        Place::Folder(root) => {
            let url = deployment.github_url.as_deref();
            if let Some(url) = url.filter(|_| !is_source(&root)) {
                cloned_for(url, None, flags, session)?
            } else {
                let lock = beside.clone().unwrap_or_else(|| root.join(BASES_LOCK));
                let mut source = folder_source(root, (&folder, &lock), flags, session)?;
                source.lock = LockPlace::Root(lock);
                source
            }
        }
    };
    if let Some(beside) = beside {
        source.lock = LockPlace::Beside(beside);
    }
    source.config_folder = folder;
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

/// Whoever writes a repository must not decide what its user's build does.
fn report_ignored(tree: &SourceTree, directory: &str, session: &Session) {
    let below = |name: &str| match directory {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    if tree
        .file(&below(BASES_LOCK))
        .or_else(|| tree.file(BASES_LOCK))
        .is_some()
    {
        let text = format!("{BASES_LOCK} of the clone is not obeyed; --trust-config obeys it");
        session.reporter.warn("CFG-IGNORED", text);
    }
    for name in [deployment::DEPLOYMENT_YAML, deployment::KARISIMBI_YAML] {
        let path = below(name);
        let ours = match tree.read(&path, deployment::MAX_BYTES as u64) {
            Ok(None) => false,
            Ok(Some(text)) => deployment::recognise(&text) == Recognised::Deployment,
            // A link, or too large: whatever it is, it is not obeyed either.
            Err(_unread) => true,
        };
        if ours {
            let text = format!("{name} of the clone is not obeyed; --trust-config obeys it");
            session.reporter.warn("CFG-IGNORED", text);
        }
    }
}

fn folder_source(
    root: PathBuf,
    (named, lock): (&Path, &Path),
    flags: &Flags,
    session: &Session,
) -> Result<Source, AnyError> {
    let folder_name = named
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let tree = tree_of(&root, Some(lock), flags, session)?;
    let revision = git::revision(&tree, Some(&session.store), &session.tool_env)?;
    Ok(Source {
        identity: root.display().to_string(),
        url: None,
        folder_name,
        repository: None,
        directory: None,
        revision,
        origin: "folder".to_owned(),
        lock: LockPlace::Nowhere,
        config_folder: root.clone(),
        root,
        tree,
    })
}

/// The tree without what is written while it is built.
fn tree_of(
    root: &Path,
    lock: Option<&Path>,
    flags: &Flags,
    session: &Session,
) -> Result<SourceTree, AnyError> {
    let mut exclude = vec![session.store.root().to_owned()];
    exclude.extend(flags.written.iter().cloned());
    exclude.extend(flags.bases.lock.clone());
    exclude.extend(lock.map(Path::to_owned));
    Ok(SourceTree::open(root, &exclude, Some(&session.store))?)
}

fn cloned_for(
    url: &str,
    reference: Option<&str>,
    flags: &Flags,
    session: &Session,
) -> Result<Source, AnyError> {
    match SourceName::parse(url)? {
        SourceName::Git(remote) => cloned(&remote.with(reference, None)?, flags, session),
        SourceName::Folder(path) => Err(SettingsError::NoFolder { path }.into()),
    }
}

fn cloned(remote: &GitSource, flags: &Flags, session: &Session) -> Result<Source, AnyError> {
    let reporter = session.reporter.as_ref();
    let checkout = git::clone(
        remote,
        &session.store,
        reporter,
        &session.tool_env,
        session.reach,
    )?;
    Ok(Source {
        tree: tree_of(&checkout.root, None, flags, session)?,
        lock: LockPlace::Nowhere,
        config_folder: checkout.root.clone(),
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
    let chosen = Chosen::new(&mut shown, source.directory.as_deref(), flags)?;
    let folder = source.config_folder;
    let bases = ChosenBases::new(
        &mut shown,
        &flags.bases,
        (source.lock, &folder),
        environment,
    )?;
    exists(&source.tree, &chosen.directory, &source.identity)?;
    let revision_time = source.revision.as_ref().map(|revision| revision.time);
    shown.put_created(epoch, revision_time);
    shown.put("source", &source.identity, &source.origin);
    shown.put_rest();
    let settings = shown.shown;
    let language = chosen
        .recipe
        .clone()
        .or_else(|| deployment.repo_type.map(|t| t.recipe().to_owned()));
    Ok(Request {
        tree: source.tree,
        identity: source.identity,
        url: source.url,
        folder_name: source.folder_name,
        recipe: chosen.recipe,
        base: anchored(chosen.base, flags.base.as_ref(), &folder),
        flavour: bases.flavour,
        bases: bases.options,
        ca_certs: bases.ca_certs,
        platforms: chosen.platforms,
        options: Options {
            name: deployment.name,
            version: deployment.version,
            repository: source.repository,
            directory: chosen.directory,
            entrypoint: chosen.entrypoint,
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

/// Recipes would say what they miss in it, and not that it is not there.
fn exists(tree: &SourceTree, directory: &str, identity: &str) -> Result<(), SettingsError> {
    let below = format!("{directory}/");
    let mut files = tree.files().iter();
    // A source without any file is for its recipe to refuse.
    if directory.is_empty() || files.any(|file| file.path.as_str().starts_with(&below)) {
        return Ok(());
    }
    Err(SettingsError::NoDirectory {
        directory: directory.to_owned(),
        source_root: identity.to_owned(),
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
