//! A run's stages, with their actions, the attempts at these and their jobs. However many there are, their rows are read
//! by the same number of statements.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Problem,
    approval::StageApproval,
    asked::PAGE,
    job::{Job, Said, Silence},
    phases::Times,
    schema::At,
    tested::{self, TestsInShort},
};
use crate::{
    model::{ActionId, ActionState, AttemptId, JobId, JobState, Sequencing, StageKind, Time},
    store::{ActionRow, AttemptRow, JobRow, RunRow, Tx},
    web::pages::Route,
};

/// A stage of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stage {
    #[schema(example = "test")]
    name: String,
    kind: StageKind,
    /// How its actions run.
    sequencing: Sequencing,
    /// The names of the stages that it waits for.
    needs: Vec<String>,
    actions: Vec<Action>,
    /// What a stage asks that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<StageApproval>,
}

/// An action of a run: one pod, however often it is attempted.
#[derive(Debug, Serialize, ToSchema)]
struct Action {
    id: ActionId,
    #[schema(required = true, example = "unit")]
    name: Option<String>,
    status: ActionState,
    /// Why it waits, or how it ended.
    reason: String,
    /// Since when it waits for an attempt; `null`: it does not.
    #[schema(required = true)]
    queued: Option<At>,
    /// The number of the newest attempt.
    #[schema(required = true)]
    attempt: Option<i64>,
    #[schema(required = true)]
    started: Option<At>,
    #[schema(required = true)]
    ended: Option<At>,
    /// The action of an earlier run whose end, outputs and logs stand here.
    #[schema(required = true)]
    carried_from: Option<ActionId>,
    /// Those of the newest attempt.
    jobs: Vec<Job>,
    /// All of them, in order.
    attempts: Vec<Attempt>,
    /// The action of the flow file that it is one of, and the values that make it that.
    #[schema(required = true)]
    matrix: Option<Matrix>,
}

/// Which of the actions that a matrix makes.
#[derive(Debug, Serialize, ToSchema)]
struct Matrix {
    name: String,
    values: BTreeMap<String, String>,
}

/// An attempt at an action.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// From 1.
    #[schema(minimum = 1)]
    number: i64,
    created: At,
    #[schema(required = true)]
    started: Option<At>,
    #[schema(required = true)]
    ended: Option<At>,
    jobs: Vec<AttemptJob>,
    times: Times,
}

/// A job of an attempt.
#[derive(Debug, Serialize, ToSchema)]
struct AttemptJob {
    id: JobId,
    status: JobState,
    /// How it ended.
    #[schema(required = true)]
    words: Option<String>,
}

/// A run's stages.
pub(super) async fn of_run(tx: &mut Tx, run: &RunRow, route: &Route) -> Result<Vec<Stage>, Problem> {
    let (actions, approvals) = (tx.actions(run.id).await?, tx.approvals(run.id).await?);
    let mut rows = Rows::read(tx, run).await?;
    let mut stages = Vec::new();
    for (at, stage) in run.plan.iter().flat_map(|plan| &plan.stages).enumerate() {
        let of_stage = actions.iter().filter(|row| row.stage == at as i64);
        let row = approvals.iter().find(|row| row.stage == at as i64);
        let approval = stage.approval.as_ref().map(|asks| StageApproval::of(asks, row));
        let needs = stage.needs.iter().filter_map(|need| Some(run.plan.as_ref()?.stages.get(*need)?.name.clone()));
        stages.push(Stage {
            name: stage.name.clone(),
            kind: stage.kind,
            sequencing: stage.sequencing,
            needs: needs.collect(),
            actions: of_stage.map(|row| Action::of(run, route, row, &mut rows)).collect(),
            approval,
        });
    }
    Ok(stages)
}

/// What there is of a run's actions.
struct Rows {
    attempts: BTreeMap<ActionId, Vec<AttemptRow>>,
    jobs: BTreeMap<AttemptId, Vec<JobRow>>,
    queued: BTreeMap<(i64, i64), Time>,
    outputs: BTreeMap<JobId, BTreeMap<String, String>>,
    silences: BTreeMap<JobId, Vec<Silence>>,
    tests: BTreeMap<JobId, TestsInShort>,
}

impl Rows {
    async fn read(tx: &mut Tx, run: &RunRow) -> Result<Self, Problem> {
        let queued = if run.ended.is_none() { tx.queued_actions(run.id).await? } else { Vec::new() };
        let mut rows = Self {
            attempts: BTreeMap::new(),
            jobs: BTreeMap::new(),
            queued: queued.into_iter().map(|row| ((row.stage, row.place), row.queued)).collect(),
            outputs: BTreeMap::new(),
            silences: BTreeMap::new(),
            tests: tested::of_run(tx, run.id).await?,
        };
        for row in tx.attempts_of_run(run.id).await? {
            rows.attempts.entry(row.action_id).or_default().push(row);
        }
        for row in tx.jobs_of_run(run.id).await? {
            rows.jobs.entry(row.attempt_id).or_default().push(row);
        }
        for row in tx.newest_outputs_of_run(run.id).await? {
            rows.outputs.entry(row.job_id).or_default().insert(row.name, row.value);
        }
        for row in tx.silences_of_run(run.id).await? {
            rows.silences.entry(row.job_id).or_default().push(Silence::of(row.since, row.until));
        }
        Ok(rows)
    }

    /// What there is of a job besides: it is asked for once.
    fn said(&mut self, job: JobId) -> Said {
        let mut silences = self.silences.remove(&job).unwrap_or_default();
        let older = silences.len().saturating_sub(PAGE as usize);
        silences.drain(..older);
        Said { outputs: self.outputs.remove(&job).unwrap_or_default(), silences, tests: self.tests.remove(&job) }
    }
}

impl Action {
    fn of(run: &RunRow, route: &Route, row: &ActionRow, rows: &mut Rows) -> Self {
        let attempts = rows.attempts.remove(&row.origin()).unwrap_or_default();
        let of_attempt: Vec<Vec<JobRow>> =
            attempts.iter().map(|one| rows.jobs.remove(&one.id).unwrap_or_default()).collect();
        let newest = of_attempt.last().map_or(&[][..], Vec::as_slice);
        let plan = run.plan.as_ref().and_then(|plan| plan.action(row.stage as usize, row.place as usize));
        let matrix =
            plan.and_then(|plan| Some(Matrix { name: plan.matrix_name()?.to_owned(), values: plan.matrix.clone() }));
        Self {
            id: row.id,
            name: plan.map(|plan| plan.name.clone()),
            status: row.state.0.clone(),
            reason: row.reason.clone(),
            queued: rows.queued.get(&(row.stage, row.place)).copied().map(At),
            attempt: attempts.last().map(|one| one.number),
            started: row.started.map(At),
            ended: row.ended.map(At),
            carried_from: row.carried_from,
            jobs: newest.iter().map(|job| Job::of(run, route, row, job, rows.said(job.id))).collect(),
            attempts: attempts.iter().zip(&of_attempt).map(|(one, jobs)| Attempt::of(one, jobs)).collect(),
            matrix,
        }
    }
}

impl Attempt {
    fn of(row: &AttemptRow, jobs: &[JobRow]) -> Self {
        let job = |job: &JobRow| AttemptJob {
            id: job.id,
            status: job.state.0.clone(),
            words: job.state.verdict().map(ToString::to_string),
        };
        Self {
            number: row.number,
            created: At(row.created),
            started: row.started.map(At),
            ended: row.ended.map(At),
            jobs: jobs.iter().map(job).collect(),
            times: Times::of(row, jobs),
        }
    }
}
