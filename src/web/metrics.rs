//! `/metrics`: the numbers of this process and what waits in the database, for Prometheus. They name no repository, but
//! how much goes on is nobody's business either: whoever asks shows the token for it, or administers the server. At an
//! address of its own everybody is answered who reaches that.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Mutex;

use super::{
    Web,
    access::{Guard, Need, Refused, Visitor},
    pages::{Failure, Route},
};
use crate::{engine::Engine, meters};

/// Where it is.
pub(super) const PATH: &str = "/metrics";
/// What waits is asked of the database so often at most, however many ask us.
const FRESH: Duration = Duration::from_secs(1);
/// A database that does not answer within this time is away: the other numbers are told without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<(Instant, Vec<u8>)>>);

/// Somebody who may have the numbers.
pub(super) struct Scraper;

impl Guard for Scraper {
    const NEED: Need = Need::Visitor;
}

impl FromRequestParts<Web> for Scraper {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        if shows_token(web, parts) {
            return Ok(Self);
        }
        let visitor = Visitor::from_request_parts(parts, web).await?;
        visitor.administers(web).map_err(Refused::new(parts))?;
        Ok(Self)
    }
}

/// Whether a request is for the numbers, and has the token that was set for them.
pub(super) fn shows_token(web: &Web, parts: &Parts) -> bool {
    if parts.uri.path() != PATH {
        return false;
    }
    let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // compared by their digests, so that the time it takes says nothing
    let is = |wanted: &String| shown.is_some_and(|shown| crate::engine::hash(shown.trim()) == *wanted);
    web.access.metrics_tokens().iter().any(is)
}

pub(super) async fn serve(_: Scraper, State(web): State<Web>) -> Result<Response, Failure> {
    Ok(text(&web).await)
}

async fn text(web: &Web) -> Response {
    let mut told = web.told.0.lock().await;
    if told.as_ref().is_none_or(|(when, _)| when.elapsed() > FRESH) {
        *told = Some((Instant::now(), read(&web.engine).await));
    }
    let text = told.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
    ([(header::CONTENT_TYPE, meters::CONTENT_TYPE)], text).into_response()
}

async fn read(engine: &Engine) -> Vec<u8> {
    let waits = async { engine.store.read().await?.what_waits(engine.clock.now()).await };
    let queues = match tokio::time::timeout(PATIENCE, waits).await {
        Ok(Ok(queues)) => queues,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what waits is not known");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    engine.store.meters().text(&queues, &engine.store.connections())
}

/// For an address of its own: the numbers, and whether we are well.
pub(super) fn routes() -> Router<Web> {
    let open = async |State(web): State<Web>| text(&web).await;
    Router::new().route(PATH, get(open)).route("/healthz", get(async || "ok\n"))
}

/// Counts an answer, by the pattern of its route: what is counted cannot be chosen by whoever asks.
pub(super) async fn count(State(web): State<Web>, request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>() {
        Some(matched) => matched.as_str().to_owned(),
        None => pattern(request.uri().path()).to_owned(),
    };
    let (method, began) = (method(request.method()), Instant::now());
    let answer = next.run(request).await;
    web.engine.store.meters().answered(method, &route, answer.status().as_u16(), began.elapsed());
    answer
}

fn pattern(path: &str) -> &'static str {
    path.parse::<Route>().map_or("none", |route| route.place.pattern())
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
