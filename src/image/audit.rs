//! Stub.
/// F
#[derive(Debug)]
pub struct Finding;
/// S
#[derive(Debug)]
pub enum Severity {}
/// a
pub fn audit() {}
