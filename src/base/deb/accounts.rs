//! What maintainer scripts and installers would have made: accounts, folders, links, and a check
//! that the system can be recognised.

use super::AssembleError;
use super::merge::{FOLDER, Tree, file, link};
use super::sets::{PackageSet, Usr};
use crate::base::embedded::{CA_BUNDLE, GROUP, NSSWITCH, PASSWD};
use crate::layer::{Node, Owner};

/// Links of a merged `/usr`, with the folder that each needs.
const MERGED: [(&str, &str); 4] = [
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin", "usr/sbin"),
];

/// Folders that a base has whatever its packages bring, with mode and owner.
const FOLDERS: [(&str, u32, Owner); 12] = [
    ("app", 0o755, Owner::ROOT),
    ("dev", 0o755, Owner::ROOT),
    ("home", 0o755, Owner::ROOT),
    ("home/app", 0o750, Owner::APP),
    ("proc", 0o755, Owner::ROOT),
    ("root", 0o700, Owner::ROOT),
    ("run", 0o755, Owner::ROOT),
    ("sys", 0o755, Owner::ROOT),
    ("tmp", 0o1777, Owner::ROOT),
    ("usr/local", 0o755, Owner::ROOT),
    ("usr/local/bin", 0o755, Owner::ROOT),
    ("var/tmp", 0o1777, Owner::ROOT),
];

/// Where Debian's OpenSSL looks when `SSL_CERT_FILE` is not set: the links come with the package
/// `openssl`, which is left out.
const OPENSSL_LINKS: [(&str, &str); 2] = [
    ("usr/lib/ssl/certs", "/etc/ssl/certs"),
    ("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"),
];

/// Completes a tree of packages.
///
/// # Errors
/// BASE-DEB when the system could not be recognised.
pub(super) fn complete(tree: &mut Tree, set: &PackageSet, usr: Usr) -> Result<(), AssembleError> {
    for (path, mode, owner) in FOLDERS {
        tree.put(path, Node::Directory { mode, owner })?;
    }
    if usr == Usr::Merged {
        for (path, target) in MERGED {
            if path != "lib64" || tree.get(target).is_some() {
                tree.put_missing(target, FOLDER)?;
                tree.put(path, link(target))?;
            }
        }
    }
    tree.put("etc/passwd", file(PASSWD))?;
    tree.put("etc/group", file(GROUP))?;
    tree.put("etc/nsswitch.conf", file(NSSWITCH))?;
    for (path, target) in OPENSSL_LINKS {
        tree.put_missing(path, link(target))?;
    }
    if let PackageSet::Python { .. } = set {
        let program = set.to_string();
        needs(tree, set, &format!("usr/bin/{program}"))?;
        tree.put("usr/bin/python3", link(&program))?;
        tree.put("usr/bin/python", link(&program))?;
    }
    // What scanners read to know the system.
    for path in ["etc/os-release", "usr/lib/os-release", "etc/debian_version"] {
        needs(tree, set, path)?;
    }
    needs(tree, set, CA_BUNDLE)
}

fn needs(tree: &Tree, set: &PackageSet, path: &str) -> Result<(), AssembleError> {
    match tree.get(path) {
        Some(_) => Ok(()),
        None => Err(AssembleError::Incomplete {
            set: set.to_string(),
            path: path.to_owned(),
        }),
    }
}
