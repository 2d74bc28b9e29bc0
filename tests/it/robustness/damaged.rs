//! Damage to every file of a cache in turn: never another image, and said where it matters.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{assert_sound, cache, source};
use crate::builds::{Recipe, Site, assert_whole, built, copy, files};
use crate::support::{run, tool};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Deleted,
    Emptied,
    Shortened,
    /// One bit, and the times are set back.
    Flipped,
}

const ALL: [Damage; 4] = [
    Damage::Deleted,
    Damage::Emptied,
    Damage::Shortened,
    Damage::Flipped,
];

impl Damage {
    fn inflict(self, path: &Path) {
        let stat = path.metadata().expect("a file");
        let mut bytes = std::fs::read(path).expect("a file");
        match self {
            Self::Deleted => return std::fs::remove_file(path).expect("a file"),
            Self::Emptied => bytes.clear(),
            Self::Shortened => bytes.truncate(bytes.len() / 2),
            Self::Flipped => {
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
            }
        }
        std::fs::write(path, bytes).expect("a file");
        let time = format!("@{}.{:09}", stat.mtime(), stat.mtime_nsec());
        run(tool("touch").args(["-d", &time]).arg(path));
    }
}

/// Kinds of files whose damage a build that reads them must report.
fn is_reported(cache: &Path, path: &Path, damage: Damage) -> bool {
    let below = path.strip_prefix(cache).expect("a file of the cache");
    damage != Damage::Deleted && (below.starts_with("blobs") || below.starts_with("records"))
}

/// Builds after each damage to each file that is ours: what Go keeps, Go itself guards.
fn every_file_in_turn(recipe: Recipe) {
    let site = Site::new();
    let source = source(&site, recipe, 1);
    let pristine = cache(&site, recipe, "pristine");
    let out = site.path("out");
    let (expected, _) = built(&mut site.build(&source, recipe, &pristine, &out), &out);

    let cache = site.path("cache");
    copy(&pristine, &cache);
    // A copy has other inodes and times: what is fresh for the pristine cache is not for it.
    built(&mut site.build(&source, recipe, &cache, &out), &out);
    let ours = || {
        let mut found = files(&cache);
        found.retain(|path| !path.starts_with(cache.join("go")));
        found
    };
    let (mut damaged, mut reported) = (0, 0);
    for path in ours() {
        for damage in ALL {
            // An earlier damage may have moved it.
            if !path.exists() || (damage != Damage::Deleted && path.metadata().unwrap().len() == 0)
            {
                continue;
            }
            damage.inflict(&path);
            damaged += 1;
            std::fs::remove_dir_all(&out).expect("a layout");
            let (digest, said) = built(&mut site.build(&source, recipe, &cache, &out), &out);
            assert_eq!(digest, expected, "{damage:?} {}: {said}", path.display());
            if is_reported(&cache, &path, damage) && said.contains("CACHE-CORRUPT") {
                reported += 1;
            } else {
                assert!(
                    !is_reported(&cache, &path, damage) || !said.contains("nothing changed"),
                    "{damage:?} {} was not noticed: {said}",
                    path.display()
                );
            }
            assert_whole(&out);
        }
        assert_sound(&site, &cache, &out);
    }
    assert!(damaged >= 20 && reported >= 6, "{damaged} {reported}");
}

#[test]
fn no_damaged_file_of_a_files_cache_changes_the_image() {
    every_file_in_turn(Recipe::Files);
}

#[test]
fn no_damaged_file_of_a_go_cache_changes_the_image() {
    every_file_in_turn(Recipe::Go);
}
