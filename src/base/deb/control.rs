//! Debian's control files (deb822): fields of stanzas, dependencies.

use std::collections::BTreeMap;

use super::version::{Constraint, Relation};

/// The fields of one stanza that has no other after it; names in lower case.
///
/// # Errors
/// What is wrong with it.
pub(super) fn stanza(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    let mut current: Option<(String, String)> = None;
    let mut ended = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            ended = true;
            continue;
        }
        if ended && !(fields.is_empty() && current.is_none()) {
            return Err("it has more than one stanza".to_owned());
        }
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let Some((_, value)) = &mut current else {
                return Err("it begins with a continuation line".to_owned());
            };
            value.push('\n');
            value.push_str(line);
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("{line:.60?} is no field"));
        };
        keep(&mut fields, current.take())?;
        current = Some((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    keep(&mut fields, current)?;
    Ok(fields)
}

fn keep(
    fields: &mut BTreeMap<String, String>,
    field: Option<(String, String)>,
) -> Result<(), String> {
    let Some((name, value)) = field else {
        return Ok(());
    };
    if fields.contains_key(&name) {
        return Err(format!("it has the field {name:.60} twice"));
    }
    fields.insert(name, value);
    Ok(())
}

/// One package of a dependency: `libc6 (>= 2.36)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alternative<'a> {
    pub(super) name: &'a str,
    pub(super) constraint: Option<Constraint<'a>>,
}

/// The groups of a dependency field; any alternative satisfies its group.
pub(super) fn groups(field: &str) -> impl Iterator<Item = (&str, Vec<Alternative<'_>>)> {
    field
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(|group| (group, group.split('|').filter_map(alternative).collect()))
}

/// `NAME[:ARCH] [(RELATION VERSION)] [\[ARCH…\]] [<PROFILE…>]`.
fn alternative(text: &str) -> Option<Alternative<'_>> {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_whitespace() || "([<".contains(c))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.split(':').next()?;
    if name.is_empty() {
        return None;
    }
    let inside = rest
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| inside.trim());
    let constraint = match inside {
        Some(inside) => Some(constraint(inside)?),
        None => None,
    };
    Some(Alternative { name, constraint })
}

fn constraint(text: &str) -> Option<Constraint<'_>> {
    let end = text.find(|c| !"<>=".contains(c))?;
    let (relation, version) = text.split_at(end);
    let relation = match relation {
        "<<" => Relation::Earlier,
        // The old forms mean "or equal".
        "<=" | "<" => Relation::EarlierOrEqual,
        "=" => Relation::Equal,
        ">=" | ">" => Relation::LaterOrEqual,
        ">>" => Relation::Later,
        _ => return None,
    };
    let version = version.trim();
    (!version.is_empty()).then_some(Constraint { relation, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_keep_continuation_lines_and_refuse_doubles() {
        let fields = stanza("A: 1\nB:\n x\n y\n\n").unwrap();
        assert_eq!(fields["a"], "1");
        assert_eq!(fields["b"], "\n x\n y");
        for (text, wrong) in [
            ("A: 1\nA: 2", "twice"),
            ("A: 1\n\nB: 2", "more than one"),
            (" A", "continuation"),
            ("A", "no field"),
        ] {
            let error = stanza(text).unwrap_err();
            assert!(error.contains(wrong), "{text:?}: {error}");
        }
    }

    #[test]
    fn dependencies() {
        let field = "libc6 (>= 2.36), a:any | b (<< 1:2-3) [amd64] <!nocheck>, c(=1)";
        let shown: Vec<String> = groups(field)
            .map(|(_, group)| {
                group
                    .iter()
                    .map(|one| match one.constraint {
                        Some(c) => format!("{} {:?} {}", one.name, c.relation, c.version),
                        None => one.name.to_owned(),
                    })
                    .collect::<Vec<_>>()
                    .join(" or ")
            })
            .collect();
        assert_eq!(
            shown,
            [
                "libc6 LaterOrEqual 2.36",
                "a or b Earlier 1:2-3",
                "c Equal 1"
            ]
        );
    }
}
