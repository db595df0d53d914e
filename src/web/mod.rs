//! What people, forges and agents see of us over HTTP.

mod agent;
mod api;
mod assets;
mod hooks;
pub mod log;
pub mod pages;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
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
    let web = Web { engine };
    let dress = middleware::from_fn_with_state(web.clone(), pages::dress);
    Router::new()
        .route("/hooks/{forge}", post(hooks::take).layer(DefaultBodyLimit::max(hooks::BODY_MAX)))
        .nest("/agent/v1", agent::routes())
        .nest("/api/v1", api::routes().layer(dress.clone()))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .merge(pages::routes().layer(dress))
        .with_state(web)
}

/// Ready if the database answers.
async fn ready(State(web): State<Web>) -> Result<&'static str, StatusCode> {
    match web.engine.store.read().await {
        Ok(_) => Ok("ready\n"),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
