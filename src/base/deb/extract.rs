//! One .deb → entries whose contents lie in a folder of their own.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fs_err as fs;

use super::filter::{self, Shape};
use super::package_file::{Control, DataMembers, Deb};
use super::sets::Usr;
use super::{AssembleError, FetchedDeb};
use crate::layer::entry::escape;
use crate::layer::read::{Member, MemberKind};
use crate::layer::{Content, Entry, EntryPath, Executable, LayerError, Node, Owner};

/// Members of one package; the largest have some ten thousand.
const MAX_MEMBERS: usize = 200_000;
/// Bytes of all their names.
const MAX_NAMES: usize = 32 << 20;

/// Files up to this size may stay in memory: creating a file costs more than its bytes.
const SMALL: u64 = 32 << 10;
/// Bytes of all files that stay in memory: 8 MiB.
const MEMORY: usize = 8 << 20;

const SPARSE: &str = "it is a sparse file";

/// The memory that all packages of a base share for small files.
#[derive(Debug)]
pub(super) struct Memory(AtomicUsize);

impl Memory {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(MEMORY))
    }

    /// None at all: the files are needed on disk.
    pub(super) fn none() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// The size again when so much may be taken.
    fn take(&self, size: u64) -> Option<usize> {
        let size = usize::try_from(size).ok().filter(|_| size <= SMALL)?;
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(size)
            });
        taken.is_ok().then_some(size)
    }
}

/// What a package brings.
#[derive(Debug)]
pub(super) struct Extracted {
    /// Its name.
    pub(super) package: Arc<str>,
    /// Its control data.
    pub(super) control: Control,
    /// The members that a base keeps, in the order of the archive.
    pub(super) entries: Vec<Entry>,
}

/// What a path of the archive is, for hard links to it and for members that come twice.
#[derive(Clone, Debug)]
enum Seen {
    Directory,
    Symlink,
    /// A file that the base keeps.
    Kept(Content, Executable),
    /// A file that the base leaves out, or a hard link to one; the path of the file itself.
    Dropped(String, Executable),
}

/// Reads a package; contents go to `folder`, which must be empty, as far as `memory` is used up.
///
/// # Errors
/// BASE-DEB, BASE-COMPR, BASE-PATH, BASE-DISK.
pub(super) fn extract(
    deb: &FetchedDeb,
    usr: Usr,
    folder: &Path,
    memory: &Memory,
) -> Result<Extracted, AssembleError> {
    let archive = Deb::open(deb)?;
    let control = archive.control()?;
    let mut reader = Reader {
        package: deb.package.name.as_str().into(),
        usr,
        folder,
        memory,
        seen: BTreeMap::new(),
        entries: Vec::new(),
        wanted: BTreeMap::new(),
        contents: 0,
        names: 0,
    };
    let mut members = archive.data()?;
    while let Some(member) = reader.next(&mut members)? {
        reader.take(&member, &mut members)?;
    }
    reader.finish(members)?;
    if !reader.wanted.is_empty() {
        // A hard link to a file that the base leaves out: the contents are needed all the same.
        let mut members = archive.data()?;
        while let Some(member) = reader.next(&mut members)? {
            reader.take_wanted(&member, &mut members)?;
        }
        reader.finish(members)?;
    }
    Ok(Extracted {
        package: reader.package,
        control,
        entries: reader.entries,
    })
}

struct Reader<'a> {
    package: Arc<str>,
    usr: Usr,
    folder: &'a Path,
    memory: &'a Memory,
    seen: BTreeMap<String, Seen>,
    entries: Vec<Entry>,
    /// Files that were left out, with the entries that need their contents.
    wanted: BTreeMap<String, Vec<usize>>,
    contents: usize,
    names: usize,
}

impl Reader<'_> {
    fn next(&self, members: &mut DataMembers) -> Result<Option<Member>, AssembleError> {
        members
            .next()
            .map_err(|error| AssembleError::broken(&self.package, error))
    }

    fn finish(&self, members: DataMembers) -> Result<(), AssembleError> {
        // To the end: only there do the checksums of the compressed stream tell.
        let finished = members.finish();
        finished.map_err(|error| AssembleError::broken(&self.package, error))?;
        Ok(())
    }

    fn take(&mut self, member: &Member, members: &mut DataMembers) -> Result<(), AssembleError> {
        let shape = match member.kind {
            MemberKind::Directory => Shape::Directory,
            MemberKind::Symlink => Shape::Symlink,
            MemberKind::File | MemberKind::HardLink => Shape::File,
            MemberKind::Other => return Err(self.refuse(member, "it is a device or a fifo")),
        };
        let Some(path) = self.path(&member.path, shape)? else {
            return match shape {
                Shape::Directory => Ok(()),
                _ => Err(self.refuse(member, "it is the root, but no folder")),
            };
        };
        self.names += path.as_str().len() + member.link.len();
        if self.seen.len() >= MAX_MEMBERS || self.names > MAX_NAMES {
            let what = "it has too many members or names";
            return Err(AssembleError::damaged(&self.package, what));
        }
        let kept = filter::keep(path.as_str(), shape);
        if kept && member.mode & 0o6000 != 0 {
            return Err(self.refuse(member, "it has a set-user-id or set-group-id bit"));
        }
        let seen = match member.kind {
            MemberKind::Directory => self.directory(member, &path, kept),
            MemberKind::Symlink => self.symlink(member, &path, kept)?,
            MemberKind::HardLink => self.hard_link(member, &path, kept)?,
            _ => self.file(member, members, &path, kept)?,
        };
        let directory = matches!(seen, Seen::Directory);
        match self.seen.insert(path.as_str().to_owned(), seen) {
            // usr/lib of the archive, and lib that was moved there.
            Some(Seen::Directory) if directory => {}
            Some(_) => return Err(self.refuse(member, "it comes twice")),
            None => {}
        }
        Ok(())
    }

    fn directory(&mut self, member: &Member, path: &EntryPath, kept: bool) -> Seen {
        if kept {
            let node = Node::Directory {
                mode: member.mode & 0o1777,
                owner: Owner::ROOT,
            };
            self.push(path, node);
        }
        Seen::Directory
    }

    fn symlink(
        &mut self,
        member: &Member,
        path: &EntryPath,
        kept: bool,
    ) -> Result<Seen, AssembleError> {
        let target = std::str::from_utf8(&member.link).ok();
        let target = target.filter(|target| !target.is_empty() && !target.contains('\0'));
        let target = target.ok_or_else(|| self.refuse(member, "its link target is no path"))?;
        if kept {
            let target = target.to_owned();
            self.push(path, Node::Symlink { target });
        }
        Ok(Seen::Symlink)
    }

    fn hard_link(
        &mut self,
        member: &Member,
        path: &EntryPath,
        kept: bool,
    ) -> Result<Seen, AssembleError> {
        let target = self.path(&member.link, Shape::File)?;
        let found = target.and_then(|target| self.seen.get(target.as_str()).cloned());
        match found {
            Some(Seen::Kept(content, executable)) => {
                if kept {
                    let content = content.clone();
                    self.push(
                        path,
                        Node::File {
                            executable,
                            content,
                        },
                    );
                }
                Ok(Seen::Kept(content, executable))
            }
            Some(Seen::Dropped(file, executable)) if kept => {
                let entry = self.entries.len();
                let content = Content::Bytes(Arc::from([]));
                self.push(
                    path,
                    Node::File {
                        executable,
                        content,
                    },
                );
                self.wanted.entry(file.clone()).or_default().push(entry);
                Ok(Seen::Dropped(file, executable))
            }
            Some(seen @ Seen::Dropped(..)) => Ok(seen),
            _ => Err(self.refuse(member, "it is a hard link to no file of the package")),
        }
    }

    fn file(
        &mut self,
        member: &Member,
        members: &mut DataMembers,
        path: &EntryPath,
        kept: bool,
    ) -> Result<Seen, AssembleError> {
        let executable = match member.mode & 0o111 {
            0 => Executable::No,
            _ => Executable::Yes,
        };
        if !kept {
            return Ok(Seen::Dropped(path.as_str().to_owned(), executable));
        }
        let content = self.keep(member, members)?;
        let node = Node::File {
            executable,
            content: content.clone(),
        };
        self.push(path, node);
        Ok(Seen::Kept(content, executable))
    }

    fn take_wanted(
        &mut self,
        member: &Member,
        members: &mut DataMembers,
    ) -> Result<(), AssembleError> {
        if member.kind != MemberKind::File {
            return Ok(());
        }
        let Some(path) = self.path(&member.path, Shape::File)? else {
            return Ok(());
        };
        let Some(entries) = self.wanted.remove(path.as_str()) else {
            return Ok(());
        };
        let found = self.keep(member, members)?;
        for entry in entries {
            if let Node::File { content, .. } = &mut self.entries[entry].node {
                *content = found.clone();
            }
        }
        Ok(())
    }

    /// Keeps the member's contents: small ones in memory, others in the folder.
    fn keep(
        &mut self,
        member: &Member,
        members: &mut DataMembers,
    ) -> Result<Content, AssembleError> {
        if let Some(size) = self.memory.take(member.size) {
            let mut bytes = Vec::with_capacity(size);
            let read = members.read_to_end(&mut bytes);
            read.map_err(|error| AssembleError::broken(&self.package, error))?;
            if bytes.len() != size {
                return Err(self.refuse(member, SPARSE));
            }
            return Ok(Content::Bytes(bytes.into()));
        }
        let path = self.folder.join(self.contents.to_string());
        self.contents += 1;
        let mut file = fs::File::create_new(&path).map_err(AssembleError::disk)?;
        let size = copy(members, &mut file, &self.package)?;
        if size != member.size {
            return Err(self.refuse(member, SPARSE));
        }
        Ok(Content::File {
            path,
            size,
            expected: None,
        })
    }

    fn push(&mut self, path: &EntryPath, node: Node) {
        self.entries.push(Entry {
            path: path.clone(),
            node,
            package: Some(Arc::clone(&self.package)),
        });
    }

    /// A path of the archive as the base has it; none for the root.
    fn path(&self, raw: &[u8], shape: Shape) -> Result<Option<EntryPath>, AssembleError> {
        // One `./` alone: stripping a set of characters would eat the dot of dot files.
        let path = raw.strip_prefix(b"./").unwrap_or(raw);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if path.is_empty() || path == b"." {
            return Ok(None);
        }
        let checked = EntryPath::from_bytes(path).and_then(|path| {
            let place = filter::place(self.usr, path.as_str(), shape);
            EntryPath::new(place)
        });
        checked.map(Some).map_err(|error| {
            let rule = match error {
                LayerError::Path { rule, .. } => rule,
                _ => "its name would delete files of a base",
            };
            self.refuse_path(raw, rule)
        })
    }

    fn refuse(&self, member: &Member, rule: &'static str) -> AssembleError {
        self.refuse_path(&member.path, rule)
    }

    fn refuse_path(&self, path: &[u8], rule: &'static str) -> AssembleError {
        AssembleError::Member {
            package: self.package.to_string(),
            member: escape(path),
            rule,
        }
    }
}

/// Copies a member's contents; tells a damaged package from a full disk.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut fs::File,
    package: &str,
) -> Result<u64, AssembleError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(AssembleError::broken(package, error)),
        };
        io::Write::write_all(to, &buffer[..count]).map_err(AssembleError::disk)?;
        copied += count as u64;
    }
}
