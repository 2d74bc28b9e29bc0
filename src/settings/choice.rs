//! Which of flag, variable, file and default decides each setting, and where it came from.

use crate::deployment::Deployment;
use crate::pipeline::SettingShown;
use crate::platform::Platform;

use super::{Flags, SettingsError};

/// What a flag may say as well as the file.
pub(super) struct Chosen {
    pub(super) directory: String,
    pub(super) recipe: Option<String>,
    pub(super) base: Option<String>,
    pub(super) platforms: Vec<Platform>,
    pub(super) entrypoint: Vec<String>,
}

impl Chosen {
    pub(super) fn new(
        shown: &mut Settings<'_>,
        url_directory: Option<&str>,
        flags: &Flags,
    ) -> Result<Self, SettingsError> {
        let deployment = shown.deployment;
        let directory = shown.pick(
            "source.directory",
            [
                (flags.directory.clone(), "--directory"),
                (url_directory.map(str::to_owned), "the URL"),
            ],
            Some(deployment.source.directory.clone()).filter(|directory| !directory.is_empty()),
        );
        let directory = inside(&directory.unwrap_or_default())?;
        let recipe = shown.pick(
            "recipe.use",
            [(flags.recipe.clone(), "--recipe"), (None, "")],
            deployment.recipe_name.clone(),
        );
        let base = shown.pick(
            "base",
            [(flags.base.clone(), "--base"), (None, "")],
            deployment.base.clone(),
        );
        let platforms = platforms(shown, flags);
        let entrypoint = match flags.entrypoint.as_slice() {
            [] => deployment.container.entrypoint.clone(),
            typed => {
                shown.put("container.entrypoint", &typed.join(" "), "--entrypoint");
                typed.to_vec()
            }
        };
        Ok(Self {
            directory,
            recipe,
            base,
            platforms,
            entrypoint,
        })
    }
}

fn platforms(shown: &mut Settings<'_>, flags: &Flags) -> Vec<Platform> {
    let join = |platforms: &[Platform]| {
        platforms
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut platforms = if !flags.platforms.is_empty() {
        shown.put("platforms", &join(&flags.platforms), "--platform");
        flags.platforms.clone()
    } else if !shown.deployment.platforms.is_empty() {
        shown.deployment.platforms.clone()
    } else {
        let default = vec![Platform::linux_amd64()];
        shown.put("platforms", &join(&default), "default");
        default
    };
    // The order in which platforms are typed is no part of an image.
    platforms.sort();
    platforms.dedup();
    platforms
}

/// A folder below the root, without `.` and trailing `/`.
fn inside(directory: &str) -> Result<String, SettingsError> {
    let parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if directory.starts_with('/') || parts.contains(&"..") {
        return Err(SettingsError::Outside {
            path: directory.to_owned(),
            flag: "source.directory",
        });
    }
    Ok(parts.join("/"))
}

/// Collects settings with their origins.
pub(super) struct Settings<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) shown: Vec<SettingShown>,
}

impl Settings<'_> {
    pub(super) fn put(&mut self, key: &str, value: &str, origin: &str) {
        self.shown.push(SettingShown {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        });
    }

    /// The first that is set: the flags in their order, then the file's value.
    pub(super) fn pick(
        &mut self,
        key: &str,
        flags: [(Option<String>, &str); 2],
        file: Option<String>,
    ) -> Option<String> {
        for (value, origin) in flags {
            if let Some(value) = value {
                self.put(key, &value, origin);
                return Some(value);
            }
        }
        file
    }

    pub(super) fn put_created(&mut self, epoch: Option<i64>, commit: Option<i64>) {
        match (epoch, commit) {
            (Some(time), _) => self.put("created", &time.to_string(), "SOURCE_DATE_EPOCH"),
            (None, Some(time)) => self.put("created", &time.to_string(), "time of the commit"),
            (None, None) => self.put("created", "0", "default"),
        }
    }

    /// The values of the file that no flag replaced.
    pub(super) fn put_rest(&mut self) {
        for (key, origin) in &self.deployment.origins {
            if self.shown.iter().all(|setting| setting.key != *key) {
                let value = self.deployment.texts.get(key).map_or("", String::as_str);
                self.put(key, value, &origin.to_string());
            }
        }
        self.shown.sort_by(|a, b| a.key.cmp(&b.key));
    }
}
