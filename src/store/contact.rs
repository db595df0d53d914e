//! When agents spoke, and when they were silent.

use super::{On, Result, Tx, execute, postgres, rows};
use crate::model::{JobId, Time};

/// A time in which an agent should have spoken and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct SilenceRow {
    /// When it spoke last before.
    pub since: Time,
    /// When it spoke again; `None`: it has not, or not any more.
    pub until: Option<Time>,
}

impl Tx {
    /// Agents spoke. If one was silent before, that is over, and whoever drives its action should look now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn jobs_spoke(&mut self, spoke: &[(JobId, Time)]) -> Result<()> {
        for job in self.end_silences(spoke).await? {
            execute!(
                self,
                "UPDATE actions SET due = 0 WHERE phase IN ('queued', 'running') AND id IN \
                 (SELECT t.action_id FROM attempts t JOIN jobs j ON j.attempt_id = t.id \
                 WHERE j.id = $1 AND t.phase IN ('starting', 'running'))",
                job,
            )?;
        }
        Ok(())
    }

    /// Notes that agents spoke. Those of them that were silent.
    async fn end_silences(&mut self, spoke: &[(JobId, Time)]) -> Result<Vec<JobId>> {
        self.about("UPDATE jobs").await?;
        if let On::Postgres(on) = &mut self.on {
            return postgres::jobs_spoke(on, spoke).await;
        }
        let mut over = Vec::new();
        for (job, at) in spoke.iter().copied() {
            execute!(self, "UPDATE jobs SET heard = $2 WHERE id = $1 AND (heard IS NULL OR heard < $2)", job, at)?;
            let met = execute!(
                self,
                "UPDATE silences SET until = $2 WHERE job_id = $1 AND until IS NULL AND since < $2",
                job,
                at,
            )?;
            over.extend((met > 0).then_some(job));
        }
        Ok(over)
    }

    /// An agent has not spoken since. One silence has one row, however often it is noticed.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_silent(&mut self, job: JobId, since: Time) -> Result<()> {
        execute!(
            self,
            "INSERT INTO silences (job_id, since) VALUES ($1, $2) ON CONFLICT (job_id, since) DO NOTHING",
            job,
            since,
        )?;
        Ok(())
    }

    /// When a job's agent was silent, first to last, the newest `limit`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn silences(&mut self, job: JobId, limit: i64) -> Result<Vec<SilenceRow>> {
        let mut newest = rows!(
            self,
            SilenceRow,
            "SELECT since, until FROM silences WHERE job_id = $1 ORDER BY since DESC LIMIT $2",
            job,
            limit,
        )?;
        newest.reverse();
        Ok(newest)
    }
}
