//! Names of sources.
/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("url")]
pub struct InvalidSource;
impl crate::error::Coded for InvalidSource {
    fn code(&self) -> &'static str {
        "SRC-URL"
    }
}
