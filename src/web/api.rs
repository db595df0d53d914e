//! `/api/v1`: the pages' content as JSON, and what can be done with runs. Errors are `application/problem+json`.
//!
//! Who may ask: as with the pages, [`access`](super::access) says so. Programs show a token.

mod across;
mod approval;
mod artifact;
mod audit;
mod delivery;
mod policy;
mod runs;
mod search;
mod secret;
mod start;
mod statistics;
mod tested;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Web,
    access::{Granted, OfJob, OfRun, Routes, RunIt, See, Visitor, Who},
    pages::{Failure, JobPlace, Moment, Place, Route, RunPlace, log_text},
};
use crate::{
    engine::{self, EngineError, closing::WAITS, rerun::Begun, whole::Whole},
    model::{FlowChoice, ForgeKind, JobId, JobPath, Late, RepositoryName, Right, Time, Waiting, Way, What, Wish},
    store::{
        ActionRow, AttemptRow, JobRow, NoticeRow, ReportRow, RepositoryRow, RunRow, RunSummary, Tx, Vetting, VettingRow,
    },
};

/// Items in one answer, unless fewer are asked for.
const PAGE: i64 = 100;

/// A failure, as RFC 9457 has it.
pub(super) struct Problem(Failure);

impl<E: Into<Failure>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.log();
        let status = self.0.status();
        let body = json!({"title": self.0.to_string(), "status": status.as_u16()});
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

type Answer = Result<Json<Value>, Problem>;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/me", me)
        .get("/audit", audit::list)
        .get("/runs", runs::list)
        .get("/statistics", statistics::show)
        .get("/runs/{id}", run)
        .post("/runs/{id}/cancel", cancel)
        .post("/runs/{id}/rerun", rerun)
        .post("/runs/{id}/approve", approval::approve)
        .post("/runs/{id}/reject", approval::reject)
        .get("/jobs/{id}", job)
        .get("/jobs/{id}/log", job_log)
        .get("/jobs/{id}/log/search", search::log)
        .get("/logs/search", across::search)
        .post("/starts", start::start)
        .get("/policy", policy::show)
        .post("/policy", policy::set)
        .get("/jobs/{id}/tests", tested::list)
        .get("/jobs/{id}/artifacts", artifact::list)
        .get("/jobs/{id}/artifacts/{name}", artifact::one)
        .get("/secrets", secret::list)
        .put("/secrets/{name}", secret::set)
        .delete("/secrets/{name}", secret::remove)
        .nest("/deliveries", delivery::routes())
        .refusing(Some(|| Problem(Failure::Missing)), || Problem(Failure::Method))
}

/// Who asks, and with what leave.
async fn me(visitor: Visitor, State(web): State<Web>) -> Answer {
    let scopes = match &visitor.who {
        Who::Token { scopes, .. } => Some(scopes.clone()),
        Who::Nobody | Who::Anyone | Who::Person { .. } => None,
    };
    Ok(Json(
        json!({"login": visitor.login().map(ToString::to_string), "scopes": scopes, "admin": visitor.is_admin(&web)}),
    ))
}

async fn run(OfRun { run, .. }: OfRun<See>, State(web): State<Web>) -> Answer {
    let mut tx = web.engine.store.read().await?;
    Ok(Json(whole(&mut tx, &run).await?))
}

async fn cancel(OfRun { run, granted, .. }: OfRun<RunIt>, State(web): State<Web>) -> Answer {
    let acting = granted.does(&web, "cancel", run.words());
    let cancelled = acting.came_to(acting.engine.cancel(run.id, &granted.by()).await).await?;
    Ok(Json(json!({"id": run.id, "cancelled": cancelled})))
}

/// 201 with the new run, or 202 with the delivery that will tell of it.
async fn rerun(
    OfRun { run, granted, .. }: OfRun<RunIt>,
    State(web): State<Web>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wish = wish(&body, granted.by())?;
    let acting = granted.does(&web, "run again", run.words());
    match acting.came_to(acting.engine.rerun(run.id, &wish).await).await? {
        Begun::Run(new) => {
            let mut tx = web.engine.store.read().await?;
            let run = tx.run(new).await?.ok_or(Failure::Missing)?;
            Ok((StatusCode::CREATED, Json(whole(&mut tx, &run).await?)))
        }
        Begun::Asked(delivery) => Ok((StatusCode::ACCEPTED, Json(json!({"delivery": delivery})))),
    }
}

/// `{"what": "everything" | "failed" | {"action": "stage.action"} | {"stage": "name"}, "flow": "same" | "newest"}`; no body, or a part of
/// it, is good, too.
fn wish(body: &[u8], by: String) -> Result<Wish, Failure> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        what: Option<What>,
        flow: Option<FlowChoice>,
    }
    let asked = if body.is_empty() { Ok(Asked::default()) } else { serde_json::from_slice(body) };
    let Asked { what, flow } = asked.map_err(|error| {
        let form = r#"`{"what": "everything" | "failed" | {"action": "stage.action"} | {"stage": "name"}, "flow": "same" | "newest"}`"#;
        Failure::Words(format!("{form} is expected: {error}"))
    })?;
    let (what, flow) = (what.unwrap_or(What::Everything), flow.unwrap_or(FlowChoice::Same));
    Ok(Wish { what, flow, by })
}

async fn job(OfJob { job, .. }: OfJob<See>, State(web): State<Web>) -> Answer {
    let mut tx = web.engine.store.read().await?;
    let broken = || Failure::from(EngineError::Broken(format!("job {} is of no attempt", job.id)));
    let attempt = tx.attempt(job.attempt_id).await?.ok_or_else(broken)?;
    let action = tx.action(attempt.action_id).await?;
    let run = tx.run(action.run_id).await?.ok_or_else(broken)?;
    let route = route_of(&mut tx, &run).await?;
    let outputs = outputs(&mut tx, job.id).await?;
    let mut value = job_value(&run, &route, &action, &job, outputs);
    value["run"] = json!(run.id);
    value["attempt"] = json!(attempt.number);
    value["silences"] = silences(&mut tx, job.id).await?;
    value["problems"] = json!(tx.problems(job.id).await?);
    value["tests"] = tested::value(&mut tx, job.id).await?;
    Ok(Json(value))
}

/// Text, with ranges.
async fn job_log(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(log_text(&web.engine, &job, &headers)?)
}

/// The repository of this name, if the visitor may do this with it; on which forge need be said only if they see several.
async fn find_repository(
    web: &Web,
    visitor: &Visitor,
    (forge, name): (Option<ForgeKind>, &RepositoryName),
    right: Right,
) -> Result<Granted, Problem> {
    let mut tx = web.engine.store.read().await?;
    let found: Vec<RepositoryRow> = match forge {
        Some(forge) => tx.repository_named(forge, name).await?.into_iter().collect(),
        None => tx.repositories_named(name).await?,
    };
    drop(tx);
    let mut seen = Vec::new();
    for row in found {
        if let Ok(granted) = visitor.with(web, row, Right::See).await {
            seen.push(granted);
        }
    }
    match (seen.pop(), seen.is_empty()) {
        (Some(one), true) => {
            one.allows(right)?;
            Ok(one)
        }
        (None, _) => Err(Failure::Missing.into()),
        (Some(_), false) => {
            Err(Failure::Words(format!("several forges have a repository {name}: name one by `forge`")).into())
        }
    }
}

async fn outputs(tx: &mut Tx, job: JobId) -> Result<Map<String, Value>, Problem> {
    let rows = tx.outputs(job).await?;
    Ok(rows.into_iter().map(|output| (output.name, Value::String(output.value))).collect())
}

/// When a job's agent should have spoken and did not.
async fn silences(tx: &mut Tx, job: JobId) -> Result<Value, Problem> {
    let rows = tx.silences(job, PAGE).await?;
    Ok(rows.iter().map(|row| json!({"since": time(row.since), "until": row.until.map(time)})).collect())
}

/// The run's page.
async fn route_of(tx: &mut Tx, run: &RunRow) -> Result<Route, Problem> {
    let repository = tx.repository(run.repository_id).await?;
    let place = Place::Run(run.number.cast_unsigned(), RunPlace::Page);
    Ok(Route { forge: repository.forge, repository: repository.name, place })
}

fn summary(row: &RunSummary) -> Value {
    let url = run_url(row.forge, &row.name, row.number);
    json!({
        "id": row.id, "forge": row.forge, "repository": row.name, "number": row.number, "flow": row.flow,
        "sha": row.sha, "event": row.event.0, "status": row.state.0, "reason": row.reason, "url": url,
        "created": time(row.created), "started": row.started.map(time), "ended": row.ended.map(time),
    })
}

/// The run's page.
fn run_url(forge: ForgeKind, repository: &RepositoryName, number: i64) -> String {
    let place = Place::Run(number.cast_unsigned(), RunPlace::Page);
    Route { forge, repository: repository.clone(), place }.to_string()
}

/// A run with its stages, actions and the jobs of each action's newest attempt.
async fn whole(tx: &mut Tx, run: &RunRow) -> Result<Value, Problem> {
    let route = route_of(tx, run).await?;
    let waiting = engine::waiting(tx, run).await?.as_ref().map(waiting_value);
    let rows = tx.actions(run.id).await?;
    let approvals = tx.approvals(run.id).await?;
    let mut stages = Vec::new();
    for (at, stage) in run.plan.iter().flat_map(|plan| &plan.stages).enumerate() {
        let mut actions = Vec::new();
        for row in rows.iter().filter(|row| row.stage == at as i64) {
            actions.push(action(tx, run, &route, row).await?);
        }
        let mut value = json!({"name": stage.name, "kind": stage.kind, "actions": actions});
        if let Some(asks) = &stage.approval {
            value["approval"] = approval::value(asks, approvals.iter().find(|row| row.stage == at as i64));
        }
        stages.push(value);
    }
    let replay_of = tx.replay_of(run).await?;
    let late = tx.late(run.delivery_id).await?;
    let reports = reports(tx, run).await?;
    let untrusted = tx.vetting(run.id).await?.as_ref().map(vetting);
    let receivers: Vec<Value> = tx.notices(run.id).await?.iter().map(receiver).collect();
    Ok(json!({
        "id": run.id, "forge": route.forge, "repository": route.repository, "number": run.number,
        "flow": run.flow, "path": run.path, "sha": run.sha, "event": run.event.0, "status": run.state.0,
        "reason": run.reason, "waiting": waiting, "concurrency": run.plan.as_ref().map(|plan| &plan.concurrency),
        "superseded_by": run.superseded_by, "cancelled_by": run.cancelled_by, "rerun_of": run.rerun_of,
        "repeats": run.repeats.as_deref(), "delivery": run.delivery_id, "replay_of": replay_of, "recovered": late.map(recovered),
        "plan_digest": run.digest, "diagnostics": run.diagnostics.0,
        "url": route.to_string(), "created": time(run.created), "started": run.started.map(time),
        "ended": run.ended.map(time), "stages": stages, "reports": reports,
        "receivers": receivers, "untrusted": untrusted,
    }))
}

/// How a run of untrusted code stands, and what an approval of it names.
fn vetting(row: &VettingRow) -> Value {
    json!({"standing": row.standing().as_str(), "flow_file": row.flow_from(), "flow_sha256": row.flow_digest,
           "secrets": row.secrets.0, "answered_by": row.answered_by, "note": row.note,
           "expires": (row.standing() == Vetting::Waits).then(|| time(row.asked.after(WAITS))),
           "answered": row.answered.map(time)})
}

/// Why a run has not started, or does not go on: `for` one of `queue`, `source`, `approval` and `executor`, and the words for it.
fn waiting_value(waiting: &Waiting) -> Value {
    let mut value = json!({"for": waiting.label(), "reason": waiting.to_string()});
    if let Waiting::Queue(place) = waiting {
        value["group"] = json!(place.group);
        value["limit"] = json!(place.limit);
        value["position"] = json!(place.position);
        value["length"] = json!(place.length);
        value["ahead"] = json!(place.ahead);
    }
    if let Waiting::Approval(question) = waiting {
        value["stage"] = json!(question.stage);
        value["by"] = json!(question.by);
        value["note"] = json!(question.note);
        value["expires"] = json!(time(question.expires));
    }
    value
}

/// What a receiver is told of a run, and whether it was. A webhook's URL may be a secret of its own, and is left out.
fn receiver(row: &NoticeRow) -> Value {
    let address = (row.way == Way::Mail.as_str()).then_some(&row.address);
    json!({"type": row.way, "address": address, "news": row.news, "status": row.phase, "tries": row.tries,
           "trouble": row.trouble, "ended": row.ended.map(time)})
}

/// What the forge is told of a run, and whether it has taken it.
async fn reports(tx: &mut Tx, run: &RunRow) -> Result<Vec<Value>, Problem> {
    let rows = tx.reports(run.repository_id, &run.sha).await?;
    let of_run = rows.iter().filter(|row| row.generation == run.id);
    let one = |row: &ReportRow| {
        json!({"context": row.context, "wanted": row.wanted.headline(), "acknowledged": row.is_acknowledged(),
               "told": row.told_at.map(time), "trouble": row.trouble})
    };
    Ok(of_run.map(one).collect())
}

async fn action(tx: &mut Tx, run: &RunRow, route: &Route, row: &ActionRow) -> Result<Value, Problem> {
    let mut attempts = Vec::new();
    let (mut attempt, mut jobs) = (None, Vec::new());
    for one in tx.attempts(row.origin()).await? {
        jobs = tx.jobs(one.id).await?;
        attempts.push(attempt_value(&one, &jobs));
        attempt = Some(one);
    }
    let mut shown = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let outputs = outputs(tx, job.id).await?;
        let mut value = job_value(run, route, row, job, outputs);
        value["silences"] = silences(tx, job.id).await?;
        value["tests"] = tested::value(tx, job.id).await?;
        shown.push(value);
    }
    let plan = run.plan.as_ref().and_then(|plan| plan.action(row.stage as usize, row.place as usize));
    Ok(json!({
        "id": row.id, "name": plan.map(|plan| &plan.name), "status": row.state.0, "reason": row.reason,
        "attempt": attempt.map(|attempt| attempt.number), "started": row.started.map(time),
        "ended": row.ended.map(time), "carried_from": row.carried_from, "jobs": shown,
        "attempts": attempts,
        "matrix": plan.and_then(|plan| Some(json!({"name": plan.matrix_name()?, "values": plan.matrix}))),
    }))
}

fn attempt_value(attempt: &AttemptRow, jobs: &[JobRow]) -> Value {
    let job = |job: &JobRow| json!({"id": job.id, "status": job.state.0, "words": job.state.verdict().map(ToString::to_string)});
    json!({
        "number": attempt.number, "created": time(attempt.created), "started": attempt.started.map(time),
        "ended": attempt.ended.map(time), "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
    })
}

fn job_value(run: &RunRow, route: &Route, action: &ActionRow, job: &JobRow, outputs: Map<String, Value>) -> Value {
    let plan = run.plan.as_ref();
    let stage = plan.and_then(|plan| plan.stages.get(action.stage as usize));
    let action = stage.and_then(|stage| stage.actions.get(action.place as usize));
    let planned = action.and_then(|action| action.member(job.place as usize));
    let path = stage.zip(action).zip(planned).map(|((stage, action), job)| JobPath {
        stage: stage.name.clone(),
        action: action.name.clone(),
        job: job.name.clone(),
    });
    let whole = Whole::of(job);
    let url = |path: JobPath, place| {
        let place = Place::Job(run.number.cast_unsigned(), path, place);
        Route { place, ..route.clone() }.to_string()
    };
    json!({
        "id": job.id, "name": planned.map(|job| &job.name), "image": planned.map(|job| &job.image),
        "status": job.state.0, "words": job.state.verdict().map(ToString::to_string), "outputs": outputs,
        "started": job.started.map(time), "ended": job.ended.map(time),
        "service": job.is_service(), "ready": job.ready.map(time),
        "log": {
            "length": job.log_length, "lines": job.log_lines(), "state": whole.state.label(), "words": whole.to_string(),
            "left_out": whole.left_out,
            "sha256": job.record.as_ref().map(|record| &record.log.sha256),
            "page": path.clone().map(|path| url(path, JobPlace::Page)),
            "text": path.clone().map(|path| url(path, JobPlace::Raw)),
            "stream": path.map(|path| url(path, JobPlace::Stream)),
        },
    })
}

fn recovered(late: Late) -> Value {
    json!({"late_seconds": late.0.as_secs(), "words": late.to_string()})
}

fn time(time: Time) -> impl Serialize {
    Moment(time).iso()
}
