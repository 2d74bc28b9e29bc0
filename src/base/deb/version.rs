//! Debian versions (deb-version(7)): `[EPOCH:]UPSTREAM[-REVISION]`.

use std::cmp::Ordering;

/// Which of two versions is the later one, as `dpkg --compare-versions` says.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    digits(left.epoch, right.epoch)
        .then_with(|| part(left.upstream, right.upstream))
        .then_with(|| part(left.revision, right.revision))
}

/// A relation of a dependency: `>= 2.36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Constraint<'a> {
    pub(super) relation: Relation,
    pub(super) version: &'a str,
}

/// The relations of deb-control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Constraint<'_> {
    pub(super) fn accepts(self, version: &str) -> bool {
        let order = compare(version, self.version);
        match self.relation {
            Relation::Earlier => order.is_lt(),
            Relation::EarlierOrEqual => order.is_le(),
            Relation::Equal => order.is_eq(),
            Relation::LaterOrEqual => order.is_ge(),
            Relation::Later => order.is_gt(),
        }
    }
}

struct Parts<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self {
            epoch,
            upstream,
            revision,
        }
    }
}

/// Alternately the longest prefixes without and with digits.
fn part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_words, left_rest) = split(left, |c| !c.is_ascii_digit());
        let (right_words, right_rest) = split(right, |c| !c.is_ascii_digit());
        let (left_number, left_rest) = split(left_rest, u8::is_ascii_digit);
        let (right_number, right_rest) = split(right_rest, u8::is_ascii_digit);
        let order = words(left_words, right_words).then_with(|| numbers(left_number, right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split(text: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// `~` sorts before the end, the end before letters, letters before the rest.
fn words(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |c: Option<&u8>| match c {
        Some(b'~') => 0,
        None => 1,
        Some(c) if c.is_ascii_alphabetic() => 2 + u32::from(*c),
        Some(c) => 1000 + u32::from(*c),
    };
    (0..left.len().max(right.len()))
        .map(|index| weight(left.get(index)).cmp(&weight(right.get(index))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn digits(left: &str, right: &str) -> Ordering {
    numbers(left.as_bytes(), right.as_bytes())
}

/// Numbers of any length; none is zero.
fn numbers(left: &[u8], right: &[u8]) -> Ordering {
    let (_, left) = split(left, |c| *c == b'0');
    let (_, right) = split(right, |c| *c == b'0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_orders() {
        for (left, right) in [
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0~~a", "1.0~"),
            ("1.0", "1.0+b1"),
            ("1.0a", "1.0+"),
            ("1.9", "1.10"),
            ("9", "1:0"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("1.0-1+deb12u1", "1.0-1+deb12u10"),
            ("2.41-12+deb13u3", "2.41-12+deb13u4"),
            ("1-2-3", "1-2-4"),
            ("1", "99999999999999999999999999999999999999"),
            ("1.2", "1.2-1"),
        ] {
            assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
            assert_eq!(compare(right, left), Ordering::Greater, "{left} {right}");
        }
        for (left, right) in [
            ("1.0", "0:1.0"),
            ("1.0", "1.0-0"),
            ("1.01", "1.1"),
            ("1", "1"),
        ] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }
}
