//! How requests are read: the query and the body by types, pages of lists by cursors. What is wrong is named.

use std::{fmt, str::FromStr};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::Problem;
use crate::web::{delivery::no_name, mistake::Mistake, pages::Failure};

/// Items in one answer, unless fewer are asked for.
pub(super) const PAGE: i64 = 100;

/// A request's query. What nobody knows is refused, so that no typing error passes for a filter.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::try_from_uri(&parts.uri).map_err(Mistake::in_query)?;
        Ok(Self(asked))
    }
}

/// What is sent: JSON, or nothing.
pub(super) struct Sent(Bytes);

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media = media(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| cut_off(&rejection))?;
        match media {
            Some(other) if !bytes.is_empty() => Err(Failure::Media(other).into()),
            Some(_) | None => Ok(Self(bytes)),
        }
    }
}

/// What is said to be sent, if it is said and is not JSON.
fn media(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("").to_ascii_lowercase();
    let kind = said.split(';').next().unwrap_or("").trim();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    (!is_json).then(|| kind.chars().take(100).collect())
}

fn cut_off(rejection: &BytesRejection) -> Failure {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
        _ => Failure::Words("the body did not come to its end".to_owned()),
    }
}

impl Sent {
    /// Read as this; `form` says of what form it should have been.
    pub(super) fn json<T: DeserializeOwned>(&self, form: &str) -> Result<T, Failure> {
        // a list would be read as the fields in their order
        if self.0.trim_ascii_start().first() == Some(&b'[') {
            return Err(Mistake::of_body(String::new(), format!("{form} is expected")).into());
        }
        let mut reader = serde_json::Deserializer::from_slice(&self.0);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (name, error) = (error.path().to_string(), error.into_inner());
            Mistake::of_body(name, format!("{form} is expected: {error}"))
        })?;
        let whole = reader.end().map(|()| read);
        Ok(whole.map_err(|error| Mistake::of_body(String::new(), format!("{form} is expected: {error}")))?)
    }

    /// The same where nothing need be sent.
    pub(super) fn json_if_any<T: DeserializeOwned + Default>(&self, form: &str) -> Result<T, Failure> {
        if self.0.is_empty() { Ok(T::default()) } else { self.json(form) }
    }

    /// The same where no word of it may be said again.
    pub(super) fn secret_json<T: DeserializeOwned>(&self, form: &str) -> Result<T, Failure> {
        self.json(form).map_err(|_| Mistake::of_body(String::new(), format!("{form} is expected")).into())
    }
}

/// The name by which a request may be repeated.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    Ok(headers.get("idempotency-key").map(|key| key.to_str().map_err(|_| no_name())).transpose()?)
}

/// How many items of a list are asked for, of so many at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit<const MOST: i64 = PAGE>(pub(super) i64);

impl<const MOST: i64> Default for Limit<MOST> {
    fn default() -> Self {
        Self(MOST)
    }
}

impl<'de, const MOST: i64> Deserialize<'de> for Limit<MOST> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| is_number && (1..=MOST).contains(limit));
        limit.map(Self).ok_or_else(|| serde::de::Error::custom(format!("a number from 1 to {MOST} is expected")))
    }
}

/// A place in a list, by what stands there: whatever comes before it later, what follows it stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor<K>(pub(super) K);

impl<K: fmt::Display> fmt::Display for Cursor<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: FromStr> Deserialize<'de> for Cursor<K> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let key = String::deserialize(reader)?.parse().ok();
        key.map(Self).ok_or_else(|| serde::de::Error::custom("what an earlier answer has as `next` is expected"))
    }
}

/// A place in a list that does not change, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) u32);

impl FromStr for Count {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_number = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self).ok_or(())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An answer that is a page of a list.
pub(super) trait List: Serialize {
    /// Where the next page begins, if there may be one.
    fn next(&self) -> Option<&str>;
}

/// Such an answer. The header `Link` names the next page, too: whoever dresses the answer knows its address.
pub(super) struct Page<T>(pub(super) T);

/// The cursor of the next page, on its way to the header.
#[derive(Debug, Clone)]
pub(super) struct Next(pub(super) String);

impl<T: List> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let next = self.0.next().map(ToOwned::to_owned);
        let mut response = axum::Json(self.0).into_response();
        if let Some(next) = next {
            response.extensions_mut().insert(Next(next));
        }
        response
    }
}

/// Takes what is one too many from a page that was read with one more than it has, and says where the next begins.
pub(super) fn cut<T, K: fmt::Display, const MOST: i64>(
    rows: &mut Vec<T>,
    Limit(limit): Limit<MOST>,
    key: impl Fn(&T) -> K,
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or_default();
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last().map(|last| Cursor(key(last)).to_string())
}

/// A page of what is there as a whole and in order, behind a key.
pub(super) fn part<T, K: fmt::Display + Ord, const MOST: i64>(
    rows: Vec<T>,
    after: Option<&K>,
    limit: Limit<MOST>,
    key: impl Fn(&T) -> K,
) -> (Vec<T>, Option<String>) {
    let mut rows: Vec<T> = rows.into_iter().filter(|row| after.is_none_or(|after| key(row) > *after)).collect();
    let next = cut(&mut rows, limit, key);
    (rows, next)
}
