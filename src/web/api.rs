//! `/api/v1`: the pages' content as JSON, and what can be done with runs. Errors are `application/problem+json`, lists come
//! in pages, and all of it is described, from this code, at `/api/v1/openapi.json`.
//!
//! Who may ask: as with the pages, [`access`](super::access) says so. Programs show a token.

mod across;
mod approval;
mod artifact;
mod asked;
mod audit;
mod delivery;
mod describe;
mod dress;
mod dry_run;
mod job;
mod lines;
mod me;
mod phases;
mod policy;
mod problem;
mod quota;
mod repository;
mod run;
mod runs;
mod schema;
mod search;
mod secret;
mod stage;
mod start;
mod statistics;
mod steer;
mod tested;
mod token;
mod value;

use axum::{Json, Router, middleware, routing::any};

use super::{Web, access::Routes, pages::Failure};

pub(super) use problem::Problem;

type Answer<T> = Result<Json<T>, Problem>;

/// What programs ask, with what stands around every answer.
pub(super) fn router() -> Router<Web> {
    routes().router().layer(middleware::from_fn(dress::dress))
}

pub(super) fn routes() -> Routes {
    operations()
        .get("/openapi.json", describe::serve)
        .refusing(Some(|| Problem::from(Failure::Missing)), || Problem::from(Failure::Method))
}

/// Programs that have lost their way are answered as programs.
pub(super) fn elsewhere() -> Router<Web> {
    let missing = || any(async || Problem::from(Failure::Missing));
    Router::new().route("/api", missing()).route("/api/{*rest}", missing())
}

/// All that is described.
fn operations() -> Routes {
    Routes::new()
        .operation(me::show, me::__path_show)
        .operation(runs::list, runs::__path_list)
        .operation(run::show, run::__path_show)
        .operation(steer::cancel, steer::__path_cancel)
        .operation(steer::rerun, steer::__path_rerun)
        .operation(approval::approve, approval::__path_approve)
        .operation(approval::reject, approval::__path_reject)
        .operation(job::show, job::__path_show)
        .operation(job::log, job::__path_log)
        .operation(lines::show, lines::__path_show)
        .operation(search::log, search::__path_log)
        .operation(across::search, across::__path_search)
        .operation(tested::list, tested::__path_list)
        .operation(artifact::list, artifact::__path_list)
        .operation(artifact::one, artifact::__path_one)
        .operation(start::start, start::__path_start)
        .operation(statistics::show, statistics::__path_show)
        .operation(repository::list, repository::__path_list)
        .operation(repository::show, repository::__path_show)
        .operation(repository::run, repository::__path_run)
        .operation(policy::show, policy::__path_show)
        .operation(policy::set, policy::__path_set)
        .operation(secret::list, secret::__path_list)
        .operation(secret::set, secret::__path_set)
        .operation(secret::remove, secret::__path_remove)
        .operation(delivery::list, delivery::__path_list)
        .operation(delivery::one, delivery::__path_one)
        .operation(delivery::body, delivery::__path_body)
        .operation(delivery::replay, delivery::__path_replay)
        .operation(dry_run::dry_run, dry_run::__path_dry_run)
        .operation(token::list, token::__path_list)
        .operation(token::make, token::__path_make)
        .operation(token::remove, token::__path_remove)
        .operation(audit::list, audit::__path_list)
        .operation(quota::list, quota::__path_list)
        .operation(quota::set, quota::__path_set)
        .operation(quota::remove, quota::__path_remove)
}
