//! One call to GitHub's API: limited in time and size, and every way it can fail said in [`ForgeError`]'s words.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header, uri::Authority};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};

use super::app_key::AppKey;
use crate::{forge::ForgeError, model::ForgeKind};

/// A file of 1 MiB in base64 within JSON, a directory of 1000 entries: both are well below.
const LONGEST_ANSWER: usize = 8 << 20;
/// GitHub's advice where it limits us without saying for how long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Budgets are renewed every hour; a longer wait would come from a clock that is wrong.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// Who calls: octocrab with the credentials of one identity.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client: Octocrab,
    /// The API's host and port; no redirect leads anywhere else.
    pub(super) host: Authority,
    /// For each call, from its first byte to the answer's last.
    pub(super) time_limit: Duration,
    /// What signs as the App, if that calls.
    pub(super) app: Option<Arc<AppKey>>,
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
    /// Followed once, and only within the API: a renamed repository answers so.
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

impl Caller {
    /// The same API with an access token.
    pub(super) fn with(&self, token: &SecretString) -> Result<Self, ForgeError> {
        let client = self.client.user_access_token(token.clone()).map_err(|e| refused(0, chain(&e)))?;
        Ok(Self { client, app: None, ..self.clone() })
    }
}

impl Caller {
    /// Takes in what time it is at GitHub, for whatever is signed. Whether that is another than was thought.
    fn hears_the_time(&self, answer: &Answer) -> bool {
        let heard = self.app.as_ref().zip(answer.date());
        heard.is_some_and(|(app, theirs)| app.heard(Timestamp::now(), theirs))
    }

    /// What time it is at GitHub, as far as is known.
    pub(super) fn time_there(&self) -> Timestamp {
        let now = Timestamp::now();
        let there = self.app.as_ref().and_then(|app| Timestamp::from_second(app.time_there(now)).ok());
        there.unwrap_or(now)
    }
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, redirects: Redirects::Followed }
    }

    pub(super) fn post(path: String, body: serde_json::Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), redirects: Redirects::Followed }
    }

    /// A call whose path says all.
    pub(super) fn post_nothing(path: String) -> Self {
        Self { method: Method::POST, path, body: None, redirects: Redirects::Followed }
    }

    pub(super) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, redirects: Redirects::Refused }
    }

    pub(super) fn patch(path: String, body: serde_json::Value) -> Self {
        Self { method: Method::PATCH, path, body: Some(body), redirects: Redirects::Followed }
    }

    /// The same call about exactly what the path names, and not about what has another name by now.
    pub(super) fn without_redirects(self) -> Self {
        Self { redirects: Redirects::Refused, ..self }
    }

    /// Makes the call.
    pub(super) async fn by(&self, caller: &Caller) -> Result<Answer, ForgeError> {
        let mut answer = self.once(caller, &self.path).await?;
        if caller.hears_the_time(&answer) && answer.status == StatusCode::UNAUTHORIZED {
            // it was signed for another time than GitHub's
            answer = self.once(caller, &self.path).await?;
        }
        match (self.redirects, answer.moved_to(&caller.host)) {
            (Redirects::Followed, Some(path)) => self.once(caller, &path).await,
            (Redirects::Followed, None) | (Redirects::Refused, _) => Ok(answer),
        }
    }

    async fn once(&self, caller: &Caller, path: &str) -> Result<Answer, ForgeError> {
        let mut request = http::Request::builder().method(self.method.clone()).uri(path);
        if let Some(app) = &caller.app {
            let jwt = app.jwt(Timestamp::now()).map_err(|e| refused(0, chain(&e)))?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", jwt.expose_secret()));
        }
        let request = caller.client.build_request(request, self.body.as_ref()).map_err(|e| refused(0, chain(&e)))?;
        let answer = async {
            let response = caller.client.execute(request).await.map_err(|e| away(chain(&e)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|e| unread(e.as_ref()))?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let limited = tokio::time::timeout(caller.time_limit, answer).await;
        limited.unwrap_or_else(|_| Err(away(format!("no answer to {} {path} in {:?}", self.method, caller.time_limit))))
    }
}

impl Answer {
    /// What GitHub's clock showed, in seconds since 1970.
    pub(super) fn date(&self) -> Option<i64> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second())
    }

    /// A header as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    /// The body, if GitHub did what was asked.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, ForgeError> {
        let answer = self.checked()?;
        serde_json::from_slice(&answer.body).map_err(|e| away(format!("it answered {} with {e}", answer.status)))
    }

    /// Itself, if GitHub did what was asked.
    pub(super) fn checked(self) -> Result<Self, ForgeError> {
        // GitHub's own time, where it says that: ours may be another
        let there = self.date().and_then(|seconds| Timestamp::from_second(seconds).ok());
        if self.status.is_success() { Ok(self) } else { Err(self.failure(there.unwrap_or_else(Timestamp::now))) }
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

    /// The cursor of the next page of a list, if there is one.
    pub(super) fn next_cursor(&self) -> Option<String> {
        let links = self.headers.get(header::LINK)?.to_str().ok()?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url = next.trim().strip_prefix('<')?.split_once('>')?.0;
        let query = url.split_once('?')?.1;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
    }

    /// Where a redirect within the API leads.
    fn moved_to(&self, host: &Authority) -> Option<String> {
        if !self.status.is_redirection() {
            return None;
        }
        let to: http::Uri = self.headers.get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
        let stays = to.authority().is_none_or(|there| there == host);
        to.path_and_query().filter(|_| stays).map(ToString::to_string)
    }
}

fn until(unix_seconds: u64, now: Timestamp) -> u64 {
    unix_seconds.saturating_sub(u64::try_from(now.as_second()).unwrap_or(0))
}

/// Why an answer's body was not read to its end: one that is too long will be so again.
fn unread(error: &(dyn Error + Send + Sync + 'static)) -> ForgeError {
    if error.is::<LengthLimitError>() {
        return refused(0, format!("its answer is longer than {} MiB", LONGEST_ANSWER >> 20));
    }
    away(chain(error))
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_772_357_400, 0);

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers
            .iter()
            .map(|&(name, value)| (header::HeaderName::from_static(name), value.parse().expect("a header's value")));
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.collect(),
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn patience_is_what_github_says_and_a_minute_where_it_does_not() {
        let secondary = r#"{"message": "You have exceeded a secondary rate limit."}"#;
        for (status, headers, body, seconds) in [
            (429, &[("retry-after", "30")][..], "", Some(30)),
            (403, &[("retry-after", "0")], "", Some(1)),
            (403, &[("retry-after", "999999")], "", Some(3600)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772357490")], "", Some(90)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772357000")], "", Some(1)),
            (403, &[("x-ratelimit-remaining", "0")], "", Some(60)),
            (403, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1772357490")], "", None),
            (403, &[], secondary, Some(60)),
            (403, &[], r#"{"message": "Resource not accessible by integration"}"#, None),
            (429, &[("retry-after", "soon")], "", Some(60)),
            (404, &[("retry-after", "30")], "", None),
        ] {
            let patience = answer(status, headers, body).patience(NOW).map(|after| after.as_secs());
            assert_eq!(patience, seconds, "{status} {headers:?} {body}");
        }
    }

    #[test]
    fn a_message_is_githubs_with_its_details_or_the_bodys_beginning() {
        let said = |body: &str| answer(422, &[], body).message();
        assert_eq!(said(r#"{"message": "Not Found", "documentation_url": "https://docs.github.com"}"#), "Not Found");
        assert_eq!(
            said(r#"{"message": "Validation Failed", "errors": [{"field": "name"}]}"#),
            r#"Validation Failed: [{"field":"name"}]"#
        );
        assert_eq!(said("<html>Bad gateway</html>"), "<html>Bad gateway</html>");
        assert_eq!(said(&"x".repeat(10_000)).len(), 500);
    }

    #[test]
    fn the_next_page_is_where_the_link_says() {
        let link = "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_16%3D>; rel=\"next\", \
                    <https://api.github.com/app/hook/deliveries?per_page=100>; rel=\"first\"";
        assert_eq!(answer(200, &[("link", link)], "").next_cursor().as_deref(), Some("v1_16="));
        let first = "<https://api.github.com/app/hook/deliveries?cursor=1>; rel=\"first\"";
        assert_eq!(answer(200, &[("link", first)], "").next_cursor(), None);
        assert_eq!(answer(200, &[("link", "next")], "").next_cursor(), None);
    }

    #[test]
    fn a_redirect_is_followed_within_the_api_alone() {
        let host = Authority::from_static("api.github.com");
        let to = |location: &str| answer(301, &[("location", location)], "").moved_to(&host);
        assert_eq!(
            to("https://api.github.com/repositories/1/pulls?state=open").as_deref(),
            Some("/repositories/1/pulls?state=open")
        );
        assert_eq!(to("/repositories/1").as_deref(), Some("/repositories/1"));
        assert_eq!(to("https://api.github.com.evil.example/repositories/1"), None);
        assert_eq!(to("https://user@api.github.com/repositories/1"), None);
        assert_eq!(answer(200, &[("location", "/repositories/1")], "").moved_to(&host), None);
    }
}
