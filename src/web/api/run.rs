//! `GET /runs/{id}`: a run with its stages, its actions and the jobs of each action's newest attempt.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Problem,
    runs::RunInShort,
    schema::At,
    stage::{self, Stage},
    value::{self, Image},
};
use crate::{
    engine::{self, Engine, closing::WAITS},
    model::{Concurrency, DeliveryId, Diagnostic, FlowFrom, Headline, Late, PlanDigest, Repeats, RunId, Waiting, Way},
    store::{NoticeRow, ReportRow, RunRow, RunSummary, Tx, Vetting, VettingRow},
    web::{
        Web,
        access::{OfRun, See},
        links::Link,
        pages::{Kept, Place, Route, RunPlace, flow_diff},
    },
};

/// A run: one execution of a flow for one event at one commit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Run {
    #[serde(flatten)]
    short: RunInShort,
    /// The flow file's path.
    #[schema(example = ".containerops.yml")]
    path: String,
    /// What it waits for now.
    #[schema(required = true)]
    waiting: Option<WaitsFor>,
    /// Which runs it may be under way beside; `null`: all.
    #[schema(required = true)]
    concurrency: Option<Concurrency>,
    /// The number of the newer run that took its place.
    #[schema(required = true)]
    superseded_by: Option<i64>,
    #[schema(required = true)]
    cancelled_by: Option<String>,
    /// The run that it repeats.
    #[schema(required = true)]
    rerun_of: Option<RunId>,
    /// What of that.
    #[schema(required = true)]
    repeats: Option<Repeats>,
    /// What started it.
    #[schema(required = true)]
    delivery: Option<DeliveryId>,
    /// The delivery whose replay started it.
    #[schema(required = true)]
    replay_of: Option<DeliveryId>,
    /// `null`, unless its delivery was lost and found.
    #[schema(required = true)]
    recovered: Option<Recovered>,
    plan_digest: PlanDigest,
    /// What is wrong with the flow file, or odd about it.
    diagnostics: Vec<Diagnostic>,
    /// Until when its logs and artifacts are kept; nothing: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Keeping>,
    stages: Vec<Stage>,
    /// What the forge is told.
    reports: Vec<Report>,
    /// Who else is told.
    receivers: Vec<Receiver>,
    /// How a run of untrusted code stands.
    #[schema(required = true)]
    untrusted: Option<Untrusted>,
    /// What its registries said of its images.
    images: Vec<Image>,
    /// The values that go from job to job.
    links: Vec<Link>,
}

/// Until when the logs and artifacts of a run are kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keeping {
    /// Until then, if it is a matter of time and the run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<At>,
    /// When they were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<At>,
    /// The same, for people.
    #[schema(example = "kept until 2026-05-30 12:00 UTC")]
    words: String,
}

impl Keeping {
    fn of(kept: Kept) -> Self {
        Self { until: kept.until.map(At), removed: kept.removed.map(At), words: kept.words }
    }
}

/// How late a lost delivery was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recovered {
    late_seconds: u64,
    #[schema(example = "recovered, 4 min late")]
    words: String,
}

/// Why a run has not started, or does not go on. What else there is depends on `for`.
#[derive(Debug, Default, Serialize, ToSchema)]
struct WaitsFor {
    /// `queue`, `source`, `approval` or `executor`.
    r#for: &'static str,
    /// In words.
    reason: String,
    /// Of a queue: its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Of a queue: how many may be under way at once; `null`: it says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    limit: Option<Option<u32>>,
    /// Of a queue: from 1, among those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// Of a queue: how many wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// Of a queue: the numbers of the runs before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<Vec<i64>>,
    /// Of an approval: the stage that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Of an approval: who may answer, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Of an approval: what is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Of an approval: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<At>,
}

/// What the forge is told in one context.
#[derive(Debug, Serialize, ToSchema)]
struct Report {
    #[schema(example = "containerops/ci/push")]
    context: String,
    wanted: Headline,
    /// Whether it has taken the newest.
    acknowledged: bool,
    #[schema(required = true)]
    told: Option<At>,
    /// What is in the way; empty: nothing.
    trouble: String,
}

/// What a receiver is told, and whether it was. A webhook's URL may be a secret of its own, and is left out.
#[derive(Debug, Serialize, ToSchema)]
struct Receiver {
    /// `mail` or `webhook`.
    r#type: String,
    #[schema(required = true)]
    address: Option<String>,
    news: String,
    status: String,
    tries: i64,
    trouble: String,
    #[schema(required = true)]
    ended: Option<At>,
}

/// How a run of untrusted code stands, and what an approval of it names.
#[derive(Debug, Serialize, ToSchema)]
struct Untrusted {
    /// `waits`, `approved`, `rejected` or `admitted`.
    standing: &'static str,
    flow_file: FlowFrom,
    flow_sha256: String,
    /// What its code changes of the base branch's flow file, as a unified diff; `null`: nothing.
    #[schema(required = true)]
    flow_diff: Option<String>,
    /// The secrets that its jobs ask for, and get only by name.
    secrets: Vec<String>,
    answered_by: String,
    note: String,
    #[schema(required = true)]
    expires: Option<At>,
    #[schema(required = true)]
    answered: Option<At>,
}

/// One run, with its stages, actions and jobs.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", operation_id = "getRun", params(("id" = RunId, Path, description = "The run's id")), responses((status = 200, description = "The run", body = Run)))]
pub(super) async fn show(OfRun { run, .. }: OfRun<See>, State(web): State<Web>) -> Answer<Run> {
    let mut tx = web.engine.store.read().await?;
    Ok(Json(Run::of(&web.engine, &mut tx, &run).await?))
}

/// The run's page.
pub(super) async fn route_of(tx: &mut Tx, run: &RunRow) -> Result<Route, Problem> {
    let repository = tx.repository(run.repository_id).await?;
    let place = Place::Run(run.number.cast_unsigned(), RunPlace::Page);
    Ok(Route { forge: repository.forge, repository: repository.name, place })
}

impl Run {
    pub(super) async fn of(engine: &Engine, tx: &mut Tx, run: &RunRow) -> Result<Self, Problem> {
        let route = route_of(tx, run).await?;
        Ok(Self {
            short: RunInShort::of(&RunSummary::of(run, route.forge, route.repository.clone())),
            path: run.path.clone(),
            waiting: engine::waiting(tx, run).await?.map(WaitsFor::of),
            concurrency: run.plan.as_ref().and_then(|plan| plan.concurrency.clone()),
            superseded_by: run.superseded_by,
            cancelled_by: run.cancelled_by.clone(),
            rerun_of: run.rerun_of,
            repeats: run.repeats.as_deref().cloned(),
            delivery: run.delivery_id,
            replay_of: tx.replay_of(run).await?,
            recovered: tx.late(run.delivery_id).await?.map(Recovered::of),
            plan_digest: run.digest.clone(),
            diagnostics: run.diagnostics.0.clone(),
            kept: Kept::of(engine, tx, run).await?.map(Keeping::of),
            stages: stage::of_run(tx, run, &route).await?,
            reports: reports(tx, run).await?,
            receivers: tx.notices(run.id).await?.iter().map(Receiver::of).collect(),
            untrusted: tx.vetting(run.id).await?.as_ref().map(|row| Untrusted::of(row, &run.path)),
            images: value::images(run),
            links: value::links(tx, run).await?,
        })
    }
}

impl Recovered {
    pub(super) fn of(late: Late) -> Self {
        Self { late_seconds: late.0.as_secs(), words: late.to_string() }
    }
}

impl WaitsFor {
    fn of(waiting: Waiting) -> Self {
        let (r#for, reason) = (waiting.label(), waiting.to_string());
        match waiting {
            Waiting::Queue(place) => Self {
                r#for,
                reason,
                group: Some(place.group),
                limit: Some(place.limit.map(u32::from)),
                position: Some(place.position),
                length: Some(place.length),
                ahead: Some(place.ahead),
                ..Self::default()
            },
            Waiting::Approval(question) => Self {
                r#for,
                reason,
                stage: Some(question.stage),
                by: Some(question.by),
                note: Some(question.note),
                expires: Some(At(question.expires)),
                ..Self::default()
            },
            Waiting::Source { .. } | Waiting::Quota { .. } | Waiting::Executor { .. } => {
                Self { r#for, reason, ..Self::default() }
            }
        }
    }
}

impl Receiver {
    fn of(row: &NoticeRow) -> Self {
        Self {
            r#type: row.way.clone(),
            address: (row.way == Way::Mail.as_str()).then(|| row.address.clone()),
            news: row.news.clone(),
            status: row.phase.clone(),
            tries: row.tries,
            trouble: row.trouble.clone(),
            ended: row.ended.map(At),
        }
    }
}

impl Untrusted {
    fn of(row: &VettingRow, path: &str) -> Self {
        Self {
            standing: row.standing().as_str(),
            flow_file: row.flow_from(),
            flow_sha256: row.flow_digest.clone(),
            flow_diff: flow_diff(row, path),
            secrets: row.secrets.0.iter().cloned().collect(),
            answered_by: row.answered_by.clone(),
            note: row.note.clone(),
            expires: (row.standing() == Vetting::Waits).then(|| At(row.asked.after(WAITS))),
            answered: row.answered.map(At),
        }
    }
}

/// What the forge is told of a run, and whether it has taken it.
async fn reports(tx: &mut Tx, run: &RunRow) -> Result<Vec<Report>, Problem> {
    let rows = tx.reports(run.repository_id, &run.sha).await?;
    let of_run = rows.iter().filter(|row| row.generation == run.id);
    let one = |row: &ReportRow| Report {
        context: row.context.0.clone(),
        wanted: row.wanted.headline(),
        acknowledged: row.is_acknowledged(),
        told: row.told_at.map(At),
        trouble: row.trouble.clone(),
    };
    Ok(of_run.map(one).collect())
}
