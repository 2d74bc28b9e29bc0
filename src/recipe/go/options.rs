//! `recipe.go.*`: parsed once into types.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::GoError;
use crate::recipe::spec::GoBuild;

/// Every key of `recipe.go`.
const KEYS: [&str; 12] = [
    "main",
    "ldflags",
    "tags",
    "flags",
    "cgo",
    "version_var",
    "toolchain",
    "go_bin",
    "mod",
    "goamd64",
    "goexperiment",
    "vcs_stamp",
];

/// `recipe.go.*` as the recipe uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GoOptions {
    /// A package below the module (`./cmd/server`) or an import path.
    pub(super) main: Option<String>,
    /// Added to those of the recipe file; may hold templates.
    pub(super) ldflags: Vec<String>,
    /// Build tags.
    pub(super) tags: Vec<String>,
    /// Other flags of `go build`; those of the recipe file come first.
    pub(super) flags: Vec<String>,
    pub(super) cgo: Cgo,
    pub(super) version_var: VersionVar,
    pub(super) toolchain: ToolchainPolicy,
    /// The go command, instead of the first on PATH.
    pub(super) go_bin: Option<PathBuf>,
    /// `vendor` or `readonly`; none decides by `vendor/modules.txt`.
    pub(super) modules: Option<ModMode>,
    /// `v1` … `v4`, where the platform has no variant.
    pub(super) goamd64: Option<String>,
    pub(super) goexperiment: Option<String>,
    pub(super) vcs_stamp: VcsStamp,
}

/// The variable that takes the version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum VersionVar {
    /// Those that the repository's own release configuration stamps.
    #[default]
    Release,
    /// None.
    Off,
    /// `main.version`
    Named(String),
}

/// How cgo packages are compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cgo {
    /// Not at all: `CGO_ENABLED=0`.
    #[default]
    Off,
    /// With musl, into a program that needs nothing of the base.
    Static,
    /// Against glibc; the base must have it.
    Dynamic,
}

/// Whether go may download a newer toolchain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ToolchainPolicy {
    /// Never.
    #[default]
    Local,
    /// When go.mod asks for a newer one.
    Auto,
}

/// Where dependencies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModMode {
    Vendor,
    Readonly,
}

/// Whether go stamps the commit into the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum VcsStamp {
    #[default]
    No,
    Yes,
}

impl ModMode {
    /// The value of `-mod`.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Readonly => "readonly",
        }
    }
}

impl Cgo {
    /// As it is written in deployment.yaml.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        }
    }
}

/// A wrong option.
pub(super) fn problem(key: &str, problem: impl Into<String>) -> GoError {
    GoError::Option {
        key: key.to_owned(),
        problem: problem.into(),
    }
}

impl GoOptions {
    /// Checks keys and values.
    pub(super) fn parse(
        given: &BTreeMap<String, Vec<String>>,
        build: &GoBuild,
    ) -> Result<Self, GoError> {
        if let Some(unknown) = given.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key(unknown));
        }
        let list = |key: &str| given.get(key).cloned().unwrap_or_default();
        let one = |key: &str| single(given, key);
        let options = Self {
            main: one("main")?,
            ldflags: list("ldflags"),
            tags: words(&list("tags")),
            flags: [build.flags.clone(), list("flags")].concat(),
            cgo: choose(
                one("cgo")?,
                "cgo",
                &[
                    ("off", Cgo::Off),
                    ("static", Cgo::Static),
                    ("dynamic", Cgo::Dynamic),
                ],
            )?
            .unwrap_or_default(),
            version_var: match one("version_var")? {
                None => VersionVar::Release,
                Some(off) if off == "off" => VersionVar::Off,
                Some(variable) => VersionVar::Named(variable),
            },
            toolchain: choose(
                one("toolchain")?,
                "toolchain",
                &[
                    ("local", ToolchainPolicy::Local),
                    ("auto", ToolchainPolicy::Auto),
                ],
            )?
            .unwrap_or_default(),
            go_bin: one("go_bin")?.map(PathBuf::from),
            modules: choose(
                one("mod")?,
                "mod",
                &[("vendor", ModMode::Vendor), ("readonly", ModMode::Readonly)],
            )?,
            goamd64: choose(
                one("goamd64")?,
                "goamd64",
                &["v1", "v2", "v3", "v4"].map(|level| (level, level.to_owned())),
            )?,
            goexperiment: one("goexperiment")?,
            vcs_stamp: choose(
                one("vcs_stamp")?,
                "vcs_stamp",
                &[("false", VcsStamp::No), ("true", VcsStamp::Yes)],
            )?
            .unwrap_or_default(),
        };
        options.check()?;
        super::flags::check_linker(&build.ldflags)?;
        Ok(options)
    }

    fn check(&self) -> Result<(), GoError> {
        if self.go_bin.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(problem("go_bin", "must be an absolute path"));
        }
        check_main(self.main.as_deref())?;
        if let Some(tag) = self.tags.iter().find(|tag| !tag.bytes().all(tag_byte)) {
            return Err(problem("tags", format!("{tag:?} is not a build tag")));
        }
        if let VersionVar::Named(var) = &self.version_var
            && !is_variable(var)
        {
            return Err(problem(
                "version_var",
                format!("{var:?} is not PACKAGE.VARIABLE such as main.version, or off"),
            ));
        }
        if let Some(list) = self.goexperiment.as_deref()
            && !list.bytes().all(|c| tag_byte(c) || c == b',')
        {
            return Err(problem(
                "goexperiment",
                format!("{list:?} is not a list of names"),
            ));
        }
        super::flags::check(self)
    }
}

fn unknown_key(unknown: &str) -> GoError {
    let nearest = KEYS
        .iter()
        .max_by(|a, b| strsim::jaro(unknown, a).total_cmp(&strsim::jaro(unknown, b)))
        .filter(|key| strsim::jaro(unknown, key) > 0.7);
    match nearest {
        Some(key) => problem(unknown, format!("is not an option; did you mean `{key}`?")),
        None => problem(
            unknown,
            format!("is not an option; there are {}", KEYS.join(", ")),
        ),
    }
}

fn single(given: &BTreeMap<String, Vec<String>>, key: &str) -> Result<Option<String>, GoError> {
    match given.get(key).map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) if value.is_empty() => Ok(None),
        Some([value]) => Ok(Some(value.clone())),
        Some(values) => Err(problem(
            key,
            format!("takes one value, not {}", values.len()),
        )),
    }
}

fn choose<T: Clone>(
    value: Option<String>,
    key: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, GoError> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(Some(choice.clone()));
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    Err(problem(key, format!("{value:?} is not one of {names}")))
}

/// Tags come as a list, or joined by commas or spaces as goreleaser and go write them.
fn words(list: &[String]) -> Vec<String> {
    list.iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|tag| !tag.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

fn tag_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'.'
}

fn check_main(main: Option<&str>) -> Result<(), GoError> {
    let Some(main) = main else { return Ok(()) };
    let rule = if main.starts_with('-') || main.starts_with('/') {
        "must be ./FOLDER or an import path"
    } else if main.split('/').any(|part| part == ".." || part == "...") {
        "must not hold .. or ..."
    } else if main.contains('@') {
        "must not hold a version; `go get -tool` puts it into go.mod"
    } else if main.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "must not hold white space"
    } else {
        return Ok(());
    };
    Err(problem("main", format!("{main:?}: {rule}")))
}

/// `example.org/x/pkg.Version`
pub(super) fn is_variable(text: &str) -> bool {
    let path_byte = |c: u8| c.is_ascii_alphanumeric() || b"-._~/".contains(&c);
    text.rsplit_once('.').is_some_and(|(package, name)| {
        !package.is_empty()
            && package.bytes().all(path_byte)
            && !name.is_empty()
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in pairs {
            map.entry((*key).to_owned())
                .or_default()
                .push((*value).to_owned());
        }
        map
    }

    fn parse(pairs: &[(&str, &str)]) -> Result<GoOptions, GoError> {
        let build = GoBuild {
            flags: vec!["-p=1".to_owned()],
            ldflags: Vec::new(),
        };
        GoOptions::parse(&given(pairs), &build)
    }

    #[test]
    fn values_become_types() {
        let options = parse(&[
            ("main", "./cmd/x"),
            ("tags", "a,b c"),
            ("cgo", "static"),
            ("version_var", "off"),
            ("toolchain", "auto"),
            ("mod", "readonly"),
            ("flags", "-gcflags=all=-N -l"),
        ])
        .unwrap();
        assert_eq!(options.version_var, VersionVar::Off);
        assert_eq!(options.tags, ["a", "b", "c"]);
        assert_eq!(options.cgo, Cgo::Static);
        assert_eq!(options.toolchain, ToolchainPolicy::Auto);
        assert_eq!(options.modules, Some(ModMode::Readonly));
        assert_eq!(options.flags, ["-p=1", "-gcflags=all=-N -l"]);
    }

    #[test]
    fn every_option_is_a_key_of_the_file() {
        let keys = crate::deployment::Deployment::keys();
        for key in KEYS {
            assert!(keys.contains(&format!("recipe.go.{key}")), "{key}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (key, value, said) in [
            ("mian", "x", "did you mean `main`?"),
            ("cgo", "yes", "\"yes\" is not one of off, static, dynamic"),
            ("main", "../x", "must not hold .."),
            ("main", "-o", "must be ./FOLDER or an import path"),
            ("main", "a/b@v1", "must not hold a version"),
            ("flags", "-toolexec=/bin/sh", "-toolexec is refused"),
            ("flags", "--toolexec=/bin/sh", "-toolexec is refused"),
            ("flags", "x.go", "is not a flag"),
            ("flags", "-race", "-race requires cgo"),
            (
                "ldflags",
                "-s -extld=/tmp/evil",
                "-extld and -o are refused",
            ),
            ("tags", "a;b", "is not a build tag"),
            ("version_var", "version", "is not PACKAGE.VARIABLE"),
            ("go_bin", "bin/go", "must be an absolute path"),
        ] {
            let error = parse(&[(key, value)]).unwrap_err();
            assert!(error.to_string().contains(said), "{key}={value}: {error}");
            assert!(error.code().starts_with("GO-"));
        }
    }
}
