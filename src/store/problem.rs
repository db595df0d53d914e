//! What sealed logs say of lines of files.

use std::collections::BTreeMap;

use super::{Json, Result, Tx, execute, row, rows};
use crate::model::{JobId, Problem, RunId};

#[derive(sqlx::FromRow)]
struct ProblemRow {
    job_id: JobId,
    found: Json<Vec<Problem>>,
}

impl Tx {
    /// Keeps what was found in a job's log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_problems(&mut self, job: JobId, found: &[Problem]) -> Result<()> {
        execute!(
            self,
            "INSERT INTO problems (job_id, found) VALUES ($1, $2) ON CONFLICT (job_id) DO UPDATE SET found = excluded.found",
            job,
            Json(found),
        )?;
        Ok(())
    }

    /// What was found in a job's log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn problems(&mut self, job: JobId) -> Result<Vec<Problem>> {
        let row = row!(self, ProblemRow, "SELECT * FROM problems WHERE job_id = $1", job)?;
        Ok(row.map(|row| row.found.0).unwrap_or_default())
    }

    /// What was found in the logs of a run's jobs, also of those that were carried over.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn problems_of_run(&mut self, run: RunId) -> Result<BTreeMap<JobId, Vec<Problem>>> {
        let rows = rows!(
            self,
            ProblemRow,
            "SELECT p.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id JOIN problems p ON p.job_id = j.id WHERE a.run_id = $1",
            run,
        )?;
        Ok(rows.into_iter().map(|row| (row.job_id, row.found.0)).collect())
    }
}
