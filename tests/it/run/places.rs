//! Volumes, users, and unpacked images in the cache.

use serde_json::json;

use super::rig::{Rig, Way, file, folder, link, member};
use crate::support::{fail, run, shown, tool};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn volumes_lie_where_they_are_told() {
    for way in Way::ALL {
        let rig = Rig::new(way);
        let data = rig.folder().join("data");
        std::fs::create_dir(&data).expect("a folder");
        run(std::process::Command::new("chmod").arg("777").arg(&data));
        rig.write("data/file", "text");
        let data = data.display().to_string();
        let one = format!("{data}/file");
        let output = run(&mut rig.run_with(
            &[
                "-v",
                &format!("{data}:/app"),
                "-v",
                &format!("{data}:/deep/er/in:ro"),
                "-v",
                &format!("{one}:/etc/one:ro"),
                "-v",
                &format!("{one}:/tmp/below/one"),
                "-v",
                &format!("{one}:/etc/hosts:ro"),
            ],
            &[
                "read=/tmp/below/one",
                "write=/tmp/x",
                "read=/etc/hosts",
                "read=/app/file",
                "write=/app/new",
                "read=/deep/er/in/file",
                "write=/deep/er/in/other",
                "write=/deep/x",
                "read=/etc/one",
                "write=/etc/one",
                "write=/etc/x",
                "list=/etc",
                "list=/",
            ],
        ));
        assert_eq!(
            output.lines().collect::<Vec<_>>(),
            [
                "read /tmp/below/one \"text\" ok",
                "write /tmp/x ok",
                "read /etc/hosts \"text\" ok",
                "read /app/file \"text\" ok",
                "write /app/new ok",
                "read /deep/er/in/file \"text\" ok",
                "write /deep/er/in/other read-only file system",
                "write /deep/x read-only file system",
                "read /etc/one \"text\" ok",
                "write /etc/one read-only file system",
                "write /etc/x read-only file system",
                "list /etc ok: group hostname hosts one passwd resolv.conf",
                "list / ok: app bin deep dev etc proc sys tmp",
            ],
            "{way:?}"
        );
        assert_eq!(
            std::fs::read(rig.folder().join("data/new")).expect("a file"),
            b"x"
        );
        // The unpacked image is what it was.
        run(rig.command().args(["cache", "verify"]));
        rig.nothing_stays();
    }
}

#[test]
fn a_read_only_volume_is_read_only_below_too() {
    let rig = Rig::new(Way::Namespaces);
    let inner = rig.folder().join("data/inner");
    std::fs::create_dir_all(&inner).expect("folders");
    run(std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "mode=777", "tmpfs"])
        .arg(&inner));
    let volume = format!("{}:/data:ro", rig.folder().join("data").display());
    let output = rig
        .run_with(&["-v", &volume], &["write=/data/inner/x"])
        .output();
    run(std::process::Command::new("umount").arg(&inner));
    let output = output.expect("a run");
    let text = shown(&output);
    assert_eq!(
        output.stdout, b"write /data/inner/x read-only file system\n",
        "{text}"
    );
}

#[test]
fn the_user_is_the_images_and_never_root() {
    for (user, said, warned) in [
        ("1001:1001", "uid 1001 gid 1001", false),
        ("65532", "uid 65532 gid 65532", false),
        ("web", "uid 33 gid 34", false),
        ("web:app", "uid 33 gid 1001", false),
        ("0", "uid 1001 gid 1001", true),
        ("root", "uid 1001 gid 1001", true),
        ("", "uid 1001 gid 1001", true),
    ] {
        for way in [Way::Namespaces, Way::User] {
            let rig = Rig::new(way);
            rig.set("User", json!(user));
            let output = rig.run(&["who"]).output().expect("a run");
            let text = shown(&output);
            let out = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(out, format!("{said} in /app\n"), "{user:?} {way:?}: {text}");
            assert_eq!(
                text.contains("warning[RUN-USER]"),
                warned,
                "{user:?}: {text}"
            );
        }
    }
    let rig = Rig::new(Way::Namespaces);
    rig.set("User", json!("nobody-here"));
    let (code, stderr) = fail(&mut rig.run(&["who"]));
    assert_eq!(code, 125);
    assert!(stderr.contains("error[RUN-IMAGE]"), "{stderr}");
}

#[test]
fn an_image_is_unpacked_once_and_damage_is_noticed() {
    let rig = Rig::new(Way::Namespaces);
    let unpacks = || {
        let output = rig.run(&["read=/etc/group"]).output().expect("a run");
        let text = shown(&output);
        assert!(output.status.success(), "{text}");
        text.contains("built    unpacked image")
    };
    assert!(unpacks());
    assert!(!unpacks());
    // The same layers under another config are the same files.
    rig.set("WorkingDir", json!("/"));
    assert!(!unpacks());
    let stats = run(rig.command().args(["cache", "stats"]));
    assert!(
        stats
            .lines()
            .any(|line| line.starts_with("roots           1 ")),
        "{stats}"
    );

    run(rig.command().args(["cache", "verify"]));
    let found = run(std::process::Command::new("find")
        .arg(rig.cache().join("roots"))
        .args(["-name", "group"]));
    std::fs::write(found.trim(), "longer than it was, by far: app:x:1001:\n").expect("damage");
    let (code, _) = fail(rig.command().args(["cache", "verify"]));
    assert_eq!(code, 1);
    assert!(unpacks());
    run(rig.command().args(["cache", "prune", "--max-size", "0"]));
    assert!(unpacks());
    run(rig.command().args(["cache", "clear", "--layers"]));
    let stats = run(rig.command().args(["cache", "stats"]));
    assert!(!stats.contains("roots"), "{stats}");
}

#[test]
fn layers_lie_over_each_other_as_in_other_readers() {
    for way in [Way::Namespaces, Way::User] {
        let rig = Rig::new(way);
        rig.add_layer(vec![
            folder("opaque"),
            file("opaque/old", "old"),
            folder("usr"),
            folder("usr/lib"),
            link("lib", "usr/lib"),
            file("gone", "gone"),
            file("usr/lib/gone", "gone"),
            member("private", b'5', "", 0o700, b""),
        ]);
        rig.add_layer(vec![
            file(".wh.gone", ""),
            // Through a link of the layer below, as containerd and umoci do.
            file("lib/new", "through"),
            file("lib/.wh.gone", ""),
            file("opaque/new", "new"),
            // Also when it stands behind what it must not delete.
            file("opaque/.wh..wh..opq", ""),
            file("both/.wh.x", ""),
            file("both/x", "stays"),
            member("both/y", b'1', "both/x", 0o644, b""),
            file(&format!("long/{}/end", ["n"; 90].join("/")), "long"),
            file("name with ünï", "text"),
        ]);
        let output = run(&mut rig.run(&[
            "list=/",
            "list=/opaque",
            "list=/usr/lib",
            "read=/lib/new",
            "read=/both/y",
            "read=/name with ünï",
            &format!("read=/long/{}/end", ["n"; 90].join("/")),
        ]));
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "list / ok: app bin both dev etc lib long name with ünï opaque private proc sys tmp usr",
                "list /opaque ok: new",
                "list /usr/lib ok: new",
                "read /lib/new \"through\" ok",
                "read /both/y \"stays\" ok",
                "read /name with ünï \"text\" ok",
            ],
            "{way:?}"
        );
        assert!(lines[6].ends_with("\"long\" ok"), "{}", lines[6]);
    }
}

#[test]
fn archives_of_docker_run() {
    let rig = Rig::new(Way::Namespaces);
    let archive = format!(
        "docker-archive:{}",
        rig.folder().join("saved.tar").display()
    );
    run(tool("skopeo").args([
        "copy",
        "-q",
        &rig.image(),
        &format!("{archive}:h.example/a:1"),
    ]));
    let status = rig
        .command()
        .args(["run", &archive, "--", "exit=5"])
        .status();
    assert_eq!(status.expect("a run").code(), Some(5));
    rig.nothing_stays();
}

#[test]
fn a_full_disk_leaves_no_half_image() {
    let rig = Rig::new(Way::Namespaces);
    let cache = rig.cache();
    std::fs::create_dir(&cache).expect("a folder");
    run(std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&cache));
    let output = rig.run(&["exit=0"]).output();
    let list = |name: &str| -> Vec<_> {
        let entries = std::fs::read_dir(cache.join(name));
        entries.into_iter().flatten().collect()
    };
    let (roots, temporary) = (list("roots"), list("tmp"));
    run(std::process::Command::new("umount").arg(&cache));
    let text = shown(&output.expect("a run"));
    assert!(text.contains("exit status: 125"), "{text}");
    assert!(
        text.contains("error[RUN-UNPACK]: the image can't be unpacked into"),
        "{text}"
    );
    assert!(text.contains("No space left on device"), "{text}");
    assert!(
        roots.is_empty() && temporary.is_empty(),
        "{roots:?} {temporary:?}"
    );
}
