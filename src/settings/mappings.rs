//! `-v HOST:PATH[:ro|rw]` and `-p [ADDRESS:]HOST:CONTAINER`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::SettingsError;
use crate::run::{Access, Port, Volume};

/// A folder or file of this machine in a container; a relative one counts from `current`.
///
/// # Errors
/// USE-MAPPING.
pub fn volume(text: &str, current: &Path) -> Result<Volume, SettingsError> {
    let refuse = |problem| SettingsError::Mapping {
        flag: "-v",
        text: text.to_owned(),
        problem,
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, access) = match parts.as_slice() {
        [source, target] | [source, target, "rw"] => (source, target, Access::ReadWrite),
        [source, target, "ro"] => (source, target, Access::ReadOnly),
        [_, _, _] => return Err(refuse("what follows the second colon is ro or rw")),
        _ => return Err(refuse("it has no two places")),
    };
    let outside = target.split('/').any(|part| part == "..");
    if !target.starts_with('/') || target.trim_matches('/').is_empty() || outside {
        return Err(refuse(
            "the place in the container is an absolute path below /",
        ));
    }
    let own = ["/proc", "/dev", "/sys"];
    if own.iter().any(|own| Path::new(target).starts_with(own)) {
        return Err(refuse("/proc, /dev and /sys are the container's own"));
    }
    if source.is_empty() {
        return Err(refuse("the folder here is missing"));
    }
    let path = current.join(source);
    let source = match fs_err::canonicalize(path) {
        Ok(source) => source,
        Err(_missing) => return Err(refuse("there is no such folder or file here")),
    };
    if source.to_str().is_none() {
        return Err(refuse("the folder here has a name that is not UTF-8"));
    }
    Ok(Volume {
        source,
        target: (*target).to_owned(),
        access,
    })
}

/// A published TCP port; on 127.0.0.1 unless an address is written.
///
/// # Errors
/// USE-MAPPING.
pub fn port(text: &str) -> Result<Port, SettingsError> {
    let refuse = |problem| SettingsError::Mapping {
        flag: "-p",
        text: text.to_owned(),
        problem,
    };
    let number = |text: &str| {
        let port = text.strip_suffix("/tcp").unwrap_or(text).parse::<u16>();
        let port = port.ok().filter(|port| *port > 0);
        port.ok_or_else(|| refuse("a port is a number from 1 to 65535; only TCP is carried"))
    };
    let (rest, container) = text
        .rsplit_once(':')
        .ok_or_else(|| refuse("it has no two ports"))?;
    let container = number(container)?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let address: IpAddr = address
                .parse()
                .map_err(|_no_address| refuse("what stands before the ports is no IP address"))?;
            (address, host)
        }
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), rest),
    };
    Ok(Port {
        host: SocketAddr::new(address, number(host)?),
        container,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        for (text, shown) in [
            ("8080:80", "127.0.0.1:8080 80"),
            ("0.0.0.0:8080:80/tcp", "0.0.0.0:8080 80"),
            ("[::1]:1:2", "[::1]:1 2"),
            ("80", "it has no two ports"),
            ("0:80", "a port is a number"),
            ("80:80/udp", "only TCP"),
            ("here:80:80", "no IP address"),
        ] {
            let found = match port(text) {
                Ok(port) => format!("{} {}", port.host, port.container),
                Err(error) => error.to_string(),
            };
            assert!(found.contains(shown), "{text}: {found}");
        }
    }

    #[test]
    fn volumes() {
        let folder = tempfile::tempdir().unwrap();
        let base = fs_err::canonicalize(folder.path()).unwrap();
        fs_err::create_dir(base.join("data")).unwrap();
        for (text, shown) in [
            ("data:/data", "data /data ReadWrite"),
            ("./data:/data:ro", "data /data ReadOnly"),
            ("data:/data:rx", "ro or rw"),
            ("data", "no two places"),
            ("data:data", "absolute path"),
            ("data:/", "absolute path"),
            ("data:/a/../..", "absolute path"),
            ("data:/dev/shm", "container's own"),
            ("missing:/data", "no such folder"),
            (":/data", "missing"),
        ] {
            let found = match volume(text, &base) {
                Ok(Volume {
                    source,
                    target,
                    access,
                }) => {
                    let source = source.strip_prefix(&base).unwrap().display();
                    format!("{source} {target} {access:?}")
                }
                Err(error) => error.to_string(),
            };
            assert!(found.contains(shown), "{text}: {found}");
        }
    }
}
