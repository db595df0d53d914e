//! The model's API: what it lets in, and what it refuses like GitHub does.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use containerops::model::Sha;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Fault, How, INSTALLATION, TOKEN, Times, World, Write, annotation::AnnotationBody, app, changes, comments, examined,
    hooks, limits, recall, repository::Tree, shown,
};

/// GitHub takes no longer summary, in bytes.
const LONGEST_SUMMARY: usize = 65_535;
/// The contents API leaves out what is longer.
const LONGEST_CONTENT: usize = 1 << 20;

type Model = State<Arc<World>>;

/// A refusal, in GitHub's shape.
pub(super) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"message": self.1, "documentation_url": "https://docs.github.com/rest"});
        (self.0, Json(body)).into_response()
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/app/installations/{id}/access_tokens", post(access_token))
        .route("/repos/{owner}/{name}/installation", get(installation))
        .route("/repos/{owner}/{name}", get(repository))
        .route("/repos/{owner}/{name}/contents/{*path}", get(contents))
        .route("/repos/{owner}/{name}/pulls", get(pulls))
        .route("/repos/{owner}/{name}/git/ref/heads/{*branch}", get(branch))
        .route("/repos/{owner}/{name}/check-runs", post(create_check))
        .route("/repos/{owner}/{name}/check-runs/{id}", patch(update_check))
        .route("/repos/{owner}/{name}/statuses/{sha}", post(create_status))
        .merge(changes::routes())
        .merge(comments::routes())
        .merge(examined::routes())
        .merge(hooks::routes())
        .merge(recall::routes())
        .merge(shown::routes())
        .fallback(|| async { not_found() })
        .layer(DefaultBodyLimit::max(1 << 20))
        .layer(from_fn_with_state(Arc::clone(&world), gate))
        .layer(from_fn_with_state(Arc::clone(&world), dated))
        .with_state(world)
}

/// Every answer says what time it is here.
async fn dated(State(world): Model, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&world.time()) {
        response.headers_mut().insert(header::DATE, date.parse().expect("a header's value"));
    }
    response
}

/// Every call passes here: it is noted, delayed, let down if the test wants so, and must say who it is.
async fn gate(State(world): Model, request: Request, next: Next) -> Response {
    let (fault, delay) = {
        let mut state = world.state();
        state.calls.push(format!("{} {}", request.method(), request.uri()));
        let cut = state.cut_at.take_if(|end| request.uri().path().ends_with(*end)).map(|_| Fault::Cut);
        (cut.or_else(|| state.faults.pop_front()), state.delay)
    };
    tokio::time::sleep(delay).await;
    let fault = match fault {
        Some(Fault::Hold(goes_on)) => {
            limits::hold(&world, goes_on).await;
            None
        }
        other => other,
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if world.state().budget.as_mut().is_some_and(|budget| !budget.takes(&method, &path)) {
        return limited(Duration::from_secs(60));
    }
    match fault {
        Some(Fault::Late) => {
            limits::keep(&world, request, next).await;
            refuse(504, "We couldn't respond to your request in time").into_response()
        }
        Some(Fault::Status(status)) => refuse(status, "on demand").into_response(),
        Some(Fault::Limit(after)) => limited(after),
        Some(Fault::Cut) => cut(next.run(request).await),
        Some(Fault::Hold(_)) => unreachable!("it was waited for"),
        None if !is_let_in(&world, request.method(), request.uri(), request.headers()) => {
            refuse(401, "Bad credentials").into_response()
        }
        None => match moved_to(&world, request.uri()) {
            Some(location) => (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response(),
            None => next.run(request).await,
        },
    }
}

fn moved_to(world: &World, uri: &Uri) -> Option<String> {
    let path = uri.path_and_query()?.as_str();
    let state = world.state();
    let mut moved = state.moved.iter();
    moved.find_map(|(from, to)| Some(format!("{to}{}", path.strip_prefix("/repos/")?.strip_prefix(from)?)))
}

fn is_let_in(world: &World, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(credentials) = headers.get(header::AUTHORIZATION) else { return method == Method::GET };
    let Some(token) = credentials.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")) else { return false };
    if uri.path() == "/app" || uri.path().starts_with("/app/") || uri.path().ends_with("/installation") {
        return app::is_jwt_of_app(token, world.time());
    }
    token == TOKEN || world.state().tokens.get(token).is_some_and(|&end| end > Timestamp::now())
}

fn limited(after: Duration) -> Response {
    let mut response = refuse(403, "You have exceeded a secondary rate limit").into_response();
    response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().into());
    response
}

/// The answer's head arrives, its body does not.
fn cut(response: Response) -> Response {
    let broken = futures::stream::once(async { Err::<Vec<u8>, _>(io::Error::other("cut")) });
    let mut cut = Body::from_stream(broken).into_response();
    *cut.status_mut() = response.status();
    cut
}

async fn access_token(State(world): Model, Path(id): Path<u64>) -> Result<impl IntoResponse, Refusal> {
    if id != INSTALLATION {
        return Err(not_found());
    }
    let mut state = world.state();
    // as long as the tokens of 2026, which nobody may take apart
    let token = format!("ghs_{}_{:0>500}", app::APP, state.next_id());
    let end = Timestamp::now() + state.token_life.unwrap_or(SignedDuration::from_hours(1));
    state.tokens.insert(token.clone(), end);
    let body = json!({"token": token, "expires_at": end - state.behind, "permissions": {"checks": "write"}});
    Ok((StatusCode::CREATED, Json(body)))
}

async fn installation(State(world): Model, Path(name): Path<(String, String)>) -> Result<Json<Value>, Refusal> {
    let known = world.state().repositories.contains_key(&full(name));
    if known { Ok(Json(json!({"id": INSTALLATION, "app_id": app::APP}))) } else { Err(not_found()) }
}

async fn repository(State(world): Model, Path(name): Path<(String, String)>) -> Result<Json<Value>, Refusal> {
    let (state, name) = (world.state(), full(name));
    let known = state.repositories.get(&name).ok_or_else(not_found)?;
    let visibility = if known.private { "private" } else { "public" };
    Ok(Json(json!({"id": known.id, "full_name": name, "private": known.private, "visibility": visibility})))
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
    let missing = || refuse(404, format!("No commit found for the ref {sha}"));
    let tree = repository.trees.get(&sha).ok_or_else(missing)?;
    if let Some(content) = tree.get(&path) {
        return Ok(Json(file(&path, content)));
    }
    let entries = folder(tree, &path);
    if entries.is_empty() { Err(not_found()) } else { Ok(Json(Value::Array(entries))) }
}

fn file(path: &str, content: &[u8]) -> Value {
    let (encoding, text) =
        if content.len() > LONGEST_CONTENT { ("none", String::new()) } else { ("base64", in_lines(content)) };
    json!({"type": "file", "name": path.rsplit('/').next(), "path": path, "size": content.len(), "encoding": encoding, "content": text})
}

/// Base64 in lines of 60, as GitHub breaks it.
fn in_lines(content: &[u8]) -> String {
    let digits = STANDARD.encode(content);
    digits.as_bytes().chunks(60).map(|line| format!("{}\n", str::from_utf8(line).expect("ASCII"))).collect()
}

/// What stands directly in a folder, in no order that means anything.
fn folder(tree: &Tree, path: &str) -> Vec<Value> {
    let inside = tree.keys().filter_map(|key| key.strip_prefix(path)?.strip_prefix('/'));
    let entry = |rest: &str| match rest.split_once('/') {
        Some((folder, _)) => json!({"type": "dir", "name": folder}),
        None => json!({"type": "file", "name": rest}),
    };
    inside.rev().map(entry).collect()
}

#[derive(Deserialize)]
struct PullFilter {
    head: Option<String>,
}

async fn pulls(
    State(world): Model,
    Path(name): Path<(String, String)>,
    Query(filter): Query<PullFilter>,
    Query(page): Query<recall::Page>,
) -> Result<Json<Value>, Refusal> {
    let Some(wanted) = filter.head else { return recall::pulls(&world, &full(name), &page) };
    let state = world.state();
    let repository = state.repositories.get(&full(name)).ok_or_else(not_found)?;
    let label = |head: &str, branch: &str| format!("{}:{branch}", head.split('/').next().unwrap_or_default());
    let found = repository.pulls.iter().filter(|pull| label(&pull.head_repository, &pull.branch) == wanted);
    Ok(Json(found.map(|pull| json!({"number": pull.number, "head": {"ref": pull.branch}})).collect()))
}

async fn branch(
    State(world): Model,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    let tip = repository.branches.get(&branch).and_then(|commits| commits.last()).ok_or_else(not_found)?;
    Ok(Json(json!({"ref": format!("refs/heads/{branch}"), "object": {"type": "commit", "sha": tip}})))
}

#[derive(Deserialize)]
struct CheckBody {
    name: Option<String>,
    head_sha: Option<Sha>,
    details_url: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    output: Option<OutputBody>,
    #[serde(default)]
    actions: Vec<ButtonBody>,
}

#[derive(Deserialize)]
struct ButtonBody {
    label: String,
    description: String,
    identifier: String,
}

#[derive(Deserialize)]
struct OutputBody {
    title: String,
    summary: String,
    #[serde(default)]
    annotations: Vec<AnnotationBody>,
}

async fn create_check(
    State(world): Model,
    Path(name): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Json<CheckBody>, axum::extract::rejection::JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let body = only_app(&headers, body)?;
    let mut state = world.state();
    let repository = state.repositories.get(&full(name)).ok_or_else(not_found)?;
    let sha = body.head_sha.clone().filter(|sha| repository.trees.contains_key(sha));
    let sha = sha.ok_or_else(|| unprocessable("No commit found for SHA"))?;
    let write = body.write(How::Created, sha.to_string())?;
    let id = state.next_id();
    state.checks.insert(id, write.clone());
    state.wrote(write);
    world.written.notify_waiters();
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

async fn update_check(
    State(world): Model,
    Path((_, _, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
    body: Result<Json<CheckBody>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let body = only_app(&headers, body)?;
    let mut state = world.state();
    let before = state.checks.get(&id).ok_or_else(not_found)?.clone();
    let mut write = body.write(How::Updated, before.sha)?;
    // they are appended, whatever else is replaced
    write.annotations.splice(0..0, before.annotations);
    write.margins.splice(0..0, before.margins);
    state.checks.insert(id, write.clone());
    state.wrote(write);
    world.written.notify_waiters();
    Ok(Json(json!({"id": id})))
}

fn only_app(
    headers: &HeaderMap,
    body: Result<Json<CheckBody>, axum::extract::rejection::JsonRejection>,
) -> Result<CheckBody, Refusal> {
    if headers[header::AUTHORIZATION].to_str().is_ok_and(|text| text.ends_with(TOKEN)) {
        return Err(refuse(403, "You must authenticate via a GitHub App."));
    }
    Ok(body.map_err(|e| unprocessable(e.body_text()))?.0)
}

impl CheckBody {
    fn write(self, how: How, sha: String) -> Result<Write, Refusal> {
        let state = self.state()?;
        let output = self.output.ok_or_else(|| unprocessable("the tests want an output"))?;
        if output.summary.is_empty() || output.summary.len() > LONGEST_SUMMARY {
            return Err(unprocessable("summary is empty or exceeds 65535 bytes"));
        }
        if output.annotations.len() > 50 {
            return Err(unprocessable("annotations exceeds a maximum quantity of 50"));
        }
        let fits = |button: &ButtonBody| {
            button.label.len() <= 20 && button.description.len() <= 40 && button.identifier.len() <= 20
        };
        if self.actions.len() > 3 || !self.actions.iter().all(fits) {
            return Err(unprocessable("actions are too many or too long"));
        }
        if !output.annotations.iter().all(AnnotationBody::is_good) {
            return Err(unprocessable("Invalid annotation"));
        }
        Ok(Write {
            how,
            context: self.name.filter(|name| !name.is_empty()).ok_or_else(|| unprocessable("name is missing"))?,
            sha,
            state,
            title: output.title,
            summary: output.summary,
            url: self.details_url.unwrap_or_default(),
            external_id: self.external_id.unwrap_or_default(),
            times: times(self.started_at, self.completed_at),
            buttons: self.actions.into_iter().map(|button| button.identifier).collect(),
            margins: output.annotations.iter().map(AnnotationBody::margin).collect(),
            annotations: output.annotations.into_iter().map(|annotation| annotation.message).collect(),
        })
    }

    fn state(&self) -> Result<String, Refusal> {
        const CONCLUSIONS: [&str; 7] =
            ["action_required", "cancelled", "failure", "neutral", "skipped", "success", "timed_out"];
        match (self.status.as_deref(), self.conclusion.as_deref()) {
            (Some("completed"), Some(word)) if CONCLUSIONS.contains(&word) => Ok(word.to_owned()),
            (Some(word @ ("queued" | "in_progress")), None) => Ok(word.to_owned()),
            (status, conclusion) => Err(unprocessable(format!("status {status:?} with {conclusion:?}"))),
        }
    }
}

fn times(started: Option<Timestamp>, completed: Option<Timestamp>) -> Times {
    (started.map(|time| time.to_string()), completed.map(|time| time.to_string()))
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
        return Err(unprocessable(format!("No commit found for SHA: {sha}")));
    }
    let same = |status: &&Write| status.sha == sha.as_str() && status.context == body.context;
    if state.statuses.iter().filter(same).count() >= 1000 {
        return Err(unprocessable("This SHA and context has reached the maximum number of statuses."));
    }
    let write = body.write(sha.to_string())?;
    state.statuses.push(write.clone());
    state.wrote(write);
    world.written.notify_waiters();
    Ok((StatusCode::CREATED, Json(json!({"id": state.next_id()}))))
}

impl StatusBody {
    fn write(self, sha: String) -> Result<Write, Refusal> {
        if !matches!(self.state.as_str(), "error" | "failure" | "pending" | "success") {
            return Err(unprocessable("State is not included in the list"));
        }
        if self.description.chars().count() > 140 {
            return Err(unprocessable("description is too long (maximum is 140 characters)"));
        }
        Ok(Write {
            how: How::Status,
            context: self.context,
            sha,
            state: self.state,
            title: self.description,
            summary: String::new(),
            url: self.target_url,
            external_id: String::new(),
            times: (None, None),
            buttons: Vec::new(),
            annotations: Vec::new(),
            margins: Vec::new(),
        })
    }
}

pub(super) fn full((owner, name): (String, String)) -> String {
    format!("{owner}/{name}")
}

pub(super) fn not_found() -> Refusal {
    refuse(404, "Not Found")
}

fn unprocessable(message: impl Into<String>) -> Refusal {
    refuse(422, message)
}

pub(super) fn refuse(status: u16, message: impl Into<String>) -> Refusal {
    Refusal(StatusCode::from_u16(status).expect("a status"), message.into())
}
