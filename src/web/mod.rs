//! What people, forges and agents see of us over HTTP.

pub mod access;
mod across;
pub mod agent;
mod api;
mod artifact;
mod assets;
mod audit;
mod badge;
mod chart;
mod delivery;
mod filter;
mod hooks;
mod links;
pub mod log;
mod metrics;
mod mistake;
pub mod pages;
pub mod picture;
mod ready;
mod rule;
mod schema;
mod secrets;
pub mod serve;
pub mod slow;
mod start;
mod statistics;
mod tokens;
mod upload;
pub mod visible;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{any, get, post},
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
    /// Whose logs are looked through.
    searches: Arc<Semaphore>,
    /// Where those wait who follow logs.
    rooms: Arc<pages::Rooms>,
    /// What agents upload at once.
    uploads: upload::Uploads,
    /// What was told last of what goes on here.
    told: Arc<metrics::Told>,
    /// What was found out last of whether we are ready.
    found: Arc<ready::Found>,
    /// For bodies of webhooks.
    room: hooks::Room,
}

impl Web {
    fn new(engine: Engine, access: Arc<Access>, dry_runs: usize, searches: usize) -> Self {
        let [dry_runs, searches] = [dry_runs, searches].map(|at_once| Arc::new(Semaphore::new(at_once)));
        Self {
            engine,
            access,
            dry_runs,
            searches,
            rooms: Arc::default(),
            uploads: upload::Uploads::new(),
            told: Arc::default(),
            found: Arc::default(),
            room: hooks::Room::default(),
        }
    }

    /// Whether browsers reach us by https.
    fn is_secure(&self) -> bool {
        self.engine.settings.public_url.starts_with("https://")
    }
}

/// All routes. Agents and hooks prove by tokens and signatures of their own who they are; whatever else there is says
/// what it needs.
pub fn router(engine: Engine, access: Arc<Access>) -> Router {
    let web = Web::new(engine, access, delivery::DRY_RUNS, pages::SEARCHES);
    counted(Router::new().nest("/agent/v1", agent::routes()).merge(peoples(&web)), web)
}

/// The same where agents have an address of their own: they are sent there.
pub fn people_router(engine: Engine, access: Arc<Access>) -> Router {
    let web = Web::new(engine, access, delivery::DRY_RUNS, pages::SEARCHES);
    counted(Router::new().route("/agent/v1/{*call}", any(async || ELSEWHERE)).merge(peoples(&web)), web)
}

/// What an agent is told that comes to people's address.
const ELSEWHERE: (StatusCode, &str) =
    (StatusCode::NOT_FOUND, "agents are answered elsewhere: CONTAINEROPS_AGENT_URL leads there, or should\n");

/// What people, programs and forges ask.
fn peoples(web: &Web) -> Router<Web> {
    let dress = middleware::from_fn_with_state(web.clone(), pages::dress);
    Router::new()
        .route("/hooks/{forge}", post(hooks::take).layer(DefaultBodyLimit::max(hooks::BODY_MAX)))
        .nest("/api/v1", api::router().layer(dress.clone()))
        .merge(api::elsewhere().layer(dress.clone()))
        .merge(probes().router().layer(dress.clone()))
        .merge(pages::routes().router().layer(dress))
}

/// What agents ask, and nothing else: for an address that untrusted code may reach.
pub fn agent_router(engine: Engine, access: Arc<Access>) -> Router {
    let web = Web::new(engine, access, 0, 0);
    counted(Router::new().nest("/agent/v1", agent::routes()).route("/healthz", get(async || "ok\n")), web)
}

/// What whoever watches the service asks, and nothing else: for an address that nobody else reaches.
pub fn watch_router(engine: Engine, access: Arc<Access>) -> Router {
    let web = Web::new(engine, access, 0, 0);
    metrics::routes().route("/readyz", get(ready::unguarded)).with_state(web)
}

/// Whatever is answered is counted, nobody asks too often, and no body comes too slowly.
fn counted(router: Router<Web>, web: Web) -> Router {
    // the last one is the first that a request comes to
    router
        .layer(middleware::from_fn_with_state(web.clone(), slow::paced))
        .layer(middleware::from_fn_with_state(web.clone(), access::limited))
        .layer(middleware::from_fn_with_state(web.clone(), metrics::count))
        .with_state(web)
}

/// What a process answers that does something else: whether it lives, and is ready.
pub fn probes_router(engine: Engine, access: Arc<Access>) -> Router {
    let web = Web::new(engine, access, 0, 0);
    let dress = middleware::from_fn_with_state(web.clone(), pages::dress);
    probes().router().layer(dress).with_state(web)
}

/// All that agents ask, below `/agent/v1`.
pub fn agent_calls() -> Vec<agent::Call> {
    agent::all()
}

/// What every route for people and programs needs.
pub fn needs() -> Vec<RouteNeed> {
    let api = Routes::new().nest("/api/v1", api::routes()).needs();
    api.into_iter().chain(probes().needs()).chain(pages::routes().needs()).collect()
}

fn probes() -> Routes {
    Routes::new()
        .get("/healthz", async |_: Anybody| "ok\n")
        .get("/readyz", ready::serve)
        .get(metrics::PATH, metrics::serve)
        .get("/schema/flow.json", schema::serve)
}
