//! Facts of real files against what the programs themselves say.

use std::path::{Path, PathBuf};
use std::process::Command;

use karisimbi::base::{BaseFacts, facts};
use karisimbi::error::Coded as _;

use super::World;
use crate::support::{repository, run, tool, write};

/// The names of a file and of what it links to, as they lie on this machine; of folders the links.
fn taken(path: &Path, names: &mut Vec<PathBuf>) {
    let parent = fs_err::canonicalize(path.parent().unwrap()).unwrap();
    let here = parent.join(path.file_name().unwrap());
    if let Ok(target) = fs_err::read_link(&here)
        && path.is_file()
    {
        taken(&parent.join(target), names);
    }
    names.push(here);
}

/// Makes a layout of a folder and reads its facts.
fn facts_of(world: &World, root: &Path, platform: &str) -> Result<BaseFacts, String> {
    let tar = world.path().join("root.tar");
    let names = ["--owner=0", "--group=0", "--numeric-owner"];
    run(tool("tar")
        .arg("-C")
        .arg(root)
        .args(names)
        .arg("-cf")
        .arg(&tar)
        .arg("."));
    let layout = world.path().join("real");
    let script = repository().join("scripts/tools/layout-of-tar.py");
    run(Command::new(script).arg(&layout).arg(platform).arg(&tar));
    let name = format!("oci:{}:v1", layout.display());
    let base = world.resolve(&name, &[platform]).unwrap().remove(0);
    facts(&base, &world.context(None)).map_err(|error| format!("{}: {error}", error.code()))
}

fn said(program: &str, arguments: &[&str]) -> String {
    run(Command::new(program).args(arguments)).trim().to_owned()
}

/// The files of this machine's Debian that facts come from.
fn take_debian(world: &World, root: &Path, minor: &str) {
    fs_err::create_dir(root).unwrap();
    let loader = said("sh", &["-c", "readlink -m /lib64/ld-linux-x86-64.so.2"]);
    let mut names = Vec::new();
    let libc = PathBuf::from(&loader).with_file_name("libc.so.6");
    for path in [
        "/bin",
        "/lib",
        "/lib64",
        "/usr/lib64/ld-linux-x86-64.so.2",
        "/etc/os-release",
        "/etc/passwd",
        "/etc/group",
        "/bin/sh",
        "/usr/bin/python3",
        &format!("/usr/lib/python{minor}/site.py"),
        &loader,
        libc.to_str().unwrap(),
    ] {
        let path = Path::new(path);
        if path.exists() {
            taken(path, &mut names);
        }
    }
    let archive = world.path().join("taken.tar");
    run(tool("tar")
        .args(["--no-recursion", "-cf"])
        .arg(&archive)
        .args(&names));
    run(tool("tar").arg("-C").arg(root).arg("-xf").arg(&archive));
}

/// The Debian that the tests run on, as a base.
#[test]
fn facts_are_what_the_programs_say_of_themselves() {
    let world = World::new();
    let root = world.path().join("root");
    let python = said(
        "/usr/bin/python3",
        &["-c", "import sys; print(sys.executable)"],
    );
    let minor = said(
        &python,
        &["-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
    );
    take_debian(&world, &root, &minor);
    let facts = facts_of(&world, &root, "linux/amd64").unwrap();
    let told = "import platform, site, sys; print(platform.python_version(), sys.prefix, \
                site.getsitepackages()[0])";
    let found = facts.python.unwrap();
    assert_eq!(
        format!("{} {} {}", found.version, found.prefix, found.packages),
        said("/usr/bin/python3", &["-I", "-c", told])
    );
    assert_eq!(found.minor, minor);
    assert_eq!(found.path, format!("/usr/bin/python{minor}"));
    let libc = facts.libc.unwrap().to_string();
    assert_eq!(libc, said("getconf", &["GNU_LIBC_VERSION"]));
    let os = facts.os.unwrap();
    let release = said(
        "sh",
        &["-c", ". /etc/os-release; echo $ID $VERSION_ID $PRETTY_NAME"],
    );
    let version = os.version.unwrap_or_default();
    assert_eq!(format!("{} {version} {}", os.id, os.name), release);
    assert_eq!(facts.users[&0], said("id", &["-un", "0"]));
    assert_eq!(facts.groups[&0], said("id", &["-gn", "0"]));
    assert_eq!(facts.shell.as_deref(), Some("/bin/sh"));
    assert_eq!(facts.architecture.as_deref(), Some("amd64"));
    let interpreter = run(tool("readelf").args(["-l", "/bin/sh"]));
    let loader = facts.loader.unwrap();
    assert!(
        interpreter.contains(&format!("interpreter: {loader}]")),
        "{loader}"
    );
}

#[test]
fn a_base_for_another_machine_than_it_says_is_refused() {
    let world = World::new();
    let root = world.path().join("root");
    fs_err::create_dir_all(root.join("bin")).unwrap();
    run(tool("cp").arg("-L").arg("/bin/sh").arg(root.join("bin/sh")));
    let error = facts_of(&world, &root, "linux/arm64").unwrap_err();
    assert!(
        error.starts_with("BASE-ARCH: base oci:") && error.ends_with("its programs are for amd64"),
        "{error}"
    );
    // A text in its place says nothing about the machine.
    fs_err::remove_file(root.join("bin/sh")).unwrap();
    write(&root.join("bin/sh"), "#!/bin/busybox\n");
    let facts = facts_of(&World::new(), &root, "linux/arm64").unwrap();
    assert_eq!(facts.architecture, None);
}
