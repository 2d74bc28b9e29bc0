//! karisimbi. (skeleton)
fn main() {}
