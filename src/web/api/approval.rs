//! Answers to stages that wait for people.

use std::collections::BTreeSet;

use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer as Answered, time};
use crate::{
    engine::pause::Reply,
    model::{Answer, Approval, Approver, Proof, Via},
    store::ApprovalRow,
    web::{
        Web,
        access::{Approve, OfRun},
        pages::{Failure, Looked, vet},
    },
};

/// `{"stage": "approve", "name": "ada", "note": "…"}`; no body, or a part of it, is good, too. For a run of untrusted
/// code `{"sha": "…", "flow": "…", "secrets": ["…"], "note": "…"}`: the commit that was looked at, and, if they are to
/// be the same, the digest of its flow file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    stage: Option<String>,
    name: Option<String>,
    note: Option<String>,
    sha: Option<String>,
    flow: Option<String>,
    #[serde(default)]
    secrets: BTreeSet<String>,
}

pub(super) async fn approve(of: OfRun<Approve>, web: State<Web>, body: Bytes) -> Answered {
    answer(of, web, body, Answer::Approved).await
}

pub(super) async fn reject(of: OfRun<Approve>, web: State<Web>, body: Bytes) -> Answered {
    answer(of, web, body, Answer::Rejected).await
}

async fn answer(
    OfRun { run, granted, .. }: OfRun<Approve>,
    State(web): State<Web>,
    body: Bytes,
    answer: Answer,
) -> Answered {
    let said = if body.is_empty() { Ok(Said::default()) } else { serde_json::from_slice(&body) };
    let Said { stage, name, note, sha, flow, secrets } = said.map_err(|error| {
        let form = r#"`{"stage": "…", "name": "…", "note": "…"}` or `{"sha": "…", "flow": "…", "secrets": ["…"], "note": "…"}`"#;
        Failure::Words(format!("{form} is expected: {error}"))
    })?;
    if let Some(sha) = sha {
        let looked = Looked { sha: sha.clone(), flow, secrets, note: note.unwrap_or_default() };
        vet(&web, &granted, &run, answer, looked).await?;
        return Ok(Json(json!({"id": run.id, "sha": sha, "answer": answer})));
    }
    let (name, proof) = granted.proof().unwrap_or((name.unwrap_or_default().trim().to_owned(), Proof::Word));
    let reply =
        Reply { stage, answer, approver: Approver { name, via: Via::Api(proof) }, note: note.unwrap_or_default() };
    let acting = granted.does(&web, "answer", run.words());
    let stage = acting.came_to(acting.engine.answer_pause(run.id, &reply).await).await?;
    Ok(Json(json!({"id": run.id, "stage": stage, "answer": answer})))
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
