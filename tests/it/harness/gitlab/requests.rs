//! Merge requests, and what is said below them and below commits.

use std::sync::Arc;

use axum::{
    Form, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use containerops::model::Sha;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    BOT, ModelGitlab, State as Held, World,
    projects::{self, Note, Request, no_project},
    routes::{Page, Refusal, not_found, refuse},
};

type Model = State<Arc<World>>;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v4/projects/{id}/merge_requests", get(list))
        .route("/api/v4/projects/{id}/merge_requests/{iid}", get(one))
        .route("/api/v4/projects/{id}/merge_requests/{iid}/diffs", get(diffs))
        .route("/api/v4/projects/{id}/merge_requests/{iid}/notes", get(notes).post(say))
        .route("/api/v4/projects/{id}/merge_requests/{iid}/notes/{note}", get(note).put(edit))
        .route("/api/v4/projects/{id}/merge_requests/{iid}/notes/{note}/award_emoji", post(award))
        .route("/api/v4/projects/{id}/repository/commits/{sha}/comments", get(comments).post(comment))
}

#[derive(Deserialize)]
struct Filter {
    state: Option<String>,
    source_branch: Option<String>,
    author_username: Option<String>,
    author_id: Option<u64>,
}

async fn list(
    State(world): Model,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let state = world.state();
    let (path, project) = state.project(&id).ok_or_else(no_project)?;
    let here = project.requests.iter().filter(|one| match filter.state.as_deref() {
        Some("opened") => !one.merged,
        Some("merged") => one.merged,
        _ => true,
    });
    let by = |one: &&Request| {
        let (id, name) = author(path, one);
        filter.author_id.is_none_or(|wanted| wanted == id)
            && filter.author_username.as_ref().is_none_or(|wanted| wanted == name)
    };
    let here = here.filter(by);
    let here = here.filter(|one| filter.source_branch.as_ref().is_none_or(|branch| one.branch == *branch));
    Ok(page.of(&here.map(|request| described(&state, path, request)).collect::<Vec<_>>()))
}

async fn one(State(world): Model, Path((id, iid)): Path<(String, u64)>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (path, _) = state.project(&id).ok_or_else(no_project)?;
    let request = find(&state, path, iid)?;
    Ok(Json(described(&state, path, request)))
}

/// Whoever has a fork has opened what comes from it.
fn author(path: &str, request: &Request) -> (u64, &'static str) {
    if request.source == path { (1, "ada") } else { (13, "mallory") }
}

fn described(state: &Held, path: &str, request: &Request) -> Value {
    let Request { iid, source, branch, target, .. } = request;
    let (id, username) = author(path, request);
    let (source, project) = (&state.projects[source], &state.projects[path]);
    json!({
        "iid": iid, "title": "Fix the readme", "sha": source.tip(branch), "draft": false, "labels": ["docs"],
        "state": if request.merged { "merged" } else { "opened" }, "author": {"id": id, "username": username}, "source_branch": branch, "target_branch": target,
        "source_project_id": source.id, "target_project_id": project.id, "updated_at": state.now(),
    })
}

fn find<'s>(state: &'s Held, path: &str, iid: u64) -> Result<&'s Request, Refusal> {
    let here = state.projects[path].requests.iter();
    here.clone().find(|request| request.iid == iid).ok_or_else(|| not_found("404 Not found"))
}

fn find_notes<'s>(state: &'s mut Held, id: &str, iid: u64) -> Result<&'s mut Vec<Note>, Refusal> {
    let path = state.project(id).ok_or_else(no_project)?.0.to_owned();
    let project = state.projects.get_mut(&path).expect("it is there");
    let request = project.requests.iter_mut().find(|request| request.iid == iid);
    Ok(&mut request.ok_or_else(|| not_found("404 Not found"))?.notes)
}

async fn diffs(
    State(world): Model,
    Path((id, iid)): Path<(String, u64)>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let state = world.state();
    let (path, project) = state.project(&id).ok_or_else(no_project)?;
    let request = find(&state, path, iid)?;
    let source = &state.projects[&request.source];
    let (from, to) = (&project.trees[&project.tip(&request.target)], &source.trees[&source.tip(&request.branch)]);
    Ok(page.of(&projects::diffs(from, to)))
}

async fn notes(
    State(world): Model,
    Path((id, iid)): Path<(String, u64)>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let mut state = world.state();
    let all: Vec<Value> = find_notes(&mut state, &id, iid)?.iter().map(shown).collect();
    Ok(page.of(&all))
}

async fn note(State(world): Model, Path((id, iid, note)): Path<(String, u64, u64)>) -> Result<Json<Value>, Refusal> {
    let mut state = world.state();
    let found = find_notes(&mut state, &id, iid)?.iter().find(|one| one.id == note).map(shown);
    found.map(Json).ok_or_else(|| not_found("404 Not found"))
}

fn shown(note: &Note) -> Value {
    json!({"id": note.id, "body": note.body, "author": {"id": note.author}, "system": false})
}

#[derive(Deserialize)]
struct Body {
    body: String,
}

async fn say(
    State(world): Model,
    Path((id, iid)): Path<(String, u64)>,
    Form(Body { body }): Form<Body>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut state = world.state();
    let note = Note { id: state.next_id(), author: BOT, body: body.clone() };
    find_notes(&mut state, &id, iid)?.push(note.clone());
    state.said.push(format!("merge request {iid}: {body}"));
    Ok((StatusCode::CREATED, Json(shown(&note))))
}

/// Nobody edits what others have said.
async fn edit(
    State(world): Model,
    Path((id, iid, note)): Path<(String, u64, u64)>,
    Form(Body { body }): Form<Body>,
) -> Result<Json<Value>, Refusal> {
    let mut state = world.state();
    let notes = find_notes(&mut state, &id, iid)?;
    let found = notes.iter_mut().find(|one| one.id == note).ok_or_else(|| not_found("404 Not found"))?;
    if found.author != BOT {
        return Err(refuse(403, "403 Forbidden"));
    }
    found.body = body;
    Ok(Json(shown(found)))
}

#[derive(Deserialize)]
struct Award {
    name: String,
}

async fn award(
    State(world): Model,
    Path((_, _, note)): Path<(String, u64, u64)>,
    Form(Award { name }): Form<Award>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let said = format!("note {note}: :{name}:");
    let mut state = world.state();
    if state.said.contains(&said) {
        return Err(not_found("404 Award Emoji Name has already been taken Not Found"));
    }
    state.said.push(said);
    Ok((StatusCode::CREATED, Json(json!({"id": 1, "name": name}))))
}

#[derive(Deserialize)]
struct Comment {
    note: String,
}

async fn comment(
    State(world): Model,
    Path((_, sha)): Path<(String, Sha)>,
    Form(Comment { note }): Form<Comment>,
) -> (StatusCode, Json<Value>) {
    world.state().said.push(format!("commit {sha}: {note}"));
    (StatusCode::CREATED, Json(json!({"note": note})))
}

async fn comments(State(world): Model, Path((_, sha)): Path<(String, Sha)>, Query(page): Query<Page>) -> Response {
    let begin = format!("commit {sha}: ");
    let state = world.state();
    let notes = state.said.iter().filter_map(|said| said.strip_prefix(&begin));
    page.of(&notes.map(|note| json!({"note": note})).collect::<Vec<_>>())
}

impl ModelGitlab {
    /// What we have said since this was asked last, but for what only we read.
    pub(crate) fn answers(&self) -> Vec<String> {
        let said = std::mem::take(&mut self.state().said);
        said.iter().map(|said| said.split("\n\n<!--").next().unwrap_or_default().to_owned()).collect()
    }

    /// What stands below a merge request, but for what only we read.
    pub(crate) fn notes_below(&self, project: &str, iid: u64) -> Vec<String> {
        let state = self.state();
        let request = find(&state, project, iid).expect("a merge request");
        let seen = |line: &str| line.split("<!--").next().unwrap_or_default().trim_end().to_owned();
        request
            .notes
            .iter()
            .map(|note| note.body.lines().map(seen).collect::<Vec<_>>().join("\n").trim().to_owned())
            .collect()
    }

    /// Somebody else writes a note.
    pub(crate) fn somebody_notes(&self, project: &str, iid: u64, body: &str) {
        let mut state = self.state();
        let note = Note { id: state.next_id(), author: 13, body: body.to_owned() };
        find_notes(&mut state, project, iid).expect("a merge request").push(note);
    }

    /// A merge request is merged.
    pub(crate) fn merge(&self, project: &str, iid: u64) {
        let mut state = self.state();
        let requests = &mut state.projects.get_mut(project).expect("a project").requests;
        requests.iter_mut().find(|request| request.iid == iid).expect("a merge request").merged = true;
    }
}
