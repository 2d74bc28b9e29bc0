//! Memory stays bounded whatever a layer's size.

use std::io::Read;

use karisimbi::layer::{Compression, Encoder, EntryPath, Executable, Streamed};

use super::{MIB, mixed};
use crate::support::run;

/// The largest resident set that encoding may need, in kB.
const LIMIT: u64 = 64 * 1024;

#[test]
fn a_large_stream_needs_little_memory() {
    let printed = run(
        std::process::Command::new(std::env::current_exe().expect("this test")).args([
            "--exact",
            "layer::memory::child",
            "--ignored",
            "--nocapture",
        ]),
    );
    let peak = printed
        .split("VmHWM:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("{printed}"));
    let peak: u64 = peak.parse().expect("kB");
    assert!(peak < LIMIT, "{peak} kB");
}

#[test]
#[ignore = "run by a_large_stream_needs_little_memory in a process of its own"]
fn child() {
    let encoder = Encoder::new(8);
    std::thread::scope(|scope| {
        // Several layers at once share one set of buffers.
        for head in [&b""[..], b"\x7fELF", b""] {
            let encoder = &encoder;
            scope.spawn(move || {
                let streamed = Streamed {
                    path: EntryPath::new("f").expect("a path"),
                    executable: Executable::No,
                    size: 100 * MIB as u64,
                    package: None,
                };
                let mut reader = head.chain(Repeated {
                    block: mixed(MIB, 5),
                    at: 0,
                });
                let mut reader = Read::by_ref(&mut reader).take(streamed.size);
                encoder
                    .encode(std::io::sink(), Compression::Gzip, |out| {
                        out.append_reader(&streamed, &mut reader)
                    })
                    .expect("a layer");
            });
        }
    });
    let status = fs_err::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, peak.expect("a peak").as_bytes()).expect("a pipe");
}

struct Repeated {
    block: Vec<u8>,
    at: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (&self.block[self.at..]).read(buffer)?;
        self.at = (self.at + count) % self.block.len();
        Ok(count)
    }
}
