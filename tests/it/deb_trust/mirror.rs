//! A mirror made by the test: tiny packages, indices, InRelease files.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use karisimbi::digest::Digest;
use pgp::packet::Signature;

use super::NOW;
use super::signing::{Signer, framed};
use crate::support::write;

/// A package; its file is its name and version.
#[derive(Clone)]
pub(crate) struct Package {
    name: &'static str,
    version: &'static str,
    fields: &'static str,
}

pub(crate) const fn package(
    name: &'static str,
    version: &'static str,
    fields: &'static str,
) -> Package {
    Package {
        name,
        version,
        fields,
    }
}

impl Package {
    pub(crate) fn path(&self) -> String {
        format!("pool/main/x/{}_{}_amd64.deb", self.name, self.version)
    }

    pub(crate) fn contents(&self) -> String {
        format!("!<arch>\n{} {}", self.name, self.version)
    }

    fn stanza(&self) -> String {
        let contents = self.contents();
        format!(
            "Package: {}\nVersion: {}\nArchitecture: amd64\nFilename: {}\nSize: {}\nSHA256: {}\n{}\n",
            self.name,
            self.version,
            self.path(),
            contents.len(),
            Digest::of(contents.as_bytes()).hex(),
            match self.fields {
                "" => String::new(),
                fields => format!("{fields}\n"),
            }
        )
    }
}

/// What an InRelease file says.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) suite: &'static str,
    pub(crate) date: i64,
    pub(crate) valid_until: Option<i64>,
    pub(crate) by_hash: bool,
    /// Digest and size by path.
    pub(crate) files: BTreeMap<String, (Digest, u64)>,
}

impl Release {
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            "Origin: Test".to_owned(),
            "Suite: stable".to_owned(),
            format!("Codename: {}", self.suite),
            format!("Date: {}", rfc2822(self.date)),
            "Architectures: amd64".to_owned(),
            "Components: main".to_owned(),
        ];
        if let Some(until) = self.valid_until {
            lines.push(format!("Valid-Until: {}", rfc2822(until)));
        }
        if self.by_hash {
            lines.push("Acquire-By-Hash: yes".to_owned());
        }
        lines.push("SHA256:".to_owned());
        let files = self.files.iter();
        lines.extend(
            files.map(|(path, (digest, size))| format!(" {} {size:>9} {path}", digest.hex())),
        );
        lines.join("\n")
    }

    /// The file is listed as it is.
    pub(crate) fn list(&mut self, path: &str, bytes: &[u8]) {
        let known = (Digest::of(bytes), bytes.len() as u64);
        self.files.insert(path.to_owned(), known);
    }
}

fn rfc2822(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).expect("a time");
    let text = time.strftime("%a, %d %b %Y %H:%M:%S UTC");
    text.to_string()
}

pub(crate) const PACKAGES: &str = "main/binary-amd64/Packages";

/// A folder that is served as a mirror.
pub(crate) struct Mirror {
    folder: tempfile::TempDir,
    pub(crate) signer: Signer,
}

impl Mirror {
    /// The suite trixie with these packages, signed.
    pub(crate) fn new(packages: &[Package]) -> Self {
        let mirror = Self {
            folder: tempfile::tempdir().expect("a folder"),
            signer: Signer::new("archive"),
        };
        let release = mirror.index("trixie", packages);
        mirror.sign(&release, &[&mirror.signer]);
        mirror.keyring("keys.gpg", &mirror.signer.exported());
        mirror
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.folder.path().join("debian").display())
    }

    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join("debian").join(path)
    }

    pub(crate) fn keyring(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        write(&path, bytes);
        path
    }

    /// Writes files and index of a suite, and says what is to be signed.
    pub(crate) fn index(&self, suite: &'static str, packages: &[Package]) -> Release {
        let mut release = Release {
            suite,
            date: NOW - 7200,
            valid_until: None,
            by_hash: false,
            files: BTreeMap::new(),
        };
        let mut index = String::new();
        for package in packages {
            write(&self.file(&package.path()), package.contents());
            index.push_str(&package.stanza());
        }
        let packed = gzip(index.as_bytes());
        release.list(PACKAGES, index.as_bytes());
        release.list(&format!("{PACKAGES}.gz"), &packed);
        write(&self.file(&format!("dists/{suite}/{PACKAGES}.gz")), packed);
        release
    }

    pub(crate) fn in_release(&self, suite: &str) -> PathBuf {
        self.file(&format!("dists/{suite}/InRelease"))
    }

    pub(crate) fn sign(&self, release: &Release, signers: &[&Signer]) {
        let text = release.text();
        let signatures: Vec<Signature> = signers.iter().map(|s| s.signature(&text)).collect();
        write(&self.in_release(release.suite), framed(&text, &signatures));
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}
