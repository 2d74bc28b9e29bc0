//! What `.ko.yaml`, `.goreleaser.yaml` and a Dockerfile say about the build: shown, not obeyed,
//! but for the main package and the variable that takes the version.

use super::options::is_variable;
use super::yaml::Yaml;
use crate::recipe::paths::{join, resolve};
use crate::source::{SourceError, SourceTree};

/// Larger ones are not written by people.
const MAX_BYTES: u64 = 256 << 10;

/// What the repository's own release configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// The main package of its first build, and the file.
    pub(super) main: Option<(String, &'static str)>,
    /// `-X VARIABLE=TEMPLATE` with nothing but the version in it.
    pub(super) versions: Vec<Stamp>,
    /// What it sets and we do not, one sentence for each file and option.
    pub(super) settings: Vec<String>,
    /// The arguments that its Dockerfile starts the server with.
    pub(super) arguments: Vec<String>,
}

/// A variable that takes the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// `main.version`
    pub(super) variable: String,
    /// `{{.Version}}`
    pub(super) template: String,
    /// Who says so.
    pub(super) file: &'static str,
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
        let pairs = words.windows(2).filter(|pair| pair[0] == "-X");
        let joined = words.iter().filter_map(|word| word.strip_prefix("-X="));
        let stamps: Vec<&str> = pairs
            .map(|pair| pair[1])
            .chain(joined)
            .map(|stamp| stamp.trim_matches(['\'', '"']))
            .filter(|stamp| !self.take_version(file, stamp) && is_told(stamp))
            .collect();
        self.tell(
            file,
            "ldflags",
            &stamps
                .iter()
                .map(|stamp| format!("-X {stamp}"))
                .collect::<Vec<_>>(),
        );
        for key in ["tags", "flags", "env"] {
            let values = build.get(key).map(Yaml::texts).unwrap_or_default();
            let values: Vec<String> = values
                .into_iter()
                .filter(|value| !WITHOUT_EFFECT.contains(&value.as_str()))
                .collect();
            self.tell(file, key, &values);
        }
    }

    /// Says what is not applied, and where it would be configured.
    fn tell(&mut self, file: &str, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let values = values.join(" ");
        let own = match key {
            "env" => "GOEXPERIMENT: recipe.go.goexperiment".to_owned(),
            key => format!("recipe.go.{key}"),
        };
        self.settings.push(format!(
            "{file} builds with {key} {values}; not applied ({own})"
        ));
    }

    /// Whether it stamps the version; a stamp of the same variable counts once.
    fn take_version(&mut self, file: &'static str, stamp: &str) -> bool {
        let Some((variable, template)) = stamp.split_once('=') else {
            return false;
        };
        let is_version = matches!(template, "{{.Version}}" | "v{{.Version}}" | "{{.Tag}}");
        if !is_version || !is_variable(variable) {
            return false;
        }
        if self.versions.iter().all(|known| known.variable != variable) {
            self.versions.push(Stamp {
                variable: variable.to_owned(),
                template: template.to_owned(),
                file,
            });
        }
        true
    }
}

/// Settings that change nothing here: the recipe does the same, or they matter with cgo only.
const WITHOUT_EFFECT: [&str; 15] = [
    "-trimpath",
    "-v",
    "-a",
    "-buildvcs=false",
    "-mod=readonly",
    "-mod=vendor",
    "-tags=netgo",
    "-tags=osusergo",
    "-tags=netgo,osusergo",
    "netgo",
    "osusergo",
    "CGO_ENABLED=0",
    "GO111MODULE=on",
    "GOFLAGS=-mod=readonly",
    "GOFLAGS=-mod=vendor",
];

/// Whether somebody may miss a stamp. Not those of the commit, its date and the builder: the
/// image's annotations say these, and in the program they would change its layer with every commit.
fn is_told(stamp: &str) -> bool {
    let Some((variable, value)) = stamp.split_once('=') else {
        return false;
    };
    let name = variable.rsplit('.').next().unwrap_or(variable);
    let is_of_commit = value.starts_with("{{") && !value.contains(".Env.");
    !is_of_commit && !name.eq_ignore_ascii_case("builtby")
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
    resolve("", &format!("{}/{main}", dir.unwrap_or("."))).map(|path| format!("./{path}"))
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
    let mut words = exec("ENTRYPOINT").unwrap_or_default();
    words.extend(exec("CMD").unwrap_or_default());
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    if words
        .first()
        .is_some_and(|word| INITS.contains(&name(word).as_str()))
    {
        let program = words
            .iter()
            .position(|word| word == "--")
            .map_or(1, |at| at + 1);
        words.drain(..program.min(words.len()));
    }
    let is_shell = words
        .first()
        .is_some_and(|word| SHELLS.contains(&name(word).as_str()));
    // Without a shell nobody replaces variables.
    if is_shell || words.iter().any(|word| word.contains('$')) {
        return Vec::new();
    }
    words
        .into_iter()
        .skip(1)
        .filter(|text| text.len() < 200 && !text.contains(char::is_control))
        .collect()
}

const INITS: [&str; 3] = ["tini", "tini-static", "dumb-init"];
const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "busybox"];

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
      - sqlite
    ldflags:
      - -s -w -X example.org/x/internal.Version={{ .Version }} -X main.commit={{.Commit}}
      - -X main.date={{.Date}} -X=main.v=v{{.Version}} -X main.builtBy=goreleaser
      - -X main.id={{ .Env.ID }} -X 'main.kind=release'
";
        hints.take(".goreleaser.yaml", &Yaml::parse(text).unwrap());
        assert_eq!(
            hints.main,
            Some(("./cmd/server".to_owned(), ".goreleaser.yaml"))
        );
        let stamps: Vec<(&str, &str)> = hints
            .versions
            .iter()
            .map(|stamp| (stamp.variable.as_str(), stamp.template.as_str()))
            .collect();
        assert_eq!(
            stamps,
            [
                ("example.org/x/internal.Version", "{{.Version}}"),
                ("main.v", "v{{.Version}}"),
            ]
        );
        assert_eq!(
            hints.settings,
            [
                ".goreleaser.yaml builds with ldflags -X main.id={{.Env.ID}} -X main.kind=release; \
                 not applied (recipe.go.ldflags)",
                ".goreleaser.yaml builds with tags sqlite; not applied (recipe.go.tags)",
                ".goreleaser.yaml builds with env GOEXPERIMENT=jsonv2; not applied (GOEXPERIMENT: \
                 recipe.go.goexperiment)",
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
            ("CMD [\"/bin/sh\", \"-c\", \"/s -t x\"]\n", vec![]),
            ("CMD [\"/s\", \"--port\", \"${PORT}\"]\n", vec![]),
            (
                "ENTRYPOINT [\"/sbin/tini\", \"--\", \"/s\", \"x\"]\n",
                vec!["x"],
            ),
            ("ENTRYPOINT [\"tini\"]\n", vec![]),
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
