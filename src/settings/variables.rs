//! `-e NAME[=VALUE]` and `--env-file`: variables for a program that is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SettingsError;

/// Largest `--env-file` that is read.
const MAX_FILE: u64 = 1 << 20;

/// The variables of files and flags; flags win, and later ones win over earlier ones. A name alone
/// takes the value that karisimbi itself was given, and nothing when there is none.
///
/// # Errors
/// USE-ENV for what is no variable, and for a file that can't be read.
pub fn variables(
    typed: &[String],
    files: &[PathBuf],
) -> Result<BTreeMap<String, String>, SettingsError> {
    let mut found = BTreeMap::new();
    for file in files {
        for (index, line) in lines(file)?.iter().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let place = || format!("{}:{}", file.display(), index + 1);
                put(line, &place, &mut found)?;
            }
        }
    }
    for text in typed {
        put(text, &|| "-e".to_owned(), &mut found)?;
    }
    Ok(found)
}

fn lines(file: &Path) -> Result<Vec<String>, SettingsError> {
    let refused = |why: &str| SettingsError::Variable {
        place: file.display().to_string(),
        why: why.to_owned(),
    };
    let data = fs_err::metadata(file).map_err(|error| refused(&error.to_string()))?;
    if !data.is_file() || data.len() > MAX_FILE {
        return Err(refused("is no file of at most 1 MiB"));
    }
    let text = fs_err::read_to_string(file).map_err(|error| refused(&error.to_string()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn put(
    text: &str,
    place: &dyn Fn() -> String,
    found: &mut BTreeMap<String, String>,
) -> Result<(), SettingsError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, inherited(text)),
    };
    let valid = !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        && value.as_ref().is_none_or(|value| !value.contains('\0'));
    if !valid {
        // The text is not shown: it may be a secret without its name.
        return Err(SettingsError::Variable {
            place: place(),
            why: "is no NAME=VALUE".to_owned(),
        });
    }
    if let Some(value) = value {
        found.insert(name.to_owned(), value);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the user names a variable of this process to be passed on"
)]
fn inherited(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        fs_err::write(&file, "# comment\n\nA=1\nB=x=y \nC=\n").unwrap();
        let typed = ["A=2", "D=a b", "KARISIMBI_NO_SUCH_VARIABLE"].map(str::to_owned);
        let found = variables(&typed, &[file]).unwrap();
        let expected = [("A", "2"), ("B", "x=y"), ("C", ""), ("D", "a b")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
        for typed in ["=x", "", "A B=x", "a\u{7}=x"] {
            let error = variables(&[typed.to_owned()], &[]).unwrap_err();
            assert_eq!(error.to_string(), "-e is no NAME=VALUE");
        }
    }
}
