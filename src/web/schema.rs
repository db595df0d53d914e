//! `GET /schema/flow.json`: the JSON Schema of flow files, for editors and for pages of anybody.

use std::sync::OnceLock;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::access::Anybody;
use crate::flow;

/// The text, and its tag.
fn text() -> &'static (String, String) {
    static TEXT: OnceLock<(String, String)> = OnceLock::new();
    TEXT.get_or_init(|| {
        let text = format!("{:#}\n", flow::schema());
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&text)[..8]));
        (text, tag)
    })
}

/// The schema changes with releases only; an hour after one, everybody has the new one.
pub(super) async fn serve(_: Anybody, asked: HeaderMap) -> Response {
    let (text, tag) = text();
    let headers = [
        (header::CONTENT_TYPE, "application/schema+json"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ETAG, tag.as_str()),
    ];
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, text.as_str()).into_response()
}
