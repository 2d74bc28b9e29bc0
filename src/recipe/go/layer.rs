//! The layer of one program.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use fs_err::File;
use object::{Object, ObjectSection};

use super::error::GoError;
use super::options::Cgo;
use super::steps::{OUTPUT, RULES};
use crate::digest::Digest;
use crate::layer::{
    Content, Entry, EntryPath, Executable, Input, Inputs, LayerDescription, LayerError, LayerKey,
    LayerSource, LayerWriter, Node, Owner, StepKey,
};
use crate::plan::Step;
use crate::platform::Platform;

/// `/app/NAME` from a step's output.
#[derive(Debug)]
pub(super) struct GoBinary {
    key: LayerKey,
    step: StepKey,
    inputs: Vec<Input>,
    path: EntryPath,
    expected: Expected,
}

/// What a program must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// As go build was told.
    pub(super) package: String,
    pub(super) architecture: String,
    pub(super) cgo: Cgo,
}

impl GoBinary {
    /// The layer of a build step; `all` are the steps that must run on a miss.
    pub(super) fn new(step: &Step, all: &[&Step], path: EntryPath, expected: Expected) -> Self {
        let fields = step
            .key
            .fields()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "kind" | "rules"));
        let key = fields
            .fold(LayerKey::new("go-binary", RULES), |key, (name, value)| {
                key.with(name, value)
            })
            .with("path", path.as_str());
        Self {
            key,
            step: step.key.clone(),
            inputs: all
                .iter()
                .map(|step| Input::Step(step.key.digest()))
                .collect(),
            path,
            expected,
        }
    }

    fn program(&self, inputs: &Inputs) -> Result<std::path::PathBuf, LayerError> {
        Ok(inputs.step(&self.step)?.join(OUTPUT))
    }
}

impl LayerSource for GoBinary {
    fn key(&self) -> &LayerKey {
        &self.key
    }

    fn describe(&self) -> LayerDescription {
        LayerDescription {
            name: "app".to_owned(),
            kind: "go-binary".to_owned(),
            contents: format!("/{} from {}", self.path, self.expected.package),
        }
    }

    fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn output_key(&self, inputs: &Inputs) -> Result<Option<LayerKey>, LayerError> {
        let path = self.program(inputs)?;
        let digest = File::open(&path)
            .and_then(Digest::of_reader)
            .map_err(|source| read_error(&path, source))?;
        let key = LayerKey::new("go-binary-output", RULES)
            .with("binary", &digest)
            .with("path", self.path.as_str());
        Ok(Some(key))
    }

    fn write(&self, inputs: &Inputs, out: &mut LayerWriter<'_>) -> Result<(), LayerError> {
        let path = self.program(inputs)?;
        // The slot outlives the step that filled it.
        verify(&path, &self.expected).map_err(|error| LayerError::Source(error.into()))?;
        let data = fs_err::metadata(&path).map_err(|source| read_error(&path, source))?;
        let mut above: Vec<EntryPath> =
            std::iter::successors(self.path.parent(), EntryPath::parent).collect();
        above.reverse();
        for directory in above {
            let node = Node::Directory {
                mode: 0o755,
                owner: Owner::ROOT,
            };
            out.append(&Entry {
                path: directory,
                node,
                package: None,
            })?;
        }
        out.append(&Entry {
            path: self.path.clone(),
            node: Node::File {
                executable: Executable::Yes,
                content: Content::File {
                    path,
                    size: data.len(),
                    expected: None,
                },
            },
            package: None,
        })
    }
}

fn read_error(path: &Path, source: std::io::Error) -> LayerError {
    LayerError::Source(
        GoError::Read {
            path: path.to_owned(),
            source,
        }
        .into(),
    )
}

/// Checks that a file is a program for its platform that its base can start.
pub(super) fn verify(path: &Path, expected: &Expected) -> Result<(), GoError> {
    let read = |source| GoError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut head = [0; 20];
    let count = file.read(&mut head).map_err(read)?;
    // `go build -o FILE ./library` succeeds and writes an archive.
    if !head.starts_with(b"\x7fELF") || count < head.len() {
        return Err(GoError::NotMain {
            package: expected.package.clone(),
        });
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let cache = object::ReadCache::new(file);
    let unreadable = |error: object::Error| read(std::io::Error::other(error));
    let elf = object::File::parse(&cache).map_err(unreadable)?;
    let found = architecture(elf.architecture());
    if found != expected.architecture {
        return Err(GoError::Machine {
            path: path.to_owned(),
            found: found.to_owned(),
            wanted: expected.architecture.clone(),
        });
    }
    if expected.cgo != Cgo::Dynamic
        && let Some(section) = elf.section_by_name(".interp")
    {
        let needed = section.data().map_err(unreadable)?;
        let needed = String::from_utf8_lossy(needed)
            .trim_end_matches('\0')
            .to_owned();
        return Err(GoError::Dynamic {
            package: expected.package.clone(),
            needed,
        });
    }
    Ok(())
}

/// The GOARCH name of a machine.
fn architecture(machine: object::Architecture) -> &'static str {
    use object::Architecture as A;
    match machine {
        A::X86_64 => "amd64",
        A::Aarch64 => "arm64",
        A::Arm => "arm",
        A::I386 => "386",
        A::PowerPc64 => "ppc64le",
        A::S390x => "s390x",
        A::Riscv64 => "riscv64",
        A::LoongArch64 => "loong64",
        _ => "another machine",
    }
}

impl Expected {
    /// For a package built for a platform.
    pub(super) fn new(package: &str, platform: &Platform, cgo: Cgo) -> Self {
        Self {
            package: package.to_owned(),
            architecture: platform.architecture.clone(),
            cgo,
        }
    }
}
