//! Flags of go and of its linker that configurations may give.

use super::error::GoError;
use super::options::{Cgo, GoOptions, problem};

/// Flags that the recipe sets itself, or that would run programs or write elsewhere.
const REFUSED_FLAGS: [&str; 22] = [
    "toolexec",
    "o",
    "C",
    "overlay",
    "modfile",
    "ldflags",
    "tags",
    "mod",
    "pkgdir",
    "work",
    "n",
    "x",
    "v",
    "a",
    "json",
    "exec",
    "trimpath",
    "buildvcs",
    "modcacherw",
    "debug-actiongraph",
    "compiler",
    "gccgoflags",
];

/// Refuses flags that the recipe decides, that run programs, or that read or write elsewhere.
pub(super) fn check(options: &GoOptions) -> Result<(), GoError> {
    for flag in &options.flags {
        let Some(name) = flag.strip_prefix('-') else {
            return Err(problem(
                "flags",
                format!("{flag:?} is not a flag; write -name=value"),
            ));
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        if REFUSED_FLAGS.contains(&name) {
            return Err(problem(
                "flags",
                format!("-{name} is refused: the recipe decides it"),
            ));
        }
        if name == "pgo" && flag.contains(['/', '\\']) && !flag.contains("=./")
            || flag.contains("..")
        {
            return Err(problem(
                "flags",
                format!("{flag:?} leads out of the source"),
            ));
        }
        if name == "race" && options.cgo != Cgo::Dynamic {
            return Err(GoError::Race);
        }
    }
    check_linker(&options.ldflags)
}

/// Refuses flags with which the linker runs other programs or writes elsewhere.
pub(super) fn check_linker(flags: &[String]) -> Result<(), GoError> {
    for text in flags {
        // -extld names a program that the linker runs.
        if text.split_ascii_whitespace().any(|word| {
            let word = word.trim_start_matches('-');
            word == "extld" || word.starts_with("extld=") || word == "o" || word.starts_with("o=")
        }) {
            return Err(problem("ldflags", "-extld and -o are refused"));
        }
    }
    Ok(())
}
