//! The form of a stage that waits for a person, and what became of it.

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Failure, Moment, Route, find_run, run_url,
    vetting::{Looked, vet},
};
use crate::{
    engine::pause::Reply,
    model::{Answer, Approver, Proof, Right, StagePlan, Via},
    store::ApprovalRow,
    web::{Web, access::Granted},
};

/// More than the longest note, written as a form writes it.
const FORM_MAX: usize = 16 << 10;

/// What a stage asks, and how it was answered.
pub(super) struct PauseView {
    /// Who may answer.
    pub(super) by: String,
    /// The question; may be empty.
    pub(super) note: String,
    /// Until when whoever looks may answer; `None`: it does not wait, or not for them.
    pub(super) open_until: Option<Moment>,
    /// Whether they are asked for their name.
    pub(super) asks_name: bool,
    /// How it was answered, with who and what they said; empty if it was not.
    pub(super) answer: String,
    /// When.
    pub(super) answered: Option<Moment>,
}

impl PauseView {
    /// Of a stage that waits for people; `row` is its question, if its turn has come.
    pub(super) fn new(stage: &StagePlan, row: Option<&ApprovalRow>, of: &Granted) -> Option<Self> {
        let approval = stage.approval.as_ref()?;
        let proof = of.proof();
        let theirs = proof
            .as_ref()
            .is_none_or(|(name, proof)| approval.takes(&Approver { name: name.clone(), via: Via::Page(*proof) }));
        let theirs = theirs && of.may(Right::Approve);
        Some(Self {
            by: approval.whom(),
            note: approval.note.clone(),
            open_until: row.filter(|row| theirs && row.is_open()).map(|row| Moment(row.expires)),
            asks_name: proof.is_none(),
            answer: row.map(words).unwrap_or_default(),
            answered: row.and_then(|row| row.answered).map(Moment),
        })
    }
}

fn words(row: &ApprovalRow) -> String {
    let Some(answer) = &row.answer else { return String::new() };
    let by = if row.answered_by.is_empty() { String::new() } else { format!(" by {}", row.answered_by) };
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    format!("{}{by}{note}", answer.0.as_str())
}

/// `POST …/runs/{n}/approve` and `…/reject`, with `stage`, `name` and `note` as a form sends them; or, for a run of
/// untrusted code, with `sha`, `flow`, `secret` (any number of them) and `note`.
pub(super) async fn answer(
    web: &Web,
    of: &Granted,
    route: &Route,
    number: u64,
    answer: Answer,
    body: Body,
) -> Result<Response, Failure> {
    let body = to_bytes(body, FORM_MAX).await.map_err(|_| Failure::Words("the form is too long".to_owned()))?;
    let field = |wanted: &str| {
        let mut fields = url::form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let run = find_run(&mut web.engine.store.read().await?, route, number).await?.1;
    let sha = field("sha");
    if !sha.is_empty() {
        let fields = url::form_urlencoded::parse(&body).filter(|(name, _)| name == "secret");
        let secrets = fields.map(|(_, value)| value.into_owned()).collect();
        let flow = Some(field("flow")).filter(|flow| !flow.is_empty());
        vet(web, of, &run, answer, Looked { sha, flow, secrets, note: field("note") }).await?;
        return Ok(Redirect::to(&run_url(route, number)).into_response());
    }
    let (name, proof) = of.proof().unwrap_or((field("name"), Proof::Word));
    let approver = Approver { name, via: Via::Page(proof) };
    let stage = Some(field("stage")).filter(|stage| !stage.is_empty());
    let acting = of.does(web, "answer", run.words());
    let reply = Reply { stage, answer, approver, note: field("note") };
    acting.came_to(acting.engine.answer_pause(run.id, &reply).await).await?;
    Ok(Redirect::to(&run_url(route, number)).into_response())
}
