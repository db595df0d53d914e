//! Attempts at actions: pods.

use super::{
    Change, JobRow, Json, NewJob, On, Result, StoreError, Tx, execute,
    known::{Column, Kept, fetch, json, words},
    postgres, rows,
    run::column,
};
use crate::model::{ActionId, AttemptId, AttemptState, Moments, RunId, Time};

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

impl Kept for AttemptRow {
    type Id = AttemptId;
    type Above = ActionId;

    const TABLE: &'static str = "attempts";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::number("id", |row| Some(row.id.as_i64())),
        Column::fixed_number("action_id", |row| Some(row.action_id.as_i64())),
        Column::fixed_number("number", |row| Some(row.number)),
        Column::fixed_text("executor", |row| words(&row.executor)),
        Column::text("phase", |row| words(row.state.phase())),
        Column::text("state", |row| json(&row.state.0)),
        Column::fixed_number("queued", |row| row.queued.map(Time::as_millis)),
        Column::fixed_number("created", |row| Some(row.created.as_millis())),
        Column::number("placed", |row| row.placed.map(Time::as_millis)),
        Column::number("ran", |row| row.ran.map(Time::as_millis)),
        Column::number("started", |row| row.started.map(Time::as_millis)),
        Column::number("ended", |row| row.ended.map(Time::as_millis)),
        Column::text("moments", |row| json(&row.moments.0)),
    ];

    fn id(&self) -> AttemptId {
        self.id
    }

    fn above(&self) -> ActionId {
        self.action_id
    }
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
        let above = self.change_action(action).await?;
        above.attempts += 1;
        let row = AttemptRow {
            id: attempt,
            action_id: action,
            number: above.attempts,
            executor: executor.to_owned(),
            state: Json(AttemptState::Starting),
            queued: above.queued,
            created: now,
            placed: None,
            ran: None,
            started: None,
            ended: None,
            moments: Json(Moments::default()),
        };
        self.known.attempts.add(row.clone());
        self.known.jobs.learn_all(attempt, Vec::new());
        for (place, job) in jobs.iter().enumerate() {
            self.known.jobs.add(JobRow::made(job, attempt, column(place)));
        }
        Ok(row)
    }

    /// An action's newest attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_attempt(&mut self, action: ActionId) -> Result<Option<AttemptRow>> {
        Ok(self.attempts(action).await?.pop())
    }

    /// An action's attempts, first to last.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempts(&mut self, action: ActionId) -> Result<Vec<AttemptRow>> {
        if let Some(known) = self.known.attempts.of(action) {
            return Ok(known);
        }
        let sql = "SELECT * FROM attempts WHERE action_id = $1 ORDER BY number";
        let found: Vec<AttemptRow> = fetch(&mut self.on, sql, action).await?;
        Ok(self.known.all(action, found, |known| &mut known.attempts))
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
        if let Some(known) = self.known.attempts.get(id) {
            return Ok(Some(known.clone()));
        }
        let found: Vec<AttemptRow> = fetch(&mut self.on, "SELECT * FROM attempts WHERE id = $1", id).await?;
        Ok(self.known.one(found, |known| &mut known.attempts))
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
        let row = self.change_attempt(id).await?.ok_or(gone("an attempt moves"))?;
        match state {
            AttemptState::Starting | AttemptState::Removed => {}
            AttemptState::Running => row.started = row.started.or(Some(now)),
            AttemptState::Ended => row.ended = row.ended.or(Some(now)),
        }
        row.state = Json(state.clone());
        self.ring(Change::Attempt(id));
        Ok(())
    }

    /// The executor took an attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_placed(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let row = self.change_attempt(id).await?.ok_or(gone("an attempt is placed"))?;
        row.placed = row.placed.or(Some(now));
        Ok(())
    }

    /// An attempt's containers run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_ran(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let row = self.change_attempt(id).await?.ok_or(gone("an attempt runs"))?;
        row.ran = row.ran.or(Some(now));
        Ok(())
    }

    /// Keeps what the executor has told of an attempt's moments.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_moments(&mut self, id: AttemptId, moments: &Moments) -> Result<()> {
        self.change_attempt(id).await?.ok_or(gone("an attempt's moments"))?.moments = Json(moments.clone());
        Ok(())
    }

    /// The executor has seen something of attempts: whoever drives the actions of those that have not ended should look
    /// now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_some(&mut self, attempts: &[AttemptId], now: Time) -> Result<()> {
        self.about("UPDATE actions, attempts").await?;
        if let On::Postgres(on) = &mut self.on {
            return postgres::hurry_attempts(on, attempts, now).await;
        }
        for attempt in attempts.iter().copied() {
            execute!(
                self,
                "UPDATE actions SET due = $2 WHERE phase IN ('queued', 'running') AND due > $2 AND id IN \
                 (SELECT action_id FROM attempts WHERE id = $1 AND phase IN ('starting', 'running'))",
                attempt,
                now,
            )?;
        }
        Ok(())
    }

    /// The same for all attempts that have not ended.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_all(&mut self, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET due = $1 WHERE phase IN ('queued', 'running') AND due > $1 AND id IN \
             (SELECT action_id FROM attempts WHERE phase IN ('starting', 'running'))",
            now,
        )?;
        Ok(())
    }
}

/// A row that is meant is not there.
const fn gone(what: &'static str) -> StoreError {
    StoreError::Rows { what, meant: 1, met: 0 }
}
