//! A small reader of YAML that others wrote: enough for hints, closed against hostile files.

use saphyr_parser::{Event, Parser};

/// Deeper or larger documents are not read.
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 20_000;

/// A YAML value; aliases are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

/// A list or map that is still open.
struct Open {
    items: Vec<Yaml>,
    is_map: IsMap,
}

#[derive(PartialEq, Eq)]
enum IsMap {
    Yes,
    No,
}

impl Yaml {
    /// The first document; none when it is broken, too deep or too large.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut open: Vec<Open> = Vec::new();
        let mut nodes = 0;
        for event in Parser::new_from_str(text) {
            let done = match event.ok()?.0 {
                Event::Scalar(text, ..) => Some(Self::Text(text.into_owned())),
                Event::Alias(_) => Some(Self::Text(String::new())),
                Event::SequenceStart(..) => {
                    open.push(Open {
                        items: Vec::new(),
                        is_map: IsMap::No,
                    });
                    None
                }
                Event::MappingStart(..) => {
                    open.push(Open {
                        items: Vec::new(),
                        is_map: IsMap::Yes,
                    });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => Some(open.pop()?.close()),
                _ => None,
            };
            nodes += 1;
            if open.len() > MAX_DEPTH || nodes > MAX_NODES {
                return None;
            }
            if let Some(value) = done {
                match open.last_mut() {
                    Some(parent) => parent.items.push(value),
                    None => return Some(value),
                }
            }
        }
        None
    }

    /// The value of a key; ko's configuration library ignores the case of keys.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs
            .iter()
            .find(|(name, _)| {
                name.text()
                    .is_some_and(|name| name.eq_ignore_ascii_case(key))
            })
            .map(|(_, value)| value)
    }

    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list's items; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            _ => self
                .items()
                .iter()
                .filter_map(Self::text)
                .map(ToOwned::to_owned)
                .collect(),
        }
    }
}

impl Open {
    fn close(self) -> Yaml {
        if self.is_map == IsMap::No {
            return Yaml::List(self.items);
        }
        let mut pairs = Vec::new();
        let mut items = self.items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Yaml::Map(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_documents_are_not_read() {
        let deep = "[".repeat(5000);
        let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let bomb = format!("a: &a [1]\nb: [{}]", "*a,".repeat(30_000));
        for text in [deep.as_str(), nested.as_str(), bomb.as_str(), "a: [", ""] {
            assert_eq!(Yaml::parse(text), None);
        }
        let alias = Yaml::parse("a: &x hello\nb: *x\n").unwrap();
        assert_eq!(alias.get("b").and_then(Yaml::text), Some(""));
        assert_eq!(alias.get("A").and_then(Yaml::text), Some("hello"));
    }
}
