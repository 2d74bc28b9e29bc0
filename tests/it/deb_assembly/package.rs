//! Packages made in the test: whole ones by dpkg-deb, hostile ones member by member.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use karisimbi::base::deb::FetchedDeb;
use karisimbi::base::lock::LockedPackage;
use karisimbi::digest::Digest;
use tar::{EntryType, Header};

use crate::support::{run, tool, write};

/// A package that dpkg-deb makes.
#[derive(Clone, Debug)]
pub(super) struct Package {
    name: &'static str,
    version: &'static str,
    files: Vec<(String, Vec<u8>, u32)>,
    links: Vec<(String, String)>,
    hard_links: Vec<(String, String)>,
    folders: Vec<(String, u32)>,
}

impl Package {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            version: "1.0-1",
            files: Vec::new(),
            links: Vec::new(),
            hard_links: Vec::new(),
            folders: Vec::new(),
        }
    }

    pub(super) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub(super) fn file(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files
            .push((path.to_owned(), contents.as_ref().to_vec(), 0o644));
        self
    }

    pub(super) fn program(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files
            .push((path.to_owned(), contents.as_ref().to_vec(), 0o755));
        self
    }

    pub(super) fn link(mut self, path: &str, target: &str) -> Self {
        self.links.push((path.to_owned(), target.to_owned()));
        self
    }

    pub(super) fn hard_link(mut self, path: &str, target: &str) -> Self {
        self.hard_links.push((path.to_owned(), target.to_owned()));
        self
    }

    pub(super) fn folder(mut self, path: &str, mode: u32) -> Self {
        self.folders.push((path.to_owned(), mode));
        self
    }

    /// Makes the .deb below `folder`, compressed by `dpkg-deb -Z`.
    pub(super) fn build(&self, folder: &Path, compression: &str) -> FetchedDeb {
        let root = folder.join(format!("{}-{}.root", self.name, self.version));
        let path = |path: &str| root.join(path);
        let control = format!(
            "Package: {}\nVersion: {}\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\n\
             Description: a test\n",
            self.name, self.version
        );
        write(&path("DEBIAN/control"), control);
        write(&path("DEBIAN/md5sums"), format!("0  of {}\n", self.name));
        for (name, mode) in &self.folders {
            std::fs::create_dir_all(path(name)).unwrap();
            set_mode(&path(name), *mode);
        }
        for (name, contents, mode) in &self.files {
            write(&path(name), contents);
            set_mode(&path(name), *mode);
        }
        for (name, target) in &self.links {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path(name)).unwrap();
        }
        for (name, target) in &self.hard_links {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::hard_link(path(target), path(name)).unwrap();
        }
        let file = folder.join(format!("{}-{}.deb", self.name, self.version));
        run(tool("dpkg-deb")
            .args(["--root-owner-group", "--build", &format!("-Z{compression}")])
            .args([&root, &file]));
        std::fs::remove_dir_all(&root).unwrap();
        locked(self.name, self.version, &file)
    }
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A file as the lock names it.
pub(super) fn locked(name: &str, version: &str, path: &Path) -> FetchedDeb {
    let bytes = std::fs::read(path).unwrap();
    FetchedDeb {
        package: LockedPackage {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "amd64".to_owned(),
            sha256: Digest::of(&bytes),
            size: bytes.len() as u64,
            filename: format!("pool/{name}.deb"),
            source: name.to_owned(),
            suite: "trixie".to_owned(),
            why: "root".to_owned(),
        },
        path: path.to_owned(),
    }
}

/// A member of a tar, however odd.
#[derive(Clone, Debug)]
pub(super) struct Odd {
    pub(super) path: &'static [u8],
    pub(super) kind: EntryType,
    pub(super) mode: u32,
    pub(super) link: &'static [u8],
    pub(super) content: &'static [u8],
}

pub(super) const PLAIN: Odd = Odd {
    path: b"./usr/share/x",
    kind: EntryType::Regular,
    mode: 0o644,
    link: b"",
    content: b"x",
};

/// A tar of these members; the tar crate would refuse some of them.
pub(super) fn tar_of(members: &[Odd]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_size(member.content.len() as u64);
        let bytes = header.as_mut_bytes();
        bytes[..member.path.len()].copy_from_slice(member.path);
        bytes[157..157 + member.link.len()].copy_from_slice(member.link);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(member.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// An `ar` archive of these members.
pub(super) fn ar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        );
        ar.extend_from_slice(header.as_bytes());
        ar.extend_from_slice(content);
        ar.resize(ar.len().next_multiple_of(2), b'\n');
    }
    ar
}

/// The control archive of package `x` 1.
pub(super) fn control() -> Vec<u8> {
    tar_of(&[Odd {
        path: b"./control",
        content: b"Package: x\nVersion: 1\nArchitecture: amd64\n",
        ..PLAIN
    }])
}

/// Package `x` 1 with this data archive under this name.
pub(super) fn raw(folder: &Path, name: &str, data: &[u8]) -> FetchedDeb {
    let members: [(&str, &[u8]); 3] = [
        ("debian-binary", b"2.0\n"),
        ("control.tar", &control()),
        (name, data),
    ];
    save(folder, &ar_of(&members))
}

/// Package `x` 1 with these bytes.
pub(super) fn save(folder: &Path, bytes: &[u8]) -> FetchedDeb {
    let path: PathBuf = folder.join("x.deb");
    std::fs::write(&path, bytes).unwrap();
    locked("x", "1", &path)
}

/// Bytes as `xz` compresses them.
pub(super) fn xz(folder: &Path, bytes: &[u8], options: &[&str]) -> Vec<u8> {
    let path = folder.join("xz-input");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(bytes).unwrap();
    let output = tool("xz")
        .args(options)
        .arg("-c")
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "xz {options:?}");
    output.stdout
}
