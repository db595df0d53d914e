//! One call to GitHub's API: limited in time and size, and every way it can fail said in [`ForgeError`]'s words.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{forge::ForgeError, model::ForgeKind};

/// GitHub itself gives up after 10 s.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A file of 1 MiB in base64 within JSON, a directory of 1000 entries: both are well below.
const LONGEST_ANSWER: usize = 8 << 20;
/// GitHub's advice where it limits us without saying for how long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Budgets are renewed every hour; a longer wait would come from a clock that is wrong.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    /// Path and query, below the API's URL.
    path: String,
    body: Option<serde_json::Value>,
}

/// What came back, whatever it is.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    pub(super) fn post(path: String, body: serde_json::Value) -> Self {
        Self { method: Method::POST, path, body: Some(body) }
    }

    pub(super) fn patch(path: String, body: serde_json::Value) -> Self {
        Self { method: Method::PATCH, path, body: Some(body) }
    }

    /// Makes the call with the client's own credentials. A redirect is followed once, and only within the API:
    /// a renamed repository answers so.
    pub(super) async fn by(&self, client: &Octocrab) -> Result<Answer, ForgeError> {
        let answer = self.once(client, &self.path).await?;
        match answer.moved_to() {
            Some(path) => self.once(client, &path).await,
            None => Ok(answer),
        }
    }

    async fn once(&self, client: &Octocrab, path: &str) -> Result<Answer, ForgeError> {
        let request = http::Request::builder()
            .method(self.method.clone())
            .uri(path)
            .header(header::ACCEPT, "application/vnd.github+json");
        let request = client.build_request(request, self.body.as_ref()).map_err(|e| refused(0, chain(&e)))?;
        let answer = async {
            let response = client.execute(request).await.map_err(|e| away(chain(&e)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|e| away(chain(e.as_ref())))?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        match tokio::time::timeout(TIME_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(away(format!("no answer to {} {path} in {} s", self.method, TIME_LIMIT.as_secs()))),
        }
    }
}

impl Answer {
    /// The body, if GitHub did what was asked.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, ForgeError> {
        let answer = self.checked()?;
        serde_json::from_slice(&answer.body).map_err(|e| away(format!("it answered {} with {e}", answer.status)))
    }

    /// Itself, if GitHub did what was asked.
    pub(super) fn checked(self) -> Result<Self, ForgeError> {
        if self.status.is_success() { Ok(self) } else { Err(self.failure(Timestamp::now())) }
    }

    fn failure(&self, now: Timestamp) -> ForgeError {
        let message = self.message();
        if let Some(after) = self.patience(now) {
            return ForgeError::Limited { forge: ForgeKind::Github, after, message };
        }
        if self.status.is_server_error() || self.status == StatusCode::REQUEST_TIMEOUT {
            return away(format!("it answered {}: {message}", self.status));
        }
        refused(self.status.as_u16(), message)
    }

    /// How long to wait before any further call, if GitHub asks for that.
    fn patience(&self, now: Timestamp) -> Option<Duration> {
        if !matches!(self.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return None;
        }
        let secondary = || self.message().to_ascii_lowercase().contains("secondary rate limit");
        let seconds = if let Some(seconds) = self.number("retry-after") {
            seconds
        } else if self.number("x-ratelimit-remaining") == Some(0) {
            self.number("x-ratelimit-reset").map_or(PATIENCE.as_secs(), |reset| until(reset, now))
        } else if self.status == StatusCode::TOO_MANY_REQUESTS || secondary() {
            PATIENCE.as_secs()
        } else {
            return None;
        };
        Some(Duration::from_secs(seconds.max(1)).min(LONGEST_PATIENCE))
    }

    /// GitHub's own words, or the beginning of what stands in their place.
    pub(super) fn message(&self) -> String {
        #[derive(Deserialize)]
        struct Said {
            message: String,
            #[serde(default)]
            errors: serde_json::Value,
        }
        let text = match serde_json::from_slice::<Said>(&self.body) {
            Ok(said) if said.errors.is_null() => said.message,
            Ok(said) => format!("{}: {}", said.message, said.errors),
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        text.chars().take(500).collect()
    }

    fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.trim().parse().ok()
    }

    /// Where a redirect leads, without its host: octocrab sends every path to the API alone.
    fn moved_to(&self) -> Option<String> {
        if !self.status.is_redirection() {
            return None;
        }
        let to: http::Uri = self.headers.get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
        to.path_and_query().map(ToString::to_string)
    }
}

fn until(unix_seconds: u64, now: Timestamp) -> u64 {
    unix_seconds.saturating_sub(u64::try_from(now.as_second()).unwrap_or(0))
}

/// Try again later.
pub(super) fn away(message: String) -> ForgeError {
    ForgeError::Away { forge: ForgeKind::Github, message }
}

/// Do not try again. Status 0: we did not even ask, because it cannot be right.
pub(super) fn refused(status: u16, message: String) -> ForgeError {
    ForgeError::Refused { forge: ForgeKind::Github, status, message }
}

/// An error and its causes, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
