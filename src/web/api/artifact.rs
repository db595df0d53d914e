//! Artifacts: `GET /jobs/{id}/artifacts`, `GET /jobs/{id}/artifacts/{name}`, and with `?file=PATH` or `?as=tar` their bytes.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Answer, Problem, time};
use crate::{
    store::ArtifactRow,
    web::{
        Web,
        access::{OfJob, See},
        artifact::{Asked, download},
        pages::Failure,
    },
};

/// What a job has left.
pub(super) async fn list(OfJob { job, .. }: OfJob<See>, State(web): State<Web>) -> Answer {
    let mut tx = web.engine.store.read().await?;
    let artifacts = tx.artifacts(job.id).await?;
    Ok(Json(json!({"artifacts": artifacts.iter().map(value).collect::<Vec<_>>()})))
}

/// One artifact with its files, or what is asked for of it.
pub(super) async fn one(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Path((_, name)): Path<(String, String)>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|_| Failure::Query)?;
    let artifact = web.engine.store.read().await?.artifact(job.id, &name).await?.ok_or(Failure::Missing)?;
    if let Some(response) = download(&web.engine, &artifact, &asked, &headers).await? {
        return Ok(response);
    }
    let mut value = value(&artifact);
    value["entries"] = json!(web.engine.entries_of(&artifact).await?);
    Ok(Json(value).into_response())
}

pub(super) fn value(artifact: &ArtifactRow) -> Value {
    json!({
        "name": artifact.name, "length": artifact.length, "files": artifact.files, "digest": artifact.digest,
        "created": time(artifact.created), "expires": time(artifact.expires),
        "expired": artifact.bundle_id.is_none(),
    })
}
