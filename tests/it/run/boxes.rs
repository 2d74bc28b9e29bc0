//! Where nothing can be run, and how other parts of the program start containers.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use karisimbi::error::AnyError;
use karisimbi::progress::Silent;
use karisimbi::run::{Context, Options, prepare};
use karisimbi::sandbox::Launcher;
use karisimbi::sink::{self, Opened};
use karisimbi::store::Store;

use super::rig::{Rig, Way};
use crate::support::{fail, repository, run, shown};

#[test]
fn a_restricted_pod_is_told_what_is_impossible_and_why() {
    let rig = Rig::new(Way::User);
    // Everything of it must be reachable for the box.
    let cache = rig.cache();
    std::fs::create_dir(&cache).expect("a folder");
    run(std::process::Command::new("chown")
        .arg("1001:1001")
        .arg(&cache));
    let output = std::process::Command::new(repository().join("scripts/tools/restricted-box.sh"))
        .arg("-w")
        .arg(rig.folder())
        .arg("--")
        .arg(rig.folder().join("karisimbi"))
        .args(["run", &rig.image(), "--cache-dir"])
        .arg(&cache)
        .args(["--", "exit=0"])
        .output()
        .expect("a box");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(125), "{text}");
    for words in [
        "error[RUN-IMPOSSIBLE]",
        "unshare(CLONE_NEWUSER): Operation not permitted",
        "a seccomp filter is in force",
        "karisimbi smoke URL",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Nothing is unpacked where nothing can be run.
    assert!(!cache.join("roots").exists());
}

#[test]
fn a_foreign_image_without_its_emulator_names_it() {
    let rig = Rig::new(Way::Namespaces);
    rig.set_architecture("arm64");
    let (code, stderr) = fail(&mut rig.run(&["exit=0"]));
    assert_eq!(code, 125);
    assert!(stderr.contains("error[RUN-QEMU]"), "{stderr}");
    assert!(stderr.contains("qemu-aarch64-static"), "{stderr}");
}

#[test]
fn a_container_ends_with_the_value_that_made_it() {
    let rig = Rig::new(Way::Namespaces);
    let store = Store::open(&rig.cache(), Arc::new(Silent)).expect("a store");
    let client = || -> Result<_, AnyError> { unreachable!("no registry is named") };
    let sink = sink::Context {
        store: &store,
        reporter: &Silent,
        client: &client,
        stdout: &|| Box::new(std::io::sink()),
    };
    let name = rig.image().parse().expect("a name");
    let opened = Opened::open(&name, &sink).expect("an image");
    let context = Context {
        store: &store,
        reporter: &Silent,
        launcher: &Launcher(env!("CARGO_BIN_EXE_karisimbi").into()),
        path: None,
    };
    let options = Options {
        args: vec!["sleep".to_owned()],
        ..Options::default()
    };
    for end in ["drop", "kill"] {
        let runnable = prepare(&opened, &options, &context).expect("it is ready");
        assert!(runnable.way.starts_with("namespaces: "), "{}", runnable.way);
        let mut command = runnable.command();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a container");
        let mut out = child.stdout.take().expect("its output");
        let mut word = [0; 6];
        std::io::Read::read_exact(&mut out, &mut word).expect("it is ready");
        match end {
            "drop" => drop(runnable),
            _ => child.kill().expect("a kill"),
        }
        let status = child.wait().expect("its end");
        assert!(!status.success(), "{end}: {status}");
        // Its end of the pipe is closed: the program is gone.
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut out, &mut rest).expect("the end");
        for _ in 0..100 {
            if rig.processes() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(rig.processes(), 0, "{end}");
    }
    drop(store);
    rig.nothing_stays();
}
