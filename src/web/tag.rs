//! Tags by which an answer need not be sent again: the digest of what it says, made when all of it is there. So whatever an
//! answer depends on — who looks, what they may, the time of day, the release — is in its tag, and none is ever wrong.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::log::range::names;

/// No answer that is tagged is longer: lists come in pages, and what has no end is of another kind.
const LONGEST: usize = 64 << 20;

/// With its tag, if it is of this kind and has none; without a body for who has it.
pub(super) async fn tagged(response: Response, kind: &str, known: Option<&HeaderValue>) -> Response {
    let (mut parts, mut body) = response.into_parts();
    if !parts.headers.contains_key(header::ETAG) && is(&parts.headers, kind) {
        let Ok(bytes) = to_bytes(body, LONGEST).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let digest = hex::encode(&Sha256::digest(&bytes)[..16]);
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{digest}\"")) {
            parts.headers.insert(header::ETAG, tag);
        }
        body = Body::from(bytes);
    }
    let tag = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let has = tag.is_some_and(|tag| names(known.and_then(|known| known.to_str().ok()), tag));
    if has {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        body = Body::empty();
    }
    Response::from_parts(parts, body)
}

/// Whether an answer is of this kind.
pub(super) fn is(headers: &HeaderMap, kind: &str) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|found| found.as_bytes().starts_with(kind.as_bytes()))
}
