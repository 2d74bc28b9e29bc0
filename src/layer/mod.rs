//! The layer engine: entries → tar → diff id → compression → digest, in one pass and bounded memory.

mod blocks;
mod compress;
mod copy;
pub(crate) mod elf;
pub mod encode;
pub mod entry;
pub mod error;
mod file;
mod header;
pub mod key;
mod probe;
pub mod read;
pub mod record;
pub mod source;
pub mod spool;
pub mod tar;

pub use encode::{Compression, Encoder};
pub use entry::{Content, Entry, EntryPath, Executable, Expected, Node, Owner, Stamp};
pub use error::LayerError;
pub use key::{LayerKey, StepKey, TreeDigest};
pub use record::{Descriptor, ElfSummary, EntryKind, EntrySummary, LayerRecord, LayerSummary};
pub use source::{InlineLayer, Input, Inputs, LayerDescription, LayerSource};
pub use spool::Spool;
pub use tar::{LayerWriter, Streamed};

/// The version of the byte-level layer format (docs/concepts/layers.md); it is in every layer key.
pub const FORMAT_VERSION: u32 = 1;

/// The modification time of every entry: 1980-01-01T00:00:01Z, since zip writers refuse earlier times.
pub const ENTRY_MTIME: u64 = 315_532_801;

/// The account that images run as.
pub const APP_ID: u32 = 1001;
