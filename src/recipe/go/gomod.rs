//! `go.mod` and `go.work` (<https://go.dev/ref/mod#go-mod-file-lexical>): what the recipe needs of them.

use super::error::GoError;
use super::version::GoVersion;

/// Larger files are not written by people or by go.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// Byte order marks, as editors and shells of Windows write them.
const MARKS: [(&[u8], &str); 3] = [
    (
        b"\xef\xbb\xbf",
        "begins with a byte order mark (BOM), which go refuses: save it as UTF-8 without one",
    ),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];
const UTF_16: &str = "is UTF-16, which go refuses: save it as UTF-8";

/// A parsed `go.mod` or `go.work`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GoMod {
    /// Its path in the source, for messages.
    pub(super) file: String,
    /// `module`; empty in go.work.
    pub(super) module: String,
    /// `go 1.26.0`
    pub(super) go: Option<Line<GoVersion>>,
    /// `toolchain go1.27.1`; absent for `toolchain default`.
    pub(super) toolchain: Option<Line<GoVersion>>,
    /// `require`: module and version.
    pub(super) require: Vec<(String, String)>,
    /// `replace … => PATH`: those with a local target only.
    pub(super) replace: Vec<Line<Replace>>,
    /// `tool`: import paths.
    pub(super) tools: Vec<String>,
    /// `use`: folders (go.work).
    pub(super) uses: Vec<Line<String>>,
}

/// Something and the line that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<T> {
    /// From 1.
    pub(super) number: usize,
    pub(super) value: T,
}

/// `replace MODULE [VERSION] => PATH`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replace {
    pub(super) module: String,
    /// `./x`, `../x` or absolute.
    pub(super) path: String,
}

impl GoMod {
    /// The version that go needs at least: the `go` line, or what go assumes without one.
    pub(super) fn wanted(&self) -> String {
        self.go
            .as_ref()
            .map_or_else(|| "1.16".to_owned(), |line| line.value.to_string())
    }

    /// The version of the required module that holds this package.
    pub(super) fn version_of(&self, package: &str) -> Option<&str> {
        self.require
            .iter()
            .filter(|(module, _)| {
                package
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|(module, _)| module.len())
            .map(|(_, version)| version.as_str())
    }

    /// Reads the text of `file`.
    pub(super) fn parse(file: &str, text: &[u8]) -> Result<Self, GoError> {
        let mut parsed = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        if let Some((_, what)) = MARKS.iter().find(|(mark, _)| text.starts_with(mark)) {
            return Err(problem(file, 1, *what));
        }
        let mut block: Option<(String, usize)> = None;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let line = std::str::from_utf8(line)
                .map_err(|error| problem(file, number, format!("is not UTF-8 ({error})")))?;
            let tokens = tokens(line).map_err(|what| problem(file, number, what))?;
            let words: Vec<&str> = tokens.iter().map(String::as_str).collect();
            match (&block, words.as_slice()) {
                (_, []) | (None, [_, "(", ")"]) => {}
                (None, [verb, "("]) => block = Some(((*verb).to_owned(), number)),
                (Some(_), [")"]) => block = None,
                (Some((verb, _)), arguments) => parsed.directive(verb, arguments, number)?,
                (None, [verb, arguments @ ..]) => parsed.directive(verb, arguments, number)?,
            }
        }
        if let Some((verb, number)) = block {
            return Err(problem(
                file,
                number,
                format!("the block {verb} ( … is not closed"),
            ));
        }
        Ok(parsed)
    }

    fn directive(&mut self, verb: &str, arguments: &[&str], number: usize) -> Result<(), GoError> {
        let version = |text: &str| {
            text.parse::<GoVersion>()
                .map_err(|error| problem(&self.file, number, error.to_string()))
                .map(|value| Some(Line { number, value }))
        };
        match (verb, arguments) {
            ("module", [path]) => (*path).clone_into(&mut self.module),
            ("go", [text]) => self.go = version(text)?,
            ("toolchain", ["default"]) => {}
            ("toolchain", [text]) => self.toolchain = version(text)?,
            ("require", [module, version]) => {
                self.require
                    .push(((*module).to_owned(), (*version).to_owned()));
            }
            ("replace", [module, "=>", path] | [module, _, "=>", path]) if is_local(path) => {
                let value = Replace {
                    module: (*module).to_owned(),
                    path: (*path).to_owned(),
                };
                self.replace.push(Line { number, value });
            }
            ("tool", [package]) => self.tools.push((*package).to_owned()),
            ("use", [folder]) => self.uses.push(Line {
                number,
                value: (*folder).to_owned(),
            }),
            ("module" | "go" | "toolchain" | "require" | "tool" | "use", _) => {
                return Err(problem(&self.file, number, format!("{verb} can't be read")));
            }
            // exclude, retract, godebug, ignore, replacements by versions, and what later
            // versions of go add: go itself judges them.
            _ => {}
        }
        Ok(())
    }
}

fn is_local(path: &str) -> bool {
    path.starts_with("./")
        || path.starts_with("../")
        || path.starts_with('/')
        || path == "."
        || path == ".."
}

fn problem(file: &str, line: usize, problem: impl Into<String>) -> GoError {
    GoError::Parse {
        file: file.to_owned(),
        line,
        problem: problem.into(),
    }
}

/// Words, parentheses and quoted strings of one line, without its comment.
fn tokens(line: &str) -> Result<Vec<String>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with("//") {
        let (token, after) = token(rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn token(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(inner) = text.strip_prefix('`') {
        let (token, after) = inner
            .split_once('`')
            .ok_or("a quoted string is not closed")?;
        return Ok((token.to_owned(), after));
    }
    if text.starts_with('"') {
        return quoted(text);
    }
    if let Some(first) = text.chars().next().filter(|c| matches!(c, '(' | ')' | ',')) {
        return Ok((first.to_string(), &text[1..]));
    }
    let end = text
        .char_indices()
        .find(|(index, c)| {
            c.is_whitespace() || matches!(c, '(' | ')' | ',') || text[*index..].starts_with("//")
        })
        .map_or(text.len(), |(index, _)| index);
    Ok((text[..end].to_owned(), &text[end..]))
}

/// An interpreted string; module paths and versions need no escape but `\\` and `\"`.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut token = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((token, &text[index + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => token.push(escaped),
                _ => return Err("a quoted string has an escape that is not known"),
            },
            c => token.push(c),
        }
    }
    Err("a quoted string is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;

    const SAMPLE: &str = r#"
// A comment.
module "example.org/server" // trailing
go 1.26.3
toolchain go1.27.1
require example.org/a v1.2.3 // indirect
require (
	example.org/b/v2 v2.0.0
	"example.org/c" `v0.0.0-20260101000000-abcdefabcdef`
)
replace example.org/a => ../a
replace (
	example.org/b/v2 v2.0.0 => ./third_party/b
	example.org/c => example.org/fork v1.0.0
)
tool example.org/b/v2/cmd/tool
tool (
	example.org/a/cmd/a
)
exclude example.org/x v1.0.0
retract [v1.0.0, v1.1.0]
godebug default=go1.21
ignore ./node_modules
"#;

    #[test]
    fn reads_what_the_recipe_needs() {
        let parsed = GoMod::parse("go.mod", SAMPLE.as_bytes()).unwrap();
        assert_eq!(parsed.module, "example.org/server");
        assert_eq!(parsed.wanted(), "1.26.3");
        assert_eq!(
            parsed.toolchain.as_ref().unwrap().value.to_string(),
            "1.27.1"
        );
        assert_eq!(parsed.require.len(), 3);
        let replaced: Vec<_> = parsed
            .replace
            .iter()
            .map(|line| (line.number, line.value.path.as_str()))
            .collect();
        assert_eq!(replaced, [(11, "../a"), (13, "./third_party/b")]);
        assert_eq!(
            parsed.tools,
            ["example.org/b/v2/cmd/tool", "example.org/a/cmd/a"]
        );
        assert_eq!(
            parsed.version_of("example.org/b/v2/cmd/tool"),
            Some("v2.0.0")
        );
        assert_eq!(parsed.version_of("example.org/bb"), None);
    }

    #[test]
    fn reads_workspaces() {
        let parsed = GoMod::parse("go.work", b"go 1.26\nuse .\nuse (\n\t./a\n\t./b\n)\n").unwrap();
        let uses: Vec<_> = parsed.uses.iter().map(|line| line.value.as_str()).collect();
        assert_eq!(uses, [".", "./a", "./b"]);
    }

    #[test]
    fn says_which_line_is_wrong() {
        for (text, said) in [
            ("module a\ngo 1.x\n", "go.mod:2: "),
            (
                "module a\n\nrequire (\nb v1\n",
                "go.mod:3: the block require ( … is not closed",
            ),
            ("module \"a\n", "go.mod:1: a quoted string is not closed"),
            ("module a b\n", "go.mod:1: module can't be read"),
            ("module a\nrequire b\n", "go.mod:2: require can't be read"),
            ("go\n", "go.mod:1: go can't be read"),
        ] {
            let error = GoMod::parse("go.mod", text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(said), "{text:?}: {error}");
        }
        assert!(
            GoMod::parse("go.mod", b"module a\n\xff\n")
                .unwrap_err()
                .to_string()
                .contains(":2:")
        );
        for (mark, said) in [
            (
                &b"\xef\xbb\xbf"[..],
                "go.mod:1: begins with a byte order mark (BOM)",
            ),
            (b"\xff\xfe", "go.mod:1: is UTF-16"),
        ] {
            let error = GoMod::parse("go.mod", &[mark, b"module a\n"].concat()).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
            assert!(error.hint().unwrap().contains("go.dev/ref/mod"));
        }
        // Hostile, but only long: no recursion, linear time.
        assert!(GoMod::parse("go.mod", "(".repeat(1 << 20).as_bytes()).is_ok());
    }
}
