//! GitLab's API: the calls of the `gitlab` crate, over a transport of ours that is limited in time and size, and every
//! way they can fail said in [`ForgeError`]'s words.
//!
//! The crate knows paths and parameters; it would read answers of any length, and wait for them for ever.

use std::{
    error::Error,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use gitlab::api::{ApiError, AsyncClient, AsyncQuery, Endpoint, Pageable, Pagination, RestClient, ignore, paged};
use http::{HeaderMap, Method, Response, StatusCode, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::{GitlabSettings, SettingsError};
use crate::{forge::ForgeError, model::ForgeKind};

/// A file of 1 MiB in base64 within JSON, a page of 100 merge requests: both are well below.
const LONGEST_ANSWER: usize = 8 << 20;
/// Where GitLab limits us without saying for how long: its limits are per minute.
const PATIENCE: Duration = Duration::from_secs(60);
/// A longer wait would come from a clock that is wrong.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);
/// What GitLab says is shown to people, up to here.
const LONGEST_MESSAGE: usize = 500;

/// The API as whoever we are.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: reqwest::Client,
    /// Ends in `/api/v4/`.
    base: Url,
    token: Option<SecretString>,
    time_limit: Duration,
    redirects: Redirects,
    /// What GitLab's clock showed last, in seconds since 1970; 0: it has not answered.
    date: Arc<AtomicI64>,
}

/// What becomes of a redirect.
#[derive(Debug, Clone, Copy)]
enum Redirects {
    /// Followed once, and only within the API: a project that was moved answers so.
    Followed,
    /// An answer like any other.
    Refused,
}

/// Why our transport did not bring an answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Failure(#[from] ForgeError);

impl Api {
    pub(super) fn new(settings: &GitlabSettings) -> Result<Self, SettingsError> {
        let url = settings.url.trim_end_matches('/');
        let wrong = || SettingsError::Url(settings.url.clone());
        let given: Url = settings.url.parse().map_err(|_| wrong())?;
        if !matches!(given.scheme(), "http" | "https") || given.host_str().is_none() {
            return Err(wrong());
        }
        let base: Url = format!("{url}/api/v4/").parse().map_err(|_| wrong())?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("containerops/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SettingsError::Client)?;
        Ok(Self {
            client,
            base,
            token: settings.token.clone(),
            time_limit: settings.time_limit,
            redirects: Redirects::Followed,
            date: Arc::default(),
        })
    }

    /// Whether we are somebody there.
    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The same about exactly what a path names, and not about what has another name by now.
    pub(super) fn without_redirects(&self) -> Self {
        Self { redirects: Redirects::Refused, ..self.clone() }
    }

    /// What GitLab's clock showed last, in seconds since 1970.
    pub(super) fn date(&self) -> Option<i64> {
        Some(self.date.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }

    /// Makes a call whose parameters may be wrong, and reads its answer.
    pub(super) async fn get<T, E>(&self, call: Result<E, impl Display>) -> Result<T, ForgeError>
    where
        T: DeserializeOwned + 'static,
        E: Endpoint + Sync,
    {
        built(call)?.query_async(self).await.map_err(failure)
    }

    /// The same where nothing may be there.
    pub(super) async fn find<T, E>(&self, call: Result<E, impl Display>) -> Result<Option<T>, ForgeError>
    where
        T: DeserializeOwned + 'static,
        E: Endpoint + Sync,
    {
        match self.get(call).await {
            Ok(found) => Ok(Some(found)),
            Err(ForgeError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A list, up to so many entries, and whether there may be more.
    pub(super) async fn list<T, E>(
        &self,
        call: Result<E, impl Display>,
        most: usize,
    ) -> Result<(Vec<T>, bool), ForgeError>
    where
        T: DeserializeOwned + Send + 'static,
        E: Endpoint + Pageable + Sync,
    {
        let pages = paged(built(call)?, Pagination::Limit(most + 1));
        let mut all: Vec<T> = pages.query_async(self).await.map_err(failure)?;
        let more = all.len() > most;
        all.truncate(most);
        Ok((all, more))
    }

    /// Makes a call whose answer says nothing that we need.
    pub(super) async fn send<E: Endpoint + Sync>(&self, call: Result<E, impl Display>) -> Result<(), ForgeError> {
        ignore(built(call)?).query_async(self).await.map_err(failure)
    }

    async fn once(&self, call: &http::Request<Vec<u8>>, url: Url) -> Result<Response<Bytes>, ForgeError> {
        let mut request = self.client.request(call.method().clone(), url).headers(call.headers().clone());
        if let Some(token) = &self.token {
            request = request.header("private-token", token.expose_secret());
        }
        let (method, path) = (call.method().clone(), call.uri().path().to_owned());
        let answer = async {
            let mut answer = request.body(call.body().clone()).send().await.map_err(|e| away(chain(&e)))?;
            let mut body = BytesMut::new();
            while let Some(part) = answer.chunk().await.map_err(|e| away(chain(&e)))? {
                if body.len() + part.len() > LONGEST_ANSWER {
                    return Err(refused(0, format!("its answer is longer than {} MiB", LONGEST_ANSWER >> 20)));
                }
                body.extend_from_slice(&part);
            }
            let mut response = Response::new(body.freeze());
            (*response.status_mut(), *response.headers_mut()) = (answer.status(), answer.headers().clone());
            Ok(response)
        };
        let limited = tokio::time::timeout(self.time_limit, answer).await;
        limited.unwrap_or_else(|_| Err(away(format!("no answer to {method} {path} in {:?}", self.time_limit))))
    }

    /// Where a call goes: never away from the API, whatever a page's link or a redirect says.
    fn within(&self, url: &str) -> Option<Url> {
        let url = self.base.join(url).ok()?;
        let same = url.origin() == self.base.origin() && url.path().starts_with(self.base.path());
        (same && url.username().is_empty() && url.password().is_none()).then_some(url)
    }

    fn moved_to(&self, call: &http::Request<Vec<u8>>, answer: &Response<Bytes>) -> Option<Url> {
        let follows = matches!(self.redirects, Redirects::Followed) && *call.method() == Method::GET;
        if !follows || !answer.status().is_redirection() {
            return None;
        }
        self.within(answer.headers().get(header::LOCATION)?.to_str().ok()?)
    }
}

impl RestClient for Api {
    type Error = Failure;

    fn rest_endpoint(&self, endpoint: &str) -> Result<Url, ApiError<Failure>> {
        Ok(format!("{}{endpoint}", self.base).parse()?)
    }
}

#[async_trait]
impl AsyncClient for Api {
    async fn rest_async(
        &self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Response<Bytes>, ApiError<Failure>> {
        let client = |error: ForgeError| ApiError::client(Failure(error));
        let call = request.body(body).map_err(|e| client(refused(0, e.to_string())))?;
        let url = self.within(&call.uri().to_string());
        let url = url.ok_or_else(|| client(refused(0, "it sends us away from its API".to_owned())))?;
        let mut answer = self.once(&call, url).await.map_err(client)?;
        if let Some(url) = self.moved_to(&call, &answer) {
            answer = self.once(&call, url).await.map_err(client)?;
        }
        if let Some(date) = date(answer.headers()) {
            self.date.store(date, Ordering::Relaxed);
        }
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let after = patience(answer.headers(), Timestamp::now());
            let message = start(&String::from_utf8_lossy(answer.body()));
            return Err(client(ForgeError::Limited { forge: ForgeKind::Gitlab, after, message }));
        }
        Ok(answer)
    }
}

/// A call, or why it would never be right.
fn built<E>(call: Result<E, impl Display>) -> Result<E, ForgeError> {
    call.map_err(|wrong| refused(0, wrong.to_string()))
}

fn date(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second())
}

/// How long to wait before any further call.
fn patience(headers: &HeaderMap, now: Timestamp) -> Duration {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let now = u64::try_from(now.as_second()).unwrap_or(0);
    let reset = || number("ratelimit-reset").map(|reset| reset.saturating_sub(now));
    let seconds = number("retry-after").or_else(reset).unwrap_or(PATIENCE.as_secs());
    Duration::from_secs(seconds.max(1)).min(LONGEST_PATIENCE)
}

fn failure(error: ApiError<Failure>) -> ForgeError {
    match error {
        ApiError::Client { source: Failure(error) } => error,
        ApiError::GitlabWithStatus { status, msg } => said(status, &msg),
        ApiError::GitlabObjectWithStatus { status, obj } | ApiError::GitlabUnrecognizedWithStatus { status, obj } => {
            said(status, &obj.to_string())
        }
        ApiError::GitlabService { status, data } => said(status, &String::from_utf8_lossy(&data)),
        ApiError::MovedPermanently { location } => {
            refused(301, format!("it has moved to {}", start(&location.unwrap_or_default())))
        }
        ApiError::Json { source } | ApiError::DataType { source, .. } => away(format!("it answered with {source}")),
        other @ (ApiError::Auth { .. }
        | ApiError::UrlParse { .. }
        | ApiError::Body { .. }
        | ApiError::Pagination { .. }
        | ApiError::UnsupportedUrlBase { .. }
        | ApiError::GitlabRateLimited { .. }
        | _) => refused(0, start(&chain(&other))),
    }
}

/// An answer that is no success, or no JSON. While GitLab works at a commit it answers others with 409, and means:
/// later.
fn said(status: StatusCode, words: &str) -> ForgeError {
    let later = matches!(status, StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT);
    if status.is_server_error() || status.is_success() || later {
        return away(format!("it answered {status}: {}", start(words)));
    }
    refused(status.as_u16(), start(words))
}

/// Try again later.
pub(super) fn away(message: String) -> ForgeError {
    ForgeError::Away { forge: ForgeKind::Gitlab, message }
}

/// Do not try again. Status 0: we did not even ask, because it cannot be right.
pub(super) fn refused(status: u16, message: String) -> ForgeError {
    ForgeError::Refused { forge: ForgeKind::Gitlab, status, message }
}

fn start(text: &str) -> String {
    text.chars().take(LONGEST_MESSAGE).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> Api {
        Api::new(&GitlabSettings { url: url.to_owned(), ..GitlabSettings::default() }).expect("a good URL")
    }

    #[test]
    fn no_link_leads_out_of_the_api() {
        let api = api("https://git.example.com/gitlab");
        let goes = |url: &str| api.within(url).map(|url| url.to_string());
        let page = "https://git.example.com/gitlab/api/v4/projects/a%2Fb?page=2";
        assert_eq!(goes(page).as_deref(), Some(page));
        for elsewhere in [
            "https://evil.example/gitlab/api/v4/projects",
            "http://git.example.com/gitlab/api/v4/projects",
            "https://git.example.com/api/v4/projects",
            "https://git.example.com/gitlab/api/v4/../../users",
            "https://me@git.example.com/gitlab/api/v4/projects",
            "//evil.example/gitlab/api/v4/projects",
        ] {
            assert_eq!(goes(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn patience_is_what_gitlab_says_and_a_minute_where_it_does_not() {
        let now = Timestamp::constant(1_772_357_400, 0);
        for (headers, seconds) in [
            (&[("retry-after", "30")][..], 30),
            (&[("retry-after", "0")], 1),
            (&[("retry-after", "999999")], 3600),
            (&[("ratelimit-reset", "1772357490")], 90),
            (&[("retry-after", "soon")], 60),
            (&[], 60),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|&(name, value)| (header::HeaderName::from_static(name), value.parse().expect("a value")))
                .collect();
            assert_eq!(patience(&headers, now).as_secs(), seconds, "{headers:?}");
        }
    }

    #[test]
    fn a_lock_is_for_later_and_a_no_is_a_no() {
        let away =
            |status| matches!(said(StatusCode::from_u16(status).expect("a status"), ""), ForgeError::Away { .. });
        assert_eq!([409, 408, 500, 502, 200].map(away), [true; 5]);
        assert_eq!([400, 401, 403, 404, 422].map(away), [false; 5]);
    }
}
