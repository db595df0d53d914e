//! Failures as `application/problem+json`, RFC 9457: `type` and `title` say of which kind, `detail` says it in words.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::{mistake::Mistake, pages::Failure};

/// Stands before every kind.
const KINDS: &str = "urn:containerops:problem:";

/// A failure, as RFC 9457 has it.
pub(in crate::web) struct Problem(Failure);

/// Why a request was not answered as it hoped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Which kind of problem, for programs: it does not change from one time to the next.
    #[schema(format = "uri", example = "urn:containerops:problem:request")]
    r#type: String,
    /// The kind, for people.
    #[schema(example = "The request is not of the expected form")]
    title: &'static str,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// What was wrong this time.
    #[schema(example = "`limit` in the query: a number from 1 to 100 is expected")]
    detail: String,
    /// Each mistake of the request with its place, where there are such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
}

impl<E: Into<Failure>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        failure.log();
        let (status, (kind, title)) = (failure.status(), kind(&failure));
        let (r#type, detail) = (format!("{KINDS}{kind}"), failure.to_string());
        let errors = if let Failure::Mistakes(mistakes) = failure { mistakes } else { Vec::new() };
        let body = Body { r#type, title, status: status.as_u16(), detail, errors };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let bearer = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// The last part of its `type`, and its title.
const fn kind(failure: &Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::Missing | Failure::NotStarted => ("missing", "There is nothing here"),
        Failure::Method => ("method", "This cannot be asked in this way"),
        Failure::Query | Failure::Words(_) | Failure::Mistakes(_) | Failure::SignIn(_) => {
            ("request", "The request is not of the expected form")
        }
        Failure::Media(_) => ("media-type", "JSON is expected"),
        Failure::TooLarge => ("too-large", "The body is too large"),
        Failure::Refused(_) | Failure::Conflict(_) => ("conflict", "It cannot be done to what is as it is now"),
        Failure::Gone(_) => ("gone", "It was there, and was removed"),
        Failure::CrossSite => ("cross-site", "Another site asked for this"),
        Failure::Forbidden(_) => ("forbidden", "This is not allowed"),
        Failure::Token | Failure::NoToken => ("token", "A good token is needed"),
        Failure::TooMany => ("too-many", "Too many tries"),
        Failure::Rate => ("rate", "Too many requests"),
        Failure::Unknown(_) => ("forge-away", "The forge is away"),
        Failure::Busy => ("busy", "Others are asking for this just now"),
        Failure::Ours(_) => ("ours", "Something went wrong on our side"),
    }
}
