//! The one encoder of the JSON that is published.

use oci_spec::image::MediaType;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ImageError;
use crate::digest::Digest;
use crate::layer::Descriptor;

/// The most bytes that a manifest, index or config may have: registries refuse larger manifests.
pub const DOCUMENT_LIMIT: u64 = 4 << 20;

/// A manifest, index or config: its bytes and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The bytes as published.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What they are.
    pub media_type: MediaType,
}

impl Document {
    /// Bytes that somebody else encoded.
    pub fn from_bytes(bytes: Vec<u8>, media_type: MediaType) -> Self {
        let digest = Digest::of(&bytes);
        Self {
            bytes,
            digest,
            media_type,
        }
    }

    /// Encodes a value: compact, with the keys of every object sorted by their bytes.
    ///
    /// # Errors
    /// IMAGE-ENCODE when a map has keys that are not text: a bug of ours.
    pub fn encode(
        what: &'static str,
        value: &impl Serialize,
        media_type: MediaType,
    ) -> Result<Self, ImageError> {
        canonical(what, value).map(|bytes| Self::from_bytes(bytes, media_type))
    }

    /// A descriptor of these bytes, without annotations.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            annotations: std::collections::BTreeMap::new(),
        }
    }

    /// A typed view of the bytes.
    ///
    /// # Errors
    /// IMAGE-JSON.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ImageError> {
        serde_json::from_slice(&self.bytes).map_err(|source| ImageError::Json {
            what: format!("{} {}", self.media_type, self.digest),
            source,
        })
    }
}

/// The canonical JSON of a value. `serde_json::Map` is a `BTreeMap` as long as no crate of the
/// build switches on `preserve_order`; a test watches that.
pub(super) fn canonical(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    let sorted = serde_json::to_value(value);
    sorted
        .and_then(|value| serde_json::to_vec(&value))
        .map_err(|source| ImageError::Encode { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    struct Unsorted {
        z: u8,
        a: BTreeMap<String, &'static str>,
    }

    #[test]
    fn keys_are_sorted_and_text_is_valid_json() {
        let value = Unsorted {
            z: 1,
            a: [
                ("\u{1}b".to_owned(), "<&>\n\u{7f}"),
                ("B".to_owned(), "\u{e9}"),
            ]
            .into(),
        };
        let document = Document::encode("a test", &value, MediaType::ImageConfig).unwrap();
        let text = String::from_utf8(document.bytes.clone()).unwrap();
        assert_eq!(
            text,
            "{\"a\":{\"\\u0001b\":\"<&>\\n\u{7f}\",\"B\":\"\u{e9}\"},\"z\":1}"
        );
        assert_eq!(document.descriptor().size, text.len() as u64);
        assert_eq!(document.digest, Digest::of(text.as_bytes()));
    }

    #[test]
    fn preserve_order_is_off() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
    }
}
