//! `.dockerignore` at the root of a tree, with Docker's semantics (docs.docker.com,
//! "Dockerignore files"; implemented as moby/patternmatcher does): patterns are anchored at the
//! root, `*` and `?` stop at `/`, `**` is any number of folders, the last matching line decides,
//! and `!` brings back also what lies in an excluded folder.

use super::{IGNORE_LIMIT, SourceError, SourceTree, TreeKind};

/// Its name.
const FILE: &str = ".dockerignore";

/// Patterns in one file, at most: each is tried on every path.
const MAX_PATTERNS: usize = 10_000;

/// The rules of a `.dockerignore`.
#[derive(Debug, Default)]
pub(super) struct DockerRules {
    patterns: Vec<Pattern>,
    /// The folders above the last path, outermost first, and which patterns match each or a folder
    /// above. Paths come sorted, so others are not met again: keeping all would let a hostile tree
    /// fill the memory (patterns times folders).
    folders: Vec<(Vec<u8>, Vec<bool>)>,
}

#[derive(Debug)]
struct Pattern {
    effect: Effect,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Exclude,
    BringBack,
}

#[derive(Debug)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**/`: nothing, or anything up to a `/`.
    Folders,
    /// `**` at the end, or before a plain suffix: anything.
    Everything,
    /// `[a-z]`, `[^a-z]`
    Class {
        inside: bool,
        ranges: Vec<(char, char)>,
    },
}

impl DockerRules {
    pub(super) fn of(tree: &SourceTree) -> Result<Self, SourceError> {
        match tree.file(FILE) {
            Some(file) if !matches!(file.kind, TreeKind::Symlink(_)) => {
                Self::parse(&tree.read(FILE, IGNORE_LIMIT)?.unwrap_or_default())
            }
            // Reading it through a link is an error with its own words.
            Some(_) => tree.read(FILE, IGNORE_LIMIT).map(|_| Self::default()),
            None => Ok(Self::default()),
        }
    }

    fn parse(text: &[u8]) -> Result<Self, SourceError> {
        let text = String::from_utf8_lossy(text);
        let mut rules = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let refuse = |why: &str| SourceError::Ignore {
                file: FILE.to_owned(),
                line: index + 1,
                why: why.to_owned(),
            };
            // A comment begins in the first column; ` #x` is a pattern.
            let pattern = if line.starts_with('#') {
                ""
            } else {
                line.trim()
            };
            if pattern.is_empty() {
                continue;
            }
            let (effect, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (Effect::BringBack, rest.trim()),
                None => (Effect::Exclude, pattern),
            };
            if pattern.is_empty() {
                return Err(refuse("a ! needs a pattern behind it"));
            }
            if rules.patterns.len() == MAX_PATTERNS {
                return Err(refuse("there are more than 10000 patterns"));
            }
            let clean = clean(pattern);
            let anchored = clean.strip_prefix('/').filter(|rest| !rest.is_empty());
            let tokens = tokens(anchored.unwrap_or(&clean)).map_err(refuse)?;
            rules.patterns.push(Pattern { effect, tokens });
        }
        Ok(rules)
    }

    /// Whether a file stays.
    pub(super) fn keeps(&mut self, path: &[u8]) -> bool {
        let matching = self.matching(path);
        let mut excluded = false;
        for (pattern, matching) in self.patterns.iter().zip(matching) {
            if matching {
                excluded = pattern.effect == Effect::Exclude;
            }
        }
        !excluded
    }

    /// Which patterns match a path or a folder above it.
    fn matching(&mut self, path: &[u8]) -> Vec<bool> {
        let inside = |folder: &[u8]| {
            let rest = path.strip_prefix(folder);
            rest.is_some_and(|rest| rest.starts_with(b"/"))
        };
        while self.folders.pop_if(|(folder, _)| !inside(folder)).is_some() {}
        let known = self
            .folders
            .last()
            .map_or(0, |(folder, _)| folder.len() + 1);
        let slashes = path.iter().enumerate().skip(known);
        for (slash, _) in slashes.filter(|(_, byte)| **byte == b'/') {
            let folder = &path[..slash];
            let matching = self.matching_itself(folder);
            self.folders.push((folder.to_owned(), matching));
        }
        self.matching_itself(path)
    }

    /// As [`Self::matching`], when the folder above is the last of those that are known.
    fn matching_itself(&self, path: &[u8]) -> Vec<bool> {
        let above = self.folders.last().map(|(_, matching)| matching.as_slice());
        let path: Vec<char> = String::from_utf8_lossy(path).chars().collect();
        let patterns = self.patterns.iter().enumerate();
        patterns
            .map(|(index, pattern)| {
                above.is_some_and(|above| above[index]) || matches(&pattern.tokens, &path)
            })
            .collect()
    }
}

/// Go's `filepath.Clean`: no empty, `.` or inner `..` component, no slash at the end.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            other => kept.push(other),
        }
    }
    let joined = kept.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    let mut first = true;
    while let Some(c) = rest.next() {
        let token = match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                let slash = rest.next_if_eq(&'/').is_some();
                let plain = |c: char| !matches!(c, '*' | '?' | '[' | ']' | '\\');
                // `**name` is a plain suffix in Docker, also of a part of a name.
                let suffix = first && !slash && rest.clone().all(plain);
                if rest.peek().is_none() || suffix {
                    Token::Everything
                } else {
                    Token::Folders
                }
            }
            '*' => Token::Star,
            '?' => Token::One,
            '[' => class(&mut rest)?,
            '\\' => Token::Literal(rest.next().ok_or("the pattern ends with a backslash")?),
            c => Token::Literal(c),
        };
        tokens.push(token);
        first = false;
    }
    Ok(tokens)
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a [ is not closed, or holds an unescaped - or ]";
    let inside = rest.next_if_eq(&'^').is_none();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Token::Class { inside, ranges });
        }
        let mut member = || match rest.next() {
            Some('-' | ']') | None => Err(OPEN),
            Some('\\') => rest.next().ok_or(OPEN),
            Some(c) => Ok(c),
        };
        let low = member()?;
        let high = if rest.next_if_eq(&'-').is_some() {
            match rest.next() {
                Some('-' | ']') | None => return Err(OPEN),
                Some('\\') => rest.next().ok_or(OPEN)?,
                Some(c) => c,
            }
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// Follows all ways through the pattern at once, so that no pattern takes exponential time.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let mut here = vec![false; text.len() + 1];
    here[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        let mut reached = false; // by a token that takes any number of characters
        for at in 0..=text.len() {
            let before = at.checked_sub(1).map(|before| (here[before], text[before]));
            next[at] = match token {
                Token::Literal(wanted) => before.is_some_and(|(on, c)| on && c == *wanted),
                Token::One => before.is_some_and(|(on, c)| on && c != '/'),
                Token::Class { inside, ranges } => before.is_some_and(|(on, c)| {
                    on && *inside == ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
                }),
                Token::Star => {
                    reached = here[at] || reached && before.is_some_and(|(_, c)| c != '/');
                    reached
                }
                Token::Everything => {
                    reached = reached || here[at];
                    reached
                }
                Token::Folders => {
                    let behind_slash = reached && before.is_some_and(|(_, c)| c == '/');
                    reached = reached || here[at];
                    here[at] || behind_slash
                }
            };
        }
        if !next.contains(&true) {
            return false;
        }
        here = next;
    }
    here[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of docs.docker.com ("Dockerignore files") and of moby's own tests.
    #[test]
    fn docker_s_examples() {
        for (file, path, kept) in [
            ("*/temp*", "somedir/temporary.txt", false),
            ("*/temp*", "somedir/temp/x", false),
            ("*/temp*", "temporary.txt", true),
            ("*/temp*", "somedir/subdir/temporary.txt", true),
            ("*/*/temp*", "somedir/subdir/temporary.txt", false),
            ("temp?", "tempa", false),
            ("temp?", "tempb/x", false),
            ("temp?", "temp", true),
            ("**/*.go", "main.go", false),
            ("**/*.go", "a/b/main.go", false),
            ("*.md\n!README.md", "README.md", true),
            ("*.md\n!README.md", "CHANGES.md", false),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                "README-secret.md",
                false,
            ),
            ("*.md\n!README*.md\nREADME-secret.md", "README-x.md", true),
            (
                "*.md\nREADME-secret.md\n!README*.md",
                "README-secret.md",
                true,
            ),
            ("*.md", "docs/x.md", true),
            ("# comment\nx", "# comment", true),
            (" # not a comment", "# not a comment", false),
            ("/foo/bar", "foo/bar", false),
            ("foo/bar/", "foo/bar/x", false),
            ("./foo", "foo", false),
            ("  foo  ", "foo", false),
            ("foo/../bar", "bar", false),
            ("Foo", "foo", true),
            ("*\n!src", "src/a/b.c", true),
            ("*\n!src", "other", false),
            ("docs\n!docs/keep.md", "docs/keep.md", true),
            ("docs\n!docs/keep.md", "docs/other.md", false),
            ("**", "a/b", false),
            ("**\n!a/b", "a/b", true),
            ("a/**", "a", true),
            ("a/**", "a/b/c", false),
            ("a/**/b", "a/b", false),
            ("a/**/b", "a/x/y/b", false),
            ("a/**/b", "a/xb", true),
            ("**/file", "dir/file", false),
            ("**/file", "file", false),
            ("**/file", "dir/xfile", true),
            ("**file", "dir/xfile", false),
            ("**/dir2/*", "dir/dir2/file", false),
            ("**/dir2/*", "dir/dir2/dir2/file", false),
            ("[a-c]x", "bx", false),
            ("[^a-c]x", "bx", true),
            ("a\\*b", "a*b", false),
            ("a\\*b", "aXb", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", false),
            ("\u{feff}x", "x", false),
            ("..", "x", true),
            (".", "x", true),
            ("", "x", true),
        ] {
            let mut rules = DockerRules::parse(file.as_bytes()).unwrap();
            assert_eq!(rules.keeps(path.as_bytes()), kept, "{file:?} on {path:?}");
        }
    }

    #[test]
    fn wrong_patterns_name_their_line() {
        for (file, said) in [
            ("a\n!", ".dockerignore:2: a ! needs a pattern behind it"),
            (
                "[a",
                ".dockerignore:1: a [ is not closed, or holds an unescaped - or ]",
            ),
            (
                "\n\n[]a]",
                ".dockerignore:3: a [ is not closed, or holds an unescaped - or ]",
            ),
            ("a\\", ".dockerignore:1: the pattern ends with a backslash"),
        ] {
            let error = DockerRules::parse(file.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn no_pattern_takes_exponential_time() {
        let pattern = "*a".repeat(200);
        let mut rules = DockerRules::parse(pattern.as_bytes()).unwrap();
        assert!(rules.keeps(&[b'a'; 190]));
    }

    #[test]
    fn a_hostile_tree_fills_no_memory() {
        let file = (0..100).fold(String::new(), |file, n| format!("{file}x{n}\n"));
        let mut rules = DockerRules::parse(format!("{file}a/b\n!a/b/k*").as_bytes()).unwrap();
        for (path, kept) in [
            ("a/b/c/d/e", false),
            ("a/b/c/x", false),
            ("a/b/keep", true),
            ("a/bb", true),
            ("x7", false),
            // Out of order: slower, but never wrong.
            ("a/b/c", false),
        ] {
            assert_eq!(rules.keeps(path.as_bytes()), kept, "{path}");
            let depth = path.matches('/').count();
            assert_eq!(rules.folders.len(), depth, "{path}");
        }
    }
}
