//! Logins of the machine's apt (`apt_auth.conf(5)`).

use std::path::Path;

use url::Url;

use super::error::DebError;
use super::mirror::small_file;
use super::sources;
use crate::net::Login;

/// The login for an address; the first entry that fits counts.
///
/// # Errors
/// BASE-READ.
pub(super) fn find(apt: &Path, url: &Url) -> Result<Option<Login>, DebError> {
    let mut files = vec![apt.join("auth.conf")];
    files.extend(sources::files(&apt.join("auth.conf.d"), &["conf"])?);
    for file in files {
        // Only root may read what belongs to root: an ordinary user's apt goes without it as well.
        let Ok(Some(text)) = small_file(&file) else {
            continue;
        };
        if let Some(login) = entry(&text, url) {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn entry(text: &str, url: &Url) -> Option<Login> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let (mut fits, mut user, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word {
            "machine" => (fits, user, password) = (is_for(value, url), None, None),
            "login" => user = Some(value.to_owned()),
            "password" => password = Some(value.to_owned()),
            _ => return None,
        }
        if fits && let (Some(user), Some(password)) = (&user, &password) {
            return Some(Login {
                user: user.clone(),
                password: password.clone(),
            });
        }
    }
    None
}

/// `[SCHEME://]HOST[:PORT][/PATH]`; without a scheme it is for https alone, so that a password is
/// never sent in the clear unless that is written down.
fn is_for(machine: &str, url: &Url) -> bool {
    let (scheme, rest) = machine.split_once("://").unwrap_or(("https", machine));
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    };
    let below = url.path().strip_prefix(path).is_some_and(|rest| {
        path.is_empty() || path.ends_with('/') || rest.is_empty() || rest.starts_with('/')
    });
    url.scheme() == scheme
        && url.host_str() == Some(host)
        && port.is_none_or(|port: u16| url.port_or_known_default() == Some(port))
        && below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_go_where_they_belong() {
        let text = "# company\nmachine deb.example/debian login a password 1\n\
                    machine http://plain.example:8080\n login b password 2\n\
                    machine deb.example login c password 3";
        for (url, user) in [
            ("https://deb.example/debian/dists/x", Some("a")),
            ("https://deb.example/debian-security/x", Some("c")),
            ("http://deb.example/debian/dists/x", None),
            ("http://plain.example:8080/x", Some("b")),
            ("http://plain.example/x", None),
            ("https://deb.example.com/debian", None),
        ] {
            let found = entry(text, &url.parse().unwrap());
            assert_eq!(found.map(|login| login.user).as_deref(), user, "{url}");
        }
    }
}
