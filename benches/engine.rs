//! Micro-benches of the engine: `cargo bench`. One module for each part.
//!
//! Times differ from machine to machine: compare ratios within one run (`scripts/bench`).

mod layer;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    layer::benches(&mut criterion);
    criterion.final_summary();
}
