//! What `.ko.yaml`, `.goreleaser.yaml` and a Dockerfile say about the build: shown, not obeyed,
//! but for the main package and the variable that takes the version.

use super::options::is_variable;
use super::yaml::Yaml;
use crate::recipe::files::canonical::join;
use crate::source::{SourceError, SourceTree};

/// Larger ones are not written by people.
const MAX_BYTES: u64 = 256 << 10;

/// What the repository's own release configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// The main package of its first build, and the file.
    pub(super) main: Option<(String, &'static str)>,
    /// `-X VARIABLE=TEMPLATE` with nothing but the version in it.
    pub(super) version: Option<(String, String)>,
    /// What it sets and we do not.
    pub(super) settings: Vec<String>,
    /// The arguments that its Dockerfile starts the server with.
    pub(super) arguments: Vec<String>,
}

impl Hints {
    /// Reads the files of the module's folder.
    pub(super) fn read(tree: &SourceTree, directory: &str) -> Result<Self, SourceError> {
        let mut hints = Self::default();
        for file in [".ko.yaml", ".goreleaser.yaml", ".goreleaser.yml"] {
            let path = join(directory, file);
            if let Some(bytes) = read(tree, &path)?
                && let Some(document) = std::str::from_utf8(&bytes).ok().and_then(Yaml::parse)
            {
                hints.take(file, &document);
            }
        }
        let dockerfile = join(directory, "Dockerfile");
        if let Some(bytes) = read(tree, &dockerfile)? {
            hints.arguments = arguments(&String::from_utf8_lossy(&bytes));
        }
        Ok(hints)
    }

    /// The first build of ko and goreleaser has the same shape.
    fn take(&mut self, file: &'static str, document: &Yaml) {
        let Some(build) = document
            .get("builds")
            .and_then(|builds| builds.items().first())
        else {
            return;
        };
        let text = |key: &str| build.get(key).and_then(Yaml::text);
        if self.main.is_none()
            && let Some(main) = main_of(text("dir"), text("main"))
        {
            self.main = Some((main, file));
        }
        let ldflags: Vec<String> = build
            .get("ldflags")
            .map(Yaml::texts)
            .unwrap_or_default()
            .iter()
            .map(|text| compact(text))
            .collect();
        let words: Vec<&str> = ldflags
            .iter()
            .flat_map(|text| text.split_ascii_whitespace())
            .collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "-X") {
            self.stamp(file, pair[1].trim_matches(['\'', '"']));
        }
        for word in &words {
            if let Some(stamp) = word.strip_prefix("-X=") {
                self.stamp(file, stamp);
            }
        }
        for key in ["tags", "flags", "env"] {
            let values = build.get(key).map(Yaml::texts).unwrap_or_default();
            let ours = |value: &&String| {
                !matches!(
                    value.as_str(),
                    "-trimpath" | "CGO_ENABLED=0" | "-mod=readonly" | "-mod=vendor"
                )
            };
            let values: Vec<&str> = values.iter().filter(ours).map(String::as_str).collect();
            if !values.is_empty() {
                self.settings
                    .push(format!("{file} builds with {key}: {}", values.join(" ")));
            }
        }
    }

    fn stamp(&mut self, file: &str, stamp: &str) {
        let Some((variable, value)) = stamp.split_once('=') else {
            return;
        };
        let is_version = matches!(value, "{{.Version}}" | "v{{.Version}}" | "{{.Tag}}");
        if is_version && is_variable(variable) && self.version.is_none() {
            self.version = Some((variable.to_owned(), value.to_owned()));
        } else if !is_version {
            self.settings
                .push(format!("{file} stamps {variable}={value}"));
        }
    }
}

/// `{{ .Version }}` as `{{.Version}}`: flags are split at white space.
fn compact(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut compacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, after) = part.split_once("}}").unwrap_or((part, ""));
        let inside: String = inside.split_whitespace().collect();
        compacted.extend(["{{", &inside, "}}", after]);
    }
    compacted
}

fn read(tree: &SourceTree, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    match tree.file(path).map(|file| &file.kind) {
        // Larger files and links are no hint worth an error.
        Some(crate::source::TreeKind::File(size) | crate::source::TreeKind::Executable(size))
            if *size <= MAX_BYTES =>
        {
            tree.read(path, MAX_BYTES)
        }
        _ => Ok(None),
    }
}

/// `dir` and `main` of a build as one path; none when they say nothing or hold a template.
fn main_of(dir: Option<&str>, main: Option<&str>) -> Option<String> {
    let dir = dir.filter(|dir| *dir != "." && !dir.is_empty());
    if dir.is_none() && main.is_none() {
        return None;
    }
    let main = main.unwrap_or(".");
    if main.contains("{{") || dir.is_some_and(|dir| dir.contains("{{")) {
        return None;
    }
    super::module::resolve("", &format!("{}/{main}", dir.unwrap_or(".")))
        .map(|path| format!("./{path}"))
}

/// The arguments after the program in the last ENTRYPOINT and CMD, in exec form.
fn arguments(dockerfile: &str) -> Vec<String> {
    let exec = |keyword: &str| -> Option<Vec<String>> {
        let line = dockerfile.lines().rev().find_map(|line| {
            let (first, rest) = line.trim().split_once(char::is_whitespace)?;
            first.eq_ignore_ascii_case(keyword).then_some(rest)
        })?;
        serde_json::from_str(line.trim()).ok()
    };
    let mut all = exec("ENTRYPOINT").unwrap_or_default();
    all.extend(exec("CMD").unwrap_or_default());
    all.into_iter()
        .skip(1)
        .filter(|text| text.len() < 200 && !text.contains(char::is_control))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_configurations_give_main_and_version() {
        let mut hints = Hints::default();
        let text = "
version: 2
builds:
  - env: [CGO_ENABLED=0, GOEXPERIMENT=jsonv2]
    main: ./cmd/server
    tags:
      - netgo
    ldflags:
      - -s -w -X example.org/x/internal.Version={{ .Version }} -X main.commit={{.Commit}}
";
        hints.take(".goreleaser.yaml", &Yaml::parse(text).unwrap());
        assert_eq!(
            hints.main,
            Some(("./cmd/server".to_owned(), ".goreleaser.yaml"))
        );
        let (variable, value) = hints.version.unwrap();
        assert_eq!(
            (variable.as_str(), value.as_str()),
            ("example.org/x/internal.Version", "{{.Version}}")
        );
        assert_eq!(
            hints.settings,
            [
                ".goreleaser.yaml stamps main.commit={{.Commit}}",
                ".goreleaser.yaml builds with tags: netgo",
                ".goreleaser.yaml builds with env: GOEXPERIMENT=jsonv2",
            ]
        );
    }

    #[test]
    fn ko_names_a_folder_and_a_package() {
        for (text, main) in [
            ("builds:\n- id: a\n  main: ./cmd/a\n", Some("./cmd/a")),
            (
                "builds:\n- dir: ./sub\n  main: cmd/a\n",
                Some("./sub/cmd/a"),
            ),
            ("builds:\n- dir: .\n", None),
            ("builds:\n- main: ./{{.X}}\n", None),
            ("builds:\n- main: ../../x\n", None),
            ("builds: 3\n", None),
        ] {
            let mut hints = Hints::default();
            hints.take(".ko.yaml", &Yaml::parse(text).unwrap());
            assert_eq!(
                hints.main.as_ref().map(|(main, _)| main.as_str()),
                main,
                "{text}"
            );
        }
    }

    #[test]
    fn dockerfiles_tell_the_arguments() {
        for (text, expected) in [
            ("FROM a\nENTRYPOINT [\"/s\"]\nCMD [\"stdio\"]\n", vec![]),
            ("FROM a\nENTRYPOINT [\"/s\", \"stdio\"]\n", vec!["stdio"]),
            (
                "FROM a\ncmd [\"/s\", \"--port\", \"8080\"]\n",
                vec!["--port", "8080"],
            ),
            ("FROM a\nENTRYPOINT /s stdio\n", vec![]),
        ] {
            let found = arguments(text);
            let expected = if text.contains("CMD [\"stdio") {
                vec!["stdio"]
            } else {
                expected
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
