//! The token server of a registry: one GET, or one POST for identity tokens
//! (distribution, "Token Authentication Specification").

use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::answer::Answer;
use super::auth::{Account, Claims, Header, Issuer, Scopes, Token, useful_life};
use super::credentials::{Login, LoginKind, Secret};
use super::error::{Failure, RegistryError};
use super::wire::{Call, Payload, Unauthorized, Wire};

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
    let issued = read(wire, account, response).await?;
    let text = match issued.token.is_empty() {
        true => issued.access_token,
        false => issued.token,
    };
    let header = Header::bearer(&text)
        .filter(|_| !text.is_empty())
        .ok_or_else(|| no_token(account, "it holds no token"))?;
    Ok(Token {
        header,
        scopes: scopes.clone(),
        good_until: started + useful_life(issued.expires_in.unwrap_or(DEFAULT_LIFE)),
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
    let mut call = Call {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        payload: Payload::Empty,
        unauthorized: Unauthorized::Return,
        doing: &account.asking(&repository),
    };
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
    let mut call = Call {
        method: Method::POST,
        url: issuer.realm.clone(),
        headers: HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )]),
        payload: Payload::Bytes(Bytes::from(form.finish())),
        unauthorized: Unauthorized::Return,
        doing: &account.asking(&repository),
    };
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
