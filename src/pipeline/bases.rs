//! The base of a build: its name, what the name stands for, its facts, and what goes onto it.

use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::Arc;

use crate::base::deb;
use crate::base::lock::{BasesLock, LockedBase};
use crate::base::lock_file::{LockPlace, LockUse};
use crate::base::pin::What;
use crate::base::{
    self, BaseContext, BaseError, BaseName, BaseOptions, Flavour, Locking, ManifestSource,
    PinContext, Pinned, Target, assembled, eol, pin,
};
use crate::error::AnyError;
use crate::image::Document;
use crate::layer::{Descriptor, LayerSource};
use crate::net::Reach;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::progress::{Verb, human_bytes};
use crate::recipe::Recipe;
use crate::reference::{Reference, Repository};

use super::layers::Layers;
use super::{PipelineError, Prepared, Request, Session};

/// A file of certificate authorities is not larger.
const PEM_LIMIT: u64 = 1 << 20;
/// Where Node looks for authorities beside its own.
const NODE_CERTS: &str = "NODE_EXTRA_CA_CERTS";

/// The base of a build, resolved for each of its platforms.
pub(super) struct Bases {
    pub(super) targets: Vec<Target>,
    /// Layers between the base and the application, by target.
    extras: Vec<Vec<Arc<dyn LayerSource>>>,
    pub(super) pinned: Pinned,
    pub(super) lock: LockUse,
}

/// The name of the base that a build takes: the user's, else the recipe's, in the flavour that the
/// settings say.
///
/// # Errors
/// Those of the recipe, and BASE-UNKNOWN.
pub fn base_name(request: &Request, recipe: &dyn Recipe) -> Result<BaseName, PipelineError> {
    let (text, default) = if let Some(name) = &request.base {
        (name.clone(), false)
    } else {
        let needs = recipe.needs(&request.tree, &request.options);
        (needs.map_err(PipelineError::Part)?.base, true)
    };
    let name: BaseName = text.parse().map_err(PipelineError::part)?;
    // Who writes embedded:static means it.
    let flavour = match name {
        BaseName::Embedded if !default => Flavour::Distroless,
        _ => request.flavour,
    };
    Ok(name.flavoured(flavour))
}

/// Runs `action` with what resolving bases uses.
///
/// # Errors
/// Those of the action.
pub fn with_bases<T>(
    session: &Session,
    options: &BaseOptions,
    action: impl FnOnce(&PinContext<'_>) -> Result<T, PipelineError>,
) -> Result<T, PipelineError> {
    let manifest = |reference: &Reference| {
        let fetched = session.client()?.fetch_manifest(reference)?;
        Ok(Document::from_bytes(fetched.bytes, fetched.media_type))
    };
    let blob = |repository: &Repository, descriptor: &Descriptor, out: &mut (dyn Write + Send)| {
        session
            .client()?
            .fetch_blob(repository, &descriptor.digest, descriptor.size, out)?;
        Ok(())
    };
    let registry = ManifestSource {
        manifest: &manifest,
        blob: &blob,
    };
    let base = BaseContext {
        store: &session.store,
        encoder: &session.encoder,
        registry: (session.reach == Reach::Online).then_some(&registry),
        reporter: session.reporter.as_ref(),
    };
    let net = || -> Result<_, AnyError> { Ok(Arc::clone(session.net()?)) };
    action(&PinContext {
        base: &base,
        options,
        sandbox: &session.sandbox,
        net: &net,
        reach: session.reach,
        now: session.now,
    })
}

/// Resolves the base of a request; nothing is written but the cache.
pub(super) fn resolve(
    request: &Request,
    recipe: &dyn Recipe,
    session: &Session,
) -> Result<Bases, PipelineError> {
    let name = base_name(request, recipe)?;
    let lock = lock_of(&name, request)?;
    let authorities = authorities(request)?;
    with_bases(session, &request.bases, |context| {
        let platforms = &request.platforms;
        let mut pinned = pin::pin(&name, platforms, &lock, context).map_err(PipelineError::part)?;
        warn_of_age(&pinned, session);
        let is_deb = matches!(pinned.locked(), Some(LockedBase::Deb(_)));
        if !is_deb && !request.bases.os_packages.is_empty() {
            let name = name.to_string();
            return Err(PipelineError::part(BaseError::OsPackages { name }));
        }
        let bases = pinned
            .bases(platforms, context)
            .map_err(PipelineError::part)?;
        let mut targets = Vec::new();
        for (platform, base) in platforms.iter().zip(bases) {
            let facts = base::facts::facts(&base, context.base).map_err(PipelineError::part)?;
            targets.push(Target {
                platform: platform.clone(),
                base,
                facts,
            });
        }
        let mut extras = Vec::new();
        for target in &targets {
            extras.push(extra_layers(&pinned, target, &authorities, context)?);
        }
        Ok(Bases {
            targets,
            extras,
            pinned,
            lock,
        })
    })
}

/// The lock of a build: the one that the base's name carries, else that of the settings.
fn lock_of(name: &BaseName, request: &Request) -> Result<LockUse, PipelineError> {
    let place = match name {
        BaseName::Deb {
            lock: Some(path), ..
        } => match &request.bases.lock {
            LockPlace::Clone(_) => LockPlace::Clone(path.clone()),
            _ => LockPlace::Named(path.clone()),
        },
        _ => request.bases.lock.clone(),
    };
    let lock = LockUse::open(place).map_err(PipelineError::part)?;
    Ok(match request.bases.locking {
        Locking::Free => lock,
        Locking::Locked => lock.read_only(),
    })
}

/// What lies between a base and the application.
fn extra_layers(
    pinned: &Pinned,
    target: &Target,
    authorities: &[(String, Vec<u8>)],
    context: &PinContext<'_>,
) -> Result<Vec<Arc<dyn LayerSource>>, PipelineError> {
    let mut layers = Vec::new();
    layers.extend(os_packages(pinned, target, context)?);
    if !authorities.is_empty() {
        let layer = base::ca_layer(&target.base, authorities, context.base);
        layers.push(layer.map_err(PipelineError::part)?);
    }
    Ok(layers)
}

impl Bases {
    /// A line for each platform.
    pub(super) fn report(&self, session: &Session) {
        for target in &self.targets {
            report(target, &self.pinned, session);
        }
    }

    /// Puts the layers between base and application into the plan.
    pub(super) fn add_to(&self, plan: &mut Plan, request: &Request) {
        for (image, extras) in plan.images.iter_mut().zip(&self.extras) {
            image.layers.splice(0..0, extras.iter().cloned());
            let facts = &image.target.facts;
            // Node reads its own list of authorities and no file of the system.
            if let (false, Some(_), Some(bundle)) =
                (request.ca_certs.is_empty(), &facts.node, &facts.ca_bundle)
            {
                let env = &mut image.runtime.env;
                env.entry(NODE_CERTS.to_owned())
                    .or_insert_with(|| bundle.clone());
            }
        }
    }
}

/// Says that a base is no longer supported.
pub(super) fn warn_of_age(pinned: &Pinned, session: &Session) {
    let mut said = eol::ended(&pinned.name, session.now);
    let stands_for = match pinned.locked() {
        Some(LockedBase::Registry(image)) => image.reference.parse().ok(),
        Some(LockedBase::Deb(deb)) => format!("deb:{}/{}", deb.suite, deb.set).parse().ok(),
        None => None,
    };
    if said.is_empty() {
        let found = stands_for.iter();
        said.extend(found.flat_map(|name: &BaseName| eol::ended(name, session.now)));
    }
    for text in said {
        session.reporter.warn(eol::CODE, text);
    }
}

/// What a base is, in a line.
pub(super) fn report(target: &Target, pinned: &Pinned, session: &Session) {
    let base = &target.base;
    let size: u64 = base.layers.iter().map(|layer| layer.descriptor.size).sum();
    let runtimes = target.facts.runtimes();
    let said = match pinned.words(&target.platform) {
        words if words.is_empty() => String::new(),
        words => format!(": {words}"),
    };
    let (name, size, platform) = (&pinned.name, human_bytes(size), &target.platform);
    let text = format!("base {name}{said}, {size}, {runtimes}, {platform}");
    session.reporter.line(Verb::Resolved, text);
}

fn os_packages(
    pinned: &Pinned,
    target: &Target,
    context: &PinContext<'_>,
) -> Result<Option<Arc<dyn LayerSource>>, PipelineError> {
    let Some(LockedBase::Deb(locked)) = pinned.locked() else {
        return Ok(None);
    };
    if locked.os_packages.is_empty() {
        return Ok(None);
    }
    let debs = assembled::os_packages(locked, &target.platform, context);
    let debs = debs.map_err(PipelineError::part)?;
    if debs.is_empty() {
        return Ok(None);
    }
    let scratch = context
        .base
        .store
        .temporary_folder()
        .map_err(PipelineError::part)?;
    let layer = deb::os_packages_layer(debs, &target.facts, scratch);
    let layer = layer.map_err(PipelineError::part)?;
    Ok(Some(layer))
}

/// The contents of `ca_certs`, in their order.
fn authorities(request: &Request) -> Result<Vec<(String, Vec<u8>)>, PipelineError> {
    let paths = request.ca_certs.iter();
    paths
        .map(|path| Ok((path.display().to_string(), pem(path)?)))
        .collect()
}

fn pem(path: &Path) -> Result<Vec<u8>, PipelineError> {
    let failed = |source| PipelineError::CaCerts {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let opened = fs_err::File::open(path).map_err(failed)?;
    opened
        .take(PEM_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > PEM_LIMIT {
        let long = std::io::Error::other("it is longer than 1 MiB");
        return Err(failed(long));
    }
    Ok(text)
}

/// Compares the layers of `os_packages` with the lock, or notes them for it.
pub(super) fn settle(
    prepared: &mut Prepared,
    layers: &Layers,
    request: &Request,
) -> Result<(), PipelineError> {
    let What::Locked(LockedBase::Deb(locked)) = &mut prepared.base.what else {
        return Ok(());
    };
    for image in &prepared.plan.images {
        let obtained = super::finish::obtained(image, layers, request).into_iter();
        for layer in obtained.filter(|layer| layer.name == assembled::OS_PACKAGES) {
            let (platform, diff_id) = (&image.target.platform, layer.record.diff_id);
            assembled::settle_os_packages(locked, platform, diff_id)
                .map_err(PipelineError::part)?;
        }
    }
    Ok(())
}

/// Writes what the base's name stands for into the lock, where it may be written.
///
/// # Errors
/// BASE-LOCK-WRITE
pub fn keep_lock(pinned: &Pinned, lock: &LockUse, session: &Session) -> Result<(), PipelineError> {
    let (Some(key), Some(locked)) = (pinned.name.lock_key(), pinned.locked()) else {
        return Ok(());
    };
    let kept = lock.keep(&key, locked);
    if let Some(path) = kept.map_err(PipelineError::part)? {
        let text = format!("{}: base {key}", path.display());
        session.reporter.line(Verb::Wrote, text);
    }
    Ok(())
}

/// What a build record keeps: `--lock RECORD` makes the same base again.
pub(super) fn recorded(prepared: &Prepared) -> Option<BasesLock> {
    let locked = prepared.base.locked()?.clone();
    let mut lock = BasesLock::default();
    lock.bases.insert(prepared.base.name.lock_key()?, locked);
    Some(lock)
}

/// Whether a platform can be built at all.
pub(super) fn check_platforms(platforms: &[Platform]) -> Result<(), PipelineError> {
    match platforms.iter().find(|p| !crate::recipe::supported(p)) {
        Some(platform) => Err(PipelineError::Platform {
            platform: platform.to_string(),
        }),
        None => Ok(()),
    }
}
