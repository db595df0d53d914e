//! Comments on the model's pull requests: who may say what, and what is said back.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ModelGitea, World,
    routes::{Model, Page, Refusal, full, not_found, refuse},
};

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/collaborators/{login}/permission", get(permission))
        .route("/repos/{owner}/{name}/issues/comments/{id}/reactions", post(react))
        .route("/repos/{owner}/{name}/issues/{number}/comments", get(list).post(say))
}

impl ModelGitea {
    /// Lets someone do something: `owner`, `admin`, `write`, `read`, `none`.
    pub(crate) fn allows(&self, login: &str, permission: &'static str) {
        self.state().people.insert(login.to_owned(), permission);
    }

    /// What we have said below comments since this was asked last, but for the marks that only we read.
    pub(crate) fn answers(&self) -> Vec<String> {
        let said = std::mem::take(&mut self.state().said);
        said.iter().map(|said| said.split("\n\n<!--").next().unwrap_or_default().to_owned()).collect()
    }
}

/// Only administrators may ask about others.
async fn permission(
    State(world): Model,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    if !state.quirks.admin {
        return Err(refuse(403, "Only admins can query all permissions, repo admins can query all repo permissions"));
    }
    let known = state.repositories.contains_key(&full((owner, name)));
    // whoever the fixtures are of may write, unless a test says otherwise
    let permission = state.people.get(&login).copied().or((login == "ada").then_some("write"));
    let permission = permission.filter(|_| known).ok_or_else(not_found)?;
    Ok(Json(json!({"permission": permission, "role_name": permission, "user": {"login": login}})))
}

#[derive(Deserialize)]
struct Reaction {
    content: String,
}

/// Answers 200 to a reaction that is there already.
async fn react(
    State(world): Model,
    Path((_, _, id)): Path<(String, String, u64)>,
    Json(reaction): Json<Reaction>,
) -> (StatusCode, Json<Value>) {
    let said = format!("comment {id}: {}", reaction.content);
    let mut state = world.state();
    let is_new = !state.said.contains(&said);
    if is_new {
        state.said.push(said);
    }
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(json!({"content": reaction.content})))
}

#[derive(Deserialize)]
struct Said {
    body: String,
}

async fn say(
    State(world): Model,
    Path((_, _, number)): Path<(String, String, u64)>,
    Json(Said { body }): Json<Said>,
) -> (StatusCode, Json<Value>) {
    world.state().said.push(format!("{number}: {body}"));
    (StatusCode::CREATED, Json(json!({"id": 1, "body": body})))
}

/// All of them, whatever page is asked for.
async fn list(
    State(world): Model,
    Path((_, _, number)): Path<(String, String, u64)>,
    Query(_): Query<Page>,
) -> Json<Vec<Value>> {
    let begin = format!("{number}: ");
    let said = world.state().said.clone();
    let bodies = said.iter().filter_map(|said| said.strip_prefix(&begin));
    Json(bodies.map(|body| json!({"id": 4_000_000_000_u64, "body": body})).collect())
}
