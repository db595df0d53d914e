//! What can be done with a run: `POST /runs/{id}/cancel` and `/rerun`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Problem, asked::Sent, run::Run};
use crate::{
    engine::rerun::Begun,
    model::{DeliveryId, FlowChoice, RunId, What, Wish},
    web::{
        Web,
        access::{OfRun, RunIt},
        pages::Failure,
    },
};

/// What a cancelling came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancelResult)]
pub(super) struct Cancelled {
    id: RunId,
    /// `false`: it was over.
    cancelled: bool,
}

/// What is to run again. All of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RerunRequest)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"what": "failed", "flow": "same"}))]
pub(super) struct Again {
    /// What of the run; without it, everything.
    what: Option<What>,
    /// By which flow file; without it, the same.
    flow: Option<FlowChoice>,
}

/// The forge is asked first: the delivery tells what comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RerunAccepted)]
pub(super) struct Asked {
    delivery: DeliveryId,
}

/// Stops a run.
///
/// Nothing of it starts any more, and what runs is ended.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", operation_id = "cancelRun", params(("id" = RunId, Path, description = "The run's id")), responses((status = 200, description = "It is stopped, or was over", body = Cancelled)))]
pub(super) async fn cancel(OfRun { run, granted, .. }: OfRun<RunIt>, State(web): State<Web>) -> Answer<Cancelled> {
    let acting = granted.does(&web, "cancel", run.words());
    let cancelled = acting.came_to(acting.engine.cancel(run.id, &granted.by()).await).await?;
    Ok(Json(Cancelled { id: run.id, cancelled }))
}

/// Runs again, all of a run or a part of it.
///
/// The new run keeps what did well and is not asked for. By the newest flow file, the forge is asked for it first.
#[utoipa::path(post, path = "/runs/{id}/rerun", tag = "runs", operation_id = "rerunRun", params(("id" = RunId, Path, description = "The run's id")), request_body(content = Option<Again>, description = "Nothing, or which part"),
    responses(
        (status = 201, description = "The new run", body = Run),
        (status = 202, description = "The forge is asked first", body = Asked),
        (status = 409, description = "It cannot run again now: it has not ended, say", body = super::problem::Body, content_type = "application/problem+json"),
    ))]
pub(super) async fn rerun(
    OfRun { run, granted, .. }: OfRun<RunIt>,
    State(web): State<Web>,
    sent: Sent,
) -> Result<Response, Problem> {
    let wish = wish(&sent, granted.by())?;
    let acting = granted.does(&web, "run again", run.words());
    match acting.came_to(acting.engine.rerun(run.id, &wish).await).await? {
        Begun::Run(new) => {
            let mut tx = web.engine.store.read().await?;
            let run = tx.run(new).await?.ok_or(Failure::Missing)?;
            Ok((StatusCode::CREATED, Json(Run::of(&web.engine, &mut tx, &run).await?)).into_response())
        }
        Begun::Asked(delivery) => Ok((StatusCode::ACCEPTED, Json(Asked { delivery })).into_response()),
    }
}

fn wish(sent: &Sent, by: String) -> Result<Wish, Failure> {
    let form = r#"`{"what": "everything" | "failed" | {"action": "stage.action"} | {"stage": "name"}, "flow": "same" | "newest"}`"#;
    let Again { what, flow } = sent.json_if_any(form)?;
    let (what, flow) = (what.unwrap_or(What::Everything), flow.unwrap_or(FlowChoice::Same));
    Ok(Wish { what, flow, by })
}
