//! An image with a program that answers questions, and the ways to run it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use karisimbi::digest::Digest;
use serde_json::{Value, json};

use crate::support::{repository, run, tool};

/// A way to run an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Runc,
    Crun,
    Namespaces,
    User,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Runc, Self::Crun, Self::Namespaces, Self::User];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Namespaces => "namespaces",
            Self::User => "user namespace",
        }
    }
}

/// One member of a layer; names and links are written as they are.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: u8,
    pub(super) link: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

pub(super) fn folder(name: &str) -> Member {
    member(name, b'5', "", 0o755, b"")
}

pub(super) fn file(name: &str, content: &str) -> Member {
    member(name, b'0', "", 0o644, content.as_bytes())
}

pub(super) fn link(name: &str, target: &str) -> Member {
    member(name, b'2', target, 0o777, b"")
}

pub(super) fn hard_link(name: &str, target: &str) -> Member {
    member(name, b'1', target, 0o644, b"")
}

pub(super) fn member(name: &str, kind: u8, link: &str, mode: u32, content: &[u8]) -> Member {
    Member {
        name: name.as_bytes().to_vec(),
        kind,
        link: link.to_owned(),
        mode,
        content: content.to_vec(),
    }
}

/// A tar of these members, unchecked.
pub(super) fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for given in members {
        if given.name.len() > 100 {
            let long = member("././@LongLink", b'L', "", 0o644, &given.name);
            push(&mut bytes, &long);
        }
        push(&mut bytes, given);
    }
    bytes.extend([0; 1024]);
    bytes
}

fn push(bytes: &mut Vec<u8>, member: &Member) {
    let mut header = tar::Header::new_gnu();
    let old = header.as_old_mut();
    let name = &member.name[..member.name.len().min(100)];
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..member.link.len()].copy_from_slice(member.link.as_bytes());
    header.set_entry_type(tar::EntryType::new(member.kind));
    header.set_mode(member.mode);
    header.set_size(member.content.len() as u64);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    if member.kind == b'S' {
        // The real size of a sparse file.
        header.as_mut_bytes()[483..495].copy_from_slice(b"00000010000\0");
    }
    header.set_cksum();
    bytes.extend(header.as_bytes());
    bytes.extend(&member.content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

/// The program, built once.
pub(super) fn probe() -> Vec<u8> {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    PROBE
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let out = folder.path().join("probe");
            run(tool("go")
                .args(["build", "-ldflags", "-s -w", "-o"])
                .arg(&out)
                .arg(repository().join("testdata/run/probe.go"))
                .env("CGO_ENABLED", "0"));
            std::fs::read(out).expect("the probe")
        })
        .clone()
}

/// Folders, the program where every user can run it, a cache and an image.
pub(super) struct Rig {
    folder: tempfile::TempDir,
    way: Way,
    layers: RefCell<Vec<Vec<Member>>>,
    config: RefCell<Value>,
    architecture: RefCell<String>,
}

impl Rig {
    pub(super) fn new(way: Way) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        run(Command::new("chmod").arg("755").arg(temporary.path()));
        let base = vec![
            folder("app"),
            folder("bin"),
            member("bin/probe", b'0', "", 0o755, &probe()),
            folder("etc"),
            file("etc/group", "root:x:0:\napp:x:1001:\n"),
            file(
                "etc/passwd",
                "root:x:0:0::/root:/no\napp:x:1001:1001::/home/app:/no\nweb:x:33:34::/web:/no\n",
            ),
            member("tmp", b'5', "", 0o1777, b""),
        ];
        let rig = Self {
            folder: temporary,
            way,
            layers: RefCell::new(vec![base]),
            config: RefCell::new(json!({
                "User": "1001:1001",
                "WorkingDir": "/app",
                "Env": ["PATH=/bin", "IMAGE=yes"],
                "Entrypoint": ["probe"],
            })),
            architecture: RefCell::new("amd64".to_owned()),
        };
        let program = rig.folder().join("karisimbi");
        let built = env!("CARGO_BIN_EXE_karisimbi");
        if std::fs::hard_link(built, &program).is_err() {
            std::fs::copy(built, &program).expect("the program");
        }
        let path = rig.folder().join("path");
        std::fs::create_dir(&path).expect("a folder");
        if let Some(runtime) = match way {
            Way::Runc => Some("runc"),
            Way::Crun => Some("crun"),
            Way::Namespaces | Way::User => None,
        } {
            let found = run(Command::new("sh").args(["-c", &format!("command -v {runtime}")]));
            std::os::unix::fs::symlink(found.trim(), path.join(runtime)).expect("a link");
        }
        rig.save();
        rig
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    pub(super) fn image(&self) -> String {
        format!("oci:{}:v1", self.folder().join("image").display())
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    pub(super) fn add_file(&self, name: &str, content: &[u8], mode: u32) {
        self.add_layer(vec![member(name, b'0', "", mode, content)]);
    }

    pub(super) fn add_layer(&self, members: Vec<Member>) {
        self.layers.borrow_mut().push(members);
        self.save();
    }

    pub(super) fn set(&self, key: &str, value: Value) {
        self.config.borrow_mut()[key] = value;
        self.save();
    }

    pub(super) fn set_architecture(&self, name: &str) {
        name.clone_into(&mut self.architecture.borrow_mut());
        self.save();
    }

    /// Writes the image as a layout.
    fn save(&self) {
        let layout = self.folder().join("image");
        let blobs = layout.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("folders");
        let put = |kind: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            std::fs::write(blobs.join(digest.hex()), bytes).expect("a blob");
            let kind = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()})
        };
        let layers = self.layers.borrow();
        let layers: Vec<Value> = layers
            .iter()
            .map(|members| put("layer.v1.tar", &tar_of(members)))
            .collect();
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": *self.architecture.borrow(), "os": "linux", "config": *self.config.borrow(),
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put("config.v1+json", config.to_string().as_bytes()), "layers": layers,
        });
        let mut entry = put("manifest.v1+json", manifest.to_string().as_bytes());
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        std::fs::write(layout.join("index.json"), index.to_string()).expect("an index");
        let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
        std::fs::write(layout.join("oci-layout"), version).expect("a layout");
        run(Command::new("chmod").arg("-R").arg("a+rX").arg(layout));
    }

    /// The program as the user of this way.
    pub(super) fn command(&self) -> Command {
        let program = self.folder().join("karisimbi");
        let cache = self.cache();
        std::fs::create_dir_all(&cache).expect("a folder");
        let mut command = if self.way == Way::User {
            run(Command::new("chown").arg("1001:1001").arg(&cache));
            let mut command = tool("setpriv");
            command.args(["--reuid=1001", "--regid=1001", "--clear-groups", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir(self.folder())
            .env("PATH", self.folder().join("path"))
            .env("KARISIMBI_CACHE_DIR", cache);
        if self.way == Way::User {
            // setpriv is found by the PATH of the command.
            let path = std::env::var("PATH").expect("PATH");
            command.env("PATH", path);
        }
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Command {
        self.run_with(&[], args)
    }

    pub(super) fn run_with(&self, options: &[&str], args: &[&str]) -> Command {
        let mut command = self.command();
        command
            .arg("run")
            .args(options)
            .arg(self.image())
            .arg("--")
            .args(args);
        command
    }

    /// Processes that know this rig's folder.
    pub(super) fn processes(&self) -> usize {
        let name = self.folder().display().to_string();
        let entries = std::fs::read_dir("/proc").expect("/proc");
        entries
            .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
            .filter(|line| String::from_utf8_lossy(line).contains(&name))
            .count()
    }

    /// No process, no mount, no temporary file.
    pub(super) fn nothing_stays(&self) {
        assert_eq!(self.processes(), 0);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let name = self.folder().display().to_string();
        assert!(!mounts.contains(&name), "{mounts}");
        let left: Vec<_> = std::fs::read_dir(self.cache().join("tmp"))
            .expect("a folder")
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let groups = Command::new("find")
            .args(["/sys/fs/cgroup", "-maxdepth", "2", "-name", "karisimbi*"])
            // Containers that other tests start by runc itself.
            .args(["!", "-name", "karisimbi-test*"])
            .output()
            .expect("find");
        assert_eq!(String::from_utf8_lossy(&groups.stdout), "");
    }
}
