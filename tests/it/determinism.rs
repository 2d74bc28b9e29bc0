//! Equal inputs give equal bytes, whatever else differs between two machines.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::builds::{
    Recipe, Site, blob_of, built, commit, copy, go_module, manifest_of, noise, open_to_all,
    owned_by, set_mode, warm_compiler,
};
use crate::support::{repository, run, tool};

/// An account that owns nothing of what it builds.
const USER: u32 = 1001;

/// Members of the tree, in the order in which they are created unless a case shuffles them.
fn members() -> Vec<(String, Member)> {
    let deep = format!("deep/{}/{}", "d".repeat(120), "e".repeat(200));
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), Member::File(bytes.to_vec()));
    vec![
        ("run".to_owned(), Member::Program(b"any program\n".to_vec())),
        file("empty", b""),
        file(&deep, b"a path of more than 255 bytes\n"),
        file("names/caf\u{e9} \u{65e5}\u{672c} \u{1f980}", b"unicode\n"),
        file(
            "names/cafe\u{301}",
            b"the same letters, not the same bytes\n",
        ),
        file("names/-dash and space", b"x\n"),
        file("names.d", b"sorts between names and names/\n"),
        file("one", b"two names\n"),
        ("two".to_owned(), Member::HardLink("one")),
        ("up/link".to_owned(), Member::Link("../one")),
        ("up/dangling".to_owned(), Member::Link("nowhere")),
        // Several blocks of 1 MiB, with and without patterns.
        ("noise".to_owned(), Member::File(noise(3_500_001, 7))),
        ("zeroes".to_owned(), Member::File(vec![0; 3 << 20])),
        ("bin/tool".to_owned(), Member::Program(noise(70_000, 8))),
    ]
}

enum Member {
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(&'static str),
    HardLink(&'static str),
}

fn create(folder: &Path, members: &[(String, Member)]) {
    for (name, member) in members {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        match member {
            Member::File(bytes) => std::fs::write(&path, bytes).expect("a file"),
            Member::Program(bytes) => {
                std::fs::write(&path, bytes).expect("a file");
                set_mode(&path, 0o755);
            }
            Member::Link(target) => symlink(target, &path).expect("a link"),
            Member::HardLink(other) => {
                std::fs::hard_link(folder.join(other), &path).expect("a link");
            }
        }
    }
}

/// One way in which two builds may differ.
struct Case {
    name: &'static str,
    /// Done to a copy of the checkout.
    change: fn(&Path),
    threads: &'static str,
    umask: &'static str,
    environment: &'static [(&'static str, &'static str)],
    user: Option<u32>,
}

fn nothing(_: &Path) {}

const PLAIN: Case = Case {
    name: "plain",
    change: nothing,
    threads: "2",
    umask: "022",
    environment: &[],
    user: None,
};

fn cases() -> [Case; 9] {
    [
        Case {
            name: "one-thread",
            threads: "1",
            ..PLAIN
        },
        Case {
            name: "eight-threads",
            threads: "8",
            ..PLAIN
        },
        Case {
            name: "umask",
            umask: "077",
            change: modes_of_umask_077,
            ..PLAIN
        },
        Case {
            name: "another/folder/With Spaces",
            ..PLAIN
        },
        Case {
            name: "foreign-git",
            change: |folder| owned_by(&folder.join(".git"), USER + 1),
            ..PLAIN
        },
        Case {
            name: "touched",
            change: touch_all,
            ..PLAIN
        },
        Case {
            name: "shuffled",
            change: recreate_backwards,
            ..PLAIN
        },
        Case {
            name: "elsewhere",
            environment: &[
                ("TZ", "Pacific/Kiritimati"),
                ("LANG", "tr_TR.UTF-8"),
                ("LC_ALL", "tr_TR.UTF-8"),
                ("USER", "somebody"),
                ("HOME", "/nowhere"),
            ],
            ..PLAIN
        },
        Case {
            name: "user",
            user: Some(USER),
            umask: "002",
            ..PLAIN
        },
    ]
}

fn modes_of_umask_077(folder: &Path) {
    run(tool("chmod").args(["-R", "go-rwx"]).arg(folder));
}

fn touch_all(folder: &Path) {
    let found = tool("find")
        .arg(folder)
        .args([
            "-exec",
            "touch",
            "-h",
            "-d",
            "2031-02-03 04:05:06",
            "{}",
            "+",
        ])
        .output();
    assert!(found.expect("find").status.success());
}

/// Readdir order follows creation on most file systems.
fn recreate_backwards(folder: &Path) {
    let old = folder.with_file_name("before-shuffle");
    std::fs::rename(folder, &old).expect("a rename");
    std::fs::create_dir(folder).expect("a folder");
    let mut names: Vec<_> = std::fs::read_dir(&old)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    for name in names.iter().rev() {
        copy(&old.join(name), &folder.join(name));
    }
}

/// The same sources on many machines: everything that an image is made of lies in `origin`.
struct Comparison<'a> {
    site: &'a Site,
    recipe: Recipe,
    origin: PathBuf,
    /// A cache whose compiler has compiled the standard library.
    compiler: Option<PathBuf>,
}

impl Comparison<'_> {
    /// A command that builds the case's checkout into a layout beside it.
    fn build(&self, case: &Case, program: &Path) -> (Command, PathBuf, PathBuf) {
        let home = self.site.path(&format!("{:?}-{}", self.recipe, case.name));
        std::fs::create_dir_all(&home).expect("a folder");
        let checkout = home.join(format!("checkout of {}", case.threads));
        copy(&self.origin, &checkout);
        (case.change)(&checkout);
        let (cache, out) = (home.join("cache"), home.join("out"));
        if let Some(compiler) = &self.compiler {
            warm_compiler(compiler, &cache);
        }
        let mut command = tool("sh");
        command.args(["-c", &format!("umask {}; exec \"$0\" \"$@\"", case.umask)]);
        let mut command = self.site.at_home(command);
        self.recipe
            .arguments(&checkout, &cache, &out, command.arg(program));
        command.args(["--threads", case.threads]);
        command.envs(case.environment.iter().copied());
        if let Some(user) = case.user {
            open_to_all(&checkout);
            if cache.exists() {
                owned_by(&cache, user);
            }
            run(tool("chown").arg(user.to_string()).arg(&home));
            command.uid(user).gid(user).current_dir(&home);
        }
        (command, out, checkout)
    }

    /// Every case gives the digest of the first build; yields that build's layout.
    fn run(&self, program: &Path) -> PathBuf {
        let (mut command, first, checkout) = self.build(&PLAIN, program);
        let (expected, _) = built(&mut command, &first);
        let (warm, said) = built(&mut command, &first);
        assert_eq!(warm, expected, "warm cache");
        assert!(said.contains("no field of its key changed"), "{said}");
        for case in cases() {
            let (mut command, out, _) = self.build(&case, program);
            let (digest, said) = built(&mut command, &out);
            assert_eq!(digest, expected, "{:?}: {}\n{said}", self.recipe, case.name);
            assert!(
                said.contains("built "),
                "{}: the cache was cold\n{said}",
                case.name
            );
        }
        self.without_git(&checkout, &first);
        first
    }

    /// Without `.git` the image lacks its revision, but has the same layers.
    fn without_git(&self, checkout: &Path, with: &Path) {
        let without = with.with_file_name("without-git");
        let cache = with.with_file_name("cache");
        std::fs::remove_dir_all(checkout.join(".git")).expect("a repository");
        let mut command = self.site.build(checkout, self.recipe, &cache, &without);
        let (digest, _) = built(command.arg("--no-cache"), &without);
        assert_ne!(
            digest,
            crate::builds::digest_of(with),
            "the revision is in the image"
        );
        assert_eq!(manifest_of(&without)["layers"], manifest_of(with)["layers"]);
    }
}

/// Threads, umask, checkout path, owner, times, order, locale, cache and user.
#[test]
fn determinism_holds_whatever_else_differs() {
    let site = Site::new();
    let program = site.path("karisimbi");
    std::fs::copy(env!("CARGO_BIN_EXE_karisimbi"), &program).expect("a copy of the program");
    open_to_all(&program);

    let tree = site.path("tree");
    create(&tree, &members());
    commit(&tree);
    // Git keeps no empty folders: neither does an image.
    std::fs::create_dir(tree.join("empty folder")).expect("a folder");
    let files = Comparison {
        site: &site,
        recipe: Recipe::Files,
        origin: tree,
        compiler: None,
    };
    let layout = files.run(&program);
    assert_golden(&site, &layout.with_file_name("without-git"));
    zstd_is_equal_too(&files, &program);
    platforms_have_an_order(&files, &program);

    let module = site.path("module");
    go_module(&module);
    commit(&module);
    let compiler = site.path("compiler");
    let mut cold = site.build(&module, Recipe::Go, &compiler, &site.path("cold"));
    let (cold_digest, _) = built(&mut cold, &site.path("cold"));
    let go = Comparison {
        site: &site,
        recipe: Recipe::Go,
        origin: module,
        compiler: Some(compiler),
    };
    let layout = go.run(&program);
    assert_eq!(
        crate::builds::digest_of(&layout),
        cold_digest,
        "cold compiler"
    );
}

/// testdata/golden/image-files.txt says when it may change.
fn assert_golden(site: &Site, layout: &Path) {
    let zstd = site.path("golden-zstd");
    let checkout = site.path("Files-plain/checkout of 2");
    let mut command = site.build(&checkout, Recipe::Files, &site.path("golden-cache"), &zstd);
    built(command.args(["--compression", "zstd"]), &zstd);
    let mut found = String::new();
    for (name, layout) in [("gzip", layout), ("zstd", &zstd)] {
        let manifest = manifest_of(layout);
        let config = blob_of(
            layout,
            manifest["config"]["digest"].as_str().expect("a digest"),
        );
        let digest = crate::builds::digest_of(layout);
        writeln!(found, "{name} manifest {digest}").expect("text");
        writeln!(
            found,
            "{name} config {}",
            text(&manifest["config"]["digest"])
        )
        .expect("text");
        writeln!(
            found,
            "{name} layer {}",
            text(&manifest["layers"][0]["digest"])
        )
        .expect("text");
        writeln!(
            found,
            "{name} diff-id {}",
            text(&config["rootfs"]["diff_ids"][0])
        )
        .expect("text");
    }
    let path = repository().join("testdata/golden/image-files.txt");
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    let pinned = golden.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        pinned.collect::<Vec<_>>()
    );
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("a string")
}

fn zstd_is_equal_too(files: &Comparison<'_>, program: &Path) {
    let names = ["zstd-1", "zstd-2", "zstd-8"];
    let digests = names.map(|name| {
        let threads = name.trim_start_matches("zstd-");
        let (mut command, out, _) = files.build(
            &Case {
                name,
                threads,
                ..PLAIN
            },
            program,
        );
        built(command.args(["--compression", "zstd"]), &out).0
    });
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
}

fn platforms_have_an_order(files: &Comparison<'_>, program: &Path) {
    let orders = [
        ("platforms-1", "linux/amd64,linux/arm64"),
        ("platforms-2", "linux/arm64,linux/amd64"),
    ];
    let digests = orders.map(|(name, platforms)| {
        let (mut command, out, _) = files.build(&Case { name, ..PLAIN }, program);
        let (digest, _) = built(command.args(["--platform", platforms]), &out);
        assert_eq!(
            manifest_of(&out)["mediaType"],
            "application/vnd.oci.image.index.v1+json"
        );
        digest
    });
    assert_eq!(digests[0], digests[1]);
}
