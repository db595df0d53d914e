//! The model's projects, and what its repository API says of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use containerops::model::Sha;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    BOT, May, World,
    routes::{Page, Refusal, not_found, refuse},
};
use crate::harness::github::repository::Tree;

/// A project.
pub(super) struct Project {
    pub(super) id: u64,
    /// What each branch pointed to, oldest first.
    pub(super) branches: BTreeMap<String, Vec<Sha>>,
    pub(super) tags: BTreeMap<String, Sha>,
    pub(super) trees: BTreeMap<Sha, Tree>,
    pub(super) made: BTreeMap<Sha, Timestamp>,
    /// Commits that are here by a merge request.
    pub(super) by_request: BTreeSet<Sha>,
    pub(super) requests: Vec<Request>,
    /// Access levels by account.
    pub(super) members: BTreeMap<u64, u64>,
    pub(super) may: May,
}

/// A merge request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) iid: u64,
    pub(super) source: String,
    pub(super) branch: String,
    pub(super) target: String,
    pub(super) notes: Vec<Note>,
    pub(super) merged: bool,
}

/// A note below it.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) author: u64,
    pub(super) body: String,
}

impl Project {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            trees: BTreeMap::new(),
            made: BTreeMap::new(),
            by_request: BTreeSet::new(),
            requests: Vec::new(),
            members: BTreeMap::new(),
            may: May::Write,
        }
    }

    pub(super) fn tip(&self, branch: &str) -> Sha {
        self.branches[branch].last().expect("a branch has a commit").clone()
    }

    /// The commit before the tip; all zeros if there was none.
    pub(super) fn before(&self, branch: &str) -> Sha {
        let commits = &self.branches[branch];
        commits.iter().rev().nth(1).cloned().unwrap_or_else(|| "0".repeat(40).parse().expect("a sha"))
    }

    /// Whether a commit is on a branch or a tag, and not by a merge request alone.
    pub(super) fn owns(&self, sha: &Sha) -> bool {
        self.branches.values().flatten().chain(self.tags.values()).any(|own| own == sha)
    }
}

type Model = State<Arc<World>>;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v4/user", get(me))
        .route("/api/v4/users", get(users))
        .route("/api/v4/personal_access_tokens/self", get(token))
        .route("/api/v4/projects/{id}", get(project))
        .route("/api/v4/projects/{id}/members/all/{user}", get(member))
        .route("/api/v4/projects/{id}/repository/files/{path}", get(file))
        .route("/api/v4/projects/{id}/repository/tree", get(tree))
        .route("/api/v4/projects/{id}/repository/branches", get(branches))
        .route("/api/v4/projects/{id}/repository/branches/{branch}", get(branch))
        .route("/api/v4/projects/{id}/repository/tags", get(tags))
        .route("/api/v4/projects/{id}/repository/compare", get(compare))
        .route("/api/v4/projects/{id}/repository/commits/{sha}", get(commit))
}

async fn me() -> Json<Value> {
    Json(json!({"id": BOT, "username": "containerops", "state": "active"}))
}

#[derive(Deserialize)]
struct Named {
    username: String,
}

async fn users(State(world): Model, Query(Named { username }): Query<Named>) -> Json<Value> {
    let state = world.state();
    let found = state.people.iter().find(|(login, _)| login.eq_ignore_ascii_case(&username));
    Json(found.map(|(login, id)| json!({"id": id, "username": login, "state": "active"})).into_iter().collect())
}

/// An instance that is too old for it does not know the route.
async fn token(State(world): Model) -> Result<Json<Value>, Refusal> {
    let about = world.state().token.clone();
    if about.is_null() { Err(not_found("404 Not Found")) } else { Ok(Json(about)) }
}

async fn project(State(world): Model, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (path, project) = state.project(&id).ok_or_else(no_project)?;
    Ok(Json(json!({"id": project.id, "path_with_namespace": path, "default_branch": "main", "visibility": "public"})))
}

async fn member(State(world): Model, Path((id, user)): Path<(String, u64)>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let level = project.members.get(&user).ok_or_else(|| not_found("404 Not found"))?;
    Ok(Json(json!({"id": user, "access_level": level, "state": "active"})))
}

#[derive(Deserialize)]
struct At {
    r#ref: Sha,
    path: Option<String>,
}

async fn file(
    State(world): Model,
    Path((id, path)): Path<(String, String)>,
    Query(at): Query<At>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let tree = project.trees.get(&at.r#ref).ok_or_else(|| not_found("404 Commit Not Found"))?;
    let content = tree.get(&path).ok_or_else(|| not_found("404 File Not Found"))?;
    Ok(Json(json!({
        "file_name": path.rsplit('/').next(), "file_path": path, "size": content.len(), "encoding": "base64",
        "content": BASE64_STANDARD.encode(content), "ref": at.r#ref,
    })))
}

async fn tree(
    State(world): Model,
    Path(id): Path<String>,
    Query(at): Query<At>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let tree = project.trees.get(&at.r#ref).ok_or_else(|| not_found("404 Tree Not Found"))?;
    let path = at.path.unwrap_or_default();
    let inside = tree.keys().filter_map(|key| key.strip_prefix(&path)?.strip_prefix('/'));
    let entries: Vec<Value> = inside
        .rev()
        .filter(|rest| !rest.contains('/'))
        .map(|name| json!({"name": name, "type": "blob", "mode": "100644", "path": format!("{path}/{name}")}))
        .collect();
    if entries.is_empty() { Err(not_found("404 Tree Not Found")) } else { Ok(page.of(&entries)) }
}

async fn branches(State(world): Model, Path(id): Path<String>, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let named = |(name, _): (&String, _)| json!({"name": name, "commit": {"id": project.tip(name)}});
    Ok(page.of(&project.branches.iter().map(named).collect::<Vec<_>>()))
}

async fn branch(State(world): Model, Path((id, name)): Path<(String, String)>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let tip = project.branches.contains_key(&name).then(|| project.tip(&name));
    let tip = tip.ok_or_else(|| not_found("404 Branch Not Found"))?;
    Ok(Json(json!({"name": name, "commit": {"id": tip}})))
}

async fn tags(State(world): Model, Path(id): Path<String>, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let named = |(name, sha): (&String, &Sha)| json!({"name": name, "target": sha, "commit": {"id": sha}});
    Ok(page.of(&project.tags.iter().map(named).collect::<Vec<_>>()))
}

#[derive(Deserialize)]
struct Between {
    from: String,
    to: Sha,
}

async fn compare(
    State(world): Model,
    Path(id): Path<String>,
    Query(between): Query<Between>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let from =
        project.branches.get(&between.from).map(|_| project.tip(&between.from)).or_else(|| between.from.parse().ok());
    let trees = from.and_then(|from| Some((project.trees.get(&from)?, project.trees.get(&between.to)?)));
    let (from, to) = trees.ok_or_else(|| not_found("404 Ref Not Found"))?;
    Ok(Json(json!({"diffs": diffs(from, to), "compare_timeout": false})))
}

/// What differs between two trees.
pub(super) fn diffs(from: &Tree, to: &Tree) -> Vec<Value> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let changed = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    changed.map(|name| json!({"old_path": name, "new_path": name, "diff": "…"})).collect()
}

async fn commit(State(world): Model, Path((id, sha)): Path<(String, Sha)>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let tree = project.trees.get(&sha).ok_or_else(|| not_found("404 Commit Not Found"))?;
    Ok(Json(json!({
        "id": sha, "message": format!("Change {} files", tree.len()), "author_name": "Ada",
        "committed_date": project.made.get(&sha),
    })))
}

pub(super) fn no_project() -> Refusal {
    not_found("404 Project Not Found")
}

/// What the token may see but not write is answered with 403.
pub(super) fn no_permission() -> Refusal {
    refuse(403, "403 Forbidden")
}

/// Whether a call says who it is.
pub(super) fn is_let_in(headers: &HeaderMap) -> bool {
    headers.get("private-token").is_some_and(|token| token.as_bytes() == super::TOKEN.as_bytes())
}
