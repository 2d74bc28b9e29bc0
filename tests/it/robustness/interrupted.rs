//! Builds that are killed, and builds that meet.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{assert_sound, cache, source};
use crate::builds::{Recipe, Site, assert_whole, built, digest_of, noise};
use crate::support::{run, shown, tool};

/// Kills of each recipe; `scripts/accept A6` does more.
const ROUNDS: u32 = 6;

/// Whom a kill hits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The program alone: a compiler that it started goes on.
    Program,
    /// All that it started too.
    Group,
}

fn spawn(command: &mut Command) -> Child {
    command
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Whether it was still running.
fn kill(mut child: Child, victim: Victim) -> bool {
    let running = child.try_wait().expect("a child").is_none();
    if running {
        let prefix = if victim == Victim::Group { "-" } else { "" };
        let target = format!("{prefix}{}", child.id());
        run(tool("kill").args(["-s", "KILL", "--", &target]));
    }
    child.wait().expect("an end");
    running
}

fn forget_layers(site: &Site, cache: &Path) {
    run(site
        .program()
        .args(["cache", "clear", "--layers", "--cache-dir"])
        .arg(cache));
}

fn kill_at_random_moments(recipe: Recipe) {
    let site = Site::new();
    let source = source(&site, recipe, 30);
    let cache = cache(&site, recipe, "cache");
    let out = site.path("out");
    let build = || site.build(&source, recipe, &cache, &out);
    let (expected, _) = built(&mut build(), &out);

    std::fs::remove_dir_all(&out).expect("a layout");
    forget_layers(&site, &cache);
    let started = Instant::now();
    assert_eq!(built(&mut build(), &out).0, expected);
    let twentieth = started.elapsed() / (20 * ROUNDS);

    let mut caught = 0;
    for round in 0..ROUNDS {
        std::fs::remove_dir_all(&out).expect("a layout");
        forget_layers(&site, &cache);
        let part = u32::from(noise(1, 40 + u64::from(round))[0]) % 20;
        let moment: Duration = twentieth * (20 * round + part);
        let child = spawn(&mut build());
        std::thread::sleep(moment);
        let victim = [Victim::Group, Victim::Program][round as usize % 2];
        caught += u32::from(kill(child, victim));

        assert_whole(&cache);
        assert_whole(&out);
        if out.join("index.json").exists() {
            assert_eq!(digest_of(&out), expected, "killed after {moment:?}");
        }
        let (digest, said) = built(&mut build(), &out);
        assert_eq!(digest, expected, "after a kill at {moment:?}: {said}");
        assert!(!said.contains("CACHE-CORRUPT"), "{said}");
        assert_sound(&site, &cache, &out);
    }
    assert!(
        caught >= ROUNDS / 2,
        "only {caught} builds were still running"
    );
}

#[test]
fn kill_9_of_a_files_build_leaves_nothing_half_written() {
    kill_at_random_moments(Recipe::Files);
}

#[test]
fn kill_9_of_a_go_build_leaves_nothing_half_written() {
    kill_at_random_moments(Recipe::Go);
}

#[test]
fn two_builds_at_once_into_one_cache_and_one_layout_agree() {
    for recipe in [Recipe::Files, Recipe::Go] {
        let site = Site::new();
        let source = source(&site, recipe, 8);
        let cache = cache(&site, recipe, "cache");
        let out = site.path("out");
        let children = ["left", "right"].map(|name| {
            let mut command = site.build(&source, recipe, &cache, &out);
            command.arg("--digest-file").arg(site.path(name));
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the program starts")
        });
        for child in children {
            let output = child.wait_with_output().expect("an end");
            assert!(output.status.success(), "{recipe:?}: {}", shown(&output));
        }
        let digests = ["left", "right"]
            .map(|name| std::fs::read_to_string(site.path(name)).expect("a digest file"));
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[0].trim_end(), digest_of(&out));
        assert_sound(&site, &cache, &out);
    }
}
