//! Jobs: `GET /jobs/{id}` and its log as text; and jobs as runs show them.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Problem, asked::PAGE, run::route_of, schema::At, tested};
use crate::{
    agent::protocol::LeftOut,
    engine::{EngineError, whole::Whole},
    model::{self, JobId, JobPath, JobState, RunId, Time},
    store::{ActionRow, JobRow, RunRow},
    web::{
        Web,
        access::{OfJob, See},
        pages::{Failure, JobPlace, Place, Route, log_text},
    },
};

/// A job: one container of an action's pod.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    id: JobId,
    /// Its name in its action.
    #[schema(required = true, example = "test")]
    name: Option<String>,
    /// As the flow file names it.
    #[schema(required = true, example = "rust:1")]
    image: Option<String>,
    /// By its digest, as it ran; `null`: not asked for yet, or nobody knew.
    #[schema(required = true)]
    pinned: Option<String>,
    status: JobState,
    /// How it ended; `null` until then.
    #[schema(required = true, example = "exit code 3")]
    words: Option<String>,
    /// What it has said that other jobs may use.
    outputs: BTreeMap<String, String>,
    #[schema(required = true)]
    started: Option<At>,
    #[schema(required = true)]
    ended: Option<At>,
    /// Whether it runs beside the jobs, for them.
    service: bool,
    /// When a service was ready.
    #[schema(required = true)]
    ready: Option<At>,
    log: Log,
    /// When its agent should have spoken and did not.
    silences: Vec<Silence>,
    /// What its tests came to; `null`: it has no reports.
    #[schema(required = true)]
    tests: Option<tested::TestsInShort>,
}

/// A job, with where it belongs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobDetails)]
pub(super) struct WholeJob {
    #[serde(flatten)]
    job: Job,
    run: RunId,
    /// Which attempt at its action, from 1.
    #[schema(minimum = 1)]
    attempt: i64,
    /// What the tools that it ran find wrong with lines of files.
    problems: Vec<model::Problem>,
}

/// A job's log.
#[derive(Debug, Serialize, ToSchema)]
struct Log {
    /// Bytes.
    length: i64,
    /// Lines, counting a last one without a newline.
    lines: i64,
    /// How complete it is, in a word.
    #[schema(example = "complete")]
    state: &'static str,
    /// The same, in a sentence.
    #[schema(example = "complete, 1 line, sha256 9f86d0…, 13 bytes")]
    words: String,
    /// What was over its limit.
    #[schema(required = true)]
    left_out: Option<LeftOut>,
    /// By the agent's own reckoning; `null` until its end.
    #[schema(required = true)]
    sha256: Option<String>,
    /// Its page.
    #[schema(required = true, example = "/github/acme/shop/runs/7/test/unit/test")]
    page: Option<String>,
    /// Its text.
    #[schema(required = true)]
    text: Option<String>,
    /// Its text as it comes, as server-sent events.
    #[schema(required = true)]
    stream: Option<String>,
}

/// What there is of a job beside its row.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) silences: Vec<Silence>,
    pub(super) tests: Option<tested::TestsInShort>,
}

/// A time in which nothing was heard of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Silence {
    since: At,
    /// `null`: it goes on.
    #[schema(required = true)]
    until: Option<At>,
}

/// One job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", operation_id = "getJob", params(("id" = JobId, Path, description = "The job's id")), responses((status = 200, description = "The job", body = WholeJob)))]
pub(super) async fn show(OfJob { job, .. }: OfJob<See>, State(web): State<Web>) -> Answer<WholeJob> {
    let mut tx = web.engine.store.read().await?;
    let broken = || Failure::from(EngineError::Broken(format!("job {} is of no attempt", job.id)));
    let attempt = tx.attempt(job.attempt_id).await?.ok_or_else(broken)?;
    let action = tx.action(attempt.action_id).await?;
    let run = tx.run(action.run_id).await?.ok_or_else(broken)?;
    let route = route_of(&mut tx, &run).await?;
    let problems = tx.problems(job.id).await?;
    let said = Said {
        outputs: tx.outputs(job.id).await?.into_iter().map(|output| (output.name, output.value)).collect(),
        silences: tx.silences(job.id, PAGE).await?.iter().map(|row| Silence::of(row.since, row.until)).collect(),
        tests: tested::in_short(&mut tx, job.id).await?,
    };
    let job = Job::of(&run, &route, &action, &job, said);
    Ok(Json(WholeJob { job, run: run.id, attempt: attempt.number, problems }))
}

/// A job's log, as text.
///
/// With ranges. The header `containerops-log` says how complete it is.
#[utoipa::path(get, path = "/jobs/{id}/log", tag = "logs", operation_id = "getLog",
    params(
        ("id" = JobId, Path, description = "The job's id"),
        ("Range" = Option<String>, Header, description = "`bytes=0-99`: these bytes; `bytes=-100`: the last ones"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of what the range continues: if it is another log now, all of it is sent"),
    ),
    responses(
        (status = 200, description = "All of it", body = String, content_type = "text/plain; charset=utf-8",
         headers(("containerops-log" = String, description = "How complete it is"))),
        (status = 206, description = "The bytes that were asked for", body = String, content_type = "text/plain; charset=utf-8",
         headers(("Content-Range" = String, description = "Which bytes of how many"))),
        (status = 416, description = "None of those bytes is there"),
    ))]
pub(super) async fn log(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(log_text(&web.engine, &job, &headers)?)
}

impl Job {
    pub(super) fn of(run: &RunRow, route: &Route, action: &ActionRow, job: &JobRow, said: Said) -> Self {
        let stage = run.plan.as_ref().and_then(|plan| plan.stages.get(action.stage as usize));
        let action = stage.and_then(|stage| stage.actions.get(action.place as usize));
        let planned = action.and_then(|action| action.member(job.place as usize));
        let path = stage.zip(action).zip(planned).map(|((stage, action), job)| JobPath {
            stage: stage.name.clone(),
            action: action.name.clone(),
            job: job.name.clone(),
        });
        Self {
            id: job.id,
            name: planned.map(|job| job.name.clone()),
            image: planned.map(|job| job.image.clone()),
            pinned: planned.and_then(|job| run.pins.get(&job.image)).map(|pin| pin.image.clone()),
            status: job.state.0.clone(),
            words: job.state.verdict().map(ToString::to_string),
            outputs: said.outputs,
            started: job.started.map(At),
            ended: job.ended.map(At),
            service: job.is_service(),
            ready: job.ready.map(At),
            log: Log::of(run, route, job, path.as_ref()),
            silences: said.silences,
            tests: said.tests,
        }
    }
}

impl Log {
    fn of(run: &RunRow, route: &Route, job: &JobRow, path: Option<&JobPath>) -> Self {
        let whole = Whole::of(job);
        let url = |place| {
            path.map(|path| {
                let place = Place::Job(run.number.cast_unsigned(), path.clone(), place);
                Route { place, ..route.clone() }.to_string()
            })
        };
        Self {
            length: job.log_length,
            lines: job.log_lines(),
            state: whole.state.label(),
            words: whole.to_string(),
            left_out: whole.left_out,
            sha256: job.record.as_ref().map(|record| record.log.sha256.clone()),
            page: url(JobPlace::Page),
            text: url(JobPlace::Raw),
            stream: url(JobPlace::Stream),
        }
    }
}

impl Silence {
    pub(super) fn of(since: Time, until: Option<Time>) -> Self {
        Self { since: At(since), until: until.map(At) }
    }
}
