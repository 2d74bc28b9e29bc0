//! The right answers of the registry in memory: enough of the protocol for push and pull.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karisimbi::digest::Digest;

use crate::registry_rig::Asked;
use crate::registry_server::{PASSWORD, USER};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Open,
    /// Like Harbor: tokens, `Basic` to a bad token, an empty challenge for an unknown project.
    Harbor,
}

/// What the registry holds.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) tokens: BTreeSet<String>,
    count: usize,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn answer(status: u16, headers: impl Into<String>, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: headers.into(),
        body: body.into(),
    }
}

/// The right answer.
pub(crate) fn respond(
    store: &mut Store,
    asked: &Asked,
    body: &[u8],
    login: Login,
    port: u16,
) -> Answer {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    if path == "/service/token" {
        return token(store, asked);
    }
    if login == Login::Harbor
        && let Some(refusal) = refusal(store, asked, port)
    {
        return refusal;
    }
    let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
        return answer(200, "", "{}");
    };
    if let Some((repository, session)) = rest.split_once("/blobs/uploads/") {
        return upload(store, repository, session, &query, body);
    }
    if let Some((repository, digest)) = rest.split_once("/blobs/") {
        let blob = store.blobs.get(&format!("{repository}@{digest}"));
        return blob.map_or_else(|| missing("BLOB_UNKNOWN"), |blob| ranged(asked, blob));
    }
    let Some((repository, name)) = rest.split_once("/manifests/") else {
        return missing("NAME_UNKNOWN");
    };
    let key = format!("{repository}:{name}");
    if asked.method == "PUT" {
        let digest = Digest::of(body).to_string();
        let kind = asked
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_default();
        let by_digest = format!("{repository}:{digest}");
        store
            .manifests
            .insert(by_digest, (kind.clone(), body.to_vec()));
        store.manifests.insert(key, (kind, body.to_vec()));
        return answer(201, format!("Docker-Content-Digest: {digest}\r\n"), "");
    }
    match store.manifests.get(&key) {
        Some((kind, bytes)) => {
            let digest = Digest::of(bytes);
            let headers = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\n");
            answer(200, headers, bytes.clone())
        }
        None => missing("MANIFEST_UNKNOWN"),
    }
}

fn missing(code: &str) -> Answer {
    worded(404, "", code, "unknown")
}

pub(crate) fn worded(status: u16, headers: impl Into<String>, code: &str, message: &str) -> Answer {
    let error = serde_json::json!({"errors": [{"code": code, "message": message}]});
    answer(status, headers, error.to_string())
}

fn ranged(asked: &Asked, blob: &[u8]) -> Answer {
    let from = asked.headers.get("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match from {
        Some(from) => {
            let (last, all) = (blob.len() - 1, blob.len());
            let range = format!("Content-Range: bytes {from}-{last}/{all}\r\n");
            answer(206, range, &blob[from..])
        }
        None => answer(200, "", blob),
    }
}

fn upload(
    store: &mut Store,
    repository: &str,
    session: &str,
    query: &BTreeMap<String, String>,
    body: &[u8],
) -> Answer {
    if !session.is_empty() {
        let digest = Digest::of(body).to_string();
        if query.get("digest") != Some(&digest)
            || query.get("_state").is_none_or(|s| s != "a+b/c==")
        {
            return worded(400, "", "DIGEST_INVALID", "no match");
        }
        store
            .blobs
            .insert(format!("{repository}@{digest}"), body.to_vec());
        return answer(201, "", "");
    }
    if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from"))
        && let Some(blob) = store.blobs.get(&format!("{from}@{digest}")).cloned()
    {
        store.blobs.insert(format!("{repository}@{digest}"), blob);
        return answer(201, "", "");
    }
    store.count += 1;
    let location = format!(
        "Location: /v2/{repository}/blobs/uploads/{}?_state=a%2Bb/c%3D%3D\r\n",
        store.count
    );
    answer(202, location, "")
}

fn token(store: &mut Store, asked: &Asked) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    match asked.headers.get("authorization") {
        Some(login) if *login == basic => {
            store.count += 1;
            let token = format!("token-{}", store.count);
            store.tokens.insert(format!("Bearer {token}"));
            answer(
                200,
                "",
                format!(r#"{{"token":"{token}","expires_in":1800}}"#),
            )
        }
        _ => worded(401, "", "UNAUTHORIZED", "unauthorized"),
    }
}

fn refusal(store: &Store, asked: &Asked, port: u16) -> Option<Answer> {
    let unauthorized = |challenge: String, words: &str| {
        let header = format!("WWW-Authenticate: {challenge}\r\n");
        Some(worded(401, header, "UNAUTHORIZED", words))
    };
    match asked.headers.get("authorization") {
        None => unauthorized(
            format!(
                r#"Bearer realm="http://127.0.0.1:{port}/service/token",service="harbor-registry",scope="x""#
            ),
            "unauthorized",
        ),
        Some(token) if !store.tokens.contains(token) => {
            unauthorized(r#"Basic realm="harbor""#.to_owned(), "unauthorized")
        }
        Some(_) if asked.path.contains("/nope/") => unauthorized(
            String::new(),
            "project nope not found: project nope not found",
        ),
        Some(_) => None,
    }
}
