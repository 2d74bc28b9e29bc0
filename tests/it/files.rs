//! The files recipe: what lands where, read back with tar.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use karisimbi::base::{Base, BaseFacts, Target};
use karisimbi::error::AnyError;
use karisimbi::error::Coded as _;
use karisimbi::layer::{Compression, Encoder, EntryKind, EntrySummary};
use karisimbi::plan::Plan;
use karisimbi::progress::Silent;
use karisimbi::recipe::files::FilesRecipe;
use karisimbi::recipe::{Context, FileMapping, Options, Recipe};
use karisimbi::sandbox::{Launcher, Policy, Sandbox};
use karisimbi::source::SourceTree;
use karisimbi::store::Store;
use tempfile::TempDir;

use super::support::{run, tool, write};

/// A usr-merged base with `/tmp`.
fn base() -> BaseFacts {
    let entry = |path: &str, kind, target: Option<&str>| {
        let entry = EntrySummary {
            path: path.to_owned(),
            kind,
            size: 0,
            target: target.map(ToOwned::to_owned),
            script: None,
        };
        (path.to_owned(), entry)
    };
    let directories =
        ["usr", "usr/lib", "tmp", "etc"].map(|p| entry(p, EntryKind::Directory, None));
    BaseFacts {
        entries: directories
            .into_iter()
            .chain([entry("lib", EntryKind::Symlink, Some("usr/lib"))])
            .collect(),
        ..BaseFacts::default()
    }
}

fn plan(source: &Path, options: &Options) -> Result<Plan, AnyError> {
    let cache = tempfile::tempdir().expect("a folder");
    let store = Store::open(cache.path(), Arc::new(Silent)).expect("a store");
    let tree = SourceTree::open(source, &[], None).expect("a tree");
    let context = Context {
        store: &store,
        reporter: &Silent,
        env: &BTreeMap::new(),
        ca_file: None,
        reach: karisimbi::net::Reach::Online,
        sandbox: &Sandbox::new(Launcher("/".into()), Policy::Auto),
    };
    let target = Target {
        platform: "linux/amd64".parse().expect("a platform"),
        base: Base {
            name: "scratch".to_owned(),
            digest: None,
            config: serde_json::Map::new(),
            layers: Vec::new(),
        },
        facts: base(),
    };
    FilesRecipe.plan(&tree, options, &[target], &context)
}

/// The layer's members as `tar -tv` shows them: mode, path, target.
fn listed(plan: &Plan) -> Vec<String> {
    let layer = &plan.images[0].layers[0];
    let (blob, _) = Encoder::new(1)
        .encode(Vec::new(), Compression::Gzip, |out| {
            layer.write(&karisimbi::layer::Inputs::default(), out)
        })
        .expect("a layer");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), blob).expect("a blob");
    let said = run(tool("tar")
        .args(["--numeric-owner", "-tvzf"])
        .arg(file.path()));
    said.lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let mode = fields.next().unwrap_or_default();
            assert_eq!(fields.next(), Some("0/0"), "{line}");
            let rest: Vec<&str> = fields.skip(3).collect();
            format!("{mode} {}", rest.join(" "))
        })
        .collect()
}

fn source(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, contents) in files {
        write(&folder.path().join(path), contents);
    }
    folder
}

fn mappings(list: &[(&str, &str, Option<u32>)]) -> Options {
    let files = list.iter().map(|(from, to, mode)| FileMapping {
        from: (*from).to_owned(),
        to: (*to).to_owned(),
        mode: *mode,
    });
    Options {
        files: files.collect(),
        ..Options::default()
    }
}

#[test]
fn the_whole_source_goes_to_app() {
    let folder = source(&[
        ("run.sh", "#!/bin/sh\n"),
        ("data/a.txt", "a"),
        ("secret.key", "x"),
        (".dockerignore", "*.key\n"),
    ]);
    run(tool("chmod").arg("700").arg(folder.path().join("run.sh")));
    std::os::unix::fs::symlink("../run.sh", folder.path().join("data/start")).unwrap();
    let options = Options {
        entrypoint: vec!["/app/run.sh".to_owned()],
        ..Options::default()
    };
    let plan = plan(folder.path(), &options).unwrap();
    assert_eq!(
        listed(&plan),
        [
            "drwxr-xr-x app/",
            "-rw-r--r-- app/.dockerignore",
            "drwxr-xr-x app/data/",
            "-rw-r--r-- app/data/a.txt",
            "lrwxrwxrwx app/data/start -> ../run.sh",
            "-rwxr-xr-x app/run.sh",
        ]
    );
    let runtime = &plan.images[0].runtime;
    assert_eq!(runtime.entrypoint, ["/app/run.sh"]);
    assert_eq!(
        (runtime.user.as_str(), runtime.working_dir.as_str()),
        ("1001:1001", "/app")
    );
    assert_eq!(plan.evidence.facts, [". to /app"]);
}

#[test]
fn paths_follow_the_links_of_the_base_and_leave_its_directories_alone() {
    let folder = source(&[
        ("lib/x.so", "x"),
        ("tmp/y", "y"),
        ("conf", "c"),
        ("bin/tool", "t"),
    ]);
    let options = mappings(&[
        ("lib", "/lib", None),
        ("tmp", "/tmp", None),
        ("conf", "/etc/app/", None),
        ("bin/tool", "/opt/bin/renamed", Some(0o755)),
    ]);
    let plan = plan(folder.path(), &options).unwrap();
    assert_eq!(
        listed(&plan),
        [
            "drwxr-xr-x etc/app/",
            "-rw-r--r-- etc/app/conf",
            "drwxr-xr-x opt/",
            "drwxr-xr-x opt/bin/",
            "-rwxr-xr-x opt/bin/renamed",
            "-rw-r--r-- tmp/y",
            "-rw-r--r-- usr/lib/x.so",
        ]
    );
    assert_eq!(
        plan.images[0].layers[0].key().fields()["base-links"],
        "lib -> usr/lib"
    );
}

#[test]
fn the_key_knows_contents_modes_and_places() {
    let folder = source(&[("a/x", "1"), ("b", "2")]);
    let key = |options: &Options| {
        plan(folder.path(), options).unwrap().images[0].layers[0]
            .key()
            .digest()
    };
    let plain = key(&mappings(&[("a", "/a", None)]));
    assert_eq!(plain, key(&mappings(&[("a", "/a", None)])));
    assert_ne!(plain, key(&mappings(&[("a", "/c", None)])));
    assert_ne!(plain, key(&mappings(&[("a", "/a", Some(0o755))])));
    write(&folder.path().join("b"), "3");
    assert_eq!(plain, key(&mappings(&[("a", "/a", None)])));
    write(&folder.path().join("a/x"), "2");
    assert_ne!(plain, key(&mappings(&[("a", "/a", None)])));
}

type Mappings = &'static [(&'static str, &'static str, Option<u32>)];

/// Mappings, the code, and words of the message.
const WRONG: [(Mappings, &str, &str); 12] = [
    (
        &[("b", "/b", None)],
        "FILES-LINK",
        "b/up: is a symbolic link out of b (../../etc/passwd)",
    ),
    (&[("d", "/d", None)], "FILES-LINK", "(/etc/passwd)"),
    (
        &[("link", "/l", None)],
        "FILES-LINK",
        "link: is a symbolic link",
    ),
    (
        &[("a", "/a", None), ("a/x", "/a/x", None)],
        "LAYER-DUPLICATE",
        "a/x: comes from two sources",
    ),
    (
        &[("a/x", "/z", None), ("a", "/z", None)],
        "LAYER-DUPLICATE",
        "z: comes from two sources",
    ),
    (&[("nope", "/a", None)], "FILES-MISSING", "from nope"),
    (
        &[("c", "/a", None)],
        "FILES-EMPTY",
        ".dockerignore leaves nothing",
    ),
    (
        &[("../x", "/a", None)],
        "FILES-PATH",
        "from \"../x\": must lie in the source",
    ),
    (
        &[("/etc", "/a", None)],
        "FILES-PATH",
        "must lie in the source",
    ),
    (
        &[("a", "a", None)],
        "FILES-PATH",
        "to \"a\": must be an absolute path",
    ),
    (&[("a", "/../a", None)], "FILES-PATH", "to \"/../a\""),
    (&[("a", "/a", Some(0o4755))], "FILES-MODE", "4755"),
];

#[test]
fn wrong_mappings_are_named() {
    let folder = source(&[
        ("a/x", "1"),
        ("b/x", "2"),
        ("c/y", "3"),
        (".dockerignore", "c\n"),
    ]);
    std::os::unix::fs::symlink("../../etc/passwd", folder.path().join("b/up")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("d/absolute")).unwrap();
    for (list, code, said) in WRONG {
        let error = plan(folder.path(), &mappings(list)).unwrap_err();
        assert_eq!(error.code(), code, "{list:?}: {error}");
        assert!(error.to_string().contains(said), "{list:?}: {error}");
    }
    let mut options = Options::default();
    options
        .recipe
        .insert("main".to_owned(), vec!["x".to_owned()]);
    assert_eq!(
        plan(folder.path(), &options).unwrap_err().code(),
        "FILES-OPTION"
    );
}

#[test]
fn a_file_that_changes_behind_the_plan_is_never_recorded() {
    let folder = source(&[("a", "one")]);
    let path = folder.path().join("a");
    let modified = std::fs::metadata(&path).and_then(|data| data.modified());
    let plan = plan(folder.path(), &Options::default()).unwrap();
    // The same size and time: the key would say `one`, the layer would hold `two`.
    write(&path, "two");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified.unwrap()).unwrap();
    let error = Encoder::new(1)
        .encode(Vec::new(), Compression::Gzip, |out| {
            plan.images[0].layers[0].write(&karisimbi::layer::Inputs::default(), out)
        })
        .map(drop)
        .unwrap_err();
    assert_eq!(error.code(), "LAYER-CHANGED");
    assert!(error.to_string().contains("/a: changed"), "{error}");
}

#[test]
fn it_is_never_detected() {
    let folder = source(&[("index.html", "x")]);
    let tree = SourceTree::open(folder.path(), &[], None).unwrap();
    assert_eq!(
        FilesRecipe.detect(&tree, &Options::default()).unwrap(),
        None
    );
}
