//! The model's webhooks. An edit leaves their secret as it was, and no answer tells what that is.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ModelGitea, World,
    routes::{Model, Name, Page, Refusal, full, not_found, refuse},
};

/// What `pull_request` stands for when a hook is made.
const OF_PULLS: [&str; 4] = ["pull_request", "pull_request_sync", "pull_request_label", "pull_request_comment"];

/// A hook of a repository.
#[derive(Debug, Clone)]
pub(crate) struct ModelHook {
    pub(crate) repository: String,
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) content_type: String,
    pub(crate) secret: String,
    pub(crate) events: Vec<String>,
    pub(crate) active: bool,
    pub(crate) branch_filter: String,
    pub(crate) authorization: String,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/hooks", get(list).post(create))
        .route("/repos/{owner}/{name}/hooks/{id}", delete(remove))
}

impl ModelGitea {
    /// A repository has a hook like this.
    pub(crate) fn has_hook(&self, repository: &str, url: &str, change: impl FnOnce(&mut ModelHook)) -> u64 {
        let mut hook = ModelHook {
            repository: repository.to_owned(),
            kind: "gitea".to_owned(),
            url: url.to_owned(),
            content_type: "json".to_owned(),
            secret: "unknown".to_owned(),
            events: OF_PULLS.into_iter().chain(["push"]).map(str::to_owned).collect(),
            active: true,
            branch_filter: String::new(),
            authorization: String::new(),
        };
        change(&mut hook);
        let mut state = self.state();
        let id = state.next_id();
        state.hooks.insert(id, hook);
        id
    }

    /// The hooks of a repository.
    pub(crate) fn hooks_of(&self, repository: &str) -> Vec<ModelHook> {
        self.state().hooks.values().filter(|hook| hook.repository == repository).cloned().collect()
    }

    /// Somebody changes all hooks of a repository.
    pub(crate) fn change_hooks(&self, repository: &str, change: impl Fn(&mut ModelHook)) {
        self.state().hooks.values_mut().filter(|hook| hook.repository == repository).for_each(change);
    }
}

fn shown((id, hook): (&u64, &ModelHook)) -> Value {
    json!({
        "id": id, "type": hook.kind, "active": hook.active, "events": hook.events, "branch_filter": hook.branch_filter,
        "authorization_header": hook.authorization, "config": {"url": hook.url, "content_type": hook.content_type},
    })
}

fn may(world: &World, name: &str) -> Result<(), Refusal> {
    let state = world.state();
    match (state.repositories.contains_key(name), state.quirks.admin) {
        (true, true) => Ok(()),
        (true, false) => Err(refuse(403, "user should be an owner or a collaborator with admin write of a repository")),
        (false, _) => Err(not_found()),
    }
}

async fn list(State(world): Model, Path(name): Name, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let name = full(name);
    may(&world, &name)?;
    let all: Vec<Value> = {
        let state = world.state();
        state.hooks.iter().filter(|(_, hook)| hook.repository == name).map(shown).collect()
    };
    Ok(page.of(&world, &all))
}

#[derive(Deserialize)]
struct NewHook {
    r#type: String,
    active: bool,
    events: Vec<String>,
    config: Config,
    #[serde(default)]
    branch_filter: String,
    #[serde(default)]
    authorization_header: String,
}

#[derive(Deserialize)]
struct Config {
    url: String,
    content_type: String,
    secret: String,
}

async fn create(State(world): Model, Path(name): Name, Json(new): Json<NewHook>) -> Result<impl IntoResponse, Refusal> {
    let name = full(name);
    may(&world, &name)?;
    if !matches!(new.config.content_type.as_str(), "json" | "form") || new.r#type != "gitea" {
        return Err(refuse(422, "Invalid content type or hook type"));
    }
    // what the API does not know it leaves out
    let is_known = |event: &String| matches!(event.as_str(), "push" | "create" | "delete" | "issue_comment");
    let mut events: Vec<String> = new.events.iter().filter(|event| is_known(event)).cloned().collect();
    let whole = new.events.iter().any(|event| event == "pull_request");
    let pulls = OF_PULLS.into_iter().filter(|kind| whole || new.events.iter().any(|event| event == kind));
    events.extend(pulls.map(str::to_owned));
    let hook = ModelHook {
        repository: name,
        kind: new.r#type,
        url: new.config.url,
        content_type: new.config.content_type,
        secret: new.config.secret,
        events,
        active: new.active,
        branch_filter: new.branch_filter,
        authorization: new.authorization_header,
    };
    let mut state = world.state();
    let id = state.next_id();
    let answer = shown((&id, &hook));
    state.hooks.insert(id, hook);
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn remove(
    State(world): Model,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Result<StatusCode, Refusal> {
    let name = full((owner, name));
    may(&world, &name)?;
    let mut state = world.state();
    let is_there = state.hooks.get(&id).is_some_and(|hook| hook.repository == name);
    if !is_there {
        return Err(not_found());
    }
    state.hooks.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}
