//! The token server of a registry: one GET, or one POST for identity tokens
//! (distribution, "Token Authentication Specification").

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::Answer;
use super::auth::Account;
use super::call::{Call, Payload};
use super::credentials::{Login, LoginKind, Secret};
use super::error::RegistryError;
use super::failure::Failure;
use super::scopes::Scopes;
use super::wire::Wire;

/// Harbor's tokens of users with many rights reach several KiB.
const LARGEST: usize = 64 * 1024;
/// What the specification says for an answer without `expires_in`.
const DEFAULT_LIFE: u64 = 60;

#[derive(Deserialize)]
struct Issued {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

/// A token server.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) realm: Url,
    pub(super) service: Option<String>,
}

/// A token, what it is for, and until when it is used.
pub(super) struct Token {
    pub(super) header: Header,
    pub(super) scopes: Scopes,
    pub(super) good_until: Instant,
    /// The claims of a JWT, read for messages only.
    pub(super) claims: Option<Claims>,
}

/// What a JWT says that it grants (distribution, "Token Authentication Specification").
#[derive(Deserialize)]
pub(super) struct Claims {
    access: Vec<Granted>,
}

#[derive(Deserialize)]
struct Granted {
    name: String,
    actions: Option<Vec<String>>,
}

impl Claims {
    /// The claims of a token that is a JWT with an `access` list.
    pub(super) fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    pub(super) fn grants_push(&self, path: &str) -> bool {
        self.access.iter().any(|granted| {
            granted.name == path
                && granted
                    .actions
                    .iter()
                    .flatten()
                    .any(|action| action == "push" || action == "*")
        })
    }
}

/// An `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Header {
    Basic(HeaderValue),
    Bearer(HeaderValue),
}

impl Header {
    pub(super) fn value(&self) -> HeaderValue {
        match self {
            Self::Basic(value) | Self::Bearer(value) => value.clone(),
        }
    }

    pub(super) fn bearer(token: &str) -> Option<Self> {
        sensitive(&format!("Bearer {token}")).map(Self::Bearer)
    }

    pub(super) fn basic(user: &str, password: &Secret) -> Option<Self> {
        let pair = STANDARD.encode(format!("{user}:{}", password.reveal()));
        sensitive(&format!("Basic {pair}")).map(Self::Basic)
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// How long a token is used: until less than a fifth of its life, or a minute, is left.
pub(super) fn useful_life(seconds: u64) -> Duration {
    let life = Duration::from_secs(seconds.min(86_400));
    let spare = (life / 5).max(Duration::from_mins(1).min(life / 2));
    life.saturating_sub(spare)
}

/// Asks for a token; one request, but for servers that don't know identity tokens.
pub(super) async fn issue(
    wire: &Wire,
    account: &Account,
    issuer: &Issuer,
    scopes: &Scopes,
) -> Result<Token, Failure> {
    let started = Instant::now();
    let response = match account.login() {
        Some(Login {
            user,
            kind: LoginKind::IdentityToken(token),
            ..
        }) => {
            let exchanged = exchange(wire, account, issuer, scopes, token).await?;
            match exchanged.status() {
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    let header = Header::basic(user, token);
                    ask(wire, account, issuer, scopes, header).await?
                }
                _ => exchanged,
            }
        }
        Some(Login {
            user,
            kind: LoginKind::Password(password),
            ..
        }) => {
            let header = Header::basic(user, password);
            ask(wire, account, issuer, scopes, header).await?
        }
        None => ask(wire, account, issuer, scopes, None).await?,
    };
    if !response.status().is_success() {
        return Err(refused(wire, account, response).await);
    }
    let answer = read(wire, account, response).await?;
    let text = if answer.token.is_empty() {
        answer.access_token
    } else {
        answer.token
    };
    let header = Header::bearer(&text)
        .filter(|_| !text.is_empty())
        .ok_or_else(|| no_token(account, "it holds no token"))?;
    Ok(Token {
        header,
        scopes: scopes.clone(),
        good_until: started + useful_life(answer.expires_in.unwrap_or(DEFAULT_LIFE)),
        claims: Claims::of(&text),
    })
}

async fn ask(
    wire: &Wire,
    account: &Account,
    issuer: &Issuer,
    scopes: &Scopes,
    header: Option<Header>,
) -> Result<Response, Failure> {
    let mut url = issuer.realm.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &issuer.service {
            query.append_pair("service", service);
        }
        for scope in scopes.parameters() {
            query.append_pair("scope", &scope);
        }
    }
    let repository = account.nowhere();
    let doing = account.asking(&repository);
    let mut call = Call::new(Method::GET, url, &doing);
    wire.hops(&mut call, &issuer.realm, header.as_ref()).await
}

async fn exchange(
    wire: &Wire,
    account: &Account,
    issuer: &Issuer,
    scopes: &Scopes,
    token: &Secret,
) -> Result<Response, Failure> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "karisimbi")
        .append_pair("refresh_token", token.reveal())
        .append_pair("scope", &scopes.parameters().collect::<Vec<_>>().join(" "));
    if let Some(service) = &issuer.service {
        form.append_pair("service", service);
    }
    let repository = account.nowhere();
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let doing = account.asking(&repository);
    let mut call = Call::new(Method::POST, issuer.realm.clone(), &doing)
        .with_header(CONTENT_TYPE, form_type)
        .with_payload(Payload::Bytes(Bytes::from(form.finish())));
    wire.hops(&mut call, &issuer.realm, None).await
}

async fn refused(wire: &Wire, account: &Account, response: Response) -> Failure {
    let status = response.status();
    let answer = Answer::read(wire, response).await;
    match (status, account.login()) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(_)) => {
            account.login_refused().into()
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
            account.login_needed(wire).into()
        }
        _ => {
            let repository = account.nowhere();
            answer.failure(&account.asking(&repository))
        }
    }
}

async fn read(wire: &Wire, account: &Account, mut response: Response) -> Result<Issued, Failure> {
    let mut body = Vec::new();
    while let Some(part) = wire.net.chunk(&mut response).await? {
        body.extend_from_slice(&part);
        if body.len() > LARGEST {
            return Err(no_token(account, "it is larger than 64 KiB").into());
        }
    }
    serde_json::from_slice(&body)
        // The error of serde would quote the token.
        .map_err(|_quoting| no_token(account, "it is no JSON object with a token").into())
}

fn no_token(account: &Account, words: &str) -> RegistryError {
    RegistryError::Protocol {
        host: account.host().to_string(),
        status: 200,
        doing: "asking its token server for a token".to_owned(),
        words: words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_before_they_expire() {
        for (life, used) in [(1800, 1440), (300, 240), (60, 30), (30, 15), (0, 0)] {
            assert_eq!(useful_life(life), Duration::from_secs(used), "{life}");
        }
    }

    #[test]
    fn what_a_token_grants_is_read_from_it() {
        let claims = |json: &str| Claims::of(&format!("e30.{}.x", URL_SAFE_NO_PAD.encode(json)));
        let access = r#"{"access":[{"type":"repository","name":"p/a","actions":["pull","push"]},
            {"type":"repository","name":"p/b","actions":["*"]},
            {"type":"repository","name":"p/c","actions":null}]}"#;
        let claims_of_all = claims(access).unwrap();
        for (path, push) in [("p/a", true), ("p/b", true), ("p/c", false), ("p/d", false)] {
            assert_eq!(claims_of_all.grants_push(path), push, "{path}");
        }
        assert!(claims("{}").is_none() && Claims::of("opaque").is_none());
    }
}
