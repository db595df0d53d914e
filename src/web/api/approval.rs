//! Answers to stages that wait for people, and to untrusted code.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer as Answered, asked::Sent, schema::At};
use crate::{
    engine::pause::Reply,
    model::{Answer, Approval, Approver, Proof, RunId, Sha, Via},
    store::ApprovalRow,
    web::{
        Web,
        access::{Approve, OfRun},
        pages::{Looked, vet},
    },
};

/// The answer. All of it may be left out where one stage waits; with `sha` it is about a run of untrusted code.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ApprovalRequest)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "looks good"}))]
pub(super) struct Said {
    /// Which stage; needed if several wait.
    stage: Option<String>,
    /// Who answers, where the server asks nobody who they are.
    name: Option<String>,
    /// What is said with it.
    note: Option<String>,
    /// Of untrusted code: the commit that was looked at.
    sha: Option<Sha>,
    /// Of untrusted code: the SHA-256 of its flow file, if that is to be the same.
    flow: Option<String>,
    /// Of untrusted code: the secrets that it may have.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    secrets: BTreeSet<String>,
}

/// What was answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalResult)]
pub(super) struct Reaction {
    id: RunId,
    /// The stage that had asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Of untrusted code: the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<Sha>,
    answer: Answer,
}

/// What a stage asks, and how it was answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StageApproval {
    /// Who may answer: roles and names. Empty: whoever may see the run.
    by: Vec<String>,
    /// What is asked.
    note: String,
    #[schema(required = true)]
    asked: Option<At>,
    #[schema(required = true)]
    expires: Option<At>,
    #[schema(required = true)]
    answer: Option<Answer>,
    #[schema(required = true)]
    answered_by: Option<String>,
    #[schema(required = true)]
    answer_note: Option<String>,
    #[schema(required = true)]
    answered: Option<At>,
}

/// Lets a stage go on that waits for people, or untrusted code run.
#[utoipa::path(post, path = "/runs/{id}/approve", tag = "runs", operation_id = "approveRun", params(("id" = RunId, Path, description = "The run's id")), request_body(content = Option<Said>, description = "Nothing, or more about the answer"),
    responses(
        (status = 200, description = "It was answered", body = Reaction),
        (status = 409, description = "Nothing waits, or not for this", body = super::problem::Body, content_type = "application/problem+json"),
    ))]
pub(super) async fn approve(of: OfRun<Approve>, web: State<Web>, sent: Sent) -> Answered<Reaction> {
    answer(of, web, sent, Answer::Approved).await
}

/// Ends a stage that waits for people, or a run of untrusted code.
#[utoipa::path(post, path = "/runs/{id}/reject", tag = "runs", operation_id = "rejectRun", params(("id" = RunId, Path, description = "The run's id")), request_body(content = Option<Said>, description = "Nothing, or more about the answer"),
    responses(
        (status = 200, description = "It was answered", body = Reaction),
        (status = 409, description = "Nothing waits, or not for this", body = super::problem::Body, content_type = "application/problem+json"),
    ))]
pub(super) async fn reject(of: OfRun<Approve>, web: State<Web>, sent: Sent) -> Answered<Reaction> {
    answer(of, web, sent, Answer::Rejected).await
}

async fn answer(
    OfRun { run, granted, .. }: OfRun<Approve>,
    State(web): State<Web>,
    sent: Sent,
    answer: Answer,
) -> Answered<Reaction> {
    let form =
        r#"`{"stage": "…", "name": "…", "note": "…"}` or `{"sha": "…", "flow": "…", "secrets": ["…"], "note": "…"}`"#;
    let Said { stage, name, note, sha, flow, secrets } = sent.json_if_any(form)?;
    if let Some(sha) = sha {
        let looked = Looked { sha: sha.to_string(), flow, secrets, note: note.unwrap_or_default() };
        vet(&web, &granted, &run, answer, looked).await?;
        return Ok(Json(Reaction { id: run.id, stage: None, sha: Some(sha), answer }));
    }
    let (name, proof) = granted.proof().unwrap_or((name.unwrap_or_default().trim().to_owned(), Proof::Word));
    let reply =
        Reply { stage, answer, approver: Approver { name, via: Via::Api(proof) }, note: note.unwrap_or_default() };
    let acting = granted.does(&web, "answer", run.words());
    let stage = acting.came_to(acting.engine.answer_pause(run.id, &reply).await).await?;
    Ok(Json(Reaction { id: run.id, stage: Some(stage), sha: None, answer }))
}

impl StageApproval {
    pub(super) fn of(asks: &Approval, row: Option<&ApprovalRow>) -> Self {
        Self {
            by: asks.by.clone(),
            note: asks.note.clone(),
            asked: row.map(|row| At(row.asked)),
            expires: row.map(|row| At(row.expires)),
            answer: row.and_then(|row| row.answer.as_ref().map(|answer| answer.0)),
            answered_by: row.map(|row| row.answered_by.clone()),
            answer_note: row.map(|row| row.note.clone()),
            answered: row.and_then(|row| row.answered).map(At),
        }
    }
}
