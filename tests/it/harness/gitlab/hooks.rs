//! The webhooks of the model's projects.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Form, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
    routing::{get, put},
};
use serde_json::{Map, Value, json};

use super::{
    ModelGitlab, World,
    projects::no_project,
    routes::{Page, Refusal, not_found},
};

type Model = State<Arc<World>>;
type Fields = Form<BTreeMap<String, String>>;

/// A webhook: what the API tells of it, and the two secrets that it does not.
pub(super) struct Hook {
    project: u64,
    told: Map<String, Value>,
    secrets: (Option<String>, Option<String>),
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v4/projects/{id}/hooks", get(list).post(create))
        .route("/api/v4/projects/{id}/hooks/{hook}", put(edit).delete(remove))
}

async fn list(State(world): Model, Path(id): Path<String>, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let here = state.hooks.iter().filter(|hook| hook.project == project.id);
    Ok(page.of(&here.map(|hook| Value::Object(hook.told.clone())).collect::<Vec<_>>()))
}

async fn create(
    State(world): Model,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut state = world.state();
    let project = state.project(&id).ok_or_else(no_project)?.1.id;
    let number = state.next_id();
    let told = [("id".to_owned(), json!(number)), ("alert_status".to_owned(), json!("executable"))];
    let mut hook = Hook { project, told: told.into_iter().collect(), secrets: (None, None) };
    hook.set(fields);
    let told = Value::Object(hook.told.clone());
    state.hooks.push(hook);
    Ok((StatusCode::CREATED, Json(told)))
}

async fn edit(
    State(world): Model,
    Path((_, number)): Path<(String, u64)>,
    Form(fields): Fields,
) -> Result<Json<Value>, Refusal> {
    let mut state = world.state();
    let hook = state.hooks.iter_mut().find(|hook| hook.told["id"] == json!(number));
    let hook = hook.ok_or_else(|| not_found("404 Not found"))?;
    hook.set(fields);
    Ok(Json(Value::Object(hook.told.clone())))
}

async fn remove(State(world): Model, Path((_, number)): Path<(String, u64)>) -> Result<StatusCode, Refusal> {
    let mut state = world.state();
    let before = state.hooks.len();
    state.hooks.retain(|hook| hook.told["id"] != json!(number));
    if state.hooks.len() < before { Ok(StatusCode::NO_CONTENT) } else { Err(not_found("404 Not found")) }
}

impl Hook {
    fn set(&mut self, fields: BTreeMap<String, String>) {
        for (name, value) in fields {
            match name.as_str() {
                "token" => self.secrets.0 = Some(value),
                "signing_token" => {
                    self.secrets.1 = Some(value);
                    self.told.insert("signing_token_present".to_owned(), json!(true));
                }
                _ => {
                    let value = value.parse::<bool>().map_or_else(|_| json!(value), |flag| json!(flag));
                    self.told.insert(name, value);
                }
            }
        }
    }
}

impl ModelGitlab {
    /// The hooks as lines: URL, what they tell of, and their secrets.
    pub(crate) fn hooks(&self) -> Vec<String> {
        let line = |hook: &Hook| {
            let events = hook.told.iter().filter(|(name, told)| name.ends_with("_events") && **told == json!(true));
            let events: Vec<&str> = events.map(|(name, _)| name.trim_end_matches("_events")).collect();
            let (token, key) = (&hook.secrets.0, &hook.secrets.1);
            format!("{} {} {token:?} {key:?}", hook.told["url"].as_str().unwrap_or_default(), events.join(","))
        };
        self.state().hooks.iter().map(line).collect()
    }

    /// Something happens to all hooks: `alert_status` is `disabled`, …
    pub(crate) fn hooks_are(&self, field: &str, value: Value) {
        for hook in &mut self.state().hooks {
            hook.told.insert(field.to_owned(), value.clone());
        }
    }
}
