//! A checked tree into typed values.

mod bases;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::platform::Platform;
use crate::reference::{Reference, Tag};

use super::error::{ConfigError, Origin, Shown, printable_path, shortened};
use super::quantity::{InvalidQuantity, Quantity};
use super::tree::Node;
use super::{
    Amounts, Container, Deployment, FileMapping, Kubernetes, RepoType, Resources, Source, rules,
};

/// Reads values; what has a wrong type was reported by the schema and reads as absent.
pub(super) struct Reader<'a> {
    root: &'a Node,
    /// The paths whose values have the right type.
    origins: &'a BTreeMap<String, Origin>,
    pub(super) problems: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Node, origins: &'a BTreeMap<String, Origin>) -> Self {
        Self {
            root,
            origins,
            problems: Vec::new(),
        }
    }

    pub(super) fn deployment(&mut self) -> Deployment {
        let version = self.version();
        let github_url = self.url("deployment.github_url");
        Deployment {
            name: self.read("deployment.name", rules::name),
            github_url: github_url.clone(),
            repo_type: self.read("deployment.repo_type", RepoType::parse),
            created_at: self.read("deployment.created_at", rules::rfc3339),
            source: self.source(github_url.as_deref()),
            container: self.container(version.as_deref()),
            version,
            recipe_name: self.read("recipe.use", recipe_name),
            recipe: self.recipes(),
            base: self.read("base", rules::word),
            bases: self.bases(),
            platforms: self.platforms(),
            files: self.files(),
            environment: self.variables("environment"),
            kubernetes: self.kubernetes(),
            origins: self.origins.clone(),
            texts: BTreeMap::new(),
        }
    }

    fn version(&mut self) -> Option<String> {
        let rule = self.read("deployment.version_rule", |text| match text {
            "semver" => Ok(rules::semver as fn(&str) -> Result<String, String>),
            "tag" => Ok(tag as fn(&str) -> Result<String, String>),
            _ => Err("write semver or tag"),
        });
        self.read("deployment.version", rule.unwrap_or(rules::semver))
    }

    fn source(&mut self, github_url: Option<&str>) -> Source {
        let source = Source {
            url: self.url("source.url"),
            reference: self.read("source.ref", rules::git_ref),
            commit: self.read("source.commit", rules::commit),
            directory: self
                .read("source.directory", rules::directory)
                .unwrap_or_default(),
        };
        let has_url = self.root.at("source.url").is_some() || github_url.is_some();
        for path in ["source.ref", "source.commit"] {
            if !has_url && let Some(node) = self.root.at(path) {
                let rule = "needs source.url (or deployment.github_url)";
                self.refuse(node, path, Shown::Withheld, rule);
            }
        }
        source
    }

    fn container(&mut self, version: Option<&str>) -> Container {
        let image: Option<Reference> = self.parse("container.image");
        if let (Some(image), Some(node)) = (&image, self.root.at("container.image")) {
            let differs = self.root.at("container.tag_differs").and_then(Node::text);
            let tag = image.tag.as_ref().map(Tag::as_str);
            if image.digest.is_some() {
                let rule = "write a tag; a digest is the result of a build";
                self.refuse(node, "container.image", shown(node), rule);
            } else if let (Some(tag), Some(version)) = (tag, version)
                && tag != version
                && differs != Some("true")
            {
                let rule = format!(
                    "its tag differs from deployment.version {version}; \
                     container.tag_differs: true allows that"
                );
                self.refuse(node, "container.image", shown(node), rule);
            }
        }
        Container {
            image,
            port: self
                .read("container.port", |text| rules::number(text, 1, 65_535))
                .and_then(|port| u16::try_from(port).ok()),
            entrypoint: self.entrypoint("container.entrypoint"),
            args: self.texts("container.args"),
            env: self.variables("container.env"),
        }
    }

    fn entrypoint(&mut self, path: &str) -> Vec<String> {
        let words = self.texts(path);
        if let Some(node) = self.root.at(path)
            && words.iter().any(String::is_empty)
        {
            self.refuse(node, path, Shown::Withheld, "a word of it is empty");
        }
        words
    }

    fn recipes(&self) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
        let sections = self
            .root
            .at("recipe")
            .map(Node::entries)
            .unwrap_or_default();
        sections
            .iter()
            .filter(|section| section.key != "use")
            .map(|section| {
                let keys = section.value.entries().iter();
                let keys = keys.map(|entry| (entry.key.clone(), words(&entry.value)));
                (section.key.clone(), keys.collect())
            })
            .collect()
    }

    fn platforms(&mut self) -> Vec<Platform> {
        let items = self
            .root
            .at("platforms")
            .map(Node::items)
            .unwrap_or_default();
        let mut platforms = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("platforms[{index}]");
            let Some(platform) = item
                .text()
                .and_then(|text| self.outcome(item, &path, Shown::Withheld, text.parse()))
            else {
                continue;
            };
            let platform: Platform = platform;
            if platform.os != "linux" {
                self.refuse(item, &path, shown(item), "images are built for linux alone");
            } else if platforms.contains(&platform) {
                self.refuse(item, &path, shown(item), "is listed twice");
            } else {
                platforms.push(platform);
            }
        }
        platforms
    }

    fn files(&mut self) -> Vec<FileMapping> {
        let items = self.root.at("files").map(Node::items).unwrap_or_default();
        let mut files = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("files[{index}]");
            let from = self.member(item, &path, "from", rules::tree_path);
            let to = self.member(item, &path, "to", rules::image_path);
            let mode = self.member(item, &path, "mode", rules::file_mode);
            for key in ["from", "to"] {
                if !item.entries().is_empty() && item.at(key).is_none() {
                    let rule = format!("the key {key} is missing");
                    self.refuse(item, &path, Shown::Withheld, rule);
                }
            }
            if let (Some(from), Some(to)) = (from, to) {
                files.push(FileMapping { from, to, mode });
            }
        }
        files
    }

    fn kubernetes(&mut self) -> Kubernetes {
        let most = i32::MAX.unsigned_abs();
        Kubernetes {
            namespace: self.read("kubernetes.namespace", |text| rules::dns_label(text, 63)),
            replicas: self.read("kubernetes.replicas", |text| rules::number(text, 0, most)),
            resources: self.resources(),
        }
    }

    fn resources(&mut self) -> Option<Resources> {
        let path = "kubernetes.resources";
        let node = self.root.at(path).filter(|node| !node.is_null())?;
        let resources = Resources {
            requests: self.amounts("kubernetes.resources.requests"),
            limits: self.amounts("kubernetes.resources.limits"),
        };
        for (name, request, limit) in [
            ("cpu", &resources.requests.cpu, &resources.limits.cpu),
            (
                "memory",
                &resources.requests.memory,
                &resources.limits.memory,
            ),
        ] {
            let limit_path = format!("{path}.limits.{name}");
            if self.root.at(&limit_path).is_none() {
                let rule =
                    format!("limits.{name} is missing: a server without it can take a node down");
                self.refuse(node, path, Shown::Withheld, rule);
            }
            let request_path = format!("{path}.requests.{name}");
            if let (Some(request), Some(limit), Some(node)) =
                (request, limit, self.root.at(&request_path))
                && request > limit
            {
                let rule = format!("is more than limits.{name}, {limit}");
                self.refuse(node, &request_path, shown(node), rule);
            }
        }
        Some(resources)
    }

    fn amounts(&mut self, path: &str) -> Amounts {
        Amounts {
            cpu: self.read(&format!("{path}.cpu"), |text| {
                amount(text, Quantity::is_whole_millis, "1m is the least of a CPU")
            }),
            memory: self.read(&format!("{path}.memory"), |text| {
                // `512m` is half a byte and means 512Mi.
                let rule = "is not a whole number of bytes; write Mi or Gi";
                amount(text, Quantity::is_whole, rule)
            }),
        }
    }

    /// The variables of a map, in the order of the file.
    fn variables(&mut self, path: &str) -> Vec<(String, String)> {
        let entries = self.root.at(path).map(Node::entries).unwrap_or_default();
        let mut variables = Vec::new();
        for entry in entries {
            if let Err(rule) = rules::variable(&entry.key) {
                self.problems.push(ConfigError::Value {
                    origin: entry.origin.clone(),
                    path: path.to_owned(),
                    value: Shown::new(&entry.key),
                    rule,
                });
                continue;
            }
            let Some(text) = entry.value.text() else {
                continue;
            };
            if rules::is_secret_name(&entry.key) && !text.is_empty() {
                self.problems.push(ConfigError::Secret {
                    origin: entry.value.origin.clone(),
                    path: printable_path(&format!("{path}.{}", entry.key)),
                });
                continue;
            }
            variables.push((entry.key.clone(), text.to_owned()));
        }
        variables
    }

    /// A URL; one that carries a password is refused without being printed.
    fn url(&mut self, path: &str) -> Option<String> {
        let node = self.root.at(path)?;
        let text = node.text()?;
        if rules::has_credentials(text) {
            self.problems.push(ConfigError::Secret {
                origin: node.origin.clone(),
                path: path.to_owned(),
            });
            return None;
        }
        let value = if text.contains(['@', '?']) {
            Shown::Withheld
        } else {
            Shown::new(text)
        };
        self.outcome(node, path, value, rules::git_url(text))
    }

    fn texts(&self, path: &str) -> Vec<String> {
        self.root.at(path).map(words).unwrap_or_default()
    }

    /// A value with a rule of its own.
    fn read<T, E: Display>(
        &mut self,
        path: &str,
        rule: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let node = self.root.at(path)?;
        let text = node.text().filter(|_| self.origins.contains_key(path))?;
        self.outcome(node, path, shown(node), rule(text))
    }

    /// A value whose type quotes the text in its own error.
    fn parse<T: FromStr<Err: Display>>(&mut self, path: &str) -> Option<T> {
        let node = self.root.at(path)?;
        let text = node.text()?;
        self.outcome(node, path, Shown::Withheld, text.parse())
    }

    fn member<T>(
        &mut self,
        item: &Node,
        path: &str,
        key: &str,
        rule: fn(&str) -> Result<T, rules::Rule>,
    ) -> Option<T> {
        let node = item.at(key)?;
        let text = node.text()?;
        self.outcome(node, &format!("{path}.{key}"), shown(node), rule(text))
    }

    fn outcome<T, E: Display>(
        &mut self,
        node: &Node,
        path: &str,
        value: Shown,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(rule) => {
                self.refuse(node, path, value, rule.to_string());
                None
            }
        }
    }

    fn refuse(&mut self, node: &Node, path: &str, value: Shown, rule: impl Into<String>) {
        self.problems.push(ConfigError::Value {
            origin: node.origin.clone(),
            path: path.to_owned(),
            value,
            // Rules of other modules quote the whole value.
            rule: shortened(&rule.into(), 400),
        });
    }
}

fn shown(node: &Node) -> Shown {
    node.text().map_or(Shown::Withheld, Shown::new)
}

/// The texts of a list, or of a scalar as a list of one.
fn words(node: &Node) -> Vec<String> {
    let items = match node.text() {
        Some(_) => std::slice::from_ref(node),
        None => node.items(),
    };
    let texts = items.iter().filter_map(Node::text);
    texts.map(str::to_owned).collect()
}

fn tag(text: &str) -> Result<String, String> {
    match text.parse::<Tag>() {
        Ok(tag) => Ok(tag.as_str().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn recipe_name(text: &str) -> Result<String, &'static str> {
    match text {
        "go" | "files" => Ok(text.to_owned()),
        "node" | "python" => Err("this recipe is not supported in this version"),
        _ => Err("write go or files"),
    }
}

fn amount(text: &str, fits: fn(&Quantity) -> bool, rule: &'static str) -> Result<Quantity, String> {
    let quantity: Quantity = text
        .parse()
        .map_err(|error: InvalidQuantity| error.to_string())?;
    if fits(&quantity) {
        Ok(quantity)
    } else {
        Err(rule.to_owned())
    }
}
