//! YAML text into a tree that keeps the source text and the place of every value.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::error::{ConfigError, Origin};

/// A configuration is written by hand; what is larger is something else.
pub(crate) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 50_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// YAML has more types; what a scalar means is decided by the key that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Scalar { text: String, style: Style },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes: may be a number, a boolean or null.
    Plain,
    /// With quotes or as a block: always a text.
    Quoted,
}

/// One key of a map; keys are unique and keep the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn empty_map(origin: Origin) -> Self {
        Self {
            value: Value::Map(Vec::new()),
            origin,
        }
    }

    /// Null in YAML's core schema: nothing, `~` or `null` without quotes.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, style: Style::Plain }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The source text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| {
            let entry = node.entries().iter().find(|entry| entry.key == key)?;
            Some(&entry.value)
        })
    }
}

/// The origin of what stands at a line and column, both from 1.
pub(super) type Locate<'a> = &'a dyn Fn(usize, usize) -> Origin;

/// Reads a text that holds one document; duplicate keys go to `problems`, the first one counts.
///
/// An empty text is an empty map.
pub(super) fn parse(
    locate: Locate<'_>,
    text: &[u8],
    problems: &mut Vec<ConfigError>,
) -> Result<Node, ConfigError> {
    let text = decoded(locate, text)?;
    let mut builder = Builder::new(locate);
    let mut documents = 0_usize;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            builder.broken(*error.marker(), format!("not YAML: {}", error.info()))
        })?;
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let problem = "a second document starts here; the file holds one";
                    return Err(builder.broken(span.start, problem));
                }
            }
            event => builder.event(event, span.start)?,
        }
    }
    problems.append(&mut builder.problems);
    Ok(match builder.root {
        Some(root) if root.is_null() => Node::empty_map(root.origin),
        Some(root) => root,
        None => Node::empty_map(locate(1, 1)),
    })
}

/// The text without a byte-order mark; refuses what is not UTF-8 text.
///
/// The parser takes a NUL for the end of its input, so whatever follows one would go unseen.
fn decoded<'a>(locate: Locate<'_>, bytes: &'a [u8]) -> Result<&'a str, ConfigError> {
    let broken = |before: &[u8], problem: String| {
        let before = String::from_utf8_lossy(before);
        let line_number = before.split('\n').count();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let column = line.chars().count() + 1;
        ConfigError::Yaml {
            origin: locate(line_number, column),
            problem,
        }
    };
    if bytes.len() > MAX_BYTES {
        return Err(broken(&[], "more than 1 MiB".to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        broken(before, "not UTF-8 text".to_owned())
    })?;
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    match text.char_indices().find(|(_, c)| control(*c)) {
        Some((index, c)) => Err(broken(
            &bytes[..index],
            format!("control character U+{:04X}", u32::from(c)),
        )),
        None => Ok(text),
    }
}

/// A map or list whose end has not been seen.
enum Open {
    Map {
        entries: Vec<Entry>,
        seen: BTreeSet<String>,
        /// The key whose value comes next.
        key: Option<Pending>,
        origin: Origin,
    },
    List {
        items: Vec<Node>,
        origin: Origin,
    },
}

/// A key that waits for its value; the value of a repeated key is dropped.
struct Pending {
    key: String,
    origin: Origin,
    repeated: bool,
}

/// Builds the tree without recursion, so that depth can't exhaust the stack.
struct Builder<'a> {
    locate: Locate<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    problems: Vec<ConfigError>,
}

impl<'a> Builder<'a> {
    fn new(locate: Locate<'a>) -> Self {
        Self {
            locate,
            open: Vec::new(),
            root: None,
            nodes: 0,
            problems: Vec::new(),
        }
    }

    fn origin(&self, at: Marker) -> Origin {
        (self.locate)(at.line(), at.col() + 1)
    }

    fn broken(&self, at: Marker, problem: impl Into<String>) -> ConfigError {
        ConfigError::Yaml {
            origin: self.origin(at),
            problem: problem.into(),
        }
    }

    fn event(&mut self, event: Event<'_>, at: Marker) -> Result<(), ConfigError> {
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            // A few aliases of aliases can stand for billions of values.
            Event::Alias(_) => return Err(self.broken(at, "aliases (*name) are not supported")),
            _ => (0, false),
        };
        if anchor != 0 {
            return Err(self.broken(at, "anchors (&name) are not supported"));
        }
        if tag {
            return Err(self.broken(
                at,
                "tags (!name) are not supported; write quotes for a text",
            ));
        }
        match event {
            Event::Scalar(text, style, ..) => self.scalar(text.into_owned(), style, at),
            Event::SequenceStart(..) => {
                let origin = self.origin(at);
                let items = Vec::new();
                self.start(Open::List { items, origin }, at)
            }
            Event::MappingStart(..) => {
                let open = Open::Map {
                    entries: Vec::new(),
                    seen: BTreeSet::new(),
                    key: None,
                    origin: self.origin(at),
                };
                self.start(open, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                match self.open.pop() {
                    Some(Open::List { items, origin }) => self.put(Node {
                        value: Value::List(items),
                        origin,
                    }),
                    Some(Open::Map {
                        entries, origin, ..
                    }) => self.put(Node {
                        value: Value::Map(entries),
                        origin,
                    }),
                    None => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, at: Marker) -> Result<(), ConfigError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.broken(at, format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn start(&mut self, open: Open, at: Marker) -> Result<(), ConfigError> {
        self.count(at)?;
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(self.broken(at, "a key is a list or a map; keys are plain names"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.broken(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, at: Marker) -> Result<(), ConfigError> {
        self.count(at)?;
        if text.contains('\0') {
            return Err(self.broken(at, "a text holds a NUL character"));
        }
        let origin = self.origin(at);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            _ => Style::Quoted,
        };
        let expects_key = matches!(self.open.last(), Some(Open::Map { key: None, .. }));
        if expects_key && text == "<<" && style == Style::Plain {
            return Err(self.broken(at, "merge keys (<<) are not supported"));
        }
        match self.open.last_mut() {
            Some(Open::Map { seen, key, .. }) if key.is_none() => {
                let repeated = !seen.insert(text.clone());
                if repeated {
                    self.problems.push(ConfigError::Yaml {
                        origin: origin.clone(),
                        problem: format!("the key {text:?} is written twice in this map"),
                    });
                }
                *key = Some(Pending {
                    key: text,
                    origin,
                    repeated,
                });
            }
            Some(Open::Map { key: Some(key), .. }) if text.is_empty() && style == Style::Plain => {
                // Where nothing is written, the parser points at whatever comes next.
                let origin = key.origin.clone();
                let value = Value::Scalar { text, style };
                self.put(Node { value, origin });
            }
            _ => {
                let value = Value::Scalar { text, style };
                self.put(Node { value, origin });
            }
        }
        Ok(())
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some(pending) = key.take().filter(|pending| !pending.repeated) {
                    entries.push(Entry {
                        key: pending.key,
                        origin: pending.origin,
                        value: node,
                    });
                }
            }
            None => self.root = Some(node),
        }
    }
}
