//! Layer bytes → tar bytes, for layers that others made.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use oci_spec::image::MediaType;

/// The largest zstd window that is accepted, 128 MiB: what `zstd -d` accepts without flags.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A layer media type that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// Not one of OCI's layer types.
    #[error("{0} is not a layer that can be read")]
    Media(MediaType),
    /// The decoder could not be set up.
    #[error("can't read the zstd stream")]
    Zstd(#[source] std::io::Error),
}

/// Reads the tar of a layer. Every gzip member is read: a decoder that stops after the first one
/// cuts layers short without saying so.
///
/// # Errors
/// For media types that are not an OCI layer's.
pub fn decompress<'a>(
    reader: impl Read + Send + 'a,
    media_type: &MediaType,
) -> Result<Box<dyn Read + Send + 'a>, DecompressError> {
    match media_type {
        MediaType::ImageLayer => Ok(Box::new(reader)),
        MediaType::ImageLayerGzip => Ok(Box::new(MultiGzDecoder::new(reader))),
        MediaType::ImageLayerZstd => {
            let mut decoder =
                zstd::stream::read::Decoder::new(reader).map_err(DecompressError::Zstd)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(DecompressError::Zstd)?;
            Ok(Box::new(decoder))
        }
        other => Err(DecompressError::Media(other.clone())),
    }
}
