//! What becomes of packages.

use std::os::unix::fs::MetadataExt as _;

use karisimbi::base::deb::{PACKAGES, PackageSet, base_of, layer_keys, os_packages_layer};
use karisimbi::base::lock::LockedPlatform;
use karisimbi::platform::Platform;
use serde_json::{Value, json};

use super::package::Package;
use super::{World, base_files, certificate, content, list, said, told};

/// What a base of the two packages below holds.
const LISTING: &[&str] = &[
    "drwxr-xr-x 0/0 app/",
    "lrwxrwxrwx 0/0 bin -> usr/bin",
    "drwxr-xr-x 0/0 dev/",
    "drwxr-xr-x 0/0 etc/",
    "-rw-r--r-- 0/0 etc/.hidden",
    "-rw-r--r-- 0/0 etc/debian_version",
    "-rw-r--r-- 0/0 etc/group",
    "-rw-r--r-- 0/0 etc/nsswitch.conf",
    "lrwxrwxrwx 0/0 etc/os-release -> ../usr/lib/os-release",
    "-rw-r--r-- 0/0 etc/passwd",
    "drwxr-xr-x 0/0 etc/ssl/",
    "drwxr-xr-x 0/0 etc/ssl/certs/",
    "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
    "drwxr-xr-x 0/0 home/",
    "drwxr-x--- 1001/1001 home/app/",
    "lrwxrwxrwx 0/0 lib -> usr/lib",
    "drwxr-xr-x 0/0 proc/",
    "drwx------ 0/0 root/",
    "drwxr-xr-x 0/0 run/",
    "lrwxrwxrwx 0/0 sbin -> usr/sbin",
    "drwxr-xr-x 0/0 sys/",
    "drwxrwxrwt 0/0 tmp/",
    "drwxr-xr-x 0/0 usr/",
    "drwxr-xr-x 0/0 usr/bin/",
    "drwxr-xr-x 0/0 usr/lib/",
    "-rw-r--r-- 0/0 usr/lib/kept.so",
    "-rw-r--r-- 0/0 usr/lib/kept2.so",
    "lrwxrwxrwx 0/0 usr/lib/libx.so.1 -> /lib/x/run",
    "-rw-r--r-- 0/0 usr/lib/os-release",
    "drwxr-xr-x 0/0 usr/lib/ssl/",
    "lrwxrwxrwx 0/0 usr/lib/ssl/cert.pem -> /etc/ssl/certs/ca-certificates.crt",
    "lrwxrwxrwx 0/0 usr/lib/ssl/certs -> /etc/ssl/certs",
    "drwxr-xr-x 0/0 usr/lib/x/",
    "-rwxr-xr-x 0/0 usr/lib/x/run",
    "drwxr-xr-x 0/0 usr/lib/x86_64-linux-gnu/",
    "drwxr-xr-x 0/0 usr/local/",
    "drwxr-xr-x 0/0 usr/local/bin/",
    "drwxr-xr-x 0/0 usr/sbin/",
    "drwxr-xr-x 0/0 usr/share/",
    "drwxr-xr-x 0/0 usr/share/doc/",
    "drwxr-xr-x 0/0 usr/share/doc/base-files/",
    "-rw-r--r-- 0/0 usr/share/doc/base-files/copyright",
    "lrwxrwxrwx 0/0 usr/share/doc/libx -> base-files",
    "drwxr-xr-x 0/0 var/",
    "drwxr-xr-x 0/0 var/lib/",
    "drwxr-xr-x 0/0 var/lib/dpkg/",
    "drwxr-xr-x 0/0 var/lib/dpkg/status.d/",
    "-rw-r--r-- 0/0 var/lib/dpkg/status.d/base-files",
    "-rw-r--r-- 0/0 var/lib/dpkg/status.d/base-files.md5sums",
    "-rw-r--r-- 0/0 var/lib/dpkg/status.d/libx",
    "-rw-r--r-- 0/0 var/lib/dpkg/status.d/libx.md5sums",
    "drwxrwxrwt 0/0 var/lock/",
    "drwxrwxrwt 0/0 var/tmp/",
];

#[test]
fn a_base_holds_what_programs_need_and_nothing_else() {
    let world = World::new();
    let debs = [
        base_files()
            .folder("var/lock", 0o1777)
            .file("etc/.hidden", "h")
            .file("etc/cron.d/job", "j")
            .file("usr/share/doc/base-files/changelog", "c")
            .file("usr/share/doc/base-files/copyright", "free")
            .build(world.path(), "xz"),
        Package::new("libx")
            .folder("var/lock", 0o755)
            .program("lib/x/run", "run")
            .file("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", "dropped")
            .hard_link(
                "usr/lib/kept.so",
                "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
            )
            .hard_link(
                "usr/lib/kept2.so",
                "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
            )
            .link("usr/lib/libx.so.1", "/lib/x/run")
            .link("usr/share/doc/libx", "base-files")
            .build(world.path(), "xz"),
    ];
    let base = world.assemble(&debs).unwrap();
    assert_eq!(world.listing(&base, 0), LISTING);
    for (path, contents) in [
        ("usr/lib/kept.so", "dropped"),
        ("usr/lib/kept2.so", "dropped"),
        ("var/lib/dpkg/status.d/libx.md5sums", "0  of libx\n"),
        ("etc/nsswitch.conf", "hosts: files dns\n"),
    ] {
        assert_eq!(world.file(&base, 0, path), contents, "{path}");
    }
    let bundle = world.file(&base, 0, "etc/ssl/certs/ca-certificates.crt");
    assert_eq!(bundle, format!("{}{}", certificate(1), certificate(2)));
    let control = world.file(&base, 0, "var/lib/dpkg/status.d/libx");
    assert!(
        control.starts_with("Package: libx\nVersion: 1.0-1\n"),
        "{control}"
    );
    assert_eq!(world.facts(&base).users[&1001], "app");
}

#[test]
fn bytes_depend_on_packages_alone() {
    let mut diff_ids = Vec::new();
    for compression in ["xz", "gzip", "zstd", "none"] {
        let world = World::new();
        let mut debs = [
            base_files().build(world.path(), compression),
            Package::new("a")
                .file("usr/a", [7; 3000])
                .build(world.path(), compression),
            Package::new("b")
                .program("usr/b", "b")
                .build(world.path(), compression),
        ];
        debs.rotate_left(diff_ids.len() % 3);
        let base = world.assemble(&debs).unwrap();
        diff_ids.push(base.layers[0].diff_id);
        // Nothing of what was unpacked stays, and another time no package is read.
        let left = std::fs::read_dir(world.store.temporary_folder().unwrap()).unwrap();
        assert_eq!(left.count(), 0);
        for deb in &debs {
            std::fs::remove_file(&deb.path).unwrap();
        }
        assert_eq!(world.assemble(&debs).unwrap(), base);
        let locked = LockedPlatform {
            packages: debs.iter().map(|deb| deb.package.clone()).collect(),
            ..LockedPlatform::default()
        };
        let (set, platform) = (PackageSet::Static, Platform::linux_amd64());
        let keys = layer_keys(&locked, "trixie", &set, &platform);
        assert_eq!((keys.len(), keys[0].0.as_str()), (1, PACKAGES));
        let record = world.store.record(&keys[0].1).unwrap();
        let records = [(PACKAGES.to_owned(), record)];
        let again = base_of("deb:trixie/static", &set, &platform, &records).unwrap();
        assert_eq!(again, base);
    }
    diff_ids.dedup();
    assert_eq!(diff_ids.len(), 1, "{diff_ids:?}");
}

#[test]
fn configs_say_how_programs_are_run() {
    let record = |text: &[u8]| karisimbi::layer::LayerRecord {
        descriptor: karisimbi::layer::Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            digest: karisimbi::digest::Digest::of(text),
            size: 1,
            annotations: std::collections::BTreeMap::new(),
        },
        diff_id: karisimbi::digest::DiffId(karisimbi::digest::Digest::of(text)),
        summary: karisimbi::layer::LayerSummary::default(),
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let bundle = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt";
    for (set, env) in [
        ("static", vec![path, bundle]),
        ("cc", vec![path, bundle]),
        ("python3.13", vec![path, bundle, "LANG=C.UTF-8"]),
        ("node24", vec![path, bundle, "NODE_ENV=production"]),
    ] {
        let records = [
            (PACKAGES.to_owned(), record(b"1")),
            ("runtime".to_owned(), record(b"2")),
        ];
        let name = format!("deb:trixie/{set}");
        let platform = "linux/arm64".parse().unwrap();
        let base = base_of(&name, &set.parse().unwrap(), &platform, &records).unwrap();
        assert_eq!(
            Value::Object(base.config),
            json!({
                "architecture": "arm64", "os": "linux", "created": "1970-01-01T00:00:00Z",
                "config": {"Env": env, "User": "1001:1001", "WorkingDir": "/home/app"},
                "rootfs": {"type": "layers",
                    "diff_ids": [records[0].1.diff_id, records[1].1.diff_id]},
                "history": [
                    {"created": "1970-01-01T00:00:00Z",
                        "created_by": format!("karisimbi {name} packages@1")},
                    {"created": "1970-01-01T00:00:00Z",
                        "created_by": format!("karisimbi {name} runtime@1")},
                ],
            })
        );
        assert_eq!(base.layers.len(), 2);
    }
}

#[test]
fn packages_that_disagree_are_named() {
    let world = World::new();
    let base = base_files().build(world.path(), "gzip");
    for (other, message) in [
        (Package::new("b").file("usr/x", "b"), "/usr/x"),
        (Package::new("b").program("usr/x", "a"), "/usr/x"),
        (Package::new("b").link("usr/x", "a"), "/usr/x"),
        (Package::new("b").file("usr/x/below", "b"), "/usr/x"),
        (Package::new("b").link("usr/l", "elsewhere"), "/usr/l"),
    ] {
        let first = Package::new("a").file("usr/x", "a").link("usr/l", "a");
        let debs = [
            base.clone(),
            first.build(world.path(), "gzip"),
            other.build(world.path(), "gzip"),
        ];
        let error = world.assemble(&debs).unwrap_err();
        let text = format!("packages a and b both bring {message}, and not the same");
        assert_eq!(told(&error), ("BASE-CONFLICT", text));
    }
    // Equal files are no conflict.
    let debs = [
        base,
        Package::new("a")
            .file("usr/x", "a")
            .build(world.path(), "gzip"),
        Package::new("c")
            .file("usr/x", "a")
            .build(world.path(), "xz"),
    ];
    world.assemble(&debs).unwrap();
}

#[test]
fn what_makes_no_system_is_refused() {
    let world = World::new();
    for (package, path) in [
        (
            Package::new("x").file("etc/debian_version", "13"),
            "etc/os-release",
        ),
        (
            Package::new("x")
                .file("etc/os-release", "")
                .file("usr/lib/os-release", ""),
            "etc/debian_version",
        ),
    ] {
        let error = world
            .assemble(&[package.build(world.path(), "gzip")])
            .unwrap_err();
        let text = format!("the packages of static bring no /{path}");
        assert_eq!(told(&error), ("BASE-DEB", text));
    }
}

#[test]
fn more_packages_lie_on_a_base_without_touching_its_folders() {
    let world = World::new();
    let base = base_files()
        .file("usr/share/old", "old")
        .build(world.path(), "xz");
    let base = world.assemble(&[base]).unwrap();
    let facts = world.facts(&base);
    let more = Package::new("libmore")
        .file("lib/more.so", "more")
        .file("usr/share/new", "new")
        .file("usr/share/man/x", "dropped")
        .folder("bin", 0o755)
        .link("usr/share/link", "new");
    let deb = more.build(world.path(), "xz");
    let scratch = world.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let layer = os_packages_layer(vec![deb.clone()], &facts, scratch.clone()).unwrap();
    assert_eq!(layer.describe().contents, "libmore");
    let blob = world.write("more.tar.gz", layer.as_ref());
    assert_eq!(
        list(&blob),
        [
            "-rw-r--r-- 0/0 usr/lib/more.so",
            "lrwxrwxrwx 0/0 usr/share/link -> new",
            "-rw-r--r-- 0/0 usr/share/new",
            "-rw-r--r-- 0/0 var/lib/dpkg/status.d/libmore",
            "-rw-r--r-- 0/0 var/lib/dpkg/status.d/libmore.md5sums",
        ]
    );
    assert_eq!(content(&blob, "usr/lib/more.so"), "more");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    assert!(std::fs::metadata(&blob).unwrap().size() < 2000);
    // The key knows package and base.
    let newer = more.clone().version("2").build(world.path(), "xz");
    let newer = os_packages_layer(vec![newer], &facts, scratch.clone()).unwrap();
    assert_ne!(newer.key(), layer.key());
    assert!(newer.key().fields()["package libmore"].starts_with("2 sha256:"));
    // A package of the base is none of its own.
    let again = base_files().version("2").build(world.path(), "xz");
    let error = os_packages_layer(vec![again], &facts, scratch).unwrap_err();
    assert_eq!(said(&error).0, "BASE-CONFLICT");
}
