//! Attempts at actions: pods.

use super::{Change, Json, NewJob, Result, Tail, Tx, execute, meant, row, rows, run::column};
use crate::model::{ActionId, AttemptId, AttemptState, JobState, Moments, RunId, Time};

/// One attempt at an action.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AttemptRow {
    /// Ours, and the pod's name.
    pub id: AttemptId,
    /// Whose.
    pub action_id: ActionId,
    /// Counts from 1.
    pub number: i64,
    /// Where it was placed.
    pub executor: String,
    /// How far it is.
    pub state: Json<AttemptState>,
    /// When its action was queued for it; `None`: by a release that did not write that down.
    pub queued: Option<Time>,
    /// When it was decided.
    pub created: Time,
    /// When the executor took it.
    pub placed: Option<Time>,
    /// When its containers were first seen to run, if no agent was heard before.
    pub ran: Option<Time>,
    /// When its first job started.
    pub started: Option<Time>,
    /// When its last job ended.
    pub ended: Option<Time>,
    /// What its executor has told of when things happened.
    pub moments: Json<Moments>,
}

impl Tx {
    /// Begins an attempt: its row and its jobs' rows, and the action counts it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_attempt(
        &mut self,
        action: ActionId,
        attempt: AttemptId,
        executor: &str,
        jobs: &[NewJob],
        now: Time,
    ) -> Result<AttemptRow> {
        let met = execute!(self, "UPDATE actions SET attempts = attempts + 1 WHERE id = $1", action)?;
        meant("an action's attempts", 1, met)?;
        let row = row!(
            self,
            AttemptRow,
            "INSERT INTO attempts (id, action_id, number, executor, phase, state, created, queued) \
             SELECT $1, id, attempts, $3, $4, $5, $6, queued FROM actions WHERE id = $2 RETURNING *",
            attempt,
            action,
            executor,
            AttemptState::Starting.phase(),
            Json(AttemptState::Starting),
            now,
        )?;
        for (place, job) in jobs.iter().enumerate() {
            execute!(
                self,
                "INSERT INTO jobs (id, attempt_id, place, phase, state, token_hash, log_length, log_newlines, log_open, \
                 tail, service_after) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, $7, $8)",
                job.id,
                attempt,
                column(place),
                JobState::Waiting.phase(),
                Json(JobState::Waiting),
                &job.token_hash,
                Json(Tail::default()),
                job.service_after,
            )?;
        }
        row.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// An action's newest attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_attempt(&mut self, action: ActionId) -> Result<Option<AttemptRow>> {
        row!(self, AttemptRow, "SELECT * FROM attempts WHERE action_id = $1 ORDER BY number DESC LIMIT 1", action)
    }

    /// An action's attempts, first to last.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempts(&mut self, action: ActionId) -> Result<Vec<AttemptRow>> {
        rows!(self, AttemptRow, "SELECT * FROM attempts WHERE action_id = $1 ORDER BY number", action)
    }

    /// All attempts at a run's actions, of each first to last; those of one that was carried over are those of where
    /// it ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempts_of_run(&mut self, run: RunId) -> Result<Vec<AttemptRow>> {
        rows!(
            self,
            AttemptRow,
            "SELECT t.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             WHERE a.run_id = $1 ORDER BY t.action_id, t.number",
            run,
        )
    }

    /// One attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt(&mut self, id: AttemptId) -> Result<Option<AttemptRow>> {
        row!(self, AttemptRow, "SELECT * FROM attempts WHERE id = $1", id)
    }

    /// Attempts that have ended and of which the executor may still hold something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn ended_attempts(&mut self) -> Result<Vec<AttemptRow>> {
        rows!(self, AttemptRow, "SELECT * FROM attempts WHERE phase = 'ended' ORDER BY id LIMIT 64")
    }

    /// An attempt moved on; it never moves back.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if there is no such attempt.
    pub async fn set_attempt_state(&mut self, id: AttemptId, state: &AttemptState, now: Time) -> Result<()> {
        let (started, ended) = match state {
            AttemptState::Starting | AttemptState::Removed => (None, None),
            AttemptState::Running => (Some(now), None),
            AttemptState::Ended => (None, Some(now)),
        };
        let met = execute!(
            self,
            "UPDATE attempts SET phase = $2, state = $3, started = COALESCE(started, $4), ended = COALESCE(ended, $5) \
             WHERE id = $1",
            id,
            state.phase(),
            Json(state),
            started,
            ended,
        )?;
        self.ring(Change::Attempt(id));
        meant("an attempt moves", 1, met)
    }

    /// The executor took an attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_placed(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE attempts SET placed = COALESCE(placed, $2) WHERE id = $1", id, now)?;
        meant("an attempt is placed", 1, met)
    }

    /// An attempt's containers run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_ran(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE attempts SET ran = COALESCE(ran, $2) WHERE id = $1", id, now)?;
        meant("an attempt runs", 1, met)
    }

    /// Keeps what the executor has told of an attempt's moments.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_moments(&mut self, id: AttemptId, moments: &Moments) -> Result<()> {
        let met = execute!(self, "UPDATE attempts SET moments = $2 WHERE id = $1", id, Json(moments))?;
        meant("an attempt's moments", 1, met)
    }

    /// The executor has seen something of an attempt: if it has not ended, whoever drives its action should look now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_attempt(&mut self, attempt: AttemptId, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET due = $2 WHERE phase IN ('queued', 'running') AND due > $2 AND id IN \
             (SELECT action_id FROM attempts WHERE id = $1 AND phase IN ('starting', 'running'))",
            attempt,
            now,
        )?;
        Ok(())
    }

    /// The same for all attempts that have not ended.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_attempts(&mut self, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET due = $1 WHERE phase IN ('queued', 'running') AND due > $1 AND id IN \
             (SELECT action_id FROM attempts WHERE phase IN ('starting', 'running'))",
            now,
        )?;
        Ok(())
    }
}
