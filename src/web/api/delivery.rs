//! Deliveries as JSON, once more and in thought.

use axum::{
    Json,
    body::Body as Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Answer, PAGE, Problem, recovered, run_url, summary, time};
use crate::{
    engine::dry_run::{DryRun, FlowDraft, Would},
    flow,
    model::DeliveryId,
    store::{DeliveryShown, DeliverySummary, RunDigest, Tx},
    web::{
        Web,
        access::{Maintain, OfDelivery, Routes, See, Visitor},
        delivery::{self, Body, ListQuery},
        pages::Failure,
    },
};

/// Replays that an answer names.
const REPLAYS: i64 = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/", list)
        .get("/{id}", one)
        .get("/{id}/body", body)
        .post("/{id}/replay", replay)
        .post("/{id}/dry-run", dry_run)
}

async fn list(visitor: Visitor, State(web): State<Web>, query: Result<Query<ListQuery>, QueryRejection>) -> Answer {
    let Query(query) = query.map_err(|_| Failure::Query)?;
    let filter = query.filter(query.limit.unwrap_or(PAGE).clamp(1, PAGE))?;
    let (rows, _) = delivery::visible(&web, &visitor, filter).await?;
    Ok(Json(json!({"deliveries": rows.iter().map(head).collect::<Vec<_>>()})))
}

async fn one(OfDelivery { id, .. }: OfDelivery<See>, State(web): State<Web>) -> Answer {
    let row = delivery::find(&web, id).await?;
    Ok(Json(whole(&mut web.engine.store.read().await?, &row).await?))
}

/// The raw bytes, as a file: whatever they are, no browser takes them for a page of ours.
async fn body(OfDelivery { id, .. }: OfDelivery<See>, State(web): State<Web>) -> Result<Response, Problem> {
    let row = delivery::find(&web, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, row.length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"delivery-{id}\"")),
    ];
    Ok((headers, Bytes::from_stream(delivery::body(web.engine.store.clone(), id))).into_response())
}

/// With `Idempotency-Key` a request may be repeated, and is one replay.
async fn replay(
    of: OfDelivery<Maintain>,
    State(web): State<Web>,
    headers: HeaderMap,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<Value>), Problem> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().map_err(|_| Failure::Query)).transpose()?;
    let wish = delivery::wish(key, web.engine.clock.now())?;
    let (status, replay) = delivery::replay(&web, &of, &wish).await?;
    let row = delivery::find(&web, replay).await?;
    let value = whole(&mut web.engine.store.read().await?, &row).await?;
    Ok((status, [(header::LOCATION, format!("/api/v1/deliveries/{replay}"))], Json(value)))
}

async fn dry_run(OfDelivery { id, .. }: OfDelivery<Maintain>, State(web): State<Web>) -> Answer {
    let dry_run = delivery::dry_run(&web, id).await?;
    Ok(Json(dry_run_value(id, &dry_run)))
}

fn head(row: &DeliverySummary) -> Value {
    json!({
        "id": row.id, "forge": row.forge, "delivery": row.delivery, "event": row.event, "repository": row.repository,
        "received": time(row.received), "state": row.state.0, "trouble": row.trouble, "tries": row.tries,
        "next_try": delivery::next_try(row).map(time), "replay_of": row.replays,
    })
}

async fn whole(tx: &mut Tx, row: &DeliveryShown) -> Result<Value, Problem> {
    let id: DeliveryId = row.summary.id;
    let runs = tx.runs_of_delivery(id).await?;
    let mut value = head(&row.summary);
    value["recovered"] = json!(tx.late(Some(id)).await?.map(recovered));
    value["hook"] = json!(row.hook);
    value["headers"] = json!(delivery::headers(row));
    value["body"] = body_value(row);
    value["runs"] = json!(runs.iter().map(summary).collect::<Vec<_>>());
    value["replays"] = json!(tx.replays_of(id, REPLAYS).await?);
    Ok(value)
}

fn body_value(row: &DeliveryShown) -> Value {
    let (form, value) = match Body::of(row) {
        Body::Json(value) => ("json", value),
        Body::Text(text) => ("text", Value::String(text)),
        Body::Bytes(bytes) => ("base64", Value::String(STANDARD.encode(bytes))),
    };
    json!({
        "form": form, "value": value, "length": row.length, "cut": delivery::is_cut(row),
        "url": format!("/api/v1/deliveries/{}/body", row.summary.id),
    })
}

fn dry_run_value(id: DeliveryId, dry_run: &DryRun) -> Value {
    let mut value = match &dry_run.would {
        Would::Run { event, flows, unasked } => {
            let unasked = unasked.iter().map(|file| json!({"path": file.path, "reason": file.reason}));
            json!({"would": "run", "event": event, "flows": flows.iter().map(flow_value).collect::<Vec<_>>(),
                   "unasked": unasked.collect::<Vec<_>>()})
        }
        Would::Rerun { runs } => json!({"would": "rerun", "runs": runs.iter().map(run_value).collect::<Vec<_>>()}),
        Would::Nothing { reason } => json!({"would": "nothing", "reason": reason}),
        Would::Unreadable { reason } => json!({"would": "unreadable", "reason": reason}),
        Would::Wait { trouble } => json!({"would": "wait", "trouble": trouble}),
    };
    value["delivery"] = json!(id);
    value["no_longer"] = json!(dry_run.no_longer.iter().map(run_value).collect::<Vec<_>>());
    value
}

fn flow_value(draft: &FlowDraft) -> Value {
    json!({
        "path": draft.path, "flow": draft.flow, "status": draft.state, "reason": draft.reason,
        "diagnostics": draft.diagnostics, "plan": draft.plan, "plan_digest": draft.digest,
        "full_form": draft.plan.as_ref().map(flow::full_form),
        "started": draft.started.as_ref().map(run_value), "as_started": draft.is_as_started(),
    })
}

fn run_value(run: &RunDigest) -> Value {
    json!({"id": run.id, "number": run.number, "flow": run.flow, "path": run.path, "plan_digest": run.digest,
           "url": run_url(run.forge, &run.name, run.number)})
}
