//! `/api/v1`: the pages' content as JSON, and what can be done with runs. Errors are `application/problem+json`.
//!
//! Who may ask: as with the pages, whoever reaches the server.

mod approval;
mod artifact;
mod delivery;
mod start;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Web,
    pages::{Failure, JobPlace, Moment, Place, Route, RunPlace, log_text, same_site},
};
use crate::{
    engine::{self, EngineError, rerun::Begun, whole::Whole},
    model::{FlowChoice, ForgeKind, JobId, JobPath, Late, RepositoryName, RunId, Time, Waiting, Way, What, Wish},
    store::{
        ActionRow, AttemptRow, JobRow, NoticeRow, ReportRow, RepositoryRow, RunFilter, RunRow, RunSummary, Tx,
        VettingRow,
    },
};

/// Items in one answer, unless fewer are asked for.
const PAGE: i64 = 100;

/// `?forge=github&repository=acme/shop&before=…&limit=…`
#[derive(Debug, Deserialize)]
struct RunsQuery {
    forge: Option<ForgeKind>,
    repository: Option<RepositoryName>,
    before: Option<RunId>,
    limit: Option<i64>,
}

/// A failure, as RFC 9457 has it.
struct Problem(Failure);

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

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/cancel", post(cancel))
        .route("/runs/{id}/rerun", post(rerun))
        .route("/runs/{id}/approve", post(approval::approve))
        .route("/runs/{id}/reject", post(approval::reject))
        .route("/jobs/{id}", get(job))
        .route("/jobs/{id}/log", get(job_log))
        .route("/starts", post(start::start))
        .route("/jobs/{id}/artifacts", get(artifact::list))
        .route("/jobs/{id}/artifacts/{name}", get(artifact::one))
        .nest("/deliveries", delivery::routes())
        .fallback(async || Problem(Failure::Missing))
        .method_not_allowed_fallback(async || Problem(Failure::Method))
}

async fn runs(
    State(web): State<Web>,
    query: Result<Query<RunsQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Failure::Query)?;
    let mut tx = web.engine.store.read().await?;
    let repository = match (query.forge, &query.repository) {
        (Some(forge), Some(name)) => Some(tx.repository_named(forge, name).await?.ok_or(Failure::Missing)?.id),
        (None, None) => None,
        // a name alone may be on several forges
        (Some(_), None) | (None, Some(_)) => return Err(Failure::Query.into()),
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let rows = tx.runs(&RunFilter { repository, before: query.before, limit }).await?;
    Ok(Json(json!({"runs": rows.iter().map(summary).collect::<Vec<_>>()})))
}

async fn run(State(web): State<Web>, Path(id): Path<String>) -> Answer {
    let mut tx = web.engine.store.read().await?;
    let run = find(&mut tx, &id).await?;
    Ok(Json(whole(&mut tx, &run).await?))
}

async fn cancel(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    same_site(&headers)?;
    let id = find(&mut web.engine.store.read().await?, &id).await?.id;
    let cancelled = web.engine.cancel(id, "a call of the API").await?;
    Ok(Json(json!({"id": id, "cancelled": cancelled})))
}

/// 201 with the new run, or 202 with the delivery that will tell of it.
async fn rerun(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    same_site(&headers)?;
    let id = find(&mut web.engine.store.read().await?, &id).await?.id;
    match web.engine.rerun(id, &wish(&body)?).await? {
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
fn wish(body: &[u8]) -> Result<Wish, Failure> {
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
    Ok(Wish { what, flow, by: "a call of the API".to_owned() })
}

async fn job(State(web): State<Web>, Path(id): Path<String>) -> Answer {
    let mut tx = web.engine.store.read().await?;
    let job = find_job(&mut tx, &id).await?;
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
    Ok(Json(value))
}

/// Text, with ranges.
async fn job_log(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let job = find_job(&mut web.engine.store.read().await?, &id).await?;
    Ok(log_text(&web.engine, &job, &headers)?)
}

async fn find(tx: &mut Tx, id: &str) -> Result<RunRow, Problem> {
    let id: RunId = id.parse().map_err(|_| Failure::Missing)?;
    Ok(tx.run(id).await?.ok_or(Failure::Missing)?)
}

/// The repository of this name; on which forge need be said only if several have one.
async fn find_repository(
    tx: &mut Tx,
    forge: Option<ForgeKind>,
    name: &RepositoryName,
) -> Result<RepositoryRow, Problem> {
    let found = match forge {
        Some(forge) => tx.repository_named(forge, name).await?.into_iter().collect(),
        None => tx.repositories_named(name).await?,
    };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::Missing.into()),
        _ => Err(Failure::Words(format!("several forges have a repository {name}: name one by `forge`")).into()),
    }
}

async fn find_job(tx: &mut Tx, id: &str) -> Result<JobRow, Problem> {
    let id: JobId = id.parse().map_err(|_| Failure::Missing)?;
    Ok(tx.job(id).await?.ok_or(Failure::Missing)?)
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
