//! What people, forges and agents see of us over HTTP.

mod agent;
mod api;
mod artifact;
mod assets;
mod delivery;
mod hooks;
pub mod log;
pub mod pages;
mod schema;
mod start;
mod upload;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
    routing::{get, post},
};

use tokio::sync::Semaphore;

use crate::engine::Engine;

/// With it `/readyz` says which release answers.
pub const VERSION_HEADER: &str = "containerops-version";

/// What every handler may use.
#[derive(Clone)]
pub struct Web {
    /// What decides and drives.
    pub engine: Engine,
    /// Who may ask a forge, which nobody else may because of a request.
    dry_runs: Arc<Semaphore>,
    /// What agents upload at once.
    uploads: upload::Uploads,
}

/// All routes.
pub fn router(engine: Engine) -> Router {
    let dry_runs = Arc::new(Semaphore::new(delivery::DRY_RUNS));
    let web = Web { engine, dry_runs, uploads: upload::Uploads::new() };
    let dress = middleware::from_fn_with_state(web.clone(), pages::dress);
    Router::new()
        .route("/hooks/{forge}", post(hooks::take).layer(DefaultBodyLimit::max(hooks::BODY_MAX)))
        .nest("/agent/v1", agent::routes())
        .nest("/api/v1", api::routes().layer(dress.clone()))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/schema/flow.json", get(schema::serve))
        .merge(pages::routes().layer(dress))
        .with_state(web)
}

/// What agents ask, and nothing else: for an address that untrusted code may reach.
pub fn agent_router(engine: Engine) -> Router {
    let dry_runs = Arc::new(Semaphore::new(0));
    let web = Web { engine, dry_runs, uploads: upload::Uploads::new() };
    Router::new().nest("/agent/v1", agent::routes()).route("/healthz", get(async || "ok\n")).with_state(web)
}

/// Ready if the database answers. Says which release it is.
async fn ready(State(web): State<Web>) -> Result<([(&'static str, &'static str); 1], &'static str), StatusCode> {
    match web.engine.store.read().await {
        Ok(_) => Ok(([(VERSION_HEADER, env!("CARGO_PKG_VERSION"))], "ready\n")),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
