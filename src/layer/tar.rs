//! Entries → tar bytes, layer format 1. (skeleton)

use super::{Entry, LayerError, LayerSummary};

/// Takes entries in path order and writes the tar of layer format 1.
pub struct LayerWriter<'a> {
    out: &'a mut dyn std::io::Write,
    summary: LayerSummary,
}

impl std::fmt::Debug for LayerWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerWriter").finish_non_exhaustive()
    }
}

impl LayerWriter<'_> {
    /// Appends one entry; paths must come in strictly rising byte order.
    ///
    /// # Errors
    /// LAYER-DUPLICATE, LAYER-CHANGED, LAYER-READ, …
    pub fn append(&mut self, _entry: &Entry) -> Result<(), LayerError> {
        let _unused = (&mut self.out, &self.summary);
        unimplemented!()
    }
}
