//! What every answer of the API has: a tag by which it need not be sent again, the address of a list's next page, and
//! what caches may do with it.

use axum::{
    body::{Body, to_bytes},
    extract::{OriginalUri, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next as Rest,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::asked::Next;
use crate::web::log::range::names;

/// No answer of JSON is longer: lists come in pages, and what has no end is no JSON.
const LONGEST: usize = 64 << 20;
/// On whom and on what an answer depends.
const VARY: HeaderValue = HeaderValue::from_static("Accept, Authorization, Cookie");

/// Around every route of the API.
pub(super) async fn dress(request: Request, rest: Rest) -> Response {
    let uri = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().clone(), |uri| uri.0.clone());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = rest.run(request).await;
    if let Some(Next(next)) = response.extensions_mut().remove::<Next>()
        && let Ok(link) = HeaderValue::from_str(&link(&uri, &next))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    if reads && response.status() == StatusCode::OK {
        response = tagged(response, known.as_ref()).await;
    }
    let headers = response.headers_mut();
    headers.insert(header::VARY, VARY);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// `<…?cursor=…>; rel="next"`: the same request, from there.
fn link(uri: &Uri, next: &str) -> String {
    let asked = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let kept = asked.filter(|(name, _)| !matches!(&**name, "cursor" | "before" | "from" | "line"));
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair("cursor", next).finish();
    format!("<{}?{query}>; rel=\"next\"", uri.path())
}

/// With the digest of what it says as its tag; without a body for who has it.
async fn tagged(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut parts, mut body) = response.into_parts();
    if !parts.headers.contains_key(header::ETAG) && is_json(&parts.headers) {
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

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}
