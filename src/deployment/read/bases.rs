//! The keys about bases.

use super::{Reader, shown};
use crate::deployment::error::{ConfigError, Shown};
use crate::deployment::tree::Node;
use crate::deployment::{Bases, rules};

impl Reader<'_> {
    pub(super) fn bases(&mut self) -> Bases {
        let mut os_packages = self.listed("os_packages", rules::package);
        // The order in which packages are written is no part of an image.
        os_packages.sort();
        os_packages.dedup();
        Bases {
            flavour: self.read("base_flavour", |text| match text {
                "distroless" | "alpine" => Ok(text.to_owned()),
                _ => Err("write distroless or alpine"),
            }),
            registry: self.read("base_registry", rules::registry_project),
            names: self.base_names(),
            mirror: self.mirror(),
            keyring: self.read("keyring", rules::line),
            os_packages,
            ca_certs: self.listed("ca_certs", rules::line),
        }
    }

    /// A mirror; one that carries a password is refused without being printed.
    fn mirror(&mut self) -> Option<String> {
        let node = self.root.at("mirror")?;
        if node.text().is_some_and(rules::has_credentials) {
            self.problems.push(ConfigError::Secret {
                origin: node.origin.clone(),
                path: "mirror".to_owned(),
            });
            return None;
        }
        self.read("mirror", rules::mirror)
    }

    fn base_names(&mut self) -> std::collections::BTreeMap<String, String> {
        let entries = self.root.at("bases").map(Node::entries).unwrap_or_default();
        let mut names = std::collections::BTreeMap::new();
        for entry in entries {
            let path = format!("bases.{}", entry.key);
            let text = entry.value.text().unwrap_or_default();
            let value = self.outcome(&entry.value, &path, Shown::new(text), rules::word(text));
            names.extend(value.map(|value| (entry.key.clone(), value)));
        }
        names
    }

    fn listed(&mut self, path: &str, rule: fn(&str) -> Result<String, rules::Rule>) -> Vec<String> {
        let items = self.root.at(path).map(Node::items).unwrap_or_default();
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(text) = item.text() {
                found.extend(self.outcome(item, &path, shown(item), rule(text)));
            }
        }
        found
    }
}
