//! Lists of tools: what a server names, what tools.json holds, and how they differ.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::SmokeError;
use crate::digest::Digest;
use crate::net::plain_words;

/// Largest tools.json that is read.
const MAX_FILE: u64 = 16 << 20;
/// Names of one kind that a message shows.
const SHOWN: usize = 20;

/// A tool as `tools/list` describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
}

/// How a list differs from tools.json: names, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Only the server has them.
    pub added: Vec<String>,
    /// Only tools.json has them.
    pub removed: Vec<String>,
    /// Their description or schema differs.
    pub changed: Vec<String>,
}

impl Tool {
    /// Appends the tools of one page.
    pub(super) fn read(page: &Value, tools: &mut Vec<Self>) -> Result<(), String> {
        let page = page
            .as_array()
            .ok_or("the answer to tools/list has no list of tools")?;
        for tool in page {
            let name = tool["name"]
                .as_str()
                .ok_or("tools/list names a tool without a name")?;
            tools.push(Self {
                name: name.to_owned(),
                description: tool["description"].as_str().map(str::to_owned),
                input_schema: tool["inputSchema"].clone(),
            });
        }
        Ok(())
    }
}

/// Sorts by name and refuses a name that stands twice.
pub(super) fn sorted(mut tools: Vec<Tool>) -> Result<Vec<Tool>, String> {
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    match tools.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(format!("tools/list names {} twice", pair[0].name)),
        None => Ok(tools),
    }
}

fn document(tools: &[Tool]) -> Value {
    tools
        .iter()
        .map(|tool| {
            let mut entry = json!({"name": tool.name, "inputSchema": tool.input_schema});
            if let Some(description) = &tool.description {
                entry["description"] = json!(description);
            }
            entry
        })
        .collect()
}

/// The digest of a sorted list: of its JSON with sorted keys and without spaces.
pub fn digest(tools: &[Tool]) -> Digest {
    Digest::of(document(tools).to_string().as_bytes())
}

/// The text of tools.json.
pub fn file_text(tools: &[Tool]) -> String {
    format!("{:#}\n", document(tools))
}

/// A tools.json: an array of tools, or an object that holds one as `tools`.
#[derive(Clone, Debug)]
pub struct Declared {
    tools: BTreeMap<String, Value>,
}

impl Declared {
    /// Reads a tools.json.
    ///
    /// # Errors
    /// SRV-TOOLS-FILE.
    pub fn read(path: &Path) -> Result<Self, SmokeError> {
        let refused = |why: String| SmokeError::ToolsFile {
            path: path.to_owned(),
            why,
        };
        let size = fs_err::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refused("is not there".to_owned()),
            _ => refused(error.to_string()),
        })?;
        if !size.is_file() || size.len() > MAX_FILE {
            return Err(refused("is no file of at most 16 MiB".to_owned()));
        }
        let bytes = fs_err::read(path).map_err(|error| refused(error.to_string()))?;
        Self::parse(&bytes).map_err(refused)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("is no JSON: {error}"))?;
        if value["tools"].is_array() {
            value = value["tools"].take();
        }
        let Value::Array(list) = value else {
            return Err("is no list of tools".to_owned());
        };
        let mut tools = BTreeMap::new();
        for tool in list {
            let name = tool["name"].as_str().ok_or("holds a tool without a name")?;
            if tools.insert(name.to_owned(), tool.clone()).is_some() {
                return Err(format!("names {name} twice"));
            }
        }
        Ok(Self { tools })
    }

    /// How many tools it names.
    pub fn count(&self) -> usize {
        self.tools.len()
    }

    /// How the server's list differs; none when it does not. Descriptions and schemas count where
    /// the file has them: catalogues write names alone.
    pub fn drift(&self, tools: &[Tool]) -> Option<Drift> {
        let found: BTreeMap<&str, &Tool> = tools.iter().map(|t| (t.name.as_str(), t)).collect();
        let mut drift = Drift::default();
        for (name, declared) in &self.tools {
            match found.get(name.as_str()) {
                None => drift.removed.push(name.clone()),
                Some(tool) if differs(declared, tool) => drift.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        let added = found.keys().filter(|name| !self.tools.contains_key(**name));
        drift.added = added.map(|name| (*name).to_owned()).collect();
        (drift != Drift::default()).then_some(drift)
    }
}

fn differs(declared: &Value, tool: &Tool) -> bool {
    let Some(schema) = declared.get("inputSchema") else {
        return false;
    };
    let description = declared.get("description").and_then(Value::as_str);
    *schema != tool.input_schema || description != tool.description.as_deref()
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ];
        let parts = parts
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what} {}", shown(names)));
        f.write_str(&parts.collect::<Vec<_>>().join("; "))
    }
}

/// The first names, which a server may have made long or fit to steer a terminal.
fn shown(names: &[String]) -> String {
    let mut words: Vec<String> = names.iter().take(SHOWN).map(|n| plain_words(n)).collect();
    if names.len() > SHOWN {
        words.push(format!("and {} more", names.len() - SHOWN));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, description: Option<&str>, schema: &Value) -> Tool {
        Tool {
            name: name.to_owned(),
            description: description.map(str::to_owned),
            input_schema: schema.clone(),
        }
    }

    #[test]
    fn the_file_is_canonical() {
        let schema: Value =
            serde_json::from_str(r#"{"type":"object","a":{"z":1,"b":[2]}}"#).unwrap();
        let tools = vec![tool("b", None, &json!({})), tool("a", Some("A"), &schema)];
        let tools = sorted(tools).unwrap();
        let text = file_text(&tools);
        let compact = r#"[{"description":"A","inputSchema":{"a":{"b":[2],"z":1},"type":"object"},"name":"a"},{"inputSchema":{},"name":"b"}]"#;
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed.to_string(), compact);
        assert!(
            text.starts_with("[\n  {\n    \"description\": \"A\",\n"),
            "{text}"
        );
        assert_eq!(digest(&tools), Digest::of(compact.as_bytes()));
        assert_eq!(
            Declared::parse(text.as_bytes()).unwrap().drift(&tools),
            None
        );
        let twice = vec![tool("a", None, &json!({})), tool("a", None, &json!(1))];
        assert_eq!(sorted(twice).unwrap_err(), "tools/list names a twice");
    }

    #[test]
    fn drift_names_what_differs() {
        let tools = [
            tool("a", Some("A"), &json!({})),
            tool("b", Some("B"), &json!({})),
            tool("d", None, &json!({})),
        ];
        for (file, expected) in [
            (r#"[{"name":"a"},{"name":"b"},{"name":"d"}]"#, None),
            (
                r#"{"tools":[{"name":"a","description":"other","arguments":[]},{"name":"b"},{"name":"d"}]}"#,
                None,
            ),
            (
                r#"[{"name":"a","description":"A","inputSchema":{}},{"name":"b","description":"X","inputSchema":{}},{"name":"c"}]"#,
                Some("added d; removed c; changed b"),
            ),
            (
                r#"[{"name":"a","inputSchema":{"type":"object"}},{"name":"b"},{"name":"d"}]"#,
                Some("changed a"),
            ),
        ] {
            let drift = Declared::parse(file.as_bytes()).unwrap().drift(&tools);
            assert_eq!(drift.map(|d| d.to_string()).as_deref(), expected, "{file}");
        }
        let many: Vec<Tool> = (10..40)
            .map(|n| tool(&format!("t{n}\u{1b}[2J"), None, &json!({})))
            .collect();
        let drift = Declared::parse(b"[]")
            .unwrap()
            .drift(&many)
            .unwrap()
            .to_string();
        assert!(drift.starts_with("added t10 [2J, t11 [2J, "), "{drift}");
        assert!(drift.ends_with("t29 [2J, and 10 more"), "{drift}");
        for (file, why) in [
            ("{}", "is no list of tools"),
            ("[1]", "holds a tool without a name"),
            (r#"[{"name":"a"},{"name":"a"}]"#, "names a twice"),
        ] {
            assert_eq!(Declared::parse(file.as_bytes()).unwrap_err(), why);
        }
        assert!(
            Declared::parse(b"[")
                .unwrap_err()
                .starts_with("is no JSON: ")
        );
    }
}
