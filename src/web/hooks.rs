//! `POST /hooks/{forge}`: a delivery is checked on its raw bytes, committed, and only then answered.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::Web;
use crate::{
    forge::Authentic,
    model::{DeliveryState, ForgeKind},
    store::{NewDelivery, Taken},
};

/// GitHub sends at most 25 MB; whatever is larger was not sent by a forge.
pub(super) const BODY_MAX: usize = 26 << 20;
/// More headers than this are not kept.
const HEADERS_MAX: usize = 64;
/// A longer value is cut.
const HEADER_VALUE_MAX: usize = 1024;

/// Takes one delivery.
pub(super) async fn take(
    State(web): State<Web>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let known = forge.parse::<ForgeKind>().ok().and_then(|kind| Some((kind, web.engine.forges.get(&kind)?)));
    let Some((kind, forge)) = known else {
        return (StatusCode::NOT_FOUND, "this server is not set up for that forge\n").into_response();
    };
    let Some(authentic) = forge.authenticate(&headers, &body) else {
        tracing::warn!(forge = %kind, bytes = body.len(), "delivery refused: wrong or missing signature");
        return (StatusCode::UNAUTHORIZED, "wrong or missing signature\n").into_response();
    };
    let readable = serde_json::from_slice::<serde::de::IgnoredAny>(&body);
    let state = match &readable {
        Ok(_) => DeliveryState::Pending,
        Err(error) => DeliveryState::Unreadable { reason: format!("the body is not JSON: {error}") },
    };
    let delivery = new_delivery(&web, kind, authentic, &headers, body, state);
    match (web.engine.store.inbox().take(delivery).await, readable) {
        (Ok(_), Err(error)) => (StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}\n")).into_response(),
        (Ok(Taken::New(id)), Ok(_)) => (StatusCode::ACCEPTED, format!("{id}\n")).into_response(),
        (Ok(Taken::Again), Ok(_)) => (StatusCode::ACCEPTED, "taken before\n").into_response(),
        (Err(error), _) => {
            tracing::error!(forge = %kind, %error, "delivery not stored");
            (StatusCode::SERVICE_UNAVAILABLE, "not stored: send it again\n").into_response()
        }
    }
}

fn new_delivery(
    web: &Web,
    forge: ForgeKind,
    authentic: Authentic,
    headers: &HeaderMap,
    body: Bytes,
    state: DeliveryState,
) -> NewDelivery {
    NewDelivery {
        forge,
        hook: authentic.hook,
        delivery: authentic.delivery,
        event: authentic.event,
        headers: shown(headers),
        body,
        received: web.engine.clock.now(),
        state,
    }
}

/// Headers as the delivery's page shows them: what proves something to somebody is hidden.
fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let secret =
        |name: &str| ["authorization", "cookie", "token", "signature", "secret"].iter().any(|word| name.contains(word));
    let show = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let text = if secret(name.as_str()) {
            "(hidden)".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_VALUE_MAX).collect()
        };
        (name.as_str().to_owned(), text)
    };
    headers.iter().take(HEADERS_MAX).map(show).collect()
}
