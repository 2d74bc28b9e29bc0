//! Files of mirrors by the machine's own apt, which knows its proxies and logins. It is asked for
//! addresses alone; what it brings is checked like everything else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use url::Url;

use super::DebContext;
use super::error::DebError;
use super::transport::{self, Failure, Signed};
use crate::digest::Hashing;
use crate::net::{plain_words, shown_url};
use crate::program::{self, Limits, RunError};

/// apt-helper retries for itself; all files of a base take seconds.
const LIMITS: Limits = Limits {
    time: Duration::from_mins(30),
    output: 4 << 20,
};
/// Files in one call: a command line has 128 kB at least.
const AT_ONCE: usize = 100;
/// Blocks that apt may write besides.
const APT_OWN: u64 = 8192;

/// One file, whatever it holds.
pub(super) fn one<W: Write>(
    context: &DebContext<'_>,
    helper: &Path,
    url: &Url,
    limit: u64,
    open: impl Fn() -> Result<W, DebError>,
) -> Result<W, Failure> {
    let place = place(context).map_err(Failure::Error)?;
    let shown = shown_url(url);
    let copied = match call(helper, &[(url, &place.0)], limit) {
        Ok(output) if output.status.success() => transport::copy(&place.0, shown, limit, open),
        Ok(output) => Err(refused(url, &String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(Failure::Error(DebError::Apt {
            url: shown,
            words: match error {
                RunError::Io(source) => format!("{}: {source}", helper.display()),
                RunError::Stopped(what) => what,
            },
        })),
    };
    drop(place);
    copied
}

/// Many files in one call, which is ten times faster than as many calls. Those that are right are
/// in the store afterwards; what the others lack is found out when they are fetched one by one.
pub(super) fn many(context: &DebContext<'_>, helper: &Path, files: &[(Url, Signed<'_>)]) {
    for files in files.chunks(AT_ONCE) {
        let Ok(places) = files
            .iter()
            .map(|_| place(context))
            .collect::<Result<Vec<Place>, DebError>>()
        else {
            return;
        };
        let pairs: Vec<(&Url, &Path)> = files
            .iter()
            .zip(&places)
            .map(|((url, _), place)| (url, place.0.as_path()))
            .collect();
        let largest = files.iter().map(|(_, file)| file.size).max();
        if call(helper, &pairs, largest.unwrap_or(0)).is_err() {
            return;
        }
        for ((url, file), place) in files.iter().zip(&places) {
            let open = || Ok(Hashing::new(context.store.blob_writer()?));
            let copied = transport::copy(&place.0, shown_url(url), file.size, open);
            if let Ok(written) = copied
                && let (blob, digest, size) = written.finish()
                && (digest, size) == (file.digest, file.size)
            {
                // What can't be kept now is fetched again, and its error is told then.
                let _fetched_again = context.store.commit_input(blob, &digest);
            }
        }
    }
}

/// A path in the store's temporary folder; the file is removed with it.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        for end in ["", ".FAILED"] {
            // Swept with the folder if it can't be removed now.
            let _gone_or_swept = fs_err::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

fn place(context: &DebContext<'_>) -> Result<Place, DebError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = context.store.temporary_folder()?;
    Ok(Place(
        folder.join(format!("apt-{}", NEXT.fetch_add(1, Relaxed))),
    ))
}

/// apt-helper knows no largest size; the shell's limit keeps a mirror from filling the disk.
fn call(helper: &Path, files: &[(&Url, &Path)], largest: u64) -> Result<Output, RunError> {
    // In blocks of 512 bytes, or twice as many in some shells; apt's own files are small.
    let blocks = largest.div_ceil(512) + APT_OWN;
    let mut command = Command::new("/bin/sh");
    command
        .env("LC_ALL", "C")
        .args(["-c", "ulimit -f \"$0\" && exec \"$@\""])
        .arg(blocks.to_string())
        .arg(helper)
        // apt's own user may not write into the store.
        .args(["-o", "APT::Sandbox::User=root", "download-file"]);
    for (url, place) in files {
        command.arg(url.as_str()).arg(place);
    }
    program::run(&mut command, LIMITS)
}

/// What apt-helper's errors mean: `E: Failed to fetch URL  404  Not Found [IP: …]`; the words after
/// the status are the server's.
fn refused(url: &Url, errors: &str) -> Failure {
    let shown = shown_url(url);
    let mut words = errors.lines().filter_map(|line| line.strip_prefix("E: "));
    let word = words.next().unwrap_or(errors);
    let after = word
        .strip_prefix("Failed to fetch ")
        .and_then(|rest| rest.trim_start().strip_prefix(url.as_str()))
        .map(str::trim_start);
    match after {
        Some(after)
            if ["404 ", "410 "]
                .iter()
                .any(|status| after.starts_with(status)) =>
        {
            Failure::Missing(shown)
        }
        after => Failure::Error(DebError::Apt {
            url: shown,
            words: plain_words(after.unwrap_or(word)),
        }),
    }
}
