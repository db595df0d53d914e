//! What people, forges and agents see of us over HTTP.

pub mod access;
mod agent;
mod api;
mod artifact;
mod assets;
mod audit;
mod delivery;
mod hooks;
pub mod log;
pub mod pages;
mod schema;
mod secrets;
mod start;
mod tokens;
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
pub use tokens::new_token;

use access::{Access, Anybody, RouteNeed, Routes};

/// With it `/readyz` says which release answers.
pub const VERSION_HEADER: &str = "containerops-version";

/// What every handler may use.
#[derive(Clone)]
pub struct Web {
    /// What decides and drives.
    pub engine: Engine,
    /// Who may see and change what.
    pub access: Arc<Access>,
    /// Who may ask a forge, which nobody else may because of a request.
    dry_runs: Arc<Semaphore>,
    /// What agents upload at once.
    uploads: upload::Uploads,
}

impl Web {
    /// Whether browsers reach us by https.
    fn is_secure(&self) -> bool {
        self.engine.settings.public_url.starts_with("https://")
    }
}

/// All routes. Agents and hooks prove by tokens and signatures of their own who they are; whatever else there is says
/// what it needs.
pub fn router(engine: Engine, access: Arc<Access>) -> Router {
    let dry_runs = Arc::new(Semaphore::new(delivery::DRY_RUNS));
    let web = Web { engine, access, dry_runs, uploads: upload::Uploads::new() };
    let dress = middleware::from_fn_with_state(web.clone(), pages::dress);
    Router::new()
        .route("/hooks/{forge}", post(hooks::take).layer(DefaultBodyLimit::max(hooks::BODY_MAX)))
        .nest("/agent/v1", agent::routes())
        .nest("/api/v1", api::routes().router().layer(dress.clone()))
        .merge(probes().router())
        .merge(pages::routes().router().layer(dress))
        .with_state(web)
}

/// What agents ask, and nothing else: for an address that untrusted code may reach.
pub fn agent_router(engine: Engine, access: Arc<Access>) -> Router {
    let dry_runs = Arc::new(Semaphore::new(0));
    let web = Web { engine, access, dry_runs, uploads: upload::Uploads::new() };
    Router::new().nest("/agent/v1", agent::routes()).route("/healthz", get(async || "ok\n")).with_state(web)
}

/// What every route for people and programs needs.
pub fn needs() -> Vec<RouteNeed> {
    let api = Routes::new().nest("/api/v1", api::routes()).needs();
    api.into_iter().chain(probes().needs()).chain(pages::routes().needs()).collect()
}

fn probes() -> Routes {
    Routes::new()
        .get("/healthz", async |_: Anybody| "ok\n")
        .get("/readyz", ready)
        .get("/schema/flow.json", schema::serve)
}

/// Ready if the database answers. Says which release it is.
async fn ready(
    _: Anybody,
    State(web): State<Web>,
) -> Result<([(&'static str, &'static str); 1], &'static str), StatusCode> {
    match web.engine.store.read().await {
        Ok(_) => Ok(([(VERSION_HEADER, env!("CARGO_PKG_VERSION"))], "ready\n")),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
