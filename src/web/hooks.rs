//! `POST /hooks/{forge}`: a delivery is checked on its raw bytes, committed, and only then answered.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Bytes, HttpBody as _},
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// So many bytes of webhooks' bodies are in memory at once, in KiB; whoever comes then waits.
const BODIES_KIB: usize = 512 << 10;
/// And no longer than this.
const ROOM_WITHIN: Duration = Duration::from_secs(10);
/// A body that has not come within this time is none of a forge's.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// Room for bodies.
#[derive(Debug, Clone)]
pub(super) struct Room {
    kib: Arc<Semaphore>,
    /// So long somebody waits for room.
    waits: Duration,
    /// And so long a body may take to come.
    within: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self { kib: Arc::new(Semaphore::new(BODIES_KIB)), waits: ROOM_WITHIN, within: BODY_WITHIN }
    }
}

/// Why there is no body.
#[derive(Debug)]
enum NoBody<E> {
    /// There is no room.
    Full,
    /// It did not come in time.
    Late,
    /// It cannot be had.
    Unfit(E),
}

impl Room {
    /// For one body, until it is dropped; as large as it says that it is, or as it may be.
    async fn of(&self, size: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let size = size.map_or(BODY_MAX, |size| usize::try_from(size).unwrap_or(BODY_MAX));
        let kib = u32::try_from(size.min(BODY_MAX) / 1024 + 1).unwrap_or(u32::MAX);
        tokio::time::timeout(self.waits, Arc::clone(&self.kib).acquire_many_owned(kib)).await.ok()?.ok()
    }

    /// A body with its room.
    async fn take<E>(&self, size: Option<u64>, body: impl Future<Output = Result<Bytes, E>>) -> Result<Raw, NoBody<E>> {
        let room = self.of(size).await.ok_or(NoBody::Full)?;
        let body = tokio::time::timeout(self.within, body).await.map_err(|_| NoBody::Late)?;
        body.map(|body| Raw(body, room)).map_err(NoBody::Unfit)
    }
}

/// Takes one delivery.
pub(super) async fn take(
    State(web): State<Web>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    Raw(body, _room): Raw,
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
        // whoever cannot prove who they are does not choose what is counted
        web.engine.store.meters().delivery(kind, "", "refused");
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
            web.engine.store.meters().delivery(kind, "", "not_stored");
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

/// A body of at most [`BODY_MAX`] bytes; one that announces more is refused before a byte of it is read. It has its room
/// until it is stored.
pub(super) struct Raw(Bytes, OwnedSemaphorePermit);

impl FromRequest<Web> for Raw {
    type Rejection = Response;
    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        if request.body().size_hint().lower() > BODY_MAX as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        }
        let meters = web.engine.store.meters();
        let size = request.body().size_hint().upper();
        web.room.take(size, Bytes::from_request(request, web)).await.map_err(|why| match why {
            NoBody::Full => {
                meters.limited("webhook_bodies");
                let later = [(header::RETRY_AFTER, "10")];
                (StatusCode::SERVICE_UNAVAILABLE, later, "others send much just now\n").into_response()
            }
            NoBody::Late => {
                meters.limited("webhook_seconds");
                (StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()
            }
            NoBody::Unfit(refused) => refused.into_response(),
        })
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

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    async fn taken(room: &Room, size: u64) -> Result<Raw, NoBody<Infallible>> {
        room.take(Some(size), future::ready(Ok(Bytes::new()))).await
    }

    #[tokio::test]
    async fn bodies_have_no_more_than_the_room_that_there_is_and_no_more_than_their_time() {
        let room = Room { kib: Arc::new(Semaphore::new(100)), waits: SHORT, within: SHORT };
        let first = taken(&room, 60 << 10).await.expect("there is room");
        assert!(matches!(taken(&room, 60 << 10).await, Err(NoBody::Full)));
        let other = taken(&room, 30 << 10).await.expect("there is room for less");
        drop((first, other));
        let room = Room { waits: Duration::from_secs(60), ..room };
        let late = room.take(Some(99 << 10), future::pending::<Result<Bytes, Infallible>>()).await;
        assert!(matches!(late, Err(NoBody::Late)));
        taken(&room, 99 << 10).await.expect("what is late has no room any more");
        // who does not say how large a body is gets as much room as it may have
        let small = Room { waits: SHORT, ..room };
        assert!(matches!(small.take(None, future::ready(Ok::<_, Infallible>(Bytes::new()))).await, Err(NoBody::Full)));
        assert_eq!((BODIES_KIB, ROOM_WITHIN.as_secs(), BODY_WITHIN.as_secs()), (512 << 10, 10, 60));
    }
}
