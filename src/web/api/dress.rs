//! What every answer of the API has: a tag by which it need not be sent again, the address of a list's next page, and
//! what caches may do with it.

use axum::{
    extract::{OriginalUri, Request},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next as Rest,
    response::Response,
};

use super::asked::Next;
use crate::web::tag::tagged;

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
        response = tagged(response, "application/json", known.as_ref()).await;
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
