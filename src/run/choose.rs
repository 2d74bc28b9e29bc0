//! Which image of an index, and which process its config and the options make.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::error::RunError;
use super::tree::Tree;
use super::{NetworkMode, Options};
use crate::error::AnyError;
use crate::image::manifest::runnable;
use crate::image::{DEFAULT_PATH, Image};
use crate::layer::APP_ID;
use crate::platform::Platform;
use crate::sink::Opened;

/// Most bytes of the image's /etc/passwd and /etc/group that are read.
const MAX_ACCOUNTS: u64 = 1 << 20;

/// The largest number of a user or group, as runc has it. The kernel takes 2^32-1 for "as before":
/// a program that asks for it would stay root.
const MAX_ID: u32 = i32::MAX as u32;

/// The part of an image's config that a process is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
}

/// The process of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_dir: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether the image wanted root.
    pub(super) not_root: bool,
}

/// The processor of this machine, as Go names it.
pub fn host_platform() -> Platform {
    let architecture = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else if cfg!(target_arch = "riscv64") {
        "riscv64"
    } else if cfg!(target_arch = "powerpc64") {
        "ppc64le"
    } else if cfg!(target_arch = "s390x") {
        "s390x"
    } else {
        "unknown"
    };
    Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: None,
    }
}

/// The image for the platform that was asked for; else this machine's, else the only one.
pub(super) fn image(opened: &Opened<'_>, options: &Options) -> Result<Image, AnyError> {
    let mut images = opened.images()?;
    images.retain(|image| image.platform.os != "unknown");
    let wanted = options.platform.clone().unwrap_or_else(host_platform);
    let candidates = runnable(&wanted);
    let fits = |image: &Image| {
        candidates
            .iter()
            .position(|platform| *platform == image.platform)
    };
    let best = images
        .iter()
        .enumerate()
        .filter_map(|(index, image)| Some((fits(image)?, index)))
        .min()
        .map(|(_, index)| index);
    let only = (options.platform.is_none() && images.len() == 1).then_some(0);
    if let Some(index) = best.or(only) {
        return check(opened, images.swap_remove(index));
    }
    let present: Vec<String> = images
        .iter()
        .map(|image| image.platform.to_string())
        .collect();
    Err(RunError::Platform {
        image: opened.name().to_owned(),
        wanted: wanted.to_string(),
        present: present.join(", "),
    }
    .into())
}

fn check(opened: &Opened<'_>, image: Image) -> Result<Image, AnyError> {
    let refuse = |why: &str| RunError::Image {
        image: opened.name().to_owned(),
        why: why.to_owned(),
    };
    if image.platform.os != "linux" {
        return Err(refuse(&format!("it is for {}", image.platform.os)).into());
    }
    let config: serde_json::Value = image.config.read()?;
    let diff_ids = config["rootfs"]["diff_ids"].as_array();
    if diff_ids.map(Vec::len) != Some(image.layers.len()) {
        return Err(refuse("its config does not name every layer").into());
    }
    Ok(image)
}

/// The process that the image and the options make; `tree` holds the image's files.
pub(super) fn process(
    name: &str,
    image: &Image,
    options: &Options,
    tree: &Tree,
) -> Result<Chosen, AnyError> {
    #[derive(Default, Deserialize)]
    struct Config {
        config: Option<Process>,
    }
    let config: Config = image.config.read()?;
    let process = config.config.unwrap_or_default();
    let mut words = if options.entrypoint.is_empty() {
        process.entrypoint.unwrap_or_default()
    } else {
        options.entrypoint.clone()
    };
    if !options.args.is_empty() {
        words.extend(options.args.iter().cloned());
    } else if options.entrypoint.is_empty() {
        words.extend(process.cmd.unwrap_or_default());
    }
    if words.is_empty() {
        let image = name.to_owned();
        return Err(RunError::Nothing { image }.into());
    }
    let user = user(name, process.user.as_deref().unwrap_or_default(), tree)?;
    let mut env = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    let pairs = process.env.unwrap_or_default();
    env.extend(pairs.iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    }));
    env.extend(options.env.clone());
    if !env.contains_key("HOME") {
        env.insert("HOME".to_owned(), user.home.clone());
    }
    if options.network == NetworkMode::None {
        let host = super::HOSTNAME.to_owned();
        env.entry("HOSTNAME".to_owned()).or_insert(host);
    }
    if let Some((name, _)) = env
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
    {
        let why = format!("the variable {name:?} can't be set");
        return Err(RunError::Internal { what: why }.into());
    }
    let working_dir = options.working_dir.clone().or(process.working_dir);
    Ok(Chosen {
        words,
        env,
        working_dir: absolute(working_dir.unwrap_or_default()),
        uid: user.uid,
        gid: user.gid,
        not_root: user.not_root,
    })
}

fn absolute(folder: String) -> String {
    if folder.starts_with('/') {
        return folder;
    }
    format!("/{folder}")
}

struct User {
    uid: u32,
    gid: u32,
    home: String,
    not_root: bool,
}

/// The image's user: a name is looked up in its own accounts. Root becomes 1001: nothing runs as
/// root here.
fn user(image: &str, user: &str, tree: &Tree) -> Result<User, AnyError> {
    let refuse = |what: &str| RunError::Image {
        image: image.to_owned(),
        why: format!("its user {user:?} has no number: {what}"),
    };
    let accounts = lines(tree, "etc/passwd");
    let (name, group) = match user.split_once(':') {
        Some((name, "")) => (name, None),
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let field = |line: &[String], index: usize| line.get(index).cloned().unwrap_or_default();
    let by_name = accounts.iter().find(|line| field(line, 0) == name);
    let uid: u32 = match (name.parse(), by_name) {
        (Ok(uid), _) => uid,
        (_, Some(line)) => field(line, 2).parse().unwrap_or_default(),
        _ if name.is_empty() => 0,
        _ => return Err(refuse("its /etc/passwd has no such name").into()),
    };
    let not_root = uid == 0;
    let uid = if not_root { APP_ID } else { uid };
    let account = accounts
        .iter()
        .find(|line| field(line, 2) == uid.to_string());
    let gid = match group {
        _ if not_root => APP_ID,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_name) => lines(tree, "etc/group")
                .iter()
                .find(|line| field(line, 0) == group)
                .and_then(|line| field(line, 2).parse().ok())
                .ok_or_else(|| refuse("its /etc/group has no such group"))?,
        },
        None => account
            .and_then(|line| field(line, 3).parse().ok())
            .unwrap_or(uid),
    };
    if uid.max(gid) > MAX_ID {
        return Err(refuse("none is larger than 2147483647").into());
    }
    let home = account.map(|line| field(line, 5));
    let home = home
        .filter(|home| home.starts_with('/'))
        .unwrap_or_else(|| "/".to_owned());
    Ok(User {
        uid,
        gid,
        home,
        not_root,
    })
}

/// The lines of an account file in fields; none when it can't be read.
fn lines(tree: &Tree, path: &str) -> Vec<Vec<String>> {
    let Ok(Some(file)) = tree.read(path) else {
        return Vec::new();
    };
    let mut bytes = Vec::new();
    if file.take(MAX_ACCOUNTS).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let fields = |line: &str| line.split(':').map(str::to_owned).collect();
    text.lines().map(fields).collect()
}
