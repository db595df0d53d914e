//! Bodies that come too slowly. Whoever sends one has a moment to begin with, and from then on it must come at a pace
//! that every line has: nobody holds us up by a byte a minute.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Web;
use crate::meters::Meters;

/// The moment to begin with.
pub const BODY_GRACE: Duration = Duration::from_secs(15);
/// The pace, in bytes a second.
pub const BODY_PACE: u64 = 8 << 10;

/// No route takes a larger body, and one that announces more is refused before a byte of it is read.
pub const LARGEST_BODY: u64 = 64 << 20;

/// A body that must come at a pace.
struct Paced {
    inner: Body,
    began: Instant,
    bytes: u64,
    grace: Duration,
    alarm: Pin<Box<Sleep>>,
    meters: Meters,
}

/// It came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
struct TooSlow;

impl Paced {
    fn new(inner: Body, grace: Duration, meters: Meters) -> Self {
        let began = Instant::now();
        Self { inner, began, bytes: 0, grace, alarm: Box::pin(tokio::time::sleep_until(began + grace)), meters }
    }
}

/// How long so many bytes may take, besides the moment to begin with.
const fn span(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / BODY_PACE)
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                self.bytes += data.len() as u64;
                let due = self.began + self.grace + span(self.bytes);
                self.alarm.as_mut().reset(due);
            }
            return Poll::Ready(frame);
        }
        if self.alarm.as_mut().poll(cx).is_ready() {
            self.meters.limited("slow_body");
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Lets no body come more slowly than at its pace.
pub(super) async fn paced(State(web): State<Web>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    if request.body().size_hint().lower() > LARGEST_BODY {
        web.engine.store.meters().limited("body");
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let meters = web.engine.store.meters().clone();
    next.run(request.map(|inner| Body::new(Paced::new(inner, BODY_GRACE, meters)))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up_and_one_that_comes_is_not() {
        let first = futures::stream::iter([Ok::<_, axum::Error>(Bytes::from_static(b"first"))]);
        let stands = Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()));
        let meters = Meters::new();
        let slow = Body::new(Paced::new(stands, Duration::from_millis(20), meters.clone()));
        assert!(axum::body::to_bytes(slow, usize::MAX).await.is_err());
        let counted = String::from_utf8(meters.text(&[], &[])).expect("text");
        assert!(counted.contains("containerops_limited_total{limit=\"slow_body\"} 1"), "{counted}");
        let comes = Body::new(Paced::new(Body::from(vec![0; 1 << 20]), Duration::from_millis(20), meters));
        assert_eq!(axum::body::to_bytes(comes, usize::MAX).await.expect("it comes").len(), 1 << 20);
        assert_eq!(span(80 << 10), Duration::from_secs(10));
    }
}
