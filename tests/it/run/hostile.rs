//! Layers that try to get out of the folder that they are unpacked into.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::hostile_layers::{Refused, Runs, cases};
use super::rig::{Rig, Way, file, link, tar_of};
use crate::support::{fail, shown};

/// Everything in a folder: contents, modes, owners and link counts.
fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let stat = std::fs::symlink_metadata(&path).expect("a file");
        let content = if stat.is_file() {
            std::fs::read(&path).expect("its bytes")
        } else {
            Vec::new()
        };
        if stat.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        let mode = stat.permissions().mode();
        let text = format!("{mode:o} {} {} {content:?}", stat.uid(), stat.nlink());
        found.insert(path.display().to_string(), text);
    }
    found
}

#[test]
fn nothing_leaves_the_folder_as_root() {
    nothing_leaves(Way::Namespaces);
}

#[test]
fn nothing_leaves_the_folder_as_a_user() {
    nothing_leaves(Way::User);
}

fn nothing_leaves(way: Way) {
    let passwd = std::fs::read("/etc/passwd").expect("a file");
    let mut judged = 0;
    for (name, fate, layers) in cases() {
        let rig = Rig::new(way);
        let outside = rig.folder().join("outside");
        std::fs::create_dir(&outside).expect("a folder");
        rig.write("outside/witness", "as it was");
        let mode = if way == Way::User { "1001:1001" } else { "0:0" };
        crate::support::run(
            std::process::Command::new("chown")
                .args(["-R", mode])
                .arg(&outside),
        );
        let before = snapshot(&outside);
        let place = outside.display().to_string();
        for mut members in layers {
            for member in &mut members {
                member.link = member.link.replace("{W}", &place);
                if let Ok(text) = String::from_utf8(member.name.clone()) {
                    member.name = text.replace("{W}", &place).into_bytes();
                }
            }
            rig.add_layer(members);
        }
        let output = rig.run(&["exit=7"]).output().expect("a run");
        let text = shown(&output);
        let expected = match fate {
            Runs => 7,
            Refused => 125,
        };
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{name}, {way:?}: {text}"
        );
        if fate == Refused {
            assert!(text.contains("error["), "{name}: {text}");
        }
        assert_eq!(snapshot(&outside), before, "{name}, {way:?}");
        assert_eq!(
            std::fs::read("/etc/passwd").expect("a file"),
            passwd,
            "{name}"
        );
        no_rights(&rig.cache());
        rig.nothing_stays();
        judged += 1;
    }
    assert!(judged >= 40, "{judged} layers");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn archives_that_lie_are_refused() {
    let rig = Rig::new(Way::Namespaces);
    let config = r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#;
    let manifest = |config: &str, layers: &str| {
        file(
            "manifest.json",
            &format!(r#"[{{"Config":"{config}","RepoTags":["a:1"],"Layers":[{layers}]}}]"#),
        )
    };
    let good = file("config.json", config);
    for (name, members, code) in [
        ("nothing", vec![], "IMAGE-ARCHIVE"),
        ("no list", vec![file("manifest.json", "{}")], "IMAGE-JSON"),
        ("no image", vec![file("manifest.json", "[]")], "IMAGE-TAG"),
        (
            "a config outside",
            vec![manifest("../../../etc/passwd", "")],
            "IMAGE-ARCHIVE",
        ),
        (
            "a config by a link",
            vec![link("c", "/etc/passwd"), manifest("c", "")],
            "IMAGE-ARCHIVE",
        ),
        (
            "a layer outside",
            vec![good.clone(), manifest("config.json", r#""/etc/passwd""#)],
            "IMAGE-ARCHIVE",
        ),
        (
            "a link to itself",
            vec![
                good.clone(),
                link("l", "l"),
                manifest("config.json", r#""l""#),
            ],
            "IMAGE-ARCHIVE",
        ),
        (
            "a layer without a diff id",
            vec![
                good.clone(),
                file("l", "x"),
                manifest("config.json", r#""l""#),
            ],
            "RUN-IMAGE",
        ),
        (
            "a config of another kind",
            vec![file("config.json", "[]"), manifest("config.json", "")],
            "IMAGE-JSON",
        ),
        (
            "no program",
            vec![good, manifest("config.json", "")],
            "RUN-NOTHING",
        ),
    ] {
        let path = rig.folder().join("archive.tar");
        std::fs::write(&path, tar_of(&members)).expect("an archive");
        let archive = format!("docker-archive:{}", path.display());
        let (exit, stderr) = fail(rig.command().args(["run", &archive]));
        assert_eq!(exit, 125, "{name}: {stderr}");
        assert!(
            stderr.contains(&format!("error[{code}]")),
            "{name}: {stderr}"
        );
        rig.nothing_stays();
    }
}

/// No file of the cache has a set-id bit, or is anything but a file, a folder or a link.
fn no_rights(cache: &Path) {
    let mut open = vec![cache.to_owned()];
    while let Some(path) = open.pop() {
        let stat = std::fs::symlink_metadata(&path).expect("a file");
        let kind = stat.file_type();
        assert!(
            kind.is_file() || kind.is_dir() || kind.is_symlink(),
            "{}",
            path.display()
        );
        if kind.is_symlink() {
            continue;
        }
        assert_eq!(stat.permissions().mode() & 0o6000, 0, "{}", path.display());
        if kind.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
}
