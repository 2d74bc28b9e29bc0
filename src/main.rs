//! The program: parse, run, print the error chain with its hint, exit code.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    // Before any thread exists: the launcher confines the thread that becomes the program.
    karisimbi::sandbox::launch(&args)
        .or_else(|| karisimbi::cli::init(&args))
        .unwrap_or_else(|| karisimbi::cli::main(args))
}
