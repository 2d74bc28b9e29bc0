//! The keys of a deployment.yaml as data: one table for checks, suggestions, `--set` and the docs.

use std::collections::BTreeMap;

use super::error::{Advice, ConfigError, Origin, printable_path, shortened};
use super::tree::{Node, Style, Value};

/// One key that may stand in a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a key's value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A map with these keys.
    Section(&'static [Key]),
    /// A scalar, read as its source text.
    Text,
    /// A decimal number without quotes.
    Integer,
    /// `true` or `false` without quotes.
    Boolean,
    /// A list of scalars.
    Texts,
    /// A scalar or a list of scalars.
    Words,
    /// A map of names that the user chooses to scalars.
    Variables,
    /// A list of maps with these keys.
    Sections(&'static [Key]),
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

/// Every key of the file.
pub(super) const ROOT: &[Key] = &[
    key(
        "deployment",
        Kind::Section(&[
            key("name", Kind::Text),
            key("version", Kind::Text),
            key("version_rule", Kind::Text),
            key("github_url", Kind::Text),
            key("repo_type", Kind::Text),
            key("created_at", Kind::Text),
        ]),
    ),
    key(
        "source",
        Kind::Section(&[
            key("url", Kind::Text),
            key("ref", Kind::Text),
            key("commit", Kind::Text),
            key("directory", Kind::Text),
        ]),
    ),
    key(
        "container",
        Kind::Section(&[
            key("image", Kind::Text),
            key("tag_differs", Kind::Boolean),
            key("port", Kind::Integer),
            key("entrypoint", Kind::Texts),
            key("args", Kind::Texts),
            key("env", Kind::Variables),
        ]),
    ),
    key(
        "recipe",
        Kind::Section(&[key("use", Kind::Text), key("go", Kind::Section(GO))]),
    ),
    key("base", Kind::Text),
    key("base_flavour", Kind::Text),
    key("base_registry", Kind::Text),
    key("bases", Kind::Variables),
    key("mirror", Kind::Text),
    key("keyring", Kind::Text),
    key("os_packages", Kind::Texts),
    key("ca_certs", Kind::Texts),
    key("platforms", Kind::Texts),
    key(
        "files",
        Kind::Sections(&[
            key("from", Kind::Text),
            key("to", Kind::Text),
            key("mode", Kind::Text),
        ]),
    ),
    key("environment", Kind::Variables),
    key(
        "kubernetes",
        Kind::Section(&[
            key("namespace", Kind::Text),
            key("replicas", Kind::Integer),
            key(
                "resources",
                Kind::Section(&[
                    key("requests", Kind::Section(AMOUNTS)),
                    key("limits", Kind::Section(AMOUNTS)),
                ]),
            ),
        ]),
    ),
];

const GO: &[Key] = &[
    key("main", Kind::Words),
    key("ldflags", Kind::Words),
    key("tags", Kind::Words),
    key("flags", Kind::Words),
    key("cgo", Kind::Text),
    key("version_var", Kind::Text),
    key("toolchain", Kind::Text),
    key("go_bin", Kind::Text),
    key("mod", Kind::Text),
    key("goamd64", Kind::Text),
    key("goexperiment", Kind::Text),
    key("vcs_stamp", Kind::Boolean),
];

const AMOUNTS: &[Key] = &[key("cpu", Kind::Text), key("memory", Kind::Text)];

/// Keys that people know from the handbook of the whole system and that nothing here reads yet.
const LATER: &[&str] = &[
    "autoscaling",
    "clients",
    "copy_from",
    "health",
    "lock",
    "pre_build",
    "recipe.node",
    "recipe.python",
    "secrets",
    "test",
    "transport",
    "upstreams",
    "volumes",
];

/// Keys that are read under another name.
const MOVED: &[(&str, &str)] = &[
    (
        "runtime",
        "write container.entrypoint, container.args and container.env",
    ),
    ("apiVersion", "this looks like a Kubernetes object"),
    (
        "kind",
        "this looks like a Kubernetes object, or write deployment.repo_type",
    ),
];

/// The dotted path of every key, sections included, in the order of the table.
pub(super) fn paths() -> Vec<String> {
    fn walk(keys: &[Key], above: &str, all: &mut Vec<String>) {
        for key in keys {
            let path = join(above, key.name);
            all.push(path.clone());
            if let Kind::Section(keys) | Kind::Sections(keys) = &key.kind {
                walk(keys, &path, all);
            }
        }
    }
    let mut all = Vec::new();
    walk(ROOT, "", &mut all);
    all
}

/// A key below a path.
pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    }
}

/// The error for a key that `keys` does not hold.
pub(super) fn unknown(name: &str, above: &str, keys: &[Key], origin: Origin) -> ConfigError {
    let path = join(above, name);
    let moved = MOVED.iter().find(|(old, _)| *old == path);
    let advice = if let Some((_, sentence)) = moved {
        Advice::Says(sentence)
    } else if LATER.contains(&path.as_str()) {
        Advice::Says("not supported in this version")
    } else if let Some(near) = nearest(name, keys.iter().map(|key| key.name)) {
        Advice::DidYouMean(join(above, near))
    } else if let Some(elsewhere) = same_name_elsewhere(name) {
        Advice::DidYouMean(elsewhere)
    } else {
        Advice::OneOf(keys.iter().map(|key| key.name).collect())
    };
    ConfigError::Key {
        origin,
        key: shortened(&path, 100),
        advice,
    }
}

/// The candidate that differs from `word` by a typing error, if there is one.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase();
    candidates
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `port` at the top is `container.port`, if only one key has that name.
fn same_name_elsewhere(name: &str) -> Option<String> {
    let suffix = format!(".{name}");
    let mut found = paths()
        .into_iter()
        .filter(|path| path.ends_with(&suffix) && !path.starts_with("files."));
    found.next().filter(|_| found.next().is_none())
}

/// What a walk over the tree yields.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<ConfigError>,
    /// Dotted path of every value, such as `container.env.TZ` or `files[0].from`.
    pub(super) origins: BTreeMap<String, Origin>,
    /// The source text of every value, by the same paths; the items of a list joined by `, `.
    pub(super) texts: BTreeMap<String, String>,
}

impl Findings {
    fn keep(&mut self, path: &str, origin: &Origin, text: String) {
        self.origins.insert(path.to_owned(), origin.clone());
        self.texts.insert(path.to_owned(), text);
    }

    /// Checks a map's keys and the types of their values.
    pub(super) fn section(&mut self, node: &Node, keys: &[Key], path: &str) {
        if node.is_null() {
            return;
        }
        let Value::Map(entries) = &node.value else {
            return self.mistyped(node, path, "a map of keys");
        };
        for entry in entries {
            match keys.iter().find(|key| key.name == entry.key) {
                Some(key) => self.value(&entry.value, &key.kind, &join(path, key.name)),
                None => self
                    .problems
                    .push(unknown(&entry.key, path, keys, entry.origin.clone())),
            }
        }
    }

    fn value(&mut self, node: &Node, kind: &Kind, path: &str) {
        match kind {
            Kind::Section(keys) => self.section(node, keys, path),
            Kind::Text => self.text(node, path),
            Kind::Integer => self.plain(node, path, "a whole number", |text| {
                text.strip_prefix('-')
                    .unwrap_or(text)
                    .bytes()
                    .all(|c| c.is_ascii_digit())
            }),
            Kind::Boolean => self.plain(node, path, "true or false", |text| {
                matches!(text, "true" | "false")
            }),
            Kind::Texts => match &node.value {
                Value::List(items) => self.items(node, items, path),
                _ => self.mistyped(node, path, "a list of texts"),
            },
            Kind::Words => match &node.value {
                Value::List(items) => self.items(node, items, path),
                _ => self.text(node, path),
            },
            Kind::Variables if node.is_null() => {}
            Kind::Variables => match &node.value {
                Value::Map(entries) => {
                    for entry in entries {
                        self.text(&entry.value, &join(path, &entry.key));
                    }
                }
                _ => self.mistyped(node, path, "a map of names to texts"),
            },
            Kind::Sections(keys) => match &node.value {
                Value::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        if item.is_null() {
                            self.mistyped(item, &path, "a map of keys");
                        }
                        self.section(item, keys, &path);
                    }
                }
                _ => self.mistyped(node, path, "a list of maps"),
            },
        }
    }

    fn text(&mut self, node: &Node, path: &str) {
        if let Some(text) = node.text() {
            self.keep(path, &node.origin, text.to_owned());
        } else {
            self.mistyped(node, path, "a text");
        }
    }

    fn plain(&mut self, node: &Node, path: &str, expected: &'static str, fits: fn(&str) -> bool) {
        match &node.value {
            Value::Scalar {
                text,
                style: Style::Plain,
            } if !text.is_empty() && fits(text) => self.keep(path, &node.origin, text.clone()),
            _ => self.mistyped(node, path, expected),
        }
    }

    fn items(&mut self, list: &Node, items: &[Node], path: &str) {
        let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
        self.keep(path, &list.origin, texts.join(", "));
        for (index, item) in items.iter().enumerate() {
            if item.text().is_none() {
                self.mistyped(item, &format!("{path}[{index}]"), "a text");
            }
        }
    }

    fn mistyped(&mut self, node: &Node, path: &str, expected: &'static str) {
        self.problems.push(ConfigError::Type {
            origin: node.origin.clone(),
            path: printable_path(if path.is_empty() { "the file" } else { path }),
            expected,
            found: match &node.value {
                Value::List(_) => "a list",
                Value::Map(_) => "a map",
                Value::Scalar { .. } if node.is_null() => "nothing",
                Value::Scalar {
                    style: Style::Quoted,
                    ..
                } => "a text in quotes",
                Value::Scalar { .. } => "a text",
            },
        });
    }
}
