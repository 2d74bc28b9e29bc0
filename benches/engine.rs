//! Micro-benches of the engine: `cargo bench`. One module for each part.
//!
//! Times differ from machine to machine: compare ratios within one run (`scripts/bench`).

mod key;
mod layer;
mod scan;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    key::benches(&mut criterion);
    scan::benches(&mut criterion);
    layer::benches(&mut criterion);
    criterion.final_summary();
}
