//! The merged tree of a base → its facts.

use std::collections::{BTreeMap, BTreeSet};

use super::BaseFacts;
use super::capture::{CA_BUNDLES, Said, file_name, minor_of};
use super::tree::Tree;
use crate::digest::Digest;
use crate::image::target::{Libc, LibcKind, Node, Os, Python};

/// Where shells look for programs first; other folders named `bin` follow in their order.
const BIN: [&str; 3] = ["usr/local/bin", "usr/bin", "bin"];

/// Dynamic loaders as the ABIs of their machines name them.
const LOADERS: [&str; 11] = [
    "lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-aarch64.so.1",
    "lib/ld-linux-armhf.so.3",
    "lib/ld-linux-riscv64-lp64d.so.1",
    "lib64/ld-linux-loongarch-lp64d.so.1",
    "lib64/ld64.so.2",
    "lib/ld64.so.1",
    "lib/ld-musl-x86_64.so.1",
    "lib/ld-musl-aarch64.so.1",
    "lib/ld-musl-armhf.so.1",
    "lib/ld-linux.so.2",
];

/// `NODE_MODULE_VERSION` by major version (`doc/abi_version_registry.json` of Node.js).
const NODE_ABI: [(&str, u32); 6] = [
    ("18", 108),
    ("20", 115),
    ("22", 127),
    ("24", 137),
    ("25", 141),
    ("26", 147),
];

/// The facts of a finished tree.
pub(super) fn detect(tree: Tree) -> BaseFacts {
    let names = |path| match tree.said(path) {
        Some(Said::Names(names)) => names.clone(),
        _ => BTreeMap::new(),
    };
    let present = |path: &str| tree.real(path).map(|_| format!("/{path}"));
    let bins = bins(&tree);
    let libc = libc(&tree);
    BaseFacts {
        users: names("etc/passwd"),
        groups: names("etc/group"),
        os: os(&tree),
        architecture: architecture(&tree, libc.as_ref().map(|(path, _)| path.as_str())),
        libc: libc.map(|(_, libc)| libc),
        loader: LOADERS.into_iter().find_map(present),
        python: bins.iter().find_map(|folder| python(&tree, folder)),
        node: bins.iter().find_map(|folder| node(&tree, folder)),
        shell: tree.is_program("bin/sh").then(|| "/bin/sh".to_owned()),
        ca_bundle: CA_BUNDLES.into_iter().find_map(present),
        authorities: authorities(&tree),
        time_zones: present("usr/share/zoneinfo/UTC").map(|_| "/usr/share/zoneinfo".to_owned()),
        entries: tree.entries,
    }
}

/// Every bundle by its real path: several names may lead to one.
fn authorities(tree: &Tree) -> BTreeMap<String, Digest> {
    let bundles = CA_BUNDLES.into_iter().filter_map(|path| {
        let real = tree.real(path)?;
        match tree.said(path) {
            Some(Said::Authorities(digest)) => Some((real.to_owned(), *digest)),
            _ => None,
        }
    });
    bundles.collect()
}

fn os(tree: &Tree) -> Option<Os> {
    let said = tree.said("etc/os-release");
    let Some(Said::OsRelease(variables)) = said.or_else(|| tree.said("usr/lib/os-release")) else {
        return None;
    };
    let value = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let id = value("ID")?;
    Some(Os {
        id: id.clone(),
        version: value("VERSION_ID").cloned(),
        name: value("PRETTY_NAME").unwrap_or(id).clone(),
    })
}

/// The C library with the path of its file.
fn libc(tree: &Tree) -> Option<(String, Libc)> {
    let of = |kind, is_file: &dyn Fn(&str) -> bool| {
        let mut files = tree.entries.keys().filter(|path| is_file(file_name(path)));
        let path = files.next()?;
        let versions =
            tree.captured
                .values()
                .filter_map(|captured| match (captured.said.as_ref()?, kind) {
                    (Said::Glibc(version), LibcKind::Glibc)
                    | (Said::Musl(version), LibcKind::Musl) => Some(version.clone()),
                    _ => None,
                });
        let version = versions.into_iter().next();
        Some((path.clone(), Libc { kind, version }))
    };
    // A glibc system may have musl as a package beside it.
    of(LibcKind::Glibc, &|name| name == "libc.so.6")
        .or_else(|| of(LibcKind::Musl, &|name| name.starts_with("ld-musl-")))
}

/// The machine of the C library, else of the shell, else the one that all native files are for.
fn architecture(tree: &Tree, libc: Option<&str>) -> Option<String> {
    let known = [libc, Some("bin/sh")].into_iter().flatten();
    if let Some(machine) = known.into_iter().find_map(|path| tree.machine(path)) {
        return Some(machine.to_owned());
    }
    let all = tree.captured.values();
    let machines: BTreeSet<&String> = all.filter_map(|file| file.machine.as_ref()).collect();
    match machines.into_iter().collect::<Vec<_>>().as_slice() {
        [machine] => Some((*machine).clone()),
        _ => None,
    }
}

/// The folders of programs, in the order in which they are searched.
fn bins(tree: &Tree) -> Vec<String> {
    let mut bins: Vec<String> = BIN.map(str::to_owned).to_vec();
    let folders: BTreeSet<&str> = tree
        .entries
        .keys()
        .filter_map(|path| {
            let (folder, name) = path.rsplit_once('/')?;
            let wanted = name == "python3" || name == "node" || minor_of("python", name).is_some();
            (wanted && file_name(folder) == "bin").then_some(folder)
        })
        .collect();
    for folder in folders {
        if !bins.iter().any(|bin| bin == folder) {
            bins.push(folder.to_owned());
        }
    }
    bins
}

/// The Python that `python3` starts in a folder, else the newest there.
fn python(tree: &Tree, folder: &str) -> Option<Python> {
    let named = |name: &str| {
        let path = format!("{folder}/{name}");
        let real = tree.real(&path).filter(|_| tree.is_program(&path))?;
        minor_of("python", file_name(real)).map(|minor| (minor, real))
    };
    let newest = || {
        let start = format!("{folder}/python3.");
        let below = tree.entries.range(start.clone()..);
        let there = below.take_while(|(path, _)| path.starts_with(&start));
        let found = there.filter_map(|(path, _)| named(file_name(path)));
        found.max_by_key(|(minor, _)| minor.strip_prefix("3.")?.parse::<u32>().ok())
    };
    let (minor, real) = named("python3").or_else(newest)?;
    let prefix = real.rsplit_once("/bin/").map_or("", |(prefix, _)| prefix);
    // As PATH finds it, when the link has the full name too.
    let full = format!("{folder}/python{minor}");
    let path = if tree.is_program(&full) { &full } else { real };
    Some(Python {
        version: python_version(tree, real, prefix, minor).unwrap_or_else(|| minor.to_owned()),
        minor: minor.to_owned(),
        path: format!("/{path}"),
        prefix: format!("/{prefix}"),
        packages: packages(tree, prefix, minor),
    })
}

/// The version that the interpreter tells, else its library, else its headers.
fn python_version(tree: &Tree, real: &str, prefix: &str, minor: &str) -> Option<String> {
    let told = |path: &str| match tree.captured.get(path)?.said.as_ref()? {
        Said::Python(version) => Some(version.clone()),
        _ => None,
    };
    let starts = format!("{minor}.");
    let below = |name: &str| {
        let paths = tree.captured.keys().filter(|path| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('/'))
                && file_name(path).starts_with(name)
        });
        let mut versions = paths.filter_map(|path| told(path));
        versions.find(|version| version.starts_with(&starts))
    };
    told(real)
        .or_else(|| below("libpython"))
        .or_else(|| below("patchlevel.h"))
}

/// Where it looks for installed packages first.
fn packages(tree: &Tree, prefix: &str, minor: &str) -> String {
    let site = ["lib", "lib64"].map(|lib| format!("{prefix}/{lib}/python{minor}/site.py"));
    let debian = site
        .iter()
        .any(|path| tree.said(path) == Some(&Said::DistPackages))
        // Some builds have compiled files only.
        || tree.has_below(&format!("{prefix}/lib/python3/dist-packages"));
    match (debian, prefix) {
        (true, "usr") => format!("/usr/local/lib/python{minor}/dist-packages"),
        (true, _) => format!("/{prefix}/lib/python{minor}/dist-packages"),
        (false, _) => format!("/{prefix}/lib/python{minor}/site-packages"),
    }
}

fn node(tree: &Tree, folder: &str) -> Option<Node> {
    let mut paths = ["node", "nodejs"]
        .map(|name| format!("{folder}/{name}"))
        .into_iter();
    let path = paths.find(|path| tree.is_program(path))?;
    let real = tree.real(&path)?;
    let told = |path: &str| match tree.captured.get(path)?.said.as_ref()? {
        Said::Node(version, abi) => Some((version.clone(), *abi)),
        _ => None,
    };
    let named = |start: &str| {
        let mut paths = tree
            .captured
            .keys()
            .filter(|path| file_name(path).starts_with(start));
        paths.find_map(|path| told(path))
    };
    // Debian's program is a stub over a library; headers are a last resort.
    let (version, abi) = told(real)
        .or_else(|| named("libnode.so"))
        .or_else(|| named("node_version.h"))?;
    let major = version.split('.').next().unwrap_or_default();
    let table = || NODE_ABI.into_iter().find(|(known, _)| *known == major);
    let abi = abi.or_else(|| table().map(|(_, abi)| abi))?;
    Some(Node {
        version,
        abi,
        path: format!("/{path}"),
    })
}
