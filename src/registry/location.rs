//! Where a registry sends its clients on to (registry redirects, upload locations).

use std::net::IpAddr;

use reqwest::header::{HeaderMap, LOCATION};
use url::{Host, Url};

use super::error::RegistryError;
use crate::net::{authority, shown_url};

/// A `Location`, and whether its scheme had to be corrected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// As sent.
    AsSent(Url),
    /// `http://` with the registry's own host and port: TLS ends before the registry, which does
    /// not know it. The scheme is corrected.
    Upgraded(Url),
}

/// Resolves the `Location` of an answer to `request` (RFC 3986, section 5), given the registry's
/// own address.
pub(super) fn onward(
    home: &Url,
    request: &Url,
    headers: &HeaderMap,
) -> Result<Onward, RegistryError> {
    let refuse = |location: String, why| RegistryError::Location {
        host: authority(home),
        location,
        why,
    };
    let text = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| refuse("nowhere".to_owned(), "an answer without a Location"))?;
    let mut url = request
        .join(text)
        .map_err(|error| refuse(error.to_string(), "no address"))?;
    if url.scheme() != "http" && url.scheme() != "https" {
        return Err(refuse(shown_url(&url), "neither http nor https"));
    }
    let encrypted = home.scheme() == "https" || request.scheme() == "https";
    if encrypted && url.scheme() == "http" {
        // Ports as written: both absent stands for 80 there and 443 here.
        let same = url.host_str() == home.host_str() && url.port() == home.port();
        if !same || url.set_scheme("https").is_err() {
            return Err(refuse(shown_url(&url), "not encrypted"));
        }
        return Ok(Onward::Upgraded(url));
    }
    if url.host_str() != home.host_str() && is_private(&url) && !is_private(home) {
        return Err(refuse(shown_url(&url), "a private address"));
    }
    Ok(Onward::AsSent(url))
}

/// Whether the host is written as an address of a private network or of this machine.
fn is_private(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(address),
        },
        Some(Host::Domain(name)) => return name == "localhost",
        None => return false,
    };
    match address {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

/// Appends `digest` to whatever query the location carries.
pub(super) fn with_digest(mut location: Url, digest: &str) -> Url {
    location.query_pairs_mut().append_pair("digest", digest);
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_corrected_or_refused() {
        let tls = "https://h.example/v2/a/blobs/uploads/";
        let port = "https://h.example:8443/v2/a/blobs/uploads/";
        let plain = "http://127.0.0.1:5000/v2/a/blobs/uploads/";
        for (home, location, expected) in [
            (
                tls,
                "/v2/a/blobs/uploads/1?_state=x%2By",
                "https://h.example/v2/a/blobs/uploads/1?_state=x%2By",
            ),
            (tls, "1", "https://h.example/v2/a/blobs/uploads/1"),
            (
                tls,
                "https://cdn.example/x?sig=1",
                "https://cdn.example/x?sig=1",
            ),
            (
                tls,
                "http://h.example/u/1",
                "upgraded https://h.example/u/1",
            ),
            (
                port,
                "http://h.example:8443/u/1",
                "upgraded https://h.example:8443/u/1",
            ),
            (port, "http://h.example/u/1", "not encrypted"),
            (tls, "http://cdn.example/x", "not encrypted"),
            (tls, "https://10.0.0.1/x", "a private address"),
            (
                tls,
                "https://[::ffff:169.254.169.254]/x",
                "a private address",
            ),
            (tls, "ftp://h.example/x", "neither http nor https"),
            (plain, "http://127.0.0.2:9/x", "http://127.0.0.2:9/x"),
        ] {
            let url: Url = home.parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            let shown = match onward(&url, &url, &headers) {
                Ok(Onward::AsSent(url)) => url.to_string(),
                Ok(Onward::Upgraded(url)) => format!("upgraded {url}"),
                Err(RegistryError::Location { why, .. }) => why.to_owned(),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(shown, expected, "{location}");
        }
    }

    #[test]
    fn the_query_of_a_location_is_kept() {
        let url = with_digest("http://h/u?_state=a%3D%3D&x".parse().unwrap(), "sha256:00");
        assert_eq!(
            url.as_str(),
            "http://h/u?_state=a%3D%3D&x&digest=sha256%3A00"
        );
    }
}
