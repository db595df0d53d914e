//! Jobs that have no container: the server does their work itself, step by step.

use super::{Change, Result, Tx, execute, meant, rows};
use crate::model::{AttemptId, JobId};

/// One such job.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PodlessRow {
    /// Which.
    pub job_id: JobId,
    /// How far it is, in its engine's own words; empty before it begins.
    pub progress: String,
}

impl Tx {
    /// A job of an attempt has no container.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_podless(&mut self, attempt: AttemptId, job: JobId) -> Result<()> {
        execute!(self, "INSERT INTO podless_jobs (job_id, attempt_id, progress) VALUES ($1, $2, '')", job, attempt)?;
        Ok(())
    }

    /// The jobs of an attempt that have no container, in order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn podless(&mut self, attempt: AttemptId) -> Result<Vec<PodlessRow>> {
        rows!(
            self,
            PodlessRow,
            "SELECT p.job_id, p.progress FROM podless_jobs p JOIN jobs j ON j.id = p.job_id WHERE p.attempt_id = $1 \
             ORDER BY j.place",
            attempt,
        )
    }

    /// A job without a container is so far.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn podless_progress(&mut self, job: JobId, progress: &str) -> Result<()> {
        let met = execute!(self, "UPDATE podless_jobs SET progress = $2 WHERE job_id = $1", job, progress)?;
        self.ring(Change::Log(job));
        meant("a podless job's progress", 1, met)
    }
}
