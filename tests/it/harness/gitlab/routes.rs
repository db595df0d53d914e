//! The model's API: what it lets in, and what it refuses like GitLab does.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, World, hooks, projects, requests, statuses};

/// A refusal, in GitLab's shape.
#[derive(Debug)]
pub(super) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"message": self.1}))).into_response()
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .merge(hooks::routes())
        .merge(projects::routes())
        .merge(requests::routes())
        .merge(statuses::routes())
        .fallback(|| async { not_found("404 Not Found") })
        .layer(DefaultBodyLimit::max(2 << 20))
        .layer(from_fn_with_state(Arc::clone(&world), gate))
        .with_state(world)
}

/// Every call passes here: it is noted, let down if the test wants so, and must say who it is.
async fn gate(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let fault = {
        let mut state = world.state();
        state.calls.push(format!("{} {}", request.method(), request.uri()));
        state.faults.pop_front()
    };
    match fault {
        Some(Fault::Status(status)) => refuse(status, "on demand").into_response(),
        Some(Fault::Limit(after)) => limited(after),
        Some(Fault::Lost) => {
            next.run(request).await;
            refuse(502, "GitLab is not responding").into_response()
        }
        None if !projects::is_let_in(request.headers()) => refuse(401, "401 Unauthorized").into_response(),
        None => next.run(request).await,
    }
}

fn limited(after: Duration) -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "Retry later\n").into_response();
    response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().into());
    response
}

/// Which part of a list is asked for.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "usual")]
    per_page: usize,
}

const fn first() -> usize {
    1
}

const fn usual() -> usize {
    20
}

impl Page {
    pub(super) fn of(&self, all: &[Value]) -> Response {
        assert!((1..=100).contains(&self.per_page), "GitLab gives no more than 100 at once");
        let here: Vec<&Value> = all.iter().skip((self.page - 1) * self.per_page).take(self.per_page).collect();
        Json(here).into_response()
    }
}

pub(super) fn not_found(what: &str) -> Refusal {
    refuse(404, what)
}

pub(super) fn refuse(status: u16, message: impl Into<String>) -> Refusal {
    Refusal(StatusCode::from_u16(status).expect("a status"), message.into())
}
