//! Answers that are no success: what they mean, and whether they pass.

use std::time::Duration;

use reqwest::header::SERVER;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::call::Doing;
use super::error::RegistryError;
use super::failure::{Again, Failure};
use super::policy::Policy;
use super::wire::Wire;
use crate::net::{plain_words, retry_after};

const LARGEST: usize = 8 * 1024;

/// A failed answer, read and closed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The registry's error codes (`NAME_UNKNOWN`), separated by spaces.
    codes: String,
    /// Its words, fit for a message.
    pub(super) words: String,
    retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Document {
    errors: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Item {
    code: String,
    message: String,
    detail: serde_json::Value,
}

impl Answer {
    /// Reads what the answer says; a body that can't be read leaves the status to speak.
    pub(super) async fn read(wire: &Wire, mut response: Response) -> Self {
        let mut body = Vec::new();
        while body.len() < LARGEST
            && let Ok(Some(part)) = wire.net.chunk(&mut response).await
        {
            body.extend_from_slice(&part);
        }
        body.truncate(LARGEST);
        let status = response.status();
        let items = serde_json::from_slice::<Document>(&body)
            .map(|document| document.errors)
            .unwrap_or_default();
        let codes: Vec<&str> = items.iter().map(|item| item.code.as_str()).collect();
        let said = if items.is_empty() {
            page_words(&body, status, &response)
        } else {
            items.iter().map(Item::words).collect::<Vec<_>>().join("; ")
        };
        Self {
            status,
            codes: codes.join(" "),
            words: plain_words(&said),
            retry_after: retry_after(response.headers()),
        }
    }

    fn has(&self, code: &str) -> bool {
        self.codes.split(' ').any(|c| c == code)
    }

    fn says(&self, words: &str) -> bool {
        self.words.to_ascii_lowercase().contains(words)
    }

    /// Whether Harbor says that there is no such project.
    pub(super) fn no_project(&self) -> bool {
        self.says("project") && self.says("not found")
    }

    /// What the answer means while doing something.
    pub(super) fn failure(self, doing: &Doing<'_>) -> Failure {
        if self.has("BLOB_UPLOAD_UNKNOWN")
            || self.has("BLOB_UPLOAD_INVALID")
            || self.status == StatusCode::RANGE_NOT_SATISFIABLE
        {
            let error = RegistryError::SessionLost {
                host: doing.host(),
                doing: doing.what.clone(),
                attempts: 1,
                words: self.words,
            };
            let again = Again::After(None);
            return Failure { error, again };
        }
        match self.status.as_u16() {
            408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=529 => self.passing(doing),
            400 | 422 if self.has("DIGEST_INVALID") && doing.digest.is_some() => {
                self.altered(doing)
            }
            _ => self.lasting(doing).into(),
        }
    }

    fn passing(self, doing: &Doing<'_>) -> Failure {
        let again = Again::After(self.retry_after);
        let (host, what, words) = (doing.host(), doing.what.clone(), self.words);
        let error = match self.status {
            StatusCode::TOO_MANY_REQUESTS => RegistryError::RateLimited {
                host,
                doing: what,
                attempts: 1,
                words,
            },
            status => RegistryError::Unavailable {
                host,
                status: status.as_u16(),
                doing: what,
                attempts: 1,
                words,
            },
        };
        Failure { error, again }
    }

    fn altered(self, doing: &Doing<'_>) -> Failure {
        let error = match doing.digest {
            Some(digest) => RegistryError::Altered {
                host: doing.host(),
                digest,
                words: self.words,
            },
            None => self.lasting(doing),
        };
        Failure {
            error,
            again: Again::Once,
        }
    }

    fn lasting(self, doing: &Doing<'_>) -> RegistryError {
        let policy = |policy| RegistryError::Policy {
            policy,
            repository: doing.subject(),
            words: self.words.clone(),
        };
        match self.status.as_u16() {
            403 if self.says("quota") || self.says("upper limit") => policy(Policy::Quota),
            403 if self.says("read-only") || self.says("read only") => policy(Policy::ReadOnly),
            // Distribution refuses so what its configuration forbids: maintenance, mirrors.
            405 => policy(Policy::ReadOnly),
            403 if self.says("proxy project") => policy(Policy::ProxyProject),
            401 | 403 => RegistryError::Denied {
                user: doing.user.clone(),
                action: doing.action(),
                repository: doing.repository.to_string(),
                words: self.words,
            },
            412 if self.has("PROJECTPOLICYVIOLATION") => policy(Policy::Blocked),
            412 => policy(Policy::Immutable),
            413 => RegistryError::BodyLimit {
                host: doing.host(),
                doing: doing.what.clone(),
                words: self.words,
            },
            404 => RegistryError::NotFound {
                what: doing.subject(),
                words: self.words,
            },
            400 if self.codes.contains("MANIFEST") => RegistryError::ManifestRejected {
                host: doing.host(),
                repository: doing.subject(),
                words: self.words,
            },
            status => RegistryError::Protocol {
                host: doing.host(),
                status,
                doing: doing.what.clone(),
                words: self.words,
            },
        }
    }
}

impl Item {
    fn words(&self) -> String {
        let message = if self.message.is_empty() {
            self.code.clone()
        } else {
            self.message.clone()
        };
        match &self.detail {
            serde_json::Value::String(detail) if !detail.is_empty() => {
                format!("{message} ({detail})")
            }
            _ => message,
        }
    }
}

/// The words of an answer that is no registry's: the first line of text, or the status and who
/// answered, since a proxy's HTML says nothing more.
fn page_words(body: &[u8], status: StatusCode, response: &Response) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    if let Some(line) = line
        && !line.starts_with(['<', '{'])
    {
        return line.to_owned();
    }
    let reason = status.canonical_reason().unwrap_or("no reason given");
    let via = response
        .headers()
        .get(SERVER)
        .and_then(|server| server.to_str().ok());
    match via {
        Some(server) => format!("{}, via {server}", reason.to_lowercase()),
        None => reason.to_lowercase(),
    }
}
