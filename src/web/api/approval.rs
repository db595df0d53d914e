//! Answers to stages that wait for people.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer as Answered, find, time};
use crate::{
    engine::pause::Reply,
    model::{Answer, Approval, Approver, Via},
    store::ApprovalRow,
    web::{
        Web,
        pages::{Failure, same_site},
    },
};

/// `{"stage": "approve", "name": "ada", "note": "…"}`; no body, or a part of it, is good, too.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    stage: Option<String>,
    name: Option<String>,
    note: Option<String>,
}

pub(super) async fn approve(web: State<Web>, id: Path<String>, headers: HeaderMap, body: Bytes) -> Answered {
    answer(web, id, headers, body, Answer::Approved).await
}

pub(super) async fn reject(web: State<Web>, id: Path<String>, headers: HeaderMap, body: Bytes) -> Answered {
    answer(web, id, headers, body, Answer::Rejected).await
}

async fn answer(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
    answer: Answer,
) -> Answered {
    same_site(&headers)?;
    let id = find(&mut web.engine.store.read().await?, &id).await?.id;
    let said = if body.is_empty() { Ok(Said::default()) } else { serde_json::from_slice(&body) };
    let Said { stage, name, note } = said.map_err(|error| {
        let form = r#"`{"stage": "…", "name": "…", "note": "…"}`"#;
        Failure::Words(format!("{form} is expected: {error}"))
    })?;
    let approver = Approver { name: name.unwrap_or_default().trim().to_owned(), via: Via::Api };
    let reply = Reply { stage, answer, approver, note: note.unwrap_or_default() };
    let stage = web.engine.answer_pause(id, &reply).await.map_err(Failure::from)?;
    Ok(Json(json!({"id": id, "stage": stage, "answer": answer})))
}

/// What a stage asks, and how it was answered.
pub(super) fn value(asks: &Approval, row: Option<&ApprovalRow>) -> Value {
    json!({
        "by": asks.by, "note": asks.note,
        "asked": row.map(|row| time(row.asked)), "expires": row.map(|row| time(row.expires)),
        "answer": row.and_then(|row| row.answer.as_ref().map(|answer| answer.0)),
        "answered_by": row.map(|row| &row.answered_by), "answer_note": row.map(|row| &row.note),
        "answered": row.and_then(|row| row.answered).map(time),
    })
}
