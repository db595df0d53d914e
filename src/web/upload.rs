//! What agents upload: some megabytes a call, and as many agents as there are. So a body waits unread until there is
//! room for it, and all of them together never take more memory than that; nobody has more than a few at once, and
//! whoever sends slowly loses its room.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Web, agent::Bearer};
use crate::model::JobId;

/// Room for all that is being uploaded, in MiB.
const ROOM: u32 = 64;
const UNIT: usize = 1 << 20;
/// What one job may upload at once: an agent takes half of it.
const CALLS_OF_JOB: usize = 4;
/// Then the agent asks again: it waits for an answer no longer than five minutes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Some megabytes over a slow line.
const BODY_WITHIN: Duration = Duration::from_secs(180);

/// Who uploads now.
#[derive(Clone)]
pub(super) struct Uploads {
    room: Arc<Semaphore>,
    calls: Arc<Mutex<HashMap<JobId, usize>>>,
}

/// A body of at most so many bytes, read in its turn. Its room is its own until this is dropped.
pub(super) struct Upload<const MOST: usize> {
    pub(super) session: String,
    pub(super) body: Bytes,
    _call: Call,
    _room: OwnedSemaphorePermit,
}

/// One of a job's calls.
struct Call {
    calls: Arc<Mutex<HashMap<JobId, usize>>>,
    job: JobId,
}

impl Uploads {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM as usize)), calls: Arc::default() }
    }

    fn call(&self, job: JobId) -> Option<Call> {
        // numbers are whole, whatever panics elsewhere
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(job).or_default();
        if *count == CALLS_OF_JOB {
            return None;
        }
        *count += 1;
        Some(Call { calls: Arc::clone(&self.calls), job })
    }

    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(ROOM).clamp(1, ROOM);
        timeout(PATIENCE, Arc::clone(&self.room).acquire_many_owned(units)).await.ok()?.ok()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = calls.get_mut(&self.job) {
            *count -= 1;
            if *count == 0 {
                calls.remove(&self.job);
            }
        }
    }
}

impl<const MOST: usize> FromRequest<Web> for Upload<MOST> {
    type Rejection = Response;
    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Bearer(session) = Bearer::from_request_parts(&mut parts, web).await?;
        let job = web.engine.job_of_session(&session).await.map_err(|denied| denied.into_response())?;
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = announced.unwrap_or(MOST);
        if bytes > MOST {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "it is more than may be sent at once\n"));
        }
        let later = || refused(StatusCode::TOO_MANY_REQUESTS, "too much is on its way: ask again\n");
        let call = web.uploads.call(job.id).ok_or_else(later)?;
        let room = web.uploads.room(bytes).await.ok_or_else(later)?;
        let body = timeout(BODY_WITHIN, to_bytes(body, MOST)).await;
        let body = body.map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "it came too slowly: ask again\n"))?;
        let body = body.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body was cut off, or is too large\n"))?;
        Ok(Self { session, body, _call: call, _room: room })
    }
}

fn refused(status: StatusCode, words: &'static str) -> Response {
    (status, words).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_no_more_room_than_there_is() {
        let uploads = Uploads::new();
        let mut held = Vec::new();
        while let Ok(room) = timeout(Duration::from_millis(1), uploads.room(5 * UNIT - 1)).await {
            held.push(room.expect("room"));
        }
        assert_eq!(held.len(), 12, "parts have some more than 4 MiB at the most, and count as 5");
        held.clear();
        assert!(uploads.room(usize::MAX).await.is_some(), "what is larger than all of it goes alone");
    }
}
