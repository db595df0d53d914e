//! Stages that wait for a person, and how long a run does nothing else.

use std::time::Duration;

use super::{Change, Json, Result, Tx, execute, meant, row, rows, run::column};
use crate::model::{Answer, PAUSED, RunId, Time};

/// A stage that waits, or has waited, for a person.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ApprovalRow {
    /// Whose.
    pub run_id: RunId,
    /// Its place in the plan.
    pub stage: i64,
    /// Since when it waits.
    pub asked: Time,
    /// When it is too late.
    pub expires: Time,
    /// How it was answered; `None`: it waits.
    pub answer: Option<Json<Answer>>,
    /// Who answered; empty if nobody did.
    pub answered_by: String,
    /// What they said besides; may be empty.
    pub note: String,
    /// When it waited no longer.
    pub answered: Option<Time>,
}

impl ApprovalRow {
    /// Whether it still waits.
    pub const fn is_open(&self) -> bool {
        self.answer.is_none()
    }
}

impl Tx {
    /// All questions of a run, in the plan's order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn approvals(&mut self, run: RunId) -> Result<Vec<ApprovalRow>> {
        rows!(self, ApprovalRow, "SELECT * FROM approvals WHERE run_id = $1 ORDER BY stage", run)
    }

    /// A stage waits from now on.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn ask_approval(&mut self, run: RunId, stage: usize, now: Time, expires: Time) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO approvals (run_id, stage, asked, expires, answered_by, note) VALUES ($1, $2, $3, $4, '', '')",
            run,
            column(stage),
            now,
            expires,
        )?;
        meant("a question", 1, met)
    }

    /// A stage waits no longer. The first answer counts: false if there was one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn answer_approval(
        &mut self,
        run: RunId,
        stage: i64,
        answer: Answer,
        by: &str,
        note: &str,
        now: Time,
    ) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE approvals SET answer = $3, answered_by = $4, note = $5, answered = $6 \
             WHERE run_id = $1 AND stage = $2 AND answer IS NULL",
            run,
            stage,
            Json(answer),
            by,
            note,
            now,
        )?;
        self.ring(Change::Run(run));
        Ok(met == 1)
    }

    /// Runs with a question for whose answer it is too late.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn expired_approvals(&mut self, now: Time) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(
            self,
            (RunId,),
            "SELECT DISTINCT run_id FROM approvals WHERE answer IS NULL AND expires <= $1 ORDER BY run_id",
            now,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// From now on a run does nothing but wait for people.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_pauses(&mut self, run: RunId, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE runs SET paused_since = $2, label = $3 WHERE id = $1 AND paused_since IS NULL AND phase <> 'ended'",
            run,
            now,
            PAUSED,
        )?;
        self.ring(Change::Run(run));
        Ok(())
    }

    /// A run goes on that has waited for people.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_goes_on(&mut self, run: RunId, paused: Duration) -> Result<()> {
        let paused = super::report::millis(paused);
        execute!(
            self,
            "UPDATE runs SET paused_since = NULL, paused = $2, label = CASE WHEN phase = 'ended' THEN label ELSE phase END \
             WHERE id = $1",
            run,
            paused,
        )?;
        self.ring(Change::Run(run));
        Ok(())
    }

    /// What a run says of itself while it runs.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_running_reason(&mut self, run: RunId, reason: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE runs SET reason = $2 WHERE id = $1 AND phase = 'running' AND reason <> $2",
            run,
            reason,
        )?;
        if met == 1 {
            self.ring(Change::Run(run));
        }
        Ok(())
    }

    /// One question of a run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn approval(&mut self, run: RunId, stage: i64) -> Result<Option<ApprovalRow>> {
        row!(self, ApprovalRow, "SELECT * FROM approvals WHERE run_id = $1 AND stage = $2", run, stage)
    }
}
