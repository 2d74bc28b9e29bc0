//! Names of packages → packages with digests, out of signed indices.

use super::archive;
use super::closure::closure;
use super::error::DebError;
use super::{DebContext, Resolution};
use crate::base::lock::LockedSource;
use crate::progress::Verb;

/// What is to be resolved.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `trixie`
    pub suite: &'a str,
    /// Packages that are wanted for themselves.
    pub roots: &'a [String],
    /// Packages that are never taken: what needs them does without.
    pub exclude: &'a [String],
    /// Debian architectures: `amd64`.
    pub architectures: &'a [&'a str],
    /// The sources of the lock that is to be renewed: none of them may have become older.
    pub earlier: &'a [LockedSource],
}

/// Resolves packages and all that they need, for each architecture. The highest version of the
/// suite, its updates and its security fixes is taken.
///
/// # Errors
/// BASE-NOMIRROR, BASE-OFFLINE, BASE-SIG, BASE-SUITE, BASE-EXPIRED, BASE-ROLLBACK, BASE-HASH,
/// BASE-ARCH, BASE-COMPR, BASE-INDEX, BASE-DEP; those of the network and the store.
pub fn resolve(wanted: &Wanted<'_>, context: &DebContext<'_>) -> Result<Resolution, DebError> {
    let loaded = archive::load(context, wanted.suite, wanted.architectures, wanted.earlier)?;
    let mut packages = Vec::new();
    for index in 0..wanted.architectures.len() {
        let universe = archive::universe(&loaded, index);
        packages.push(closure(&universe, wanted.roots, wanted.exclude)?);
    }
    let sources: Vec<LockedSource> = loaded
        .iter()
        .map(|part| part.locked(wanted.architectures))
        .collect();
    for source in &sources {
        let text = format!(
            "{} of {}, {}, signed by {}",
            source.suite,
            source.date,
            source.mirror,
            source.signed_by.join(", ")
        );
        context.reporter.line(Verb::Resolved, text);
    }
    Ok(Resolution { sources, packages })
}
