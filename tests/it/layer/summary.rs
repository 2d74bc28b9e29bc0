//! What a layer's summary says of its files.

use std::path::Path;

use karisimbi::layer::{Compression, Encoder, EntryKind, EntryPath, Executable, Streamed};

use super::{encode, file, link, on_disk};
use crate::support::{run, tool};

#[test]
fn an_elf_file_says_what_readelf_says() {
    let program = fs_err::canonicalize("/bin/ls").expect("a program");
    let size = fs_err::metadata(&program).expect("its size").len();
    let (_, layer) = encode(&[on_disk("bin/ls", &program, size)]).expect("a layer");
    let [found] = &layer.summary.elf[..] else {
        panic!("{:?}", layer.summary.elf);
    };
    assert_eq!(found.path, "bin/ls");
    let header = run(tool("readelf").arg("-hldVW").arg(&program));
    let interpreter = header
        .split("program interpreter: ")
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    assert_eq!(found.interpreter.as_deref(), interpreter);
    let needed: Vec<&str> = header
        .split("Shared library: [")
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
        .collect();
    assert_eq!(found.needed, needed);
    let highest = header
        .split("Name: GLIBC_")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .max_by_key(|version| {
            version
                .split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect::<Vec<u32>>()
        });
    assert_eq!(found.glibc.as_deref(), highest);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(found.machine, "amd64");
    }

    // The same bytes as a stream that can't be sought in.
    let bytes = fs_err::read(&program).expect("its bytes");
    let streamed = Streamed {
        path: EntryPath::new("bin/ls").expect("a path"),
        executable: Executable::Yes,
        size,
        package: Some("coreutils".into()),
    };
    let (_, from_stream) = Encoder::new(1)
        .encode(Vec::new(), Compression::Gzip, |out| {
            out.append_reader(&streamed, &mut Trickle(&bytes))
        })
        .expect("a layer");
    assert_eq!(from_stream.summary.elf, layer.summary.elf);
    assert_eq!(from_stream.diff_id, layer.diff_id);
    assert_eq!(
        from_stream.summary.packages,
        [("coreutils".to_owned(), size)].into()
    );
}

/// Gives odd pieces, the first of them smaller than a magic number.
struct Trickle<'a>(&'a [u8]);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = buffer.len().min(if self.0.len().is_multiple_of(2) {
            3
        } else {
            7919
        });
        std::io::Read::read(&mut self.0, &mut buffer[..room])
    }
}

#[test]
fn entries_packages_and_scripts_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run");
    crate::support::write(&path, "#!/usr/bin/env node\n1\n");
    let mut first = file("a", *b"12345");
    let mut second = file("b", *b"123");
    first.package = Some("left-pad".into());
    second.package = Some("left-pad".into());
    let entries = [
        first,
        second,
        link("l", "a"),
        on_disk("run", Path::new(&path), 22),
    ];
    let (_, layer) = encode(&entries).expect("a layer");
    let listed: Vec<_> = layer
        .summary
        .entries
        .iter()
        .map(|e| {
            (
                e.path.as_str(),
                e.kind,
                e.size,
                e.target.as_deref(),
                e.script.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("a", EntryKind::File, 5, None, None),
        ("b", EntryKind::File, 3, None, None),
        ("l", EntryKind::Symlink, 0, Some("a"), None),
        (
            "run",
            EntryKind::Executable,
            22,
            None,
            Some("/usr/bin/env node"),
        ),
    ];
    assert_eq!(listed, expected);
    assert_eq!(layer.summary.packages, [("left-pad".to_owned(), 8)].into());
}
