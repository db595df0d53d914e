//! When things happened to the attempts of a run, and what waits for one: a statement each, however many there are.

use super::{Json, Result, Tx, rows};
use crate::{
    agent::protocol::EndRecord,
    model::{AttemptId, JobId, Moments, RunId, Time},
};

/// The moments of one attempt, and where in its run's plan its action is.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AttemptTimes {
    /// Which.
    pub id: AttemptId,
    /// Its stage's place in the plan.
    pub stage: i64,
    /// Its action's place in the stage.
    pub place: i64,
    /// Why its action waits, or how it ended, in words.
    pub reason: String,
    /// Counts from 1.
    pub number: i64,
    /// Where it was placed.
    pub executor: String,
    /// When its action was queued for it.
    pub queued: Option<Time>,
    /// When it was decided.
    pub created: Time,
    /// When the executor took it.
    pub placed: Option<Time>,
    /// When its first job started.
    pub started: Option<Time>,
    /// When its last job ended.
    pub ended: Option<Time>,
    /// What its executor has told.
    pub moments: Json<Moments>,
}

/// An action that waits for its first attempt, or its next.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct QueuedRow {
    /// Its stage's place in the plan.
    pub stage: i64,
    /// Its own place in the stage.
    pub place: i64,
    /// Why it waits, in words.
    pub reason: String,
    /// Since when.
    pub queued: Time,
}

/// The moments of one job.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobTimes {
    /// Which.
    pub id: JobId,
    /// Whose.
    pub attempt_id: AttemptId,
    /// Its place in the action's plan.
    pub place: i64,
    /// Of a service: after how many of the action's jobs it starts.
    pub service_after: Option<i64>,
    /// When it was told to start.
    pub started: Option<Time>,
    /// When it had ended.
    pub ended: Option<Time>,
    /// When a service was ready.
    pub ready: Option<Time>,
    /// How its agent says that it ended.
    pub record: Option<Json<EndRecord>>,
}

impl Tx {
    /// The moments of all attempts at a run's own actions, in the plan's order, of each action first to last. Those of
    /// an action that was carried over belong to where it ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_times(&mut self, run: RunId) -> Result<Vec<AttemptTimes>> {
        rows!(
            self,
            AttemptTimes,
            "SELECT t.id, a.stage, a.place, a.reason, t.number, t.executor, t.queued, t.created, t.placed, t.started, \
             t.ended, t.moments FROM actions a JOIN attempts t ON t.action_id = a.id \
             WHERE a.run_id = $1 ORDER BY a.stage, a.place, t.number",
            run,
        )
    }

    /// The moments of all jobs of these attempts, of each in order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_times(&mut self, run: RunId) -> Result<Vec<JobTimes>> {
        rows!(
            self,
            JobTimes,
            "SELECT j.id, j.attempt_id, j.place, j.service_after, j.started, j.ended, j.ready, j.record \
             FROM actions a JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id \
             WHERE a.run_id = $1 ORDER BY j.attempt_id, j.place",
            run,
        )
    }

    /// The actions of a run that are queued and have no attempt under way, in the plan's order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn queued_actions(&mut self, run: RunId) -> Result<Vec<QueuedRow>> {
        rows!(
            self,
            QueuedRow,
            "SELECT a.stage, a.place, a.reason, a.queued FROM actions a \
             WHERE a.run_id = $1 AND a.phase = 'queued' AND a.queued IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM attempts t WHERE t.action_id = a.id AND t.phase IN ('starting', 'running')) \
             ORDER BY a.stage, a.place",
            run,
        )
    }
}
