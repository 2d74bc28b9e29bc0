//! Variables of a container: `-e NAME[=VALUE]` and `--env-file FILE`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::SettingsError;
use super::env::Environment;

/// Most bytes of a file of variables: Linux takes no larger environment.
const MAX_FILE: u64 = 2 << 20;

/// The variables that flags and files give; flags win, and later files win over earlier ones. A
/// name without a value gets that of our own environment, or is left out when that has none.
///
/// # Errors
/// USE-ENV for names that no variable can have and for files that can't be read; values are never
/// repeated.
pub fn variables(
    flags: &[String],
    files: &[PathBuf],
) -> Result<BTreeMap<String, String>, SettingsError> {
    let mut variables = BTreeMap::new();
    for file in files {
        for (number, line) in (1..).zip(lines(file)?) {
            let line = line.trim_start();
            if !line.is_empty() && !line.starts_with('#') {
                add(&mut variables, line, || {
                    format!("{}:{number}", file.display())
                })?;
            }
        }
    }
    for flag in flags {
        add(&mut variables, flag, || "-e".to_owned())?;
    }
    Ok(variables)
}

fn add(
    variables: &mut BTreeMap<String, String>,
    text: &str,
    place: impl Fn() -> String,
) -> Result<(), SettingsError> {
    let refuse = |problem| SettingsError::Variable {
        place: place(),
        problem,
    };
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(refuse("write NAME=VALUE, or a NAME without spaces"));
    }
    let value = match value {
        Some(value) => Some(value),
        None => match Environment::inherited(name).map(std::ffi::OsString::into_string) {
            Some(Ok(value)) => Some(value),
            Some(Err(_not_text)) => return Err(refuse("its value here is not UTF-8")),
            None => None,
        },
    };
    if value.as_ref().is_some_and(|value| value.contains('\0')) {
        return Err(refuse("its value has a NUL byte"));
    }
    variables.extend(value.map(|value| (name.to_owned(), value)));
    Ok(())
}

fn lines(file: &Path) -> Result<Vec<String>, SettingsError> {
    let refuse = |problem| SettingsError::Variable {
        place: file.display().to_string(),
        problem,
    };
    let mut bytes = Vec::new();
    fs_err::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|source| SettingsError::VariableFile {
            path: file.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refuse("it is larger than 2 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_not_text| refuse("it is not UTF-8"))?;
    // Editors of another system begin files with a mark, and end lines with two characters.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str], files: &[&str]) -> Result<BTreeMap<String, String>, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (number, text) in files.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            fs_err::write(&path, text).unwrap();
            paths.push(path);
        }
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        variables(&flags, &paths)
    }

    #[test]
    fn flags_win_over_files_and_nothing_is_unquoted() {
        let found = read(
            &["A=flag", "HOME", "KARISIMBI_NEVER_SET", "EMPTY="],
            &[
                "# a comment\n\nA=1\nB= two words \r\n  C='quoted'\n",
                "\u{feff}B=later=with=equals\n",
            ],
        );
        let found = found.unwrap();
        let shown: Vec<String> = found
            .iter()
            .filter(|(name, _)| *name != "HOME")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = ["A=flag", "B=later=with=equals", "C='quoted'", "EMPTY="];
        assert_eq!(shown, expected);
        assert!(found.contains_key("HOME"));
    }

    #[test]
    fn mistakes_name_the_line_and_never_the_value() {
        for (flags, files, words) in [
            (&["=secret"][..], &[][..], "-e"),
            (&["A B=secret"], &[], "-e"),
            (&[], &["OK=1\nNOT OK=secret\n"], "0:2"),
        ] {
            let error = read(flags, files).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
