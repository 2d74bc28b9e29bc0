//! Clones.
/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("git")]
pub struct GitError;
impl crate::error::Coded for GitError {
    fn code(&self) -> &'static str {
        "SRC-GIT-CLONE"
    }
}
