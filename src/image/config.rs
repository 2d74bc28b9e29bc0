//! Patching a base's config, as a JSON object, so that keys which nobody here knows survive.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::ImageError;
use super::document::canonical;
use super::target::RuntimeConfig;
use crate::layer::Descriptor;

/// The label that keeps what we decided over the base's config, so that a rebase can decide it again.
pub(super) const RUNTIME_LABEL: &str = "dev.karisimbi.runtime";

/// What a container runtime will start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Entrypoint and command.
    pub argv: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// As written: `1001:1001`, `app`, empty.
    pub user: String,
    /// Working directory; empty is `/`.
    pub working_dir: String,
}

/// A base's config that is not what it must be.
pub(super) fn broken(base: &str, problem: impl Into<String>) -> ImageError {
    ImageError::BaseConfig {
        base: base.to_owned(),
        problem: problem.into(),
    }
}

fn object<'a>(
    config: &'a mut Map<String, Value>,
    key: &'static str,
    base: &str,
) -> Result<&'a mut Map<String, Value>, ImageError> {
    let value = config.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value
        .as_object_mut()
        .ok_or_else(|| broken(base, format!("{key} is not an object")))
}

fn texts(
    object: &Map<String, Value>,
    key: &'static str,
    base: &str,
) -> Result<Vec<String>, ImageError> {
    let wrong = || broken(base, format!("{key} is not a list of texts"));
    match object.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn text(object: &Map<String, Value>, key: &'static str) -> String {
    object
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Merges what a recipe decided into the `config` object of an image config.
///
/// # Errors
/// BASE-CONFIG when the base's fields have other types than the image-spec gives them.
pub(super) fn patch_process(
    config: &mut Map<String, Value>,
    runtime: &RuntimeConfig,
    base: &str,
) -> Result<(), ImageError> {
    let process = object(config, "config", base)?;
    let env = merged_env(texts(process, "Env", base)?, &runtime.env);
    if !env.is_empty() {
        process.insert("Env".to_owned(), json!(env));
    }
    if !runtime.entrypoint.is_empty() {
        process.insert("Entrypoint".to_owned(), json!(runtime.entrypoint));
        // The base's arguments belong to the base's program (docker does the same).
        process.remove("Cmd");
        process.remove("ArgsEscaped");
    }
    if !runtime.cmd.is_empty() {
        process.insert("Cmd".to_owned(), json!(runtime.cmd));
    }
    for (key, value) in [
        ("User", &runtime.user),
        ("WorkingDir", &runtime.working_dir),
    ] {
        if !value.is_empty() {
            process.insert(key.to_owned(), json!(value));
        }
    }
    if !runtime.ports.is_empty() {
        let ports = object(process, "ExposedPorts", base)?;
        for port in &runtime.ports {
            ports.insert(format!("{port}/tcp"), json!({}));
        }
    }
    let label = canonical("the runtime label", runtime)?;
    let label = String::from_utf8_lossy(&label).into_owned();
    object(process, "Labels", base)?.insert(RUNTIME_LABEL.to_owned(), json!(label));
    Ok(())
}

/// The base's variables in their order, ours in place of theirs; new ones follow, sorted.
fn merged_env(base: Vec<String>, ours: &BTreeMap<String, String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut merged = Vec::with_capacity(base.len() + ours.len());
    for variable in base {
        let name = variable.split('=').next().unwrap_or_default().to_owned();
        match ours.get(&name) {
            Some(value) if seen.insert(name.clone()) => merged.push(format!("{name}={value}")),
            // A base that sets a variable twice would win over ours with its second.
            Some(_) => {}
            None => merged.push(variable),
        }
    }
    let new = ours.iter().filter(|(name, _)| !seen.contains(*name));
    merged.extend(new.map(|(name, value)| format!("{name}={value}")));
    merged
}

/// The process of a config that [`patch_process`] has seen.
pub(super) fn process(config: &Map<String, Value>, base: &str) -> Result<Process, ImageError> {
    let empty = Map::new();
    let object = config
        .get("config")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut argv = texts(object, "Entrypoint", base)?;
    argv.extend(texts(object, "Cmd", base)?);
    let env = texts(object, "Env", base)?.into_iter().map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
        (name.to_owned(), value.to_owned())
    });
    Ok(Process {
        argv,
        env: env.collect(),
        user: text(object, "User"),
        working_dir: text(object, "WorkingDir"),
    })
}

/// The base's history, verbatim. A base without any (the field is optional) gets one entry for
/// each layer, so that the whole adds up; a history that is there must add up.
///
/// # Errors
/// What is wrong, with both counts.
pub(crate) fn base_history(
    config: &Map<String, Value>,
    layers: usize,
    created: &str,
) -> Result<Vec<Value>, String> {
    let history = match config.get("history") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        Some(_) => return Err("history is not a list".to_owned()),
    };
    if history.is_empty() {
        return Ok(vec![
            json!({"created": created, "created_by": "base"});
            layers
        ]);
    }
    let empty_layer = |entry: &&Value| entry.get("empty_layer") == Some(&Value::Bool(true));
    let count = history.len() - history.iter().filter(empty_layer).count();
    if count != layers {
        return Err(format!(
            "its history tells of {count} layers, but it has {layers}"
        ));
    }
    Ok(history)
}

/// A descriptor without its annotations.
pub(super) fn plain(descriptor: &Descriptor) -> Descriptor {
    Descriptor {
        annotations: BTreeMap::new(),
        ..descriptor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_keeps_the_base_order_and_sorts_what_is_new() {
        let base = ["PATH=/bin", "B=1", "A=1", "B=2", "EMPTY"];
        let base = base.map(str::to_owned).to_vec();
        let ours = [("Z", "z"), ("B", "ours"), ("C", "a=b")];
        let ours = ours.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(
            merged_env(base, &ours),
            ["PATH=/bin", "B=ours", "A=1", "EMPTY", "C=a=b", "Z=z"]
        );
    }

    #[test]
    fn entrypoint_clears_the_base_command_and_unknown_keys_survive() {
        let base = json!({"config": {"Cmd": ["bash"], "Healthcheck": {"Test": ["NONE"]},
            "Labels": {"a": "b"}, "ExposedPorts": {"53/udp": {}}}, "vendor": 1});
        for (runtime, argv) in [
            (RuntimeConfig::default(), &["bash"][..]),
            (
                RuntimeConfig {
                    cmd: vec!["sh".to_owned()],
                    ..RuntimeConfig::default()
                },
                &["sh"],
            ),
            (
                RuntimeConfig {
                    entrypoint: vec!["/app/x".to_owned()],
                    ports: vec![8080],
                    ..RuntimeConfig::default()
                },
                &["/app/x"],
            ),
        ] {
            let mut config = base.as_object().unwrap().clone();
            patch_process(&mut config, &runtime, "b").unwrap();
            assert_eq!(process(&config, "b").unwrap().argv, argv);
            assert_eq!(config["vendor"], 1);
            assert_eq!(config["config"]["Healthcheck"]["Test"][0], "NONE");
            assert_eq!(config["config"]["Labels"]["a"], "b");
            let label = config["config"]["Labels"][RUNTIME_LABEL].as_str().unwrap();
            assert_eq!(
                serde_json::from_str::<RuntimeConfig>(label).unwrap(),
                runtime
            );
            let ports = config["config"]["ExposedPorts"].as_object().unwrap();
            assert_eq!(ports.contains_key("8080/tcp"), !runtime.ports.is_empty());
        }
    }

    #[test]
    fn a_history_adds_up_or_is_refused() {
        for (history, layers, outcome) in [
            (json!(null), 2, Ok(2)),
            (
                json!([{"created_by": "a"}, {"empty_layer": true}]),
                1,
                Ok(2),
            ),
            (
                json!([{"created_by": "a"}]),
                2,
                Err("its history tells of 1 layers, but it has 2"),
            ),
            (json!({}), 0, Err("history is not a list")),
        ] {
            let mut config = Map::new();
            config.insert("history".to_owned(), history);
            let found = base_history(&config, layers, "1970-01-01T00:00:00Z");
            let found = found.map(|entries| entries.len());
            assert_eq!(found, outcome.map_err(str::to_owned));
        }
    }
}
