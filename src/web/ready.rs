//! `/readyz`: whether this process should be sent work. It says so of the database, which must take changes, of its own
//! loops, and of whether it was told to stop. Of blobs and of where jobs run it is stated, and decides nothing: webhooks
//! must be taken, and pages shown, also while a bucket or a cluster is away, which all servers would be without.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::sync::Mutex;

use super::{VERSION_HEADER, Web, access::Anybody};
use crate::engine::Engine;

/// Whoever asks more often is told the same: nobody makes us write by asking.
const FRESH: Duration = Duration::from_secs(1);
/// The same of where jobs run, which costs more to find out.
const EXECUTOR_FRESH: Duration = Duration::from_secs(15);
/// What does not answer within this time is away. A probe has five seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found out last, and when.
#[derive(Debug, Default)]
pub(super) struct Found {
    parts: Mutex<Option<(Instant, Parts)>>,
    executor: Mutex<Option<(Instant, bool)>>,
}

/// How our parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    database: bool,
    blobs: bool,
}

pub(super) async fn serve(_: Anybody, State(web): State<Web>) -> Response {
    answer(&web).await
}

/// The same at an address where nobody is asked who they are.
pub(super) async fn unguarded(State(web): State<Web>) -> Response {
    answer(&web).await
}

async fn answer(web: &Web) -> Response {
    let pulse = web.engine.store.meters().pulse();
    let (parts, executor) = tokio::join!(parts(web), executor(web));
    let still = pulse.still();
    let is_ready = parts.database && still.is_empty() && !pulse.is_stopping();
    let mut text = String::from(if is_ready { "ready\n" } else { "not ready\n" });
    if pulse.is_stopping() {
        text += "stopping\n";
    }
    let how = |is_well: bool, else_: &'static str| if is_well { "ok" } else { else_ };
    for (part, how) in [
        ("database", how(parts.database, "not ok")),
        ("blobs", how(parts.blobs, "away; logs and what is kept in them wait")),
        ("loops", how(still.is_empty(), "not ok")),
        ("executor", how(executor, "away; jobs wait")),
    ] {
        // writing to a String cannot fail
        let _ = writeln!(text, "{part}: {how}");
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(VERSION_HEADER, env!("CARGO_PKG_VERSION"))], text).into_response()
}

async fn parts(web: &Web) -> Parts {
    let mut found = web.found.parts.lock().await;
    if let Some((_, parts)) = found.filter(|(when, _)| when.elapsed() < FRESH) {
        return parts;
    }
    let engine = &web.engine;
    let (database, blobs) = tokio::join!(within("database", touch(engine)), within("blobs", engine.blobs.answer()));
    let parts = Parts { database, blobs };
    *found = Some((Instant::now(), parts));
    parts
}

async fn touch(engine: &Engine) -> crate::store::Result<()> {
    let mut tx = engine.store.write().await?;
    tx.touch(engine.clock.now()).await?;
    tx.commit().await
}

async fn executor(web: &Web) -> bool {
    let mut found = web.found.executor.lock().await;
    if let Some((_, is_well)) = found.filter(|(when, _)| when.elapsed() < EXECUTOR_FRESH) {
        return is_well;
    }
    let is_well = within("executor", web.engine.executor.attempts()).await;
    *found = Some((Instant::now(), is_well));
    is_well
}

/// Whether something is well, and in the log why not: what is inside is nobody's business who asks.
async fn within<T, E: std::fmt::Display>(part: &'static str, answer: impl Future<Output = Result<T, E>>) -> bool {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(part, %error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(part, "not ready: no answer");
            false
        }
    }
}
