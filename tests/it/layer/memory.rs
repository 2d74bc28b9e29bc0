//! Memory stays bounded whatever a layer's size.

use std::io::Read;

use karisimbi::layer::{Compression, Encoder, EntryPath, Executable, Streamed};

use super::{MIB, mixed};
use crate::support::run;

/// How much the resident set may grow while 300 MiB are encoded, in kB: the buffers of the threads,
/// whatever the size of the test program itself. One layer kept in memory would add 100 MiB.
const LIMIT: u64 = 96 * 1024;

/// Tells the test that it is the process whose memory is measured.
const CHILD: &str = "LAYER_TEST_MEMORY";

#[test]
fn a_large_stream_needs_little_memory() {
    // In a process of its own: other tests run in this one.
    if std::env::var_os(CHILD).is_some() {
        return encode_and_print();
    }
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"));
    let name = "layer::memory::a_large_stream_needs_little_memory";
    let printed = run(child.args(["--exact", name, "--nocapture"]).env(CHILD, "1"));
    let figures: Vec<u64> = printed
        .split("resident kB:")
        .nth(1)
        .unwrap_or_else(|| panic!("{printed}"))
        .split_whitespace()
        .take(2)
        .map(|figure| figure.parse().expect("kB"))
        .collect();
    let growth = figures[1] - figures[0];
    assert!(growth < LIMIT, "{growth} kB, {figures:?}");
}

/// A line of what the kernel says of this process, in kB.
fn status(key: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let figure = line.and_then(|rest| rest.split_whitespace().next());
    figure
        .and_then(|kilobytes| kilobytes.parse().ok())
        .expect("a figure")
}

fn encode_and_print() {
    let before = status("VmRSS:");
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
    let text = format!("resident kB: {before} {}\n", status("VmHWM:"));
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, text.as_bytes()).expect("a pipe");
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
