//! Disks without space and folders without permission.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use super::{Disk, assert_sound, cache, source};
use crate::builds::{Recipe, Site, built, digest_of, files, listed, open_to_all, set_mode};
use crate::support::{fail, run, tool};

/// Fails unless the build was refused with this code, exit code 1 and the folder's name.
#[track_caller]
fn assert_refused(said: &(i32, String), code: &str, folder: &std::path::Path) {
    let (exit, text) = said;
    assert_eq!(*exit, 1, "{text}");
    assert!(text.contains(&format!("error[{code}]")), "{text}");
    assert!(text.contains(&folder.display().to_string()), "{text}");
}

#[test]
fn a_full_cache_disk_is_named_and_left_clean() {
    let site = Site::new();
    let disk = Disk::mount(site.path("disk"), "6m");
    let source = source(&site, Recipe::Files, 8);
    let (cache, out) = (site.path("disk/cache"), site.path("out"));
    let build = || site.build(&source, Recipe::Files, &cache, &out);
    let before = site.leftovers();
    assert_refused(&fail(&mut build()), "STORE-FULL", &cache);
    assert_eq!(files(&cache.join("tmp")), Vec::<PathBuf>::new());
    assert_eq!(files(&cache.join("blobs")), Vec::<PathBuf>::new());
    assert!(!out.exists(), "{:?}", listed(&out));
    assert_eq!(site.leftovers(), before);

    disk.grow("64m");
    built(&mut build(), &out);
    assert_sound(&site, &cache, &out);
}

/// The compiler fills the disk before we do: its words, and a code that names the cache.
#[test]
fn a_cache_disk_that_go_fills_is_named() {
    let site = Site::new();
    let disk = Disk::mount(site.path("disk"), "64m");
    let source = source(&site, Recipe::Go, 0);
    let (cache, out) = (site.path("disk/cache"), site.path("out"));
    super::warm_compiler(super::compiler(), &cache);
    // As much as the compiler keeps already, and less than a program needs on top.
    let used: u64 = files(&cache)
        .iter()
        .map(|path| path.metadata().expect("a file").len().div_ceil(4096) * 4)
        .sum();
    disk.grow(&format!("{}k", used + 1500));
    let build = || site.build(&source, Recipe::Go, &cache, &out);
    let (exit, said) = fail(&mut build());
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("error[GO-CACHE]") || said.contains("error[STORE-FULL]"),
        "{said}"
    );
    assert!(!out.exists(), "{:?}", listed(&out));

    disk.grow("128m");
    built(&mut build(), &out);
    assert_sound(&site, &cache, &out);
}

#[test]
fn a_full_output_disk_is_named_and_left_clean() {
    let site = Site::new();
    let disk = Disk::mount(site.path("disk"), "6m");
    let source = source(&site, Recipe::Files, 8);
    let cache = cache(&site, Recipe::Files, "cache");
    let out = site.path("disk/out");
    let build = |output: &str| {
        let mut command = site.program();
        Recipe::Files.start(&source, &cache, &mut command);
        command.args(["-o", output]);
        command
    };
    for name in ["oci", "oci-archive", "docker-archive"] {
        let output = match name {
            "docker-archive" => format!("{name}:{}", out.display()),
            _ => format!("{name}:{}:v1", out.display()),
        };
        let said = fail(&mut build(&output));
        assert_refused(&said, "IMAGE-FULL", &out);
        assert_eq!(listed(&disk.0), Vec::<PathBuf>::new(), "{name}");
    }

    disk.grow("64m");
    let (digest, _) = built(&mut build(&format!("oci:{}:v1", out.display())), &out);
    assert_eq!(digest, digest_of(&out));
    assert_sound(&site, &cache, &out);
}

#[test]
fn a_digest_file_on_a_full_disk_is_not_half_written() {
    let site = Site::new();
    let disk = Disk::mount(site.path("disk"), "64k");
    let source = source(&site, Recipe::Files, 1);
    let cache = cache(&site, Recipe::Files, "cache");
    // A folder needs no space on a tmpfs, a byte needs a page.
    std::fs::write(disk.0.join("filler"), vec![0; 64 << 10]).expect("a filler");
    let before = listed(&disk.0);
    for flag in ["--digest-file", "--record"] {
        let file = disk.0.join("file.json");
        let mut command = site.build(&source, Recipe::Files, &cache, &site.path("out"));
        let said = fail(command.arg(flag).arg(&file));
        assert_refused(&said, "OUT-WRITE", &file);
        assert_eq!(listed(&disk.0), before);
    }
}

#[test]
fn folders_of_another_user_are_refused_by_name() {
    let site = Site::new();
    let program = site.path("karisimbi");
    std::fs::copy(env!("CARGO_BIN_EXE_karisimbi"), &program).expect("a copy of the program");
    open_to_all(&program);
    let source = source(&site, Recipe::Files, 1);
    let own = site.path("own");
    std::fs::create_dir(&own).expect("a folder");
    run(tool("chown").arg("1001:1001").arg(&own));
    let build = |cache: &std::path::Path, out: &std::path::Path| {
        let mut command = site.at_home(std::process::Command::new(&program));
        Recipe::Files.arguments(&source, cache, out, &mut command);
        command.uid(1001).gid(1001);
        command
    };

    let cache = site.path("cache");
    std::fs::create_dir(&cache).expect("a folder");
    for mode in [0o755, 0o700] {
        set_mode(&cache, mode);
        let said = fail(&mut build(&cache, &own.join("out")));
        assert_refused(&said, "STORE-DENIED", &cache);
        assert!(said.1.contains("--cache-dir DIR"), "{}", said.1);
        assert_eq!(listed(&cache), Vec::<PathBuf>::new());
        assert_eq!(listed(&own), Vec::<PathBuf>::new());
    }
    let said = fail(&mut build(&cache.join("below"), &own.join("out")));
    assert_refused(&said, "STORE-DENIED", &cache.join("below"));

    // A cache that root filled before.
    let mut command = site.build(&source, Recipe::Files, &cache, &site.path("out"));
    built(&mut command, &site.path("out"));
    let before = listed(&cache);
    let said = fail(&mut build(&cache, &own.join("out")));
    assert_refused(&said, "STORE-DENIED", &cache);
    assert_eq!(listed(&cache), before);

    let said = fail(&mut build(&own.join("cache"), &site.path("here/out")));
    assert_refused(&said, "IMAGE-WRITE", &site.path("here/out"));
}
