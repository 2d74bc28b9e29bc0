//! The program: parse, run, print the error chain with its hint, exit code.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    karisimbi::cli::main(std::env::args_os().collect())
}
