//! What a re-run asks of the run that it repeats, and what it takes over.

use std::collections::BTreeMap;

use super::{ActionRow, Json, Result, RunRow, Tx, execute, meant, row, rows, run::column};
use crate::model::{ActionId, Event, RunId};

impl Tx {
    /// The newest run that speaks for the same contexts as this one, if that is newer.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newer_than(&mut self, run: &RunRow) -> Result<Option<RunId>> {
        let newer: Vec<(RunId, Json<Event>)> = rows!(
            self,
            (RunId, Json<Event>),
            "SELECT id, event FROM runs WHERE repository_id = $1 AND sha = $2 AND flow = $3 AND id > $4 \
             ORDER BY id DESC",
            run.repository_id,
            &run.sha,
            &run.flow,
            run.id,
        )?;
        let suffix = run.event.context_suffix();
        Ok(newer.into_iter().find(|(_, event)| event.context_suffix() == suffix).map(|(id, _)| id))
    }

    /// The number that people see of a run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError); also if there is none, for rows never go.
    pub async fn run_number(&mut self, id: RunId) -> Result<i64> {
        let found: Option<(i64,)> = row!(self, (i64,), "SELECT number FROM runs WHERE id = $1", id)?;
        found.map(|(number,)| number).ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Ends an action of a new run as `from`, of an earlier run, has ended: it will not run.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if the new run has no such action, or it moved already.
    pub async fn carry_action(&mut self, run: RunId, places: (usize, usize), from: &ActionRow) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE actions SET phase = $4, state = $5, reason = $6, started = $7, ended = $8, carried_from = $9 \
             WHERE run_id = $1 AND stage = $2 AND place = $3 AND phase = 'waiting'",
            run,
            column(places.0),
            column(places.1),
            from.state.phase(),
            Json(&from.state.0),
            &from.reason,
            from.started,
            from.ended,
            from.origin(),
        )?;
        meant("an action is carried over", 1, met)
    }

    /// Of a run's actions those that were carried over, each with the number of the run where it ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn carried_over(&mut self, run: RunId) -> Result<BTreeMap<ActionId, i64>> {
        let found: Vec<(ActionId, i64)> = rows!(
            self,
            (ActionId, i64),
            "SELECT a.id, r.number FROM actions a JOIN actions o ON o.id = a.carried_from JOIN runs r ON r.id = o.run_id \
             WHERE a.run_id = $1",
            run,
        )?;
        Ok(found.into_iter().collect())
    }
}
