//! What people, forges and agents see of us over HTTP.

mod agent;
pub mod assets;
mod hooks;
pub mod log;
pub mod pages;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};

use crate::engine::Engine;

/// What every handler may use.
#[derive(Clone)]
pub struct Web {
    /// What decides and drives.
    pub engine: Engine,
}

/// All routes.
pub fn router(engine: Engine) -> Router {
    Router::new()
        .route("/hooks/{forge}", post(hooks::take).layer(DefaultBodyLimit::max(hooks::BODY_MAX)))
        .nest("/agent/v1", agent::routes())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(Web { engine })
}

/// Ready if the database answers.
async fn ready(State(web): State<Web>) -> Result<&'static str, StatusCode> {
    match web.engine.store.read().await {
        Ok(_) => Ok("ready\n"),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
