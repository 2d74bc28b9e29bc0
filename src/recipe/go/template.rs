//! The template subset of goreleaser and ko in linker flags.

use std::collections::BTreeMap;

use super::error::GoError;
use crate::recipe::{Options, Revision};

/// The values that templates may name; none of them is the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    version: Option<&'a str>,
    revision: Option<&'a Revision>,
    created: Option<i64>,
    /// `container.env`: what is declared. The environment of the process holds logins.
    env: &'a BTreeMap<String, String>,
}

impl<'a> Values<'a> {
    /// Those of one build.
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            version: options.version.as_deref(),
            revision: options.revision.as_ref(),
            created: options.created,
            env: &options.env,
        }
    }

    /// The version as goreleaser writes it: without the tag's `v`. It is the one in the image's
    /// reference: a tag does not name a tree that was changed since.
    fn version(&self) -> String {
        let version = self.version.map(str::to_owned);
        let Some(version) = version.or_else(|| self.revision.map(Revision::version)) else {
            return "dev".to_owned();
        };
        match version.strip_prefix('v') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
            _ => version,
        }
    }

    fn tag(&self) -> String {
        match self.revision.and_then(|revision| revision.tag.clone()) {
            Some(tag) => tag,
            None => match self.version() {
                version
                    if version.starts_with(|c: char| c.is_ascii_digit())
                        && version.contains('.') =>
                {
                    format!("v{version}")
                }
                version => version,
            },
        }
    }

    fn get(&self, name: &str) -> Result<String, &'static str> {
        const NO_COMMIT: &str = "the commit of the source is not known";
        let revision = self.revision.ok_or(NO_COMMIT);
        let date = |time: i64| {
            let time = jiff::Timestamp::from_second(time);
            time.map(|time| time.to_string())
                .map_err(|_out_of_range| "the time is out of range")
        };
        let name = name
            .strip_prefix(".Git")
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(name);
        match name {
            ".Version" => Ok(self.version()),
            ".Tag" => Ok(self.tag()),
            ".Commit" | ".FullCommit" => Ok(revision?.commit.clone()),
            ".ShortCommit" => Ok(revision?.commit.chars().take(7).collect()),
            ".CommitDate" => date(revision?.time),
            ".CommitTimestamp" => Ok(revision?.time.to_string()),
            ".Date" => date(self.time().ok_or(NO_COMMIT)?),
            ".Timestamp" => Ok(self.time().ok_or(NO_COMMIT)?.to_string()),
            ".Branch" => revision?.branch.clone().ok_or("the branch is not known"),
            ".IsDirty" => Ok(revision?.dirty.to_string()),
            ".TreeState" => Ok(if revision?.dirty { "dirty" } else { "clean" }.to_owned()),
            _ => match name.strip_prefix(".Env.") {
                Some(variable) => self
                    .env
                    .get(variable)
                    .cloned()
                    .ok_or("that variable is not in container.env"),
                None => Err("is not a value that the recipe knows"),
            },
        }
    }

    /// `SOURCE_DATE_EPOCH`, else the commit's time.
    fn time(&self) -> Option<i64> {
        self.created.or(self.revision.map(|revision| revision.time))
    }

    /// Replaces every `{{ .Name }}`.
    pub(super) fn render(&self, text: &str) -> Result<String, GoError> {
        let mut rendered = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let wrong = |template: &str, problem: &str| GoError::Template {
                template: template.chars().take(100).collect(),
                problem: problem.to_owned(),
            };
            let (inside, after) = after
                .split_once("}}")
                .ok_or_else(|| wrong(after, "is not closed"))?;
            let name = inside.trim_matches(|c: char| c.is_whitespace() || c == '-');
            let value = self.get(name).map_err(|problem| wrong(name, problem))?;
            // The linker's flags are split at white space and quotes.
            if value.contains(|c: char| c.is_whitespace() || c.is_control() || "'\"\\`".contains(c))
            {
                return Err(wrong(name, "its value holds white space or quotes"));
            }
            rendered.push_str(before);
            rendered.push_str(&value);
            rest = after;
        }
        rendered.push_str(rest);
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            revision: Some(Revision {
                commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
                time: 1_700_000_000,
                tag: Some("v1.2.3".to_owned()),
                branch: Some("main".to_owned()),
                dirty: false,
            }),
            ..Options::default()
        }
    }

    #[test]
    fn values_come_from_the_commit_and_never_from_the_clock() {
        let mut options = options();
        options.env = BTreeMap::from([("CHANNEL".to_owned(), "beta".to_owned())]);
        let values = Values::new(&options);
        for (template, rendered) in [
            ("-X main.v={{.Version}}", "-X main.v=1.2.3"),
            ("{{ .Tag }} {{- .ShortCommit -}}", "v1.2.3 0123456"),
            (
                "{{.FullCommit}}",
                "0123456789abcdef0123456789abcdef01234567",
            ),
            (
                "{{.Date}} {{.CommitDate}}",
                "2023-11-14T22:13:20Z 2023-11-14T22:13:20Z",
            ),
            (
                "{{.Timestamp}} {{.Git.CommitTimestamp}}",
                "1700000000 1700000000",
            ),
            (
                "{{.Git.Branch}} {{.Git.TreeState}} {{.Git.IsDirty}}",
                "main clean false",
            ),
            ("{{.Env.CHANNEL}}", "beta"),
            ("plain", "plain"),
        ] {
            assert_eq!(values.render(template).unwrap(), rendered);
        }
    }

    #[test]
    fn unknown_values_are_named() {
        let bare = Options::default();
        for (template, said) in [
            ("{{.Nope}}", "{{.Nope}}: is not a value"),
            (
                "{{.Version | upper}}",
                "{{.Version | upper}}: is not a value",
            ),
            (
                "{{.Commit}}",
                "{{.Commit}}: the commit of the source is not known",
            ),
            ("{{.Date}}", "{{.Date}}: the commit"),
            (
                "{{.Env.X}}",
                "{{.Env.X}}: that variable is not in container.env",
            ),
            ("{{.Version", "is not closed"),
        ] {
            let error = Values::new(&bare).render(template).unwrap_err().to_string();
            assert!(error.contains(said), "{template}: {error}");
        }
        assert_eq!(Values::new(&bare).render("{{.Version}}").unwrap(), "dev");
        let spaced = Options {
            version: Some("1 -X main.x=y".to_owned()),
            ..Options::default()
        };
        assert!(Values::new(&spaced).render("{{.Version}}").is_err());
    }
}
