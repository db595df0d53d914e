//! The model's webhooks: those of repositories, and the App's. No answer tells what secret one has.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, patch},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ModelGithub, TOKEN, World,
    routes::{Refusal, full, not_found, refuse},
};

type Model = State<Arc<World>>;

/// All that events of a repository's hook may be, to this release of the model.
const EVENTS: [&str; 7] = [
    "push",
    "pull_request",
    "issue_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "commit_comment",
    "check_run",
];

/// The model's hooks.
#[derive(Default)]
pub(super) struct Hooks {
    of_repositories: BTreeMap<u64, ModelHook>,
    /// What the App's was set to.
    app_secret: Option<String>,
    /// Whether the App may look after hooks.
    app_may: bool,
}

/// A hook of a repository.
#[derive(Debug, Clone)]
pub(crate) struct ModelHook {
    pub(crate) repository: String,
    pub(crate) url: String,
    pub(crate) content_type: String,
    pub(crate) insecure_ssl: String,
    pub(crate) secret: String,
    pub(crate) events: Vec<String>,
    pub(crate) active: bool,
    /// The status of its last delivery.
    pub(crate) last: Option<u16>,
}

impl ModelHook {
    fn new(repository: &str, url: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            url: url.to_owned(),
            content_type: "json".to_owned(),
            insecure_ssl: "0".to_owned(),
            secret: "unknown".to_owned(),
            events: EVENTS[..5].iter().map(|event| (*event).to_owned()).collect(),
            active: true,
            last: None,
        }
    }

    fn shown(&self, id: u64) -> Value {
        let message = self.last.map(|code| if code < 300 { "OK" } else { "failed to connect to host" });
        json!({
            "id": id, "type": "Repository", "name": "web", "active": self.active, "events": self.events,
            "config": {"url": self.url, "content_type": self.content_type, "insecure_ssl": self.insecure_ssl, "secret": "********"},
            "last_response": {"code": self.last, "status": "unused", "message": message},
        })
    }
}

impl ModelGithub {
    /// A repository has a hook that delivers to this URL.
    pub(crate) fn add_hook(&self, repository: &str, url: &str) {
        self.state().hooks.of_repositories.insert(7, ModelHook::new(repository, url));
    }

    /// Somebody changes all hooks of a repository.
    pub(crate) fn change_hooks(&self, repository: &str, change: impl Fn(&mut ModelHook)) {
        let mut state = self.state();
        state.hooks.of_repositories.values_mut().filter(|hook| hook.repository == repository).for_each(change);
    }

    /// The hooks of a repository.
    pub(crate) fn hooks_of(&self, repository: &str) -> Vec<ModelHook> {
        let state = self.state();
        state.hooks.of_repositories.values().filter(|hook| hook.repository == repository).cloned().collect()
    }

    /// The App may look after hooks of repositories.
    pub(crate) fn app_may_keep_hooks(&self) {
        self.state().hooks.app_may = true;
    }

    /// What the App's own hook was given as its secret.
    pub(crate) fn app_secret(&self) -> Option<String> {
        self.state().hooks.app_secret.clone()
    }
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/hooks", get(list).post(create))
        .route("/repos/{owner}/{name}/hooks/{id}", patch(edit).delete(remove))
}

fn may(world: &World, name: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let state = world.state();
    if !state.repositories.contains_key(name) {
        return Err(not_found());
    }
    let by_token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match by_token.is_some_and(|text| text.ends_with(TOKEN)) {
        true if state.memory.hooks_hidden => Err(refuse(403, "Resource not accessible by personal access token")),
        false if !state.hooks.app_may => Err(refuse(403, "Resource not accessible by integration")),
        true | false => Ok(()),
    }
}

async fn list(
    State(world): Model,
    Path(name): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Vec<Value>>, Refusal> {
    let name = full(name);
    may(&world, &name, &headers)?;
    let state = world.state();
    let ours = state.hooks.of_repositories.iter().filter(|(_, hook)| hook.repository == name);
    let chat = ModelHook::new(&name, "https://chat.example.com/hooks/github").shown(6);
    Ok(Json(std::iter::once(chat).chain(ours.map(|(id, hook)| hook.shown(*id))).collect()))
}

#[derive(Deserialize)]
struct Body {
    active: bool,
    events: Vec<String>,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    url: String,
    content_type: String,
    insecure_ssl: String,
    secret: String,
}

impl Body {
    fn hook(self, repository: String) -> Result<ModelHook, Refusal> {
        if let Some(unknown) = self.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
            return Err(refuse(422, format!("The event {unknown} is not supported by this webhook")));
        }
        let Config { url, content_type, insecure_ssl, secret } = self.config;
        let (events, active) = (self.events, self.active);
        Ok(ModelHook { repository, url, content_type, insecure_ssl, secret, events, active, last: None })
    }
}

async fn create(
    State(world): Model,
    Path(name): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<impl IntoResponse, Refusal> {
    let name = full(name);
    may(&world, &name, &headers)?;
    let hook = body.hook(name)?;
    let mut state = world.state();
    if state.hooks.of_repositories.values().any(|known| known.repository == hook.repository && known.url == hook.url) {
        return Err(refuse(422, "Hook already exists on this repository"));
    }
    let id = state.next_id();
    let shown = hook.shown(id);
    state.hooks.of_repositories.insert(id, hook);
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn edit(
    State(world): Model,
    Path((owner, name, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<Json<Value>, Refusal> {
    let name = full((owner, name));
    may(&world, &name, &headers)?;
    let mut state = world.state();
    let known =
        state.hooks.of_repositories.get_mut(&id).filter(|hook| hook.repository == name).ok_or_else(not_found)?;
    // what became of its last delivery stays
    *known = ModelHook { last: known.last, ..body.hook(name)? };
    Ok(Json(known.shown(id)))
}

async fn remove(
    State(world): Model,
    Path((owner, name, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    may(&world, &full((owner, name)), &headers)?;
    world.state().hooks.of_repositories.remove(&id).map(|_| StatusCode::NO_CONTENT).ok_or_else(not_found)
}

#[derive(Deserialize)]
pub(super) struct AppHook {
    secret: String,
    content_type: String,
}

pub(super) async fn set_app_hook(
    State(world): Model,
    Json(AppHook { secret, content_type }): Json<AppHook>,
) -> Json<Value> {
    world.state().hooks.app_secret = Some(secret);
    Json(json!({"content_type": content_type}))
}
