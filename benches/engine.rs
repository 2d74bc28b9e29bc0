//! Micro-benches. (skeleton)
fn main() {}
