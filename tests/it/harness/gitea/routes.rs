//! The model's API: what it lets in, and what it refuses like Gitea does.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use containerops::model::Sha;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Status, TOKEN, World, comments, hooks, refs};
use crate::harness::github::repository::Tree;

pub(super) type Model = State<Arc<World>>;
pub(super) type Name = Path<(String, String)>;

/// A refusal, in Gitea's shape.
pub(super) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"message": self.1, "url": "https://gitea.example.com/api/swagger"});
        (self.0, Json(body)).into_response()
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/version", get(async || Json(json!({"version": "1.24.6"}))))
        .route("/user", get(async || Json(json!({"id": 1, "login": "containerops"}))))
        .route("/repos/search", get(async || Json(json!({"ok": true, "data": []}))))
        .route("/repos/issues/search", get(async || Json(json!([]))))
        .route("/repos/{owner}/{name}", get(repository))
        .route("/repos/{owner}/{name}/contents/{*path}", get(contents))
        .route("/repos/{owner}/{name}/statuses/{sha}", post(create_status))
        .route("/repos/{owner}/{name}/commits/{sha}/status", get(status))
        .merge(refs::routes())
        .merge(comments::routes())
        .merge(hooks::routes())
        .fallback(|| async { not_found() })
        .layer(from_fn_with_state(Arc::clone(&world), gate))
        .with_state(world)
}

/// Every call passes here: it is noted, let down if the test wants so, and must say who it is.
async fn gate(State(world): Model, request: Request, next: Next) -> Response {
    let (fault, lacks) = {
        let mut state = world.state();
        state.calls.push(format!("{} {}", request.method(), request.uri()));
        (state.faults.pop_front(), state.quirks.lacks)
    };
    match fault {
        Some(Fault::Status(status)) => return refuse(status, "on demand").into_response(),
        Some(Fault::Limit(after)) => return limited(after),
        None => {}
    }
    let path = request.uri().path().to_owned();
    let credentials = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_open = world.state().quirks.open && request.method() == Method::GET && credentials.is_none();
    if path != "/version" && !is_open && credentials != Some(&format!("token {TOKEN}")) {
        return refuse(401, "invalid username, password or token").into_response();
    }
    let wants = if path.contains("/issues/") { "write:issue" } else { "write:repository" };
    if path.starts_with("/repos/") && lacks == Some(wants) {
        let message = format!("token does not have at least one of required scope(s): [{wants}]");
        return refuse(403, message).into_response();
    }
    let moved = world.state().moved.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix("/repos/")?.strip_prefix(from.as_str())?;
        Some(format!(
            "/git/api/v1/repos/{to}{rest}{}",
            request.uri().query().map_or_else(String::new, |q| format!("?{q}"))
        ))
    });
    match moved {
        Some(location) => (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response(),
        None => next.run(request).await,
    }
}

fn limited(after: Duration) -> Response {
    let body = Json(json!({"message": "Too many requests"}));
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", after.as_secs().to_string())], body).into_response()
}

/// Git itself is let in by a token in the place of a password, and in no other way.
pub(super) async fn only_by_token(request: Request, next: Next) -> Response {
    let credentials = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let pair = credentials.and_then(|text| STANDARD.decode(text.strip_prefix("Basic ")?).ok()).unwrap_or_default();
    match String::from_utf8_lossy(&pair).split_once(':').is_some_and(|(_, password)| password == TOKEN) {
        true => next.run(request).await,
        false => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"Gitea\"")]).into_response(),
    }
}

async fn repository(State(world): Model, Path(name): Name) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let name = full(name);
    let here = state.repositories.get(&name).ok_or_else(not_found)?;
    Ok(Json(
        json!({"id": here.id, "full_name": name, "private": here.private, "internal": false, "owner": {"visibility": "public"}}),
    ))
}

#[derive(Deserialize)]
struct At {
    r#ref: Sha,
}

async fn contents(
    State(world): Model,
    Path((owner, name, path)): Path<(String, String, String)>,
    Query(At { r#ref: sha }): Query<At>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    // the same words for a commit that is not there and for a file that is not
    let tree = repository.trees.get(&sha).ok_or_else(not_found)?;
    if let Some(content) = tree.get(&path) {
        return Ok(Json(file(&path, content)));
    }
    let entries = folder(tree, &path);
    if entries.is_empty() { Err(not_found()) } else { Ok(Json(Value::Array(entries))) }
}

/// Above its limit (10 MiB by default, here 2) the content is left out.
fn file(path: &str, content: &[u8]) -> Value {
    let (encoding, text) = match content.len() > 2 << 20 {
        true => (Value::Null, Value::Null),
        false => (json!("base64"), json!(STANDARD.encode(content))),
    };
    json!({"type": "file", "name": path.rsplit('/').next(), "path": path, "size": content.len(), "encoding": encoding, "content": text})
}

/// What stands directly in a folder, in no order that means anything.
fn folder(tree: &Tree, path: &str) -> Vec<Value> {
    let inside = tree.keys().filter_map(|key| key.strip_prefix(path)?.strip_prefix('/'));
    let names: BTreeSet<(&str, &str)> =
        inside.map(|rest| rest.split_once('/').map_or((rest, "file"), |(folder, _)| (folder, "dir"))).collect();
    let entry = |(name, kind): &(&str, &str)| json!({"name": name, "type": kind, "content": null, "encoding": null});
    names.iter().rev().map(entry).collect()
}

#[derive(Deserialize)]
struct StatusBody {
    state: String,
    context: String,
    description: String,
    target_url: String,
}

async fn create_status(
    State(world): Model,
    Path((owner, name, sha)): Path<(String, String, Sha)>,
    Json(body): Json<StatusBody>,
) -> Result<impl IntoResponse, Refusal> {
    let mut state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    if !repository.trees.contains_key(&sha) {
        return Err(not_found());
    }
    if !matches!(body.state.as_str(), "pending" | "success" | "error" | "failure" | "warning") {
        return Err(refuse(422, "unknown CommitStatusState"));
    }
    let StatusBody { state: word, context, description: title, target_url: url } = body;
    let status = Status { sha: sha.to_string(), context, state: word, title, url };
    state.statuses.push(status.clone());
    state.unread.push(status);
    Ok((StatusCode::CREATED, Json(json!({"id": state.next_id()}))))
}

/// The newest of each context; without any, there is no list.
async fn status(
    State(world): Model,
    Path((_, _, sha)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Json<Value> {
    let state = world.state();
    let of_commit = state.statuses.iter().filter(|status| status.sha == sha);
    let newest: std::collections::BTreeMap<_, _> = of_commit.map(|status| (&status.context, status)).collect();
    let listed = |status: &Status| json!({"context": status.context, "status": status.state, "description": status.title, "target_url": status.url});
    let all: Vec<Value> = newest.into_values().map(listed).collect();
    let (total, here) = (all.len(), page.cut(&all, state.quirks.page));
    let statuses = if here.is_empty() && state.quirks.null { Value::Null } else { json!(here) };
    Json(json!({"state": "pending", "sha": sha, "total_count": total, "statuses": statuses}))
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default = "thirty")]
    limit: usize,
    #[serde(default = "first")]
    page: usize,
}

fn thirty() -> usize {
    30
}

fn first() -> usize {
    1
}

impl Page {
    fn cut(&self, all: &[Value], most: usize) -> Vec<Value> {
        let size = self.limit.min(most);
        all.iter().skip((self.page - 1) * size).take(size).cloned().collect()
    }

    /// A page of a list, with how long that is.
    pub(super) fn of(&self, world: &World, all: &[Value]) -> Response {
        let quirks = world.state().quirks.clone();
        let here = self.cut(all, quirks.page);
        let mut headers = HeaderMap::new();
        if quirks.counts {
            headers.insert("x-total-count", all.len().into());
            let size = self.limit.min(quirks.page);
            if self.page * size < all.len() {
                let link = format!("<https://gitea.example.com/?page={}>; rel=\"next\"", self.page + 1);
                headers.insert(header::LINK, link.parse().expect("a header"));
            }
        }
        let body = if here.is_empty() && quirks.null { Value::Null } else { json!(here) };
        (headers, Json(body)).into_response()
    }
}

pub(super) fn full((owner, name): (String, String)) -> String {
    format!("{owner}/{name}")
}

pub(super) fn not_found() -> Refusal {
    refuse(404, "The target couldn't be found.")
}

pub(super) fn refuse(status: u16, message: impl Into<String>) -> Refusal {
    Refusal(StatusCode::from_u16(status).expect("a status"), message.into())
}
