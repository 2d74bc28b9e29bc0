//! Files outside the source and go's own folders that go has to read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::env::{DOWNLOAD, user_go_env};
use crate::program::on_path;
use crate::recipe::Context;
use crate::sandbox::installation;

/// The user's home, if there is one.
pub(super) fn home<'a>(context: &'a Context<'_>) -> Option<&'a Path> {
    let home = Path::new(context.env.get("HOME")?);
    home.is_absolute().then_some(home)
}

/// What downloads are configured with: the files that their variables name, the programs that
/// fetch from repositories, and ssh's own folder.
pub(super) fn of_downloads(context: &Context<'_>) -> Vec<PathBuf> {
    let home = home(context);
    let user = user_go_env(context);
    let named = |name: &str| DOWNLOAD.contains(&name) || name.starts_with("GIT_CONFIG_");
    let values = context
        .env
        .iter()
        .chain(&user)
        .filter(|(name, _)| named(name))
        .flat_map(|(_, value)| paths(value));
    // A word that happens to be a folder above the home opens nothing.
    let kept = |path: &PathBuf| {
        path.parent().is_some() && !home.is_some_and(|home| home.starts_with(path))
    };
    let mut found: BTreeSet<PathBuf> = values.filter(kept).filter(|path| path.exists()).collect();
    let search = context.env.get("PATH");
    let programs = ["git", "ssh"]
        .into_iter()
        .filter_map(|name| on_path(search?, name));
    found.extend(programs.map(|program| installation(&program, home)));
    found.extend(context.ca_file.clone());
    found.extend(
        home.map(|home| home.join(".ssh"))
            .filter(|dir| dir.is_dir()),
    );
    found.into_iter().collect()
}

/// The absolute paths in a value: a path, a list of paths, a command line, a file:// address.
fn paths(value: &OsString) -> Vec<PathBuf> {
    let text = value.to_string_lossy();
    let separates = |c: char| c.is_whitespace() || ",|=;:\"'".contains(c);
    text.split(separates)
        // Behind the colon of an address, `//HOST`; of a file's, `///PATH`.
        .filter(|word| word.starts_with('/'))
        .filter(|word| word.starts_with("///") || !word.starts_with("//"))
        .map(|word| {
            // git's `url.ADDRESS.insteadOf`
            let end = word.len().saturating_sub(".insteadof".len());
            let key = word
                .get(end..)
                .is_some_and(|end| end.eq_ignore_ascii_case(".insteadof"));
            // An address has two slashes more.
            let path = if key { &word[..end] } else { word };
            PathBuf::from(format!("/{}", path.trim_start_matches('/')))
        })
        .collect()
}

/// The repository that a folder is in, and where a linked work tree keeps it.
pub(super) fn repository(folder: &Path) -> Vec<PathBuf> {
    let Some(root) = folder.ancestors().find(|above| above.join(".git").exists()) else {
        return Vec::new();
    };
    let mut found = vec![root.to_owned()];
    // In a linked work tree it is a file that names its part of the repository: DIR/worktrees/NAME.
    let link = fs_err::read_to_string(root.join(".git")).unwrap_or_default();
    if let Some(target) = link.strip_prefix("gitdir: ") {
        let part = root.join(target.trim_end());
        let whole = part.parent().filter(|above| above.ends_with("worktrees"));
        found.push(whole.and_then(Path::parent).unwrap_or(&part).to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_in_a_value_are_found() {
        for (value, expected) in [
            ("https://proxy.example.org,direct", ""),
            ("file:///srv/proxy,direct", "/srv/proxy"),
            ("ssh -i /keys/a -F '/etc/my ssh'", "/keys/a /etc/my"),
            ("/a/certs:/b/certs", "/a/certs /b/certs"),
            ("url.file:///srv/git/.insteadOf", "/srv/git/"),
            ("store --file=/c", "/c"),
        ] {
            let found: Vec<String> = paths(&value.into())
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            assert_eq!(found.join(" "), expected, "{value}");
        }
    }
}
