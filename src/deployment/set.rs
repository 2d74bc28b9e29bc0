//! `--set PATH=VALUE`: any key of the file, given on the command line.

use super::error::{Advice, ConfigError, Origin, shortened};
use super::schema::{self, Key, Kind};
use super::tree::{self, Entry, Node, Style, Value};

/// Puts one value into the tree, over what the file says.
///
/// A text is taken as it is. Lists and maps are written in YAML's flow style (`[a, b]`,
/// `{A: b}`); a single text stands for a list of one.
pub(super) fn apply(
    root: &mut Node,
    path: &str,
    value: &str,
    problems: &mut Vec<ConfigError>,
) -> Result<(), ConfigError> {
    let origin = Origin::Set { path: path.into() };
    let (names, kind) = resolve(path, &origin)?;
    let node = node(kind, value, &origin, problems)?;
    put(root, &names, node, &origin);
    Ok(())
}

/// The keys along a path and what its value is.
fn resolve<'a>(
    path: &'a str,
    origin: &Origin,
) -> Result<(Vec<&'a str>, &'static Kind), ConfigError> {
    let mut keys: &'static [Key] = schema::ROOT;
    let mut names = Vec::new();
    let mut rest = path;
    loop {
        let (name, below) = match rest.split_once('.') {
            Some((name, below)) => (name, Some(below)),
            None => (rest, None),
        };
        let above = names.join(".");
        let unknown =
            |name: &str, above: &str, keys| Err(schema::unknown(name, above, keys, origin.clone()));
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            return unknown(name, &above, keys);
        };
        names.push(name);
        match (&key.kind, below) {
            (kind, None) => return Ok((names, kind)),
            (Kind::Section(below_keys), Some(below)) => {
                keys = below_keys;
                rest = below;
            }
            (Kind::Variables, Some(variable)) => {
                names.push(variable);
                return Ok((names, &Kind::Text));
            }
            (_, Some(below)) => {
                let whole = names.join(".");
                return Err(ConfigError::Key {
                    origin: origin.clone(),
                    key: shortened(&format!("{whole}.{below}"), 100),
                    advice: Advice::Whole(whole),
                });
            }
        }
    }
}

fn node(
    kind: &Kind,
    text: &str,
    origin: &Origin,
    problems: &mut Vec<ConfigError>,
) -> Result<Node, ConfigError> {
    let scalar = |style| Node {
        value: Value::Scalar {
            text: text.to_owned(),
            style,
        },
        origin: origin.clone(),
    };
    Ok(match kind {
        Kind::Text => scalar(Style::Quoted),
        Kind::Integer | Kind::Boolean => scalar(Style::Plain),
        Kind::Words if !text.starts_with('[') => scalar(Style::Quoted),
        Kind::Texts if !text.starts_with('[') => Node {
            value: Value::List(vec![scalar(Style::Quoted)]),
            origin: origin.clone(),
        },
        Kind::Words | Kind::Texts | Kind::Section(_) | Kind::Sections(_) | Kind::Variables => {
            tree::parse(&|_, _| origin.clone(), text.as_bytes(), problems)?
        }
    })
}

/// Where the file has something else than a map on the way, the file's problem is reported.
fn put(root: &mut Node, names: &[&str], value: Node, origin: &Origin) {
    let Some((name, below)) = names.split_first() else {
        *root = value;
        return;
    };
    if root.is_null() {
        *root = Node::empty_map(origin.clone());
    }
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    let index = entries
        .iter()
        .position(|entry| entry.key == *name)
        .unwrap_or_else(|| {
            entries.push(Entry {
                key: (*name).to_owned(),
                origin: origin.clone(),
                value: Node::empty_map(origin.clone()),
            });
            entries.len() - 1
        });
    put(&mut entries[index].value, below, value, origin);
}
