//! Traces of runs that are still to be sent.

use super::{Result, Tx, execute, rows};
use crate::model::{RunId, Time};

/// A trace that nobody has taken.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct TraceRow {
    /// Of which run.
    pub run_id: RunId,
    /// When it may be sent.
    pub due: Time,
    /// How often that has failed.
    pub tries: i64,
}

impl Tx {
    /// A run has ended whose trace is wanted.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn want_trace(&mut self, run: RunId, now: Time) -> Result<()> {
        execute!(
            self,
            "INSERT INTO traces (run_id, due, tries) VALUES ($1, $2, 0) ON CONFLICT (run_id) DO NOTHING",
            run,
            now,
        )
        .map(drop)
    }

    /// Traces that may be sent now, those that wait longest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_traces(&mut self, now: Time, limit: i64) -> Result<Vec<TraceRow>> {
        rows!(self, TraceRow, "SELECT * FROM traces WHERE due <= $1 ORDER BY due, run_id LIMIT $2", now, limit)
    }

    /// Takes a trace, to send it before `until`. Whether nobody else has.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn take_trace(&mut self, row: &TraceRow, until: Time) -> Result<bool> {
        let met =
            execute!(self, "UPDATE traces SET due = $3 WHERE run_id = $1 AND due = $2", row.run_id, row.due, until,)?;
        Ok(met == 1)
    }

    /// A trace was not taken: it is sent again at `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn trace_later(&mut self, run: RunId, due: Time) -> Result<()> {
        execute!(self, "UPDATE traces SET due = $2, tries = tries + 1 WHERE run_id = $1", run, due).map(drop)
    }

    /// A trace was taken, or is given up.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn trace_over(&mut self, run: RunId) -> Result<()> {
        execute!(self, "DELETE FROM traces WHERE run_id = $1", run).map(drop)
    }
}
