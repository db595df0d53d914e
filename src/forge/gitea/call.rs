//! Gitea's API as whoever we are: one call at a time, limited in time and size, and every way it can fail said in
//! [`ForgeError`]'s words.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{GiteaSettings, SettingsError};
use crate::{client::LateClient, forge::ForgeError, model::ForgeKind};

/// A file of 1 MiB in base64 within JSON, a page of 50 pull requests: both are well below.
const LONGEST_ANSWER: usize = 8 << 20;
/// Where it, or a proxy before it, limits us without saying for how long.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);
/// Below the forge's URL.
const API: &str = "/api/v1";
/// As many as it puts on one page, unless its administrator has said fewer.
const PER_PAGE: usize = 50;

/// The API, and who we are to it.
#[derive(Debug)]
pub(super) struct Api {
    client: LateClient,
    /// Where the forge is, without a slash at the end.
    url: String,
    token: Option<SecretString>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    /// Path and query, below the API's URL.
    path: String,
    body: Option<serde_json::Value>,
    redirects: Redirects,
}

/// What becomes of a redirect.
#[derive(Debug, Clone, Copy)]
enum Redirects {
    /// Followed once, and only within the forge: a renamed repository answers so.
    Followed,
    /// An answer like any other.
    Refused,
}

/// What came back, whatever it is.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Api {
    pub(super) fn new(settings: &GiteaSettings) -> Result<Self, SettingsError> {
        let wrong_url = || SettingsError::Url(settings.url.clone());
        let url = Url::parse(&settings.url).map_err(|_| wrong_url())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() {
            return Err(wrong_url());
        }
        let is_token = |token: &SecretString| {
            let text = token.expose_secret();
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if settings.token.as_ref().is_some_and(|token| !is_token(token)) {
            return Err(SettingsError::Token);
        }
        let limit = settings.time_limit;
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        let client = move || reqwest::Client::builder().user_agent(agent).timeout(limit).redirect(Policy::none());
        let url = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client: LateClient::new(client), url, token: settings.token.clone() })
    }

    /// Where the forge is, without a slash at the end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) const fn is_known(&self) -> bool {
        self.token.is_some()
    }

    /// Makes the call. A redirect keeps its method and its body, or a report about a renamed repository would become a
    /// look at it.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, ForgeError> {
        let answer = self.once(call, &format!("{}{API}{}", self.url, call.path)).await?;
        match (call.redirects, self.moved_to(&answer)) {
            (Redirects::Followed, Some(url)) => self.once(call, &url).await,
            (Redirects::Followed, None) | (Redirects::Refused, _) => Ok(answer),
        }
    }

    /// Makes the call as somebody without an account does.
    pub(super) async fn send_as_a_stranger(&self, path: String) -> Result<Answer, ForgeError> {
        let url = format!("{}{API}{path}", self.url);
        self.once_by(None, &Call::get(path), &url).await
    }

    /// What is at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ForgeError> {
        self.send(&Call::get(path)).await?.json()
    }

    /// The pages of the list at this path, which ends in `?` or `&`, up to so many entries; and whether there may be
    /// more. What a page may have is the administrator's to say, so none is known to be the last by its length.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        list: &str,
        most: usize,
    ) -> Result<(Vec<T>, bool), ForgeError> {
        let (mut all, mut before) = (Vec::new(), Bytes::new());
        for page in 1..=most {
            let call = Call::get(format!("{list}limit={PER_PAGE}&page={page}")).without_redirects();
            let answer = self.send(&call).await?.checked()?;
            // a list without pages is the same whichever is asked for
            if answer.body == before {
                return Ok((all, false));
            }
            before = answer.body.clone();
            let (links, total) = (answer.text(header::LINK.as_str()), answer.number("x-total-count"));
            let here: Vec<T> = answer.json::<Option<_>>()?.unwrap_or_default();
            let is_empty = here.is_empty();
            all.extend(here);
            let more = links.map(|links| links.contains("rel=\"next\""));
            let more = more.or_else(|| total.map(|total| (all.len() as u64) < total));
            if is_empty || !more.unwrap_or(true) {
                return Ok((all, false));
            }
            if all.len() >= most {
                break;
            }
        }
        Ok((all, true))
    }

    /// The header with which `git fetch` may read what our token may; none if we have none.
    pub(super) fn git_header(&self) -> Option<SecretString> {
        let token = self.token.as_ref()?;
        let pair = STANDARD.encode(format!("oauth2:{}", token.expose_secret()));
        Some(SecretString::from(format!("Authorization: Basic {pair}")))
    }

    async fn once(&self, call: &Call, url: &str) -> Result<Answer, ForgeError> {
        self.once_by(self.token.as_ref(), call, url).await
    }

    async fn once_by(&self, token: Option<&SecretString>, call: &Call, url: &str) -> Result<Answer, ForgeError> {
        let client = self.client.get().map_err(|error| away(cause(error)))?;
        let mut request = client.request(call.method.clone(), url).header(header::ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("token {}", token.expose_secret()));
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| away(cause(error)))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| away(cause(error)))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(refused(0, format!("its answer is longer than {} MiB", LONGEST_ANSWER >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Where a redirect within the forge leads.
    fn moved_to(&self, answer: &Answer) -> Option<String> {
        if !answer.status.is_redirection() {
            return None;
        }
        let base = Url::parse(&self.url).ok()?;
        let to = base.join(answer.headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
        let below = to.path().strip_prefix(base.path().trim_end_matches('/'))?.starts_with(API);
        (to.origin() == base.origin() && below && to.username().is_empty()).then(|| to.into())
    }
}

impl Call {
    pub(super) const fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, redirects: Redirects::Followed }
    }

    pub(super) const fn post(path: String, body: serde_json::Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), redirects: Redirects::Followed }
    }

    pub(super) const fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, redirects: Redirects::Followed }
    }

    /// The same call about exactly what the path names, and not about what has another name by now.
    pub(super) fn without_redirects(self) -> Self {
        Self { redirects: Redirects::Refused, ..self }
    }
}

impl Answer {
    /// What the forge's clock showed, in seconds since 1970.
    pub(super) fn date(&self) -> Option<i64> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second())
    }

    /// The body, if the forge did what was asked.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, ForgeError> {
        let answer = self.checked()?;
        serde_json::from_slice(&answer.body).map_err(|e| away(format!("it answered {} with {e}", answer.status)))
    }

    /// Itself, if the forge did what was asked.
    pub(super) fn checked(self) -> Result<Self, ForgeError> {
        if self.status.is_success() { Ok(self) } else { Err(self.failure()) }
    }

    fn failure(&self) -> ForgeError {
        let message = self.message();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => {
                let after = self.number("retry-after").map_or(PATIENCE, Duration::from_secs);
                let after = after.clamp(Duration::from_secs(1), LONGEST_PATIENCE);
                ForgeError::Limited { forge: ForgeKind::Gitea, after, message }
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                away(format!("it answered {status}: {message}"))
            }
            status => refused(status.as_u16(), message),
        }
    }

    /// The forge's own words, or the beginning of what stands in their place.
    pub(super) fn message(&self) -> String {
        #[derive(Deserialize)]
        struct Said {
            message: String,
        }
        let text = serde_json::from_slice::<Said>(&self.body).map(|said| said.message);
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into_owned());
        text.chars().filter(|c| !c.is_control()).take(500).collect()
    }

    /// A header as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.trim().parse().ok()
    }
}

/// Try again later.
pub(super) fn away(message: String) -> ForgeError {
    ForgeError::Away { forge: ForgeKind::Gitea, message }
}

/// Do not try again. Status 0: we did not even ask, because it cannot be right.
pub(super) fn refused(status: u16, message: String) -> ForgeError {
    ForgeError::Refused { forge: ForgeKind::Gitea, status, message }
}

/// A path in a URL: what is not plain stands as `%XX`.
pub(super) fn encoded(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// An error and its causes, outermost first; whom we asked is no news.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let said = cause.to_string();
        if text.contains(&said) { text } else { format!("{text}: {said}") }
    })
}
