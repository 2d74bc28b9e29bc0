//! Logging in: what a host asks for is learned once; tokens are asked for by one request at a
//! time, reused while they cover what is needed, and replaced when refused.

use std::time::Instant;

use reqwest::{Method, Response, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::answer::Answer;
use super::call::{Call, Doing};
use super::challenge::{Challenge, challenges};
use super::credentials::{Login, LoginKind};
use super::error::RegistryError;
use super::failure::Failure;
use super::scopes::Scopes;
use super::token::{self, Header, Issuer, Token};
use super::wire::Wire;
use crate::net::{NetError, is_loopback, plain_words};
use crate::reference::{Host, Repository};

/// One login at one host.
pub(super) struct Account {
    host: Host,
    login: Option<Login>,
    /// Held while a token is asked for: others wait for that token instead of asking as well.
    state: Mutex<State>,
}

struct State {
    /// `https://HOST/`, or `http://HOST/` on this machine.
    home: Url,
    scheme: Scheme,
    tokens: Vec<Token>,
    /// The password was refused: asking again may lock the account.
    refused: bool,
}

enum Scheme {
    Unknown,
    Open,
    Basic,
    /// Remembered for good: Harbor answers `Basic` to an expired bearer token.
    Bearer(Issuer),
}

impl Account {
    pub(super) fn new(host: Host, login: Option<Login>) -> Result<Self, RegistryError> {
        let state = State {
            home: first_guess(&host)?,
            scheme: Scheme::Unknown,
            tokens: Vec::new(),
            refused: false,
        };
        Ok(Self {
            host,
            login,
            state: Mutex::new(state),
        })
    }

    /// The registry's address, once it has answered there.
    pub(super) async fn home(&self, wire: &Wire) -> Result<Url, Failure> {
        let mut state = self.state.lock().await;
        self.meet(wire, &mut state).await?;
        Ok(state.home.clone())
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.login.is_none()
    }

    pub(super) fn shown_user(&self) -> String {
        match &self.login {
            Some(login) => format!("user {:?}", login.user),
            None => "an anonymous user".to_owned(),
        }
    }

    pub(super) fn login_needed(&self, wire: &Wire) -> RegistryError {
        RegistryError::LoginNeeded {
            host: self.host.to_string(),
            places: wire.credentials.places(),
        }
    }

    pub(super) fn login_refused(&self) -> RegistryError {
        let (user, origin) = match &self.login {
            Some(login) => (login.user.clone(), login.origin.clone()),
            None => (String::new(), "nowhere".to_owned()),
        };
        RegistryError::LoginRefused {
            host: self.host.to_string(),
            user,
            origin,
        }
    }

    /// The registry's address, and the header that requests of these scopes need; none where no
    /// login is asked for.
    pub(super) async fn authorization(
        &self,
        wire: &Wire,
        scopes: &Scopes,
    ) -> Result<(Url, Option<Header>), Failure> {
        let mut state = self.state.lock().await;
        self.meet(wire, &mut state).await?;
        let header = self.header(wire, &mut state, scopes).await?;
        Ok((state.home.clone(), header))
    }

    /// The header to use after `used` was refused.
    pub(super) async fn renew(
        &self,
        wire: &Wire,
        scopes: &Scopes,
        used: Option<&Header>,
        asked: &[Challenge],
    ) -> Result<Option<Header>, Failure> {
        let mut state = self.state.lock().await;
        state.tokens.retain(|token| Some(&token.header) != used);
        if let Scheme::Bearer(_) = state.scheme {
            return self.header(wire, &mut state, scopes).await;
        }
        let scheme = self.scheme(asked, &state.home)?;
        if let (Some(Header::Basic(_)), Scheme::Basic | Scheme::Open) = (used, &scheme) {
            state.refused = true;
            return Err(self.login_refused().into());
        }
        if let Scheme::Open = scheme {
            return Err(self.login_needed(wire).into());
        }
        state.scheme = scheme;
        self.header(wire, &mut state, scopes).await
    }

    async fn header(
        &self,
        wire: &Wire,
        state: &mut State,
        scopes: &Scopes,
    ) -> Result<Option<Header>, Failure> {
        if state.refused {
            return Err(self.login_refused().into());
        }
        let issuer = match &state.scheme {
            Scheme::Unknown | Scheme::Open => return Ok(None),
            Scheme::Basic => return self.basic(wire).map(Some),
            Scheme::Bearer(issuer) => issuer.clone(),
        };
        let now = Instant::now();
        state.tokens.retain(|token| token.good_until > now);
        if let Some(token) = state.tokens.iter().find(|t| t.scopes.covers(scopes)) {
            return Ok(Some(token.header.clone()));
        }
        let result = token::issue(wire, self, &issuer, scopes).await;
        if let Err(Failure {
            error: RegistryError::LoginRefused { .. },
            ..
        }) = &result
        {
            state.refused = true;
        }
        let token = result?;
        let header = token.header.clone();
        state.tokens.push(token);
        Ok(Some(header))
    }

    fn basic(&self, wire: &Wire) -> Result<Header, Failure> {
        match &self.login {
            Some(Login {
                user,
                kind: LoginKind::Password(password),
                ..
            }) => Header::basic(user, password).ok_or_else(|| self.login_needed(wire).into()),
            // An identity token is for token servers alone.
            _ => Err(self.login_needed(wire).into()),
        }
    }

    /// Whether a token for these scopes says that it grants no push.
    pub(super) async fn push_withheld(&self, scopes: &Scopes, path: &str) -> Option<String> {
        let state = self.state.lock().await;
        let token = state.tokens.iter().find(|t| t.scopes.covers(scopes))?;
        let claims = token.claims.as_ref()?;
        (!claims.grants_push(path)).then(|| "the token that it issued grants no push".to_owned())
    }

    /// Asks the host once, without any login, how it is spoken to and what login it wants
    /// (distribution-spec, "Determining Support").
    async fn meet(&self, wire: &Wire, state: &mut State) -> Result<(), Failure> {
        if !matches!(state.scheme, Scheme::Unknown) {
            return Ok(());
        }
        let met = self.ping(wire, &state.home).await;
        // On this machine a registry may speak either: TLS servers answer plain HTTP with 400.
        let may_be_tls = match &met {
            Ok(response) => response.status() == StatusCode::BAD_REQUEST,
            Err(failure) => matches!(&failure.error, RegistryError::Net(NetError::Lost { .. })),
        };
        let response = if may_be_tls && state.home.scheme() == "http" {
            let tls = Url::parse(&state.home.as_str().replacen("http:", "https:", 1));
            let tls = tls.map_err(|_syntax| no_address(&self.host))?;
            match self.ping(wire, &tls).await {
                Ok(response) => {
                    state.home = tls;
                    response
                }
                // It was plain HTTP after all, and the first answer counts.
                Err(Failure {
                    error: RegistryError::Net(NetError::SpeaksHttp { .. } | NetError::Lost { .. }),
                    ..
                }) => met?,
                Err(failure) => return Err(failure),
            }
        } else {
            met?
        };
        state.scheme = match response.status() {
            StatusCode::UNAUTHORIZED => {
                self.scheme(&challenges(response.headers()), &state.home)?
            }
            StatusCode::NOT_FOUND => {
                let host = self.host.to_string();
                return Err(RegistryError::NotARegistry { host }.into());
            }
            status if status.is_success() => Scheme::Open,
            _ => {
                let repository = self.nowhere();
                let doing = self.asking(&repository);
                return Err(Answer::read(wire, response).await.failure(&doing));
            }
        };
        Ok(())
    }

    async fn ping(&self, wire: &Wire, home: &Url) -> Result<Response, Failure> {
        let mut url = home.clone();
        url.set_path("/v2/");
        let repository = self.nowhere();
        let doing = self.asking(&repository);
        let mut call = Call::new(Method::GET, url, &doing);
        wire.hops(&mut call, home, None).await
    }

    /// The repository of requests that are about none.
    pub(super) fn nowhere(&self) -> Repository {
        Repository {
            host: self.host.clone(),
            path: String::new(),
        }
    }

    pub(super) fn asking<'a>(&self, repository: &'a Repository) -> Doing<'a> {
        Doing {
            what: format!("logging in to {}", self.host),
            repository,
            tag: None,
            digest: None,
            scopes: Scopes::default(),
            user: self.shown_user(),
        }
    }

    /// The best scheme of those asked for: a token rather than the password.
    fn scheme(&self, asked: &[Challenge], home: &Url) -> Result<Scheme, RegistryError> {
        let bearer = asked.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service, .. } => Some((realm, service)),
            _ => None,
        });
        if let Some((realm, service)) = bearer {
            return Ok(Scheme::Bearer(Issuer {
                realm: self.realm(realm, home)?,
                service: service.clone(),
            }));
        }
        match asked.first() {
            Some(_) if asked.contains(&Challenge::Basic) => Ok(Scheme::Basic),
            Some(Challenge::Other(scheme)) => Err(RegistryError::Scheme {
                host: self.host.to_string(),
                scheme: plain_words(scheme),
            }),
            Some(_) | None => Ok(Scheme::Open),
        }
    }

    fn realm(&self, text: &str, home: &Url) -> Result<Url, RegistryError> {
        let refuse = |why| RegistryError::Realm {
            host: self.host.to_string(),
            realm: plain_words(text.split('?').next().unwrap_or(text)),
            why,
        };
        let realm = Url::parse(text).map_err(|_syntax| refuse("no address"))?;
        match realm.scheme() {
            "https" => Ok(realm),
            "http" if is_loopback(&realm) && home.scheme() == "http" => Ok(realm),
            _ => Err(refuse("not encrypted")),
        }
    }
}

/// Plain HTTP is tried on this machine alone; Docker Hub's registry has a name of its own.
fn first_guess(host: &Host) -> Result<Url, RegistryError> {
    let name = match host.as_str() {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    };
    let scheme = if host.is_loopback() { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{name}/")).map_err(|_syntax| no_address(host))
}

fn no_address(host: &Host) -> RegistryError {
    RegistryError::Location {
        host: host.to_string(),
        location: host.to_string(),
        why: "no address",
    }
}
