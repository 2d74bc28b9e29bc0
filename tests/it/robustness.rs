//! What a build leaves behind when it is killed, starved, lied to or refused: nothing.

mod damaged;
mod full;

mod hostile;
mod interrupted;
mod serves;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::builds::{Recipe, Site, assert_whole, built, files, finished, go_module, layout_name};
use crate::builds::{noise, set_mode, warm_compiler};
use crate::support::{run, shown, tool, write};

/// A cache in which the Go compiler has compiled the standard library, kept between runs.
fn compiler() -> &'static Path {
    static COMPILER: OnceLock<PathBuf> = OnceLock::new();
    COMPILER.get_or_init(|| {
        let site = Site::new();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("robustness");
        go_module(&site.path("module"));
        let out = site.path("out");
        let mut command = site.build(&site.path("module"), Recipe::Go, &cache, &out);
        built(&mut command, &out);
        cache
    })
}

/// A source for a recipe: a module of one file, or a tree with `megabytes` to encode.
fn source(site: &Site, recipe: Recipe, megabytes: usize) -> PathBuf {
    let folder = site.path(&format!("{recipe:?}-source"));
    if recipe == Recipe::Go {
        go_module(&folder);
        return folder;
    }
    write(&folder.join("run"), "any program\n");
    set_mode(&folder.join("run"), 0o755);
    for number in 0..200_u64 {
        let path = folder.join(format!("small/{}/{number}", number % 7));
        write(&path, noise(2000, number));
    }
    write(&folder.join("large"), noise(megabytes << 20, 1));
    folder
}

/// An empty cache; for Go, one whose compiler need not start from nothing.
fn cache(site: &Site, recipe: Recipe, name: &str) -> PathBuf {
    let cache = site.path(&format!("{recipe:?}-{name}"));
    if recipe == Recipe::Go {
        warm_compiler(compiler(), &cache);
    }
    cache
}

/// Fails unless the cache and the layout are sound, with nothing unfinished in them.
#[track_caller]
fn assert_sound(site: &Site, cache: &Path, layout: &Path) {
    assert_whole(cache);
    assert_eq!(files(&cache.join("tmp")), Vec::<PathBuf>::new());
    let output = finished(
        site.program()
            .args(["cache", "verify", "--cache-dir"])
            .arg(cache),
    );
    assert!(output.status.success(), "{}", shown(&output));
    run(site
        .program()
        .arg("verify")
        .arg(layout_name(layout))
        .arg("--cache-dir")
        .arg(cache));
    let unfinished = |path: &&PathBuf| path.to_string_lossy().contains("/.karisimbi-");
    assert_eq!(files(layout).iter().find(unfinished), None);
}

/// A small disk, which the tests mount as root; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&folder).expect("a folder");
        let options = format!("size={size},mode=755");
        run(tool("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&folder));
        Self(folder)
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        run(tool("mount").args(["-o", &options]).arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that failed may still have a process there: lazily.
        let _left_to_the_system = tool("umount").arg("-l").arg(&self.0).status();
    }
}
