//! Stub.
/// M
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Mismatch;
/// v
pub fn verify() {}
