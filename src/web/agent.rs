//! `/agent/v1`: the protocol of [`protocol`](crate::agent::protocol), over the engine's turns.

use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State},
    handler::Handler,
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, put},
};
use futures::TryStreamExt as _;

use super::{Web, upload::Upload};
use crate::{
    agent::protocol::{
        self, CacheAnswer, CacheRequest, CacheWish, ClaimAnswer, ClaimRequest, EndRecord, Heartbeat, HeartbeatAnswer,
        LogAnswer, NewArtifact, NewCache, NewReports, Outputs, PART_SIZE_MAX, ReportsAnswer,
    },
    engine::turn::Denied,
    model::JobId,
};

/// A chunk's text may be incompressible, and its index comes on top.
const LOG_BODY_MAX: usize = 2 * protocol::CHUNK_TEXT_MAX;
/// JSON escapes may make an output six times as long.
const OUTPUTS_BODY_MAX: usize = 6 * protocol::OUTPUTS_MAX;
/// A list of as many files as there may be, and of more parts than that.
const ARTIFACT_BODY_MAX: usize = 64 << 20;
/// A list of files with reports, with the longest names, and of their parts.
const REPORTS_BODY_MAX: usize = 8 << 20;
/// Claims and end records are small.
const SMALL_BODY_MAX: usize = 64 << 10;

/// A call, by its method and its path.
pub type Call = (Method, &'static str);

/// The calls, each with what answers it.
#[derive(Default)]
struct Calls {
    router: Router<Web>,
    all: Vec<Call>,
}

impl Calls {
    fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::GET, path, get(handler))
    }

    /// With a body of at most so many bytes.
    fn post<T: 'static>(self, path: &'static str, most: usize, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::POST, path, post(handler).layer(DefaultBodyLimit::max(most)))
    }

    fn put<T: 'static>(self, path: &'static str, most: usize, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::PUT, path, put(handler).layer(DefaultBodyLimit::max(most)))
    }

    fn on(mut self, method: Method, path: &'static str, answer: MethodRouter<Web>) -> Self {
        self.all.push((method, path));
        Self { router: self.router.route(path, answer), ..self }
    }
}

pub(super) fn routes() -> Router<Web> {
    calls().router
}

/// All calls.
pub(super) fn all() -> Vec<Call> {
    calls().all
}

/// What is uploaded has its own limits, beside those of a body.
fn calls() -> Calls {
    Calls::default()
        .post("/claim", SMALL_BODY_MAX, claim)
        .put("/log", LOG_BODY_MAX, log)
        .post("/outputs", OUTPUTS_BODY_MAX, outputs)
        .post("/heartbeat", SMALL_BODY_MAX, heartbeat)
        .post("/ready", SMALL_BODY_MAX, ready)
        .post("/end", SMALL_BODY_MAX, end)
        .get("/blobs/{digest}", blob)
        .put("/blobs/{digest}", PART_SIZE_MAX, put_part)
        .post("/caches", SMALL_BODY_MAX, find_cache)
        .post("/caches/kept", ARTIFACT_BODY_MAX, keep_cache)
        .get("/caches/{name}", wants_cache)
        .post("/artifacts", ARTIFACT_BODY_MAX, artifact)
        .post("/reports", REPORTS_BODY_MAX, reports)
        .get("/refused", refused)
        .post("/events/{name}", SMALL_BODY_MAX, event)
}

/// The bearer token of a call.
pub(super) struct Bearer(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        token.map(|token| Self(token.to_owned())).ok_or_else(|| Denied::Unknown.into_response())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Protocol(_) | Self::Chunk(_) | Self::Event(_) | Self::Bundle(_) => StatusCode::BAD_REQUEST,
            Self::Gap(answer) => return (StatusCode::CONFLICT, Json(*answer)).into_response(),
            Self::TooMuch => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Engine(error) => {
                tracing::error!(%error, "agent not answered");
                return (StatusCode::SERVICE_UNAVAILABLE, "not now: ask again\n").into_response();
            }
        };
        (status, format!("{self}\n")).into_response()
    }
}

async fn claim(
    State(web): State<Web>,
    Bearer(token): Bearer,
    Json(request): Json<ClaimRequest>,
) -> Result<Json<ClaimAnswer>, Denied> {
    web.engine.claim(&token, &request).await.map(Json)
}

#[derive(serde::Deserialize)]
struct Offset {
    offset: u64,
}

async fn log(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Query(at): Query<Offset>,
    body: Bytes,
) -> Result<Json<LogAnswer>, Denied> {
    web.engine.append_log(&session, at.offset, &body).await.map(Json)
}

async fn outputs(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Json(new): Json<Outputs>,
) -> Result<StatusCode, Denied> {
    web.engine.keep_outputs(&session, &new).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(serde::Deserialize)]
struct Patience {
    /// Seconds to wait for news; the protocol's own if it is not given.
    wait: Option<u64>,
}

async fn heartbeat(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Query(patience): Query<Patience>,
    said: Option<Json<Heartbeat>>,
) -> Result<Json<HeartbeatAnswer>, Denied> {
    let Json(said) = said.unwrap_or_default();
    let patience = patience.wait.map_or(protocol::LONG_POLL, Duration::from_secs).min(protocol::LONG_POLL);
    web.engine.heartbeat(&session, said, patience).await.map(Json)
}

async fn ready(State(web): State<Web>, Bearer(session): Bearer) -> Result<StatusCode, Denied> {
    web.engine.ready(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Json(record): Json<EndRecord>,
) -> Result<StatusCode, Denied> {
    web.engine.end(&session, &record).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(serde::Deserialize)]
struct EventToken {
    job: JobId,
    token: String,
}

/// What a job posts to one of its `CO_*` URLs. The token is in the URL, because that is all that the original's
/// components know.
async fn event(
    State(web): State<Web>,
    Path(name): Path<String>,
    Query(by): Query<EventToken>,
    body: String,
) -> Result<StatusCode, Denied> {
    web.engine.take_event(&name, by.job, &by.token, &body).await.map(|()| StatusCode::NO_CONTENT)
}

/// Takes a part of a bundle, which may be an artifact's in the end.
async fn put_part(
    State(web): State<Web>,
    Path(digest): Path<String>,
    upload: Upload<PART_SIZE_MAX>,
) -> Result<StatusCode, Denied> {
    web.engine.put_part(&upload.session, &digest, upload.body.clone()).await.map(|()| StatusCode::NO_CONTENT)
}

async fn artifact(State(web): State<Web>, upload: Upload<ARTIFACT_BODY_MAX>) -> Result<StatusCode, Denied> {
    let new: NewArtifact = read(&upload.body)?;
    web.engine.keep_artifact(&upload.session, &new).await.map(|()| StatusCode::NO_CONTENT)
}

async fn reports(State(web): State<Web>, upload: Upload<REPORTS_BODY_MAX>) -> Result<Json<ReportsAnswer>, Denied> {
    let new: NewReports = read(&upload.body)?;
    web.engine.keep_reports(&upload.session, &new).await.map(Json)
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Denied> {
    serde_json::from_slice(body).map_err(|error| Denied::Bundle(error.to_string()))
}

async fn find_cache(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Json(asked): Json<CacheRequest>,
) -> Result<Json<CacheAnswer>, Denied> {
    web.engine.find_cache(&session, &asked).await.map(Json)
}

async fn wants_cache(
    State(web): State<Web>,
    Bearer(session): Bearer,
    Path(name): Path<String>,
) -> Result<Json<CacheWish>, Denied> {
    web.engine.wants_cache(&session, &name).await.map(Json)
}

async fn refused(State(web): State<Web>, Bearer(session): Bearer) -> Result<Json<bool>, Denied> {
    web.engine.has_refused(&session).await.map(Json)
}

async fn keep_cache(State(web): State<Web>, upload: Upload<ARTIFACT_BODY_MAX>) -> Result<StatusCode, Denied> {
    let new: NewCache = read(&upload.body)?;
    web.engine.keep_cache(&upload.session, &new).await.map(|()| StatusCode::NO_CONTENT)
}

/// Streams the snapshot of the session's own run, or what its job was told to bring, and nothing else.
async fn blob(State(web): State<Web>, Bearer(session): Bearer, Path(digest): Path<String>) -> Result<Response, Denied> {
    let Some(blob) = web.engine.source_of(&session, &digest).await? else {
        return Ok((StatusCode::NOT_FOUND, "there is no such blob for this job\n").into_response());
    };
    let length = blob.length;
    let body = Body::from_stream(blob.bytes.map_err(std::io::Error::other));
    let headers = [(header::CONTENT_TYPE, "application/zstd".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, body).into_response())
}
