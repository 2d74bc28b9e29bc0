//! Rebase: what comes out is what a build on the new base gives, or nothing.

mod bases;
mod equal;
mod refused;

use std::process::Command;

use serde_json::Value;

use crate::cli::Bench;
use crate::support::run;

/// A build of `app` on a base, with the files recipe.
fn build(bench: &Bench, base: &str, out: &str, more: &[&str]) -> Command {
    let mut command = bench.command(&["build", "app", "--recipe", "files", "--base", base]);
    command.args(["--entrypoint", "/app/program", "-o", out]);
    command.args(more);
    command
}

fn rebase(bench: &Bench, image: &str, base: &str, more: &[&str]) -> Command {
    let mut command = bench.command(&["rebase", image, "--base", base]);
    command.args(more);
    command
}

fn inspect(bench: &Bench, image: &str) -> Value {
    let shown = run(&mut bench.command(&["inspect", image, "--format", "json"]));
    serde_json::from_str(&shown).expect("JSON")
}

fn digest(bench: &Bench, image: &str) -> String {
    let shown = inspect(bench, image);
    shown["digest"].as_str().expect("a digest").to_owned()
}
