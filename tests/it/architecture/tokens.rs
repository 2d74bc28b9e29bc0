//! Just enough of Rust's grammar to see which words a file really uses.

/// A word or a sign of Rust, comments and literals left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a literal or comment that begins at `at` ends; none when none begins there.
fn skipped(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let starts = |text: &str| rest.iter().copied().take(text.len()).eq(text.chars());
    let after = |from: usize, text: &str| {
        let needle: Vec<char> = text.chars().collect();
        (from..chars.len())
            .find(|&i| chars[i..].starts_with(&needle))
            .map_or(chars.len(), |i| i + needle.len())
    };
    if starts("//") {
        return Some(after(at, "\n").saturating_sub(1).max(at + 2));
    }
    if starts("/*") {
        return Some(after(at + 2, "*/"));
    }
    let prefix = rest.iter().take_while(|c| "bcr".contains(**c)).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let raw = rest[..prefix].contains(&'r');
    if raw && rest.get(prefix + hashes) == Some(&'"') {
        return Some(after(
            at + prefix + hashes + 1,
            &format!("\"{}", "#".repeat(hashes)),
        ));
    }
    match rest.get(prefix)? {
        '"' if !raw => Some(quoted(chars, at + prefix + 1, '"')),
        // A lifetime has no closing quote after its first character.
        '\'' if rest.get(prefix + 1) == Some(&'\\') || rest.get(prefix + 2) == Some(&'\'') => {
            Some(quoted(chars, at + prefix + 1, '\''))
        }
        _ => None,
    }
}

fn quoted(chars: &[char], mut at: usize, end: char) -> usize {
    while at < chars.len() && chars[at] != end {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// All tokens of a source file.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = if let Some(end) = skipped(&chars, at) {
            end.min(chars.len())
        } else {
            let word = chars[at..].iter().take_while(|c| is_word(**c)).count();
            let end = at
                + word.max(if chars[at..].starts_with(&[':', ':']) {
                    2
                } else {
                    1
                });
            if !chars[at].is_whitespace() {
                let text = chars[at..end].iter().collect();
                found.push(Token { text, line });
            }
            end
        };
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    found
}

/// Their texts alone.
pub(super) fn texts(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

/// Leaves out every item under `#[cfg(test)]`: unit tests may import what they like.
pub(super) fn without_tests(all: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if texts(&all[at..]).starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            at += item_length(&all[at..]);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// Tokens up to the `;` or the closing brace that ends the first item.
fn item_length(all: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in all.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    all.len()
}
