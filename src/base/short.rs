//! Short names: where each of them leads to, when no lock and no earlier resolution says so.

use super::deb::{Mirrors, has_sources};
use super::eol::suite_of;
use super::lock::LockedBase;
use super::packages;
use super::pin::{self, PinContext, What};
use super::{BaseError, BaseName, Flavour, ShortName};
use crate::error::{Coded as _, Exit};
use crate::platform::Platform;
use crate::reference::Reference;

/// The registry of Alpine's images, when `base_registry` names none.
pub const ALPINE_REGISTRY: &str = "docker.io";
/// The release of Alpine behind `static-alpine` and `cc-alpine`.
const ALPINE_RELEASE: &str = "3.24";

/// The code of the warning that `static` is the embedded base here.
pub const EMBEDDED: &str = "BASE-EMBEDDED";

/// The names that `base list` shows.
pub const KNOWN: [&str; 13] = [
    "static",
    "cc",
    "python3.11",
    "python3.13",
    "python3.14",
    "node22",
    "node24",
    "node26",
    "static-alpine",
    "python3.13-alpine",
    "node24-alpine",
    "embedded:static",
    "scratch",
];

/// `{base_registry}/NAME`, or for Alpine the names of Docker's library.
///
/// # Errors
/// NAME-INVALID for a `base_registry` that makes no name.
pub fn image_name(short: &ShortName, registry: &str) -> Result<Reference, BaseError> {
    let below = match (short.flavour(), short.python(), short.node()) {
        (Flavour::Distroless, _, _) => short.runtime().to_owned(),
        (Flavour::Alpine, Some(version), _) => format!("library/python:{version}-alpine"),
        (Flavour::Alpine, None, Some(version)) => format!("library/node:{version}-alpine"),
        (Flavour::Alpine, None, None) => format!("library/alpine:{ALPINE_RELEASE}"),
    };
    let name = format!("{registry}/{below}");
    name.parse()
        .map_err(|error: crate::reference::InvalidName| BaseError::Source(error.into()))
}

/// Tries `bases`, `base_registry`, packages and for `static` the embedded base.
pub(super) fn resolve(
    short: &ShortName,
    platforms: &[Platform],
    earlier: Option<&LockedBase>,
    context: &PinContext<'_>,
) -> Result<What, BaseError> {
    let options = context.options;
    if let Some(target) = options.names.get(short) {
        context.explain(short, &format!("{target} by the table of bases"));
        return aliased(short, target, platforms, earlier, context);
    }
    let mut tried = Vec::new();
    let registry = match (&options.registry, short.flavour()) {
        (Some(registry), _) => Some(registry.as_str()),
        (None, Flavour::Alpine) => Some(ALPINE_REGISTRY),
        (None, Flavour::Distroless) => None,
    };
    match registry {
        None => tried.push("no base_registry is set".to_owned()),
        Some(registry) => {
            let reference = image_name(short, registry)?;
            match pin::image(&reference, context) {
                Ok(image) => return Ok(What::Locked(LockedBase::Registry(image))),
                Err(error) if leads_on(&error) => {
                    fall_through(short, &reference.to_string(), &error, &mut tried, context);
                }
                Err(error) => return Err(error),
            }
        }
    }
    if short.flavour() == Flavour::Distroless {
        let suite = suite_of(short);
        if can_assemble(&context.options.mirrors) {
            let set = (suite, short.runtime());
            match packages::lock(set, platforms, earlier.and_then(pin::deb), context) {
                Ok(deb) => return Ok(What::Locked(LockedBase::Deb(deb))),
                Err(error) if leads_on(&error) => {
                    let name = format!("deb:{suite}/{}", short.runtime());
                    fall_through(short, &name, &error, &mut tried, context);
                }
                Err(error) => return Err(error),
            }
        } else {
            tried.push("no mirror is set, and apt has no sources on this machine".to_owned());
        }
    }
    if short.to_string() == "static" {
        let text = format!("base static is embedded:static here: {}", tried.join("; "));
        context.base.reporter.warn(EMBEDDED, text);
        return Ok(What::Itself(BaseName::Embedded));
    }
    Err(BaseError::NoWay {
        name: short.to_string(),
        tried,
    })
}

/// Whether packages can come from anywhere.
pub fn can_assemble(mirrors: &Mirrors) -> bool {
    mirrors.mirror.is_some() || mirrors.apt_folder.as_deref().is_some_and(has_sources)
}

fn aliased(
    short: &ShortName,
    target: &BaseName,
    platforms: &[Platform],
    earlier: Option<&LockedBase>,
    context: &PinContext<'_>,
) -> Result<What, BaseError> {
    Ok(match target {
        BaseName::Short(_) => {
            return Err(BaseError::Alias {
                name: short.to_string(),
                target: target.to_string(),
            });
        }
        BaseName::Registry(reference) => {
            What::Locked(LockedBase::Registry(pin::image(reference, context)?))
        }
        BaseName::Deb { suite, set, .. } => {
            let earlier = earlier.and_then(pin::deb);
            let deb = packages::lock((suite, set), platforms, earlier, context)?;
            What::Locked(LockedBase::Deb(deb))
        }
        BaseName::Embedded | BaseName::Scratch | BaseName::Layout { .. } => {
            What::Itself(target.clone())
        }
    })
}

/// Whether the next place is tried: what is not there or can't be reached leads on, what is refused
/// or was tampered with does not.
fn leads_on(error: &BaseError) -> bool {
    const ABSENT: [&str; 6] = [
        "REG-NOT-FOUND",
        "REG-PROJECT",
        "NET-OFFLINE",
        "BASE-OFFLINE",
        "BASE-NOMIRROR",
        "BASE-404",
    ];
    error.exit() == Exit::Network || ABSENT.contains(&error.code())
}

fn fall_through(
    short: &ShortName,
    place: &str,
    error: &BaseError,
    tried: &mut Vec<String>,
    context: &PinContext<'_>,
) {
    let reason = format!("{place}: {error}");
    context.explain(short, &format!("not from {reason}"));
    tried.push(reason);
}
