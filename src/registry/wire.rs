//! One request, with its login, redirects and second tries: everything between a verb of the
//! protocol and the HTTP client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderMap, WARNING};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::answer::Answer;
use super::auth::Account;
use super::call::{Call, Doing, Payload, Unauthorized};
use super::challenge::{Challenge, challenges};
use super::credentials::Credentials;
use super::error::RegistryError;
use super::failure::{Again, Failure};
use super::location::{Onward, onward};
use super::scopes::Scopes;
use super::token::Header;
use crate::net::{ATTEMPTS, Net, authority, pause_before, plain_words};
use crate::progress::Reporter;
use crate::reference::{Host, Repository};

const REDIRECTS: u32 = 5;

/// What all requests share.
pub(super) struct Wire {
    pub(super) net: Arc<Net>,
    pub(super) credentials: Credentials,
    pub(super) reporter: Arc<dyn Reporter>,
    accounts: Mutex<BTreeMap<(Host, String), Arc<Account>>>,
    warned: Mutex<BTreeSet<String>>,
}

impl Wire {
    pub(super) fn new(
        net: Arc<Net>,
        credentials: Credentials,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            net,
            credentials,
            reporter,
            accounts: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// The account that requests for a repository use: one for each host and login.
    pub(super) fn account(&self, repository: &Repository) -> Result<Arc<Account>, RegistryError> {
        let login = self.credentials.find(repository, self.reporter.as_ref())?;
        let key = login
            .as_ref()
            .map(|login| format!("{} {}", login.user, login.origin))
            .unwrap_or_default();
        let key = (repository.host.clone(), key);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&key) {
            return Ok(Arc::clone(account));
        }
        let account = Arc::new(Account::new(repository.host.clone(), login)?);
        accounts.insert(key, Arc::clone(&account));
        Ok(account)
    }

    /// The address of something in a repository, once it is known how its host is spoken to.
    pub(super) async fn url(&self, repository: &Repository, below: &str) -> Result<Url, Failure> {
        let account = self.account(repository)?;
        let mut url = account.home(self).await?;
        let path = match account.host().as_str() {
            // Docker Hub keeps its own images in a project that nobody types.
            "docker.io" | "index.docker.io" if !repository.path.contains('/') => {
                format!("library/{}", repository.path)
            }
            _ => repository.path.clone(),
        };
        url.set_path(&format!("/v2/{path}/{below}"));
        Ok(url)
    }

    /// The words for what is about to be done.
    pub(super) fn doing<'a>(
        &self,
        repository: &'a Repository,
        scopes: Scopes,
        what: String,
    ) -> Result<Doing<'a>, RegistryError> {
        Ok(Doing {
            what,
            repository,
            tag: None,
            digest: None,
            scopes,
            user: self.account(repository)?.shown_user(),
        })
    }

    /// Sends a request with the login it needs. Answers of every status come back, but a 401 that
    /// a login can't help.
    pub(super) async fn send(&self, call: &mut Call<'_>) -> Result<Response, Failure> {
        let account = self.account(call.doing.repository)?;
        let scopes = &call.doing.scopes;
        let (home, header) = account.authorization(self, scopes).await?;
        let response = self.hops(call, &home, header.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED
            || call.unauthorized == Unauthorized::Return
        {
            return Ok(response);
        }
        let asked = challenges(response.headers());
        if asked.is_empty() {
            self.project_check(call, response, &home, header.as_ref())
                .await?;
        } else {
            drop(response);
        }
        let fresh = account.renew(self, scopes, header.as_ref(), &asked).await?;
        if let Payload::Stream(None) = call.payload {
            return Err(Failure {
                error: token_refused(call.doing, "the login expired during the upload"),
                again: Again::Once,
            });
        }
        let response = self.hops(call, &home, fresh.as_ref()).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(self.refused(call, response, &account).await),
            _ => Ok(response),
        }
    }

    /// A 401 without any challenge is Harbor's way to say that a project does not exist. The
    /// answer to HEAD has no words: they are asked for.
    async fn project_check(
        &self,
        call: &mut Call<'_>,
        response: Response,
        home: &Url,
        header: Option<&Header>,
    ) -> Result<(), Failure> {
        let response = match call.method {
            Method::HEAD => {
                let mut worded = Call::new(Method::GET, call.url.clone(), call.doing);
                worded.headers = call.headers.clone();
                self.hops(&mut worded, home, header).await?
            }
            _ => response,
        };
        let answer = Answer::read(self, response).await;
        if answer.no_project() {
            Err(RegistryError::NoProject {
                repository: call.doing.repository.to_string(),
                user: call.doing.user.clone(),
                words: answer.words,
            }
            .into())
        } else {
            Ok(())
        }
    }

    /// What a 401 to a fresh login means.
    async fn refused(&self, call: &Call<'_>, response: Response, account: &Account) -> Failure {
        let short_of_scope = challenges(response.headers()).iter().any(|challenge| {
            matches!(challenge, Challenge::Bearer { error: Some(error), .. } if error == "insufficient_scope")
        });
        let answer = Answer::read(self, response).await;
        if account.is_anonymous() {
            return account.login_needed(self).into();
        }
        if short_of_scope {
            answer.failure(call.doing)
        } else {
            token_refused(call.doing, &answer.words).into()
        }
    }

    /// Sends a request and follows redirects; only the registry itself sees the login.
    pub(super) async fn hops(
        &self,
        call: &mut Call<'_>,
        home: &Url,
        header: Option<&Header>,
    ) -> Result<Response, Failure> {
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self
                .net
                .request(call.method.clone(), &url)?
                .headers(call.headers.clone());
            if let Some(header) = header
                && url.origin() == home.origin()
            {
                request = request.header(AUTHORIZATION, header.value());
            }
            let (request, sent) = call.payload.attach(request, &call.method);
            let response = self.net.send(request, sent.as_ref()).await?;
            self.pass_on_warnings(&url, response.headers());
            let follows = match response.status().as_u16() {
                301..=303 => matches!(call.method, Method::GET | Method::HEAD),
                307 | 308 => !matches!(call.payload, Payload::Stream(_)),
                _ => false,
            };
            if !follows {
                return Ok(response);
            }
            url = self.onward(home, &url, response.headers())?;
        }
        let error = RegistryError::Location {
            host: authority(home),
            location: crate::net::shown_url(&url),
            why: "one redirect too many",
        };
        Err(error.into())
    }

    /// The `Location` of an answer; a wrong scheme is corrected and reported once.
    pub(super) fn onward(
        &self,
        home: &Url,
        request: &Url,
        headers: &HeaderMap,
    ) -> Result<Url, RegistryError> {
        match onward(home, request, headers)? {
            Onward::AsSent(url) => Ok(url),
            Onward::Upgraded(url) => {
                let host = authority(home);
                self.warn_once(
                    "REG-LOCATION",
                    format!("{host} sends http:// addresses although it is reached by https; using https (external_url or X-Forwarded-Proto is misconfigured there)"),
                );
                Ok(url)
            }
        }
    }

    /// `Warning: 299 - "text"`: shown once, never acted on (distribution-spec, "Warnings").
    fn pass_on_warnings(&self, url: &Url, headers: &HeaderMap) {
        for value in headers.get_all(WARNING) {
            let Some(text) = value
                .to_str()
                .ok()
                .and_then(|value| value.strip_prefix("299 - "))
            else {
                continue;
            };
            let text = plain_words(text.trim_matches('"'));
            self.warn_once("REG-WARNING", format!("{}: {text}", authority(url)));
        }
    }

    fn warn_once(&self, code: &'static str, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        // A hostile registry may not fill the memory with warnings.
        if warned.len() < 100 && warned.insert(text.clone()) {
            self.reporter.warn(code, text);
        }
    }

    /// Tries until it works, can't work, or was tried often enough; tells the attempt's number.
    pub(super) async fn persist<T>(
        &self,
        mut attempt: impl AsyncFnMut(u32) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        let mut second_chance = Some(());
        let mut number = 1;
        loop {
            let failure = match attempt(number).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let asked = match failure.again {
                Again::After(asked) => Some(asked),
                Again::Once => second_chance.take().map(|()| None),
                Again::Never => None,
            };
            let Some(asked) = asked.filter(|_| number < ATTEMPTS) else {
                return Err(failure.error.after(number));
            };
            number += 1;
            let pause = pause_before(number, self.net.patience(), asked);
            self.reporter.warn(
                "REG-RETRY",
                format!(
                    "{}; trying again in {:.1} s (attempt {number} of {ATTEMPTS})",
                    failure.error.after(number - 1),
                    pause.as_secs_f32()
                ),
            );
            tokio::time::sleep(pause).await;
        }
    }
}

fn token_refused(doing: &Doing<'_>, words: &str) -> RegistryError {
    RegistryError::TokenRefused {
        repository: doing.subject(),
        words: words.to_owned(),
    }
}
