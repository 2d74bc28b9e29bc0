//! Rules of single values; each error is a clause that follows the key and its value.

use jiff::Timestamp;

use crate::layer::EntryPath;

/// Why a value is refused.
pub(super) type Rule = String;

/// A DNS label (RFC 1123) of at most `limit` characters.
pub(super) fn dns_label(text: &str, limit: usize) -> Result<String, Rule> {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    if ends && bytes.len() <= limit && bytes.iter().all(|c| word(*c) || *c == b'-') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "write at most {limit} characters a-z 0-9 -, with a letter or digit at both ends"
    ))
}

/// A deployment's name: room is left for suffixes of Kubernetes objects, whose limit is 63.
pub(super) fn name(text: &str) -> Result<String, Rule> {
    dns_label(text, 53)
}

/// A semantic version (semver.org 2.0.0) with an optional leading `v`.
pub(super) fn semver(text: &str) -> Result<String, Rule> {
    if text.contains('+') {
        return Err("a + is allowed neither in a tag nor in a label".to_owned());
    }
    let plain = text.strip_prefix('v').unwrap_or(text);
    let (core, pre) = match plain.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (plain, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let identifier = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && (!digits(part) || number(part))
    };
    let valid = core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(identifier))
        && text.len() <= 128;
    if valid {
        return Ok(text.to_owned());
    }
    Err("not a semantic version such as v1.2.3 or 1.2.3-rc.1; \
         deployment.version_rule: tag allows any tag"
        .to_owned())
}

/// A time as RFC 3339 writes it.
pub(super) fn rfc3339(text: &str) -> Result<Timestamp, Rule> {
    // jiff reads more of ISO 8601 than RFC 3339 has.
    let shape = text.len() >= 20
        && text.bytes().enumerate().all(|(index, c)| match index {
            4 | 7 => c == b'-',
            10 => c == b'T',
            13 | 16 => c == b':',
            0..19 => c.is_ascii_digit(),
            _ => c.is_ascii_digit() || matches!(c, b'.' | b'Z' | b'+' | b'-' | b':'),
        });
    text.parse()
        .ok()
        .filter(|_| shape)
        .ok_or_else(|| "write an RFC 3339 time such as 2025-01-15T10:30:00Z".to_owned())
}

/// A decimal number in a range.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, Rule> {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    text.parse()
        .ok()
        .filter(|value| (least..=most).contains(value) && !leading_zero)
        .ok_or_else(|| format!("write a number from {least} to {most}"))
}

/// One line that is not empty.
pub(super) fn line(text: &str) -> Result<String, Rule> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// One word: a line without blanks that no program takes for an option.
pub(super) fn word(text: &str) -> Result<String, Rule> {
    line(text)?;
    if text.contains(char::is_whitespace) {
        return Err("has a blank".to_owned());
    }
    if text.starts_with('-') {
        return Err("starts with -".to_owned());
    }
    Ok(text.to_owned())
}

/// Where a URL keeps a password or a token, if it does.
pub(super) fn has_credentials(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    // `ssh://git@host` names an account and no secret; over HTTP a lone name is mostly a token.
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') || !scheme.ends_with("ssh"))
}

/// A Git URL: https, http, ssh, git or file, or `user@host:path`.
pub(super) fn git_url(text: &str) -> Result<String, Rule> {
    word(text)?;
    if text.contains(['?', '#']) {
        return Err("has a query or fragment; write source.ref and source.directory".to_owned());
    }
    let schemes = [
        "https://",
        "http://",
        "ssh://",
        "git+ssh://",
        "git://",
        "file://",
    ];
    let with_scheme = schemes.iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    });
    // `ext::program` would run a program.
    let scp = !text.contains("://")
        && !text.contains("::")
        && text.split_once(':').is_some_and(|(host, path)| {
            host.contains('@') && !host.contains('/') && !path.is_empty()
        });
    if with_scheme || scp {
        return Ok(text.to_owned());
    }
    Err("write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or file:///PATH".to_owned())
}

/// The address of a Debian mirror.
pub(super) fn mirror(text: &str) -> Result<String, Rule> {
    word(text)?;
    if text == "none" {
        return Ok(text.to_owned());
    }
    if text.contains(['?', '#']) {
        return Err("has a query or fragment".to_owned());
    }
    let host = ["https://", "http://", "file:///"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("write https://HOST/PATH, http://HOST/PATH, file:///PATH or none".to_owned()),
    }
}

/// The name of a Debian package (policy 5.6.1).
pub(super) fn package(text: &str) -> Result<String, Rule> {
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (2..=100).contains(&text.len())
        && text.starts_with(first)
        && text.chars().all(|c| first(c) || "+.-".contains(c));
    if fits {
        return Ok(text.to_owned());
    }
    Err("is not the name of a Debian package such as libpq5".to_owned())
}

/// `HOST/PROJECT[/…]` of a registry.
pub(super) fn registry_project(text: &str) -> Result<String, Rule> {
    crate::reference::project(&word(text)?).map_err(|error| error.to_string())
}

/// A branch or tag (git-check-ref-format).
pub(super) fn git_ref(text: &str) -> Result<String, Rule> {
    word(text)?;
    let broken = text.contains("..")
        || text.contains("@{")
        || text.contains(['~', '^', ':', '?', '*', '[', '\\'])
        || text.starts_with('/')
        || text.ends_with(['/', '.'])
        || text.len() > 255;
    if broken {
        return Err("not a name of a branch or tag".to_owned());
    }
    Ok(text.to_owned())
}

/// A whole commit id: SHA-1 or SHA-256.
pub(super) fn commit(text: &str) -> Result<String, Rule> {
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if matches!(text.len(), 40 | 64) && text.bytes().all(hex) {
        return Ok(text.to_owned());
    }
    Err("write the whole commit id, 40 (or 64) lower-case hex digits".to_owned())
}

/// A path that stays below the source's root; `.` and the empty text are the root itself.
pub(super) fn directory(text: &str) -> Result<String, Rule> {
    if matches!(text, "." | "./") {
        return Ok(String::new());
    }
    let path = text.strip_prefix("./").unwrap_or(text);
    below(path.strip_suffix('/').unwrap_or(path))
}

/// As [`directory`], but `.` stays `.`.
pub(super) fn tree_path(text: &str) -> Result<String, Rule> {
    let path = directory(text)?;
    Ok(if path.is_empty() {
        ".".to_owned()
    } else {
        path
    })
}

/// An absolute path in the image.
pub(super) fn image_path(text: &str) -> Result<String, Rule> {
    match text.strip_prefix('/') {
        None => Err("write an absolute path, such as /app/config".to_owned()),
        Some("") => Ok(text.to_owned()),
        Some(path) => below(path).map(|path| format!("/{path}")),
    }
}

fn below(path: &str) -> Result<String, Rule> {
    line(path)?;
    match EntryPath::new(path) {
        Ok(path) => Ok(path.as_str().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The mode of a mapped file.
pub(super) fn file_mode(text: &str) -> Result<u32, Rule> {
    match text {
        "0644" | "644" => Ok(0o644),
        "0755" | "755" => Ok(0o755),
        _ => Err("write 0644 or 0755; images hold no other modes".to_owned()),
    }
}

/// The name of an environment variable.
pub(super) fn variable(name: &str) -> Result<(), Rule> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    if first && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Ok(());
    }
    Err("a variable's name has A-Z a-z 0-9 _ and does not start with a digit".to_owned())
}

/// Whether a variable's name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "PASSWORD", "CREDENTIAL"]
        .iter()
        .any(|part| name.contains(part))
        || name.ends_with("_TOKEN")
        || name.ends_with("_KEY")
        || matches!(name.as_str(), "TOKEN" | "APIKEY")
}
