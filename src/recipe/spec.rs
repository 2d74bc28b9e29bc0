//! The data half of the recipes: `recipes/*.toml`, compiled in, replaced by `--recipes DIR`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};

use crate::error::{Coded, Exit};

/// Larger files are not written by people.
const MAX_BYTES: u64 = 256 << 10;

/// The files that replace built-in ones; none of them by default.
#[derive(Clone, Debug, Default)]
pub struct Specs {
    go: Option<GoSpec>,
    files: Option<FilesSpec>,
}

/// `go.toml`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoSpec {
    pub(super) base: GoBases,
    pub(super) aside: Aside,
    pub(super) build: GoBuild,
    pub(super) image: ImageSpec,
}

/// Short names of bases, by the mode of cgo.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoBases {
    pub(super) off: String,
    #[serde(rename = "static")]
    pub(super) fixed: String,
    pub(super) dynamic: String,
}

/// Folders whose commands are not the product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aside {
    names: Vec<String>,
    prefixes: Vec<String>,
}

/// What `go build` is always told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoBuild {
    pub(super) flags: Vec<String>,
    pub(super) ldflags: Vec<String>,
}

/// `files.toml`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilesSpec {
    pub(super) base: String,
    pub(super) image: ImageSpec,
}

/// Where a recipe puts things, and who runs them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageSpec {
    pub(super) directory: Folder,
    pub(super) user: User,
}

/// A folder of the image: absolute, without `.`, `..` and a `/` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder(String);

/// `UID:GID` in numbers: a name would need the base's accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User(String);

impl Aside {
    /// Whether commands below a folder of this name are not the product.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.iter().any(|aside| aside == name)
            || self.prefixes.iter().any(|aside| name.starts_with(aside))
    }
}

impl Folder {
    /// With a `/` at its start, as the config has it.
    pub(super) fn absolute(&self) -> &str {
        &self.0
    }

    /// Without it, as layers have it.
    pub(super) fn relative(&self) -> &str {
        self.0.trim_start_matches('/')
    }
}

impl User {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let inside = text
            .strip_prefix('/')
            .filter(|rest| super::paths::lexical(rest).as_deref() == Some(rest));
        match inside {
            Some(rest) if !rest.is_empty() && !rest.contains(char::is_control) => Ok(Self(text)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not an absolute folder such as /app"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_number = |id: &str| !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit());
        let fits = |id: &str| is_number(id) && id.parse::<u32>().is_ok();
        match text.split_once(':') {
            Some((uid, gid)) if fits(uid) && fits(gid) => Ok(Self(text)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not UID:GID in numbers, such as 1001:1001"
            ))),
        }
    }
}

/// A recipe file that can't be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum SpecError {
    #[error("--recipes {path}: can't be read")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("--recipes {path}: there is no go.toml and no files.toml in it")]
    Empty { path: PathBuf },
    #[error("{path}: can't be read")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: no recipe has this name")]
    Unknown { path: PathBuf },
    #[error("{path}: has more than {MAX_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("{file}:{line}: {problem}")]
    Parse {
        file: String,
        line: usize,
        problem: String,
    },
}

impl Coded for SpecError {
    fn code(&self) -> &'static str {
        "RECIPE-FILE"
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } | Self::Empty { .. } => {
                "a folder of recipes holds go.toml, files.toml or both".to_owned()
            }
            Self::Parse { .. } => {
                "a recipe file needs every key of the built-in one (recipes/ in the repository of \
                 karisimbi), and no others"
                    .to_owned()
            }
            Self::Folder { .. } | Self::Read { .. } | Self::TooLarge { .. } => return None,
        })
    }
}

impl Specs {
    /// Reads the `.toml` files of a folder; each replaces the built-in file of its name.
    ///
    /// # Errors
    /// RECIPE-FILE for one that can't be read, that no recipe reads, or that lacks a key or has an
    /// unknown one.
    pub fn read(folder: &Path) -> Result<Self, SpecError> {
        let failed = |source| SpecError::Folder {
            path: folder.to_owned(),
            source,
        };
        let mut paths = fs_err::read_dir(folder)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<PathBuf>, _>>()
            .map_err(failed)?;
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        });
        // The same file is named first on every machine when several are broken.
        paths.sort();
        let mut specs = Self::default();
        for path in &paths {
            let name = path.display().to_string();
            match path.file_stem().and_then(|stem| stem.to_str()) {
                Some("go") => specs.go = Some(parse(&name, &text(path)?)?),
                Some("files") => specs.files = Some(parse(&name, &text(path)?)?),
                _ => return Err(SpecError::Unknown { path: path.clone() }),
            }
        }
        if paths.is_empty() {
            return Err(SpecError::Empty {
                path: folder.to_owned(),
            });
        }
        Ok(specs)
    }

    /// The Go recipe's data.
    pub(super) fn go(&self) -> Result<GoSpec, SpecError> {
        match &self.go {
            Some(spec) => Ok(spec.clone()),
            None => parse("recipes/go.toml", include_str!("../../recipes/go.toml")),
        }
    }

    /// The files recipe's data.
    pub(super) fn files(&self) -> Result<FilesSpec, SpecError> {
        match &self.files {
            Some(spec) => Ok(spec.clone()),
            None => parse(
                "recipes/files.toml",
                include_str!("../../recipes/files.toml"),
            ),
        }
    }
}

fn text(path: &Path) -> Result<String, SpecError> {
    let read = |source| SpecError::Read {
        path: path.to_owned(),
        source,
    };
    if fs_err::metadata(path).map_err(read)?.len() > MAX_BYTES {
        return Err(SpecError::TooLarge {
            path: path.to_owned(),
        });
    }
    fs_err::read_to_string(path).map_err(read)
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, SpecError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        SpecError::Parse {
            file: file.to_owned(),
            line: before.map_or(1, |before| before.matches('\n').count() + 1),
            // The parser's own text repeats the lines of the file.
            problem: error.message().to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO: &str = include_str!("../../recipes/go.toml");

    #[test]
    fn built_in_files_are_whole() {
        let specs = Specs::default();
        let go = specs.go().unwrap();
        assert_eq!(go.image.directory.absolute(), "/app");
        assert_eq!(go.base.dynamic, "cc");
        for (name, is_aside) in [
            ("examples", true),
            ("integration-tests", true),
            ("cmd", false),
            ("example-server", false),
        ] {
            assert_eq!(go.aside.holds(name), is_aside, "{name}");
        }
        assert_eq!(specs.files().unwrap().image.user.as_str(), "1001:1001");
    }

    #[test]
    fn a_file_replaces_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let replaced = GO.replace("\"/app\"", "\"/opt/bin\"");
        fs_err::write(folder.path().join("go.toml"), replaced).unwrap();
        fs_err::write(folder.path().join("README.md"), "notes").unwrap();
        let specs = Specs::read(folder.path()).unwrap();
        assert_eq!(specs.go().unwrap().image.directory.relative(), "opt/bin");
        let files = specs.files().unwrap();
        assert_eq!(files.image.directory.relative(), "app");
    }

    #[test]
    fn wrong_files_are_named_with_their_key() {
        for (name, from, to, said) in [
            (
                "go.toml",
                "[build]",
                "[build]\nldflag = 1",
                ":21: unknown field `ldflag`",
            ),
            ("go.toml", "prefixes =", "prefix =", "prefix"),
            ("go.toml", "dynamic = \"cc\"", "", "dynamic"),
            ("go.toml", "\"/app\"", "\"app\"", "not an absolute folder"),
            (
                "go.toml",
                "\"/app\"",
                "\"/a/../b\"",
                "not an absolute folder",
            ),
            ("go.toml", "\"1001:1001\"", "\"app\"", "not UID:GID"),
            ("go.toml", "[image]", "[image", "go.toml"),
            ("rust.toml", "", "", "no recipe has this name"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs_err::write(folder.path().join(name), GO.replacen(from, to, 1)).unwrap();
            let error = Specs::read(folder.path()).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(said), "{to}: {shown}");
            assert!(shown.contains(name), "{to}: {shown}");
            assert_eq!(error.code(), "RECIPE-FILE");
        }
        let empty = tempfile::tempdir().unwrap();
        let error = Specs::read(empty.path()).unwrap_err().to_string();
        assert!(error.contains("no go.toml"), "{error}");
        let missing = Specs::read(&empty.path().join("x")).unwrap_err();
        assert!(missing.to_string().contains("can't be read"), "{missing}");
    }
}
