//! `GET /audit`: what was changed, by whom, when, and from where.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde_json::{Value, json};

use super::{Answer, time};
use crate::{
    store::AuditRow,
    web::{
        Web,
        access::Visitor,
        audit::{AuditQuery, visible},
        pages::Failure,
    },
};

pub(super) async fn list(
    visitor: Visitor,
    State(web): State<Web>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Answer {
    let Query(asked) = query.map_err(|_| Failure::Query)?;
    let rows = visible(&web, &visitor, &asked).await?;
    Ok(Json(json!({"audit": rows.iter().map(value).collect::<Vec<_>>()})))
}

fn value(row: &AuditRow) -> Value {
    json!({
        "id": row.id, "at": time(row.at), "who": row.who, "way": row.way, "from": row.address, "what": row.what,
        "forge": row.forge, "repository": row.name, "target": row.target, "outcome": row.outcome,
    })
}
