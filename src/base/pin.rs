//! What a name stands for: by a lock, by an earlier resolution on this machine, or found out now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deb::{DebContext, Mirrors};
use super::lock::{LockedBase, LockedDeb, LockedRegistry};
use super::lock_file::{Kind, LockPlace, LockUse};
use super::memory::age;
use super::packages::{self, Unfit};
use super::resolve::{self, digest_of};
use super::{Base, BaseContext, BaseError, BaseName, LockError, ShortName, assembled, short};
use crate::error::AnyError;
use crate::net::{Net, Reach};
use crate::platform::Platform;
use crate::progress::{Verb, counted};
use crate::reference::Reference;
use crate::sandbox::Sandbox;

/// Where short names lead, and what goes onto a base: the settings of one build.
#[derive(Clone, Debug, Default)]
pub struct BaseOptions {
    /// `base_registry`: `HOST/PROJECT[/…]`.
    pub registry: Option<String>,
    /// `bases`: short names with another meaning here.
    pub names: BTreeMap<ShortName, BaseName>,
    /// Where Debian packages come from.
    pub mirrors: Mirrors,
    /// `os_packages`, sorted.
    pub os_packages: Vec<String>,
    /// Where the lock is.
    pub lock: LockPlace,
    /// `--locked`
    pub locking: Locking,
}

/// Whether a lock may be made or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locking {
    /// What is missing is resolved.
    #[default]
    Free,
    /// `--locked`: what is missing is an error.
    Locked,
}

/// What pinning may use.
pub struct PinContext<'a> {
    /// Store, encoder, registry, reporter.
    pub base: &'a BaseContext<'a>,
    /// The build's settings.
    pub options: &'a BaseOptions,
    /// Runs the interpreter that compiles Python's standard library.
    pub sandbox: &'a Sandbox,
    /// The HTTP client, set up at its first use.
    pub net: &'a dyn Fn() -> Result<Arc<Net>, AnyError>,
    /// Whether the network may be used.
    pub reach: Reach,
    /// Seconds since 1970: ages and validity, never bytes.
    pub now: i64,
}

impl std::fmt::Debug for PinContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PinContext")
            .field("options", self.options)
            .finish_non_exhaustive()
    }
}

/// A name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// As it was asked for.
    pub name: BaseName,
    /// What it stands for.
    pub what: What,
    /// Who said so.
    pub origin: Origin,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A base that needs no lock.
    Itself(BaseName),
    /// What a lock says, or will say.
    Locked(LockedBase),
}

/// Who said what a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The name itself.
    Name,
    /// A lock.
    Lock,
    /// An earlier resolution on this machine, this many seconds ago.
    Earlier(i64),
    /// It was found out now.
    Now,
}

impl Origin {
    /// In a few words, behind "resolved": `locked`, `3 days ago on this machine`.
    pub fn words(&self) -> String {
        match self {
            Self::Name => String::new(),
            Self::Lock => "locked".to_owned(),
            Self::Earlier(seconds) => format!("{} ago on this machine", age(*seconds)),
            Self::Now => "just now".to_owned(),
        }
    }
}

impl PinContext<'_> {
    /// Runs `action` with what packages need; sets up the HTTP client, unless offline.
    pub(super) fn with_deb<T>(
        &self,
        action: impl FnOnce(&DebContext<'_>) -> Result<T, BaseError>,
    ) -> Result<T, BaseError> {
        let net = match self.reach {
            Reach::Online => Some((self.net)().map_err(BaseError::Source)?),
            Reach::Offline => None,
        };
        action(&DebContext {
            store: self.base.store,
            encoder: self.base.encoder,
            net: net.as_deref(),
            mirrors: &self.options.mirrors,
            sandbox: self.sandbox,
            now: self.now,
            reporter: self.base.reporter,
        })
    }

    /// Says why something else than the first choice is taken.
    pub(super) fn explain(&self, name: &impl std::fmt::Display, why: &str) {
        let text = format!("base {name}: {why}");
        self.base.reporter.line(Verb::Noted, text);
    }
}

/// What a name stands for, in the order of docs/concepts/bases.md.
///
/// # Errors
/// BASE-LOCK-* with `--locked` or a build record, and those of [`anew`].
pub fn pin(
    name: &BaseName,
    platforms: &[Platform],
    lock: &LockUse,
    context: &PinContext<'_>,
) -> Result<Pinned, BaseError> {
    let pinned = |what, origin| {
        Ok(Pinned {
            name: name.clone(),
            what,
            origin,
        })
    };
    let Some(key) = name.lock_key() else {
        return pinned(What::Itself(name.clone()), Origin::Name);
    };
    let locked = lock.entry(&key);
    let mut unfit = None;
    if let Some(locked) = locked {
        match packages::unfit(locked, platforms, context.options) {
            None => return pinned(What::Locked(locked.clone()), Origin::Lock),
            Some(reason) => unfit = Some(reason),
        }
    }
    refuse(name, unfit.as_ref(), lock, context)?;
    if let (Some(LockedBase::Deb(deb)), Some(Unfit::Rules { .. })) = (locked, &unfit) {
        context.explain(
            name,
            "its files are chosen by other rules now; versions stay",
        );
        let what = What::Locked(LockedBase::Deb(packages::with_rules(deb)));
        return pinned(what, Origin::Lock);
    }
    match (&unfit, lock.place().path()) {
        (Some(reason), _) => {
            context.explain(name, &format!("{reason}; all of it is resolved anew"));
        }
        (None, Some(path)) if lock.exists() => {
            context.explain(name, &format!("{} does not have it", path.display()));
        }
        _ => context.explain(name, "there is no bases.lock"),
    }
    // A tag is asked for whenever that is possible, as it always was.
    let is_tag = matches!(name, BaseName::Registry(_));
    if locked.is_none()
        && (!is_tag || context.reach == Reach::Offline)
        && let Some(memory) = context.remembered(name)
        && packages::unfit(&memory.base, platforms, context.options).is_none()
    {
        let age = context.now.saturating_sub(memory.resolved);
        return pinned(What::Locked(memory.base), Origin::Earlier(age));
    }
    let what = anew(name, platforms, locked, context)?;
    pinned(what, Origin::Now)
}

/// An error where nothing may be resolved.
fn refuse(
    name: &BaseName,
    unfit: Option<&Unfit>,
    lock: &LockUse,
    context: &PinContext<'_>,
) -> Result<(), BaseError> {
    let is_record = lock.kind() == Some(Kind::Record);
    let locked = context.options.locking == Locking::Locked;
    if !locked && !is_record {
        return Ok(());
    }
    let path = lock.place().path().map(ToOwned::to_owned);
    let error = match (unfit, path) {
        (Some(reason), Some(path)) => {
            let reason = format!("base {name}: {reason}");
            if is_record {
                LockError::Record { path, reason }
            } else {
                LockError::Stale { path, reason }
            }
        }
        (_, Some(path)) if lock.exists() => LockError::NoBase {
            path,
            name: name.to_string(),
            present: lock.names(),
        },
        (_, place) => LockError::Absent {
            name: format!("base {name}"),
            place,
        },
    };
    Err(error.into())
}

/// What a name stands for now, whatever was found out before; kept for the next time.
///
/// # Errors
/// BASE-NOWHERE with everything that was tried, those of the registry and of packages.
pub fn anew(
    name: &BaseName,
    platforms: &[Platform],
    earlier: Option<&LockedBase>,
    context: &PinContext<'_>,
) -> Result<What, BaseError> {
    let what = match name {
        BaseName::Registry(reference) => {
            What::Locked(LockedBase::Registry(image(reference, context)?))
        }
        BaseName::Deb { suite, set, .. } => {
            let earlier = earlier.and_then(deb);
            let deb = packages::lock((suite, set), platforms, earlier, context)?;
            What::Locked(LockedBase::Deb(deb))
        }
        BaseName::Short(short) => short::resolve(short, platforms, earlier, context)?,
        BaseName::Embedded | BaseName::Scratch | BaseName::Layout { .. } => {
            What::Itself(name.clone())
        }
    };
    if let What::Locked(base) = &what {
        context.remember(name, base);
    }
    Ok(what)
}

pub(super) fn deb(base: &LockedBase) -> Option<&LockedDeb> {
    match base {
        LockedBase::Deb(deb) => Some(deb),
        LockedBase::Registry(_) => None,
    }
}

/// An image of a registry, pinned to what its tag is now.
pub(super) fn image(
    reference: &Reference,
    context: &PinContext<'_>,
) -> Result<LockedRegistry, BaseError> {
    let digest = match reference.digest {
        Some(digest) => digest,
        None => digest_of(reference, context.base)?,
    };
    let named = Reference {
        digest: None,
        ..reference.clone()
    };
    Ok(LockedRegistry {
        reference: named.to_string(),
        digest,
    })
}

impl Pinned {
    /// The base of each platform, in their order. Layers that are assembled for the first time
    /// are written down in what the name stands for.
    ///
    /// # Errors
    /// BASE-DRIFT, those of [`resolve::resolve`] and of assembling.
    pub fn bases(
        &mut self,
        platforms: &[Platform],
        context: &PinContext<'_>,
    ) -> Result<Vec<Base>, BaseError> {
        match &mut self.what {
            What::Itself(name) => resolve::resolve(name, platforms, context.base),
            What::Locked(LockedBase::Registry(image)) => {
                let reference: Reference = image.reference.parse().map_err(invalid)?;
                resolve::pinned(&reference, image.digest, platforms, context.base)
            }
            What::Locked(LockedBase::Deb(deb)) => assembled::bases(deb, platforms, context),
        }
    }

    /// What goes into bases.lock.
    pub fn locked(&self) -> Option<&LockedBase> {
        match &self.what {
            What::Itself(_) => None,
            What::Locked(base) => Some(base),
        }
    }

    /// What it stands for, in a few words: `locked, deb:trixie, 26 packages`.
    pub fn words(&self, platform: &Platform) -> String {
        let what = match &self.what {
            What::Itself(name) if *name == self.name => String::new(),
            What::Itself(name) => name.to_string(),
            What::Locked(LockedBase::Registry(image))
                if image.reference == self.name.to_string() =>
            {
                image.digest.to_string()
            }
            What::Locked(LockedBase::Registry(image)) => {
                format!("{}@{}", image.reference, image.digest)
            }
            What::Locked(LockedBase::Deb(deb)) => {
                let packages = deb.platforms.get(&platform.to_string());
                let count = packages.map_or(0, |found| found.packages.len() + found.extra.len());
                format!("deb:{}, {}", deb.suite, counted(count, "package"))
            }
        };
        let parts = [self.origin.words(), what];
        let said: Vec<&str> = parts
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        said.join(", ")
    }
}

fn invalid(source: crate::reference::InvalidName) -> BaseError {
    BaseError::Source(source.into())
}
