//! `POST /hooks/{forge}`: a delivery is checked on its raw bytes, committed, and only then answered.

use axum::{
    body::{Bytes, HttpBody as _},
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::Web;
use crate::{
    engine::{rerun::EVENT, start},
    forge::{Authentic, Forge},
    model::{DeliveryState, ForgeKind, HIDDEN, is_secret_header},
    store::{NewDelivery, Taken},
};

/// GitHub sends at most 25 MB; whatever is larger was not sent by a forge.
pub(super) const BODY_MAX: usize = 26 << 20;
/// More headers than this are not kept.
const HEADERS_MAX: usize = 64;
/// A longer name is cut.
const HEADER_NAME_MAX: usize = 128;
/// A longer value is cut.
const HEADER_VALUE_MAX: usize = 1024;

/// Takes one delivery.
pub(super) async fn take(
    State(web): State<Web>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Response {
    let known = forge.parse::<ForgeKind>().ok().and_then(|kind| Some((kind, web.engine.forges.get(&kind)?)));
    let Some((kind, forge)) = known else {
        return (StatusCode::NOT_FOUND, "this server is not set up for that forge\n").into_response();
    };
    // no signature covers an event's name, and these are for wishes of our own
    let is_ours = |event: &str| event == EVENT || start::EVENTS.contains(&event);
    let authentic = forge.authenticate(&headers, &body).filter(|authentic| !is_ours(&authentic.event));
    let Some(authentic) = authentic else {
        tracing::warn!(forge = %kind, bytes = body.len(), "delivery refused: wrong or missing signature");
        return (StatusCode::UNAUTHORIZED, "wrong or missing signature\n").into_response();
    };
    let unreadable = why_not_json(forge.as_ref(), &authentic, &body);
    let state = match unreadable.clone() {
        None => DeliveryState::Pending,
        Some(reason) => DeliveryState::Unreadable { reason },
    };
    let delivery = new_delivery(&web, kind, authentic, &headers, body, state);
    match (web.engine.store.inbox().take(delivery).await, unreadable) {
        (Ok(_), Some(reason)) => (unreadable_status(kind), format!("{reason}\n")).into_response(),
        (Ok(Taken::New(id)), None) => (StatusCode::ACCEPTED, format!("{id}\n")).into_response(),
        (Ok(Taken::Again), None) => (StatusCode::ACCEPTED, "taken before\n").into_response(),
        (Err(error), _) => {
            tracing::error!(forge = %kind, %error, "delivery not stored");
            (StatusCode::SERVICE_UNAVAILABLE, "not stored: send it again\n").into_response()
        }
    }
}

/// What an authentic delivery is answered with that nobody can read. GitLab sends no more to a hook that answers some of
/// its deliveries with 4xx.
const fn unreadable_status(forge: ForgeKind) -> StatusCode {
    match forge {
        ForgeKind::Gitlab => StatusCode::ACCEPTED,
        ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Git => StatusCode::BAD_REQUEST,
    }
}

/// A body of at most [`BODY_MAX`] bytes; one that announces more is refused before a byte of it is read.
pub(super) struct Raw(Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Response;
    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if request.body().size_hint().lower() > BODY_MAX as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        }
        Bytes::from_request(request, state).await.map(Self).map_err(IntoResponse::into_response)
    }
}

/// Why a body cannot be read, in the forge's own words, which may have a hint; `None` if it is JSON.
fn why_not_json(forge: &dyn Forge, authentic: &Authentic, body: &[u8]) -> Option<String> {
    let error = serde_json::from_slice::<serde::de::IgnoredAny>(body).err()?;
    let words = forge.read(&authentic.event, body).err().map(|unreadable| unreadable.to_string());
    Some(words.unwrap_or_else(|| format!("the body is not JSON: {error}")))
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
    let show = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let text = if is_secret_header(name.as_str()) {
            HIDDEN.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_VALUE_MAX).collect()
        };
        (name.as_str().chars().take(HEADER_NAME_MAX).collect(), text)
    };
    headers.iter().take(HEADERS_MAX).map(show).collect()
}
