//! Bytes that are needed more than once: in memory within one budget, then in an unlinked file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of memory that all spools of the process may hold together: 16 MiB.
pub const BUDGET: usize = 16 << 20;

/// The smallest piece that a spool's memory grows by.
const STEP: usize = 16 << 10;

static BUDGETED: AtomicUsize = AtomicUsize::new(0);

/// Bytes written once and read any number of times; gone when dropped.
///
/// They stay in memory while all spools together fit [`BUDGET`]; what exceeds it goes to a
/// temporary file without a name, which no crash can leave behind.
#[derive(Debug)]
pub struct Spool {
    store: Store,
    length: u64,
    directory: Option<PathBuf>,
}

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>, Charge),
    Disk(File),
}

/// Names the temporary file as what failed: the error surfaces where something else is written.
#[derive(Debug, thiserror::Error)]
#[error("a temporary file can't be written or read")]
struct TemporaryFile {
    source: io::Error,
}

fn temporary(source: io::Error) -> io::Error {
    io::Error::new(source.kind(), TemporaryFile { source })
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
struct Charge(usize);

impl Charge {
    /// Raises the share to `bytes`; false when the budget is used up.
    fn raise(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.0);
        let granted = BUDGETED
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= BUDGET)
            })
            .is_ok();
        if granted {
            self.0 += more;
        }
        granted
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        BUDGETED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

impl Spool {
    /// An empty spool; its file, if it needs one, lies in the system's folder for temporary files.
    pub fn new() -> Self {
        Self {
            store: Store::Memory(Vec::new(), Charge(0)),
            length: 0,
            directory: None,
        }
    }

    /// An empty spool whose file, if it needs one, lies in `directory`.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            directory: Some(directory.to_owned()),
            ..Self::new()
        }
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A reader over all bytes, from the start; any number may exist at once.
    pub fn reader(&self) -> SpoolReader<'_> {
        SpoolReader {
            spool: self,
            position: 0,
        }
    }

    fn move_to_disk(&mut self) -> io::Result<()> {
        let Store::Memory(bytes, _) = &self.store else {
            return Ok(());
        };
        let mut file = match &self.directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        }
        .map_err(temporary)?;
        file.write_all(bytes).map_err(temporary)?;
        self.store = Store::Disk(file);
        Ok(())
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Spool {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Store::Memory(bytes, charge) = &mut self.store {
            let needed = bytes.len() + buffer.len();
            let fits = needed <= bytes.capacity() || {
                let capacity = needed.next_power_of_two().max(STEP);
                let granted = charge.raise(capacity);
                if granted {
                    bytes.reserve_exact(capacity - bytes.len());
                }
                granted
            };
            if !fits {
                self.move_to_disk()?;
            }
        }
        match &mut self.store {
            Store::Memory(bytes, _) => bytes.extend_from_slice(buffer),
            Store::Disk(file) => file.write_all(buffer).map_err(temporary)?,
        }
        self.length += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a [`Spool`] from any position.
#[derive(Debug)]
pub struct SpoolReader<'a> {
    spool: &'a Spool,
    position: u64,
}

impl Read for SpoolReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.spool.store {
            Store::Memory(bytes, _) => {
                let start = usize::try_from(self.position)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                (&bytes[start..]).read(buffer)?
            }
            Store::Disk(file) => file.read_at(buffer, self.position).map_err(temporary)?,
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for SpoolReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.spool.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pieces: u8) -> Spool {
        let mut spool = Spool::new();
        for piece in 0..pieces {
            spool.write_all(&vec![piece; 100_000]).unwrap();
        }
        spool
    }

    #[test]
    fn a_failing_temporary_file_is_named() {
        let mut spool = Spool::in_directory(Path::new("/nonexistent"));
        let error = spool.write_all(&vec![0; BUDGET + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("a temporary file"), "{error}");
    }

    #[test]
    fn reads_back_what_was_written_from_memory_and_from_disk() {
        // 1 and 250 pieces of 100 kB: within the budget, and beyond it.
        for pieces in [1, 250] {
            let spool = filled(pieces);
            assert_eq!(spool.length(), u64::from(pieces) * 100_000);
            assert_eq!(matches!(spool.store, Store::Disk(_)), pieces == 250);
            let mut expected = Vec::new();
            for piece in 0..pieces {
                expected.extend(vec![piece; 100_000]);
            }
            for _ in 0..2 {
                let mut found = Vec::new();
                spool.reader().read_to_end(&mut found).unwrap();
                assert!(found == expected, "{pieces} pieces");
            }
            let mut reader = spool.reader();
            assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), spool.length() - 1);
            let mut last = Vec::new();
            reader.read_to_end(&mut last).unwrap();
            assert_eq!(last, [pieces - 1]);
            assert!(reader.seek(SeekFrom::Current(-1_000_000_000)).is_err());
        }
        let over: usize = BUDGETED.load(Ordering::Relaxed);
        assert!(over <= BUDGET, "{over} bytes are still charged");
    }
}
