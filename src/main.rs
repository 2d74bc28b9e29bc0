//! The program: parse, run, print the error chain with its hint, exit code.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    // Before any thread exists: the launcher confines the thread that becomes the program.
    match karisimbi::sandbox::launch(&args) {
        Some(code) => code,
        None => karisimbi::cli::main(args),
    }
}
