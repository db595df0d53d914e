//! Checkouts: the snapshots that a run needs besides its own, one for each set of options that its actions have.

use std::collections::BTreeSet;

use super::{Change, NewRun, Result, Tx, execute, meant, row, rows};
use crate::model::{CheckoutOptions, RunId, Sha, Time};

/// How many are made, or let go, in one transaction.
const AT_ONCE: i64 = 100;

/// One checkout of a run.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CheckoutRow {
    /// Whose.
    pub run_id: RunId,
    /// What it holds: [`CheckoutOptions::key`](crate::model::CheckoutOptions::key).
    pub options: String,
    /// Its snapshot, once it is there.
    pub source: Option<String>,
    /// The commit that a branch or tag stood for when it was made first.
    pub sha: Option<Sha>,
    /// Why it can never be made, in words for the author.
    pub failure: Option<String>,
    /// Why it could not be made so far.
    pub trouble: String,
    /// When it is to be made, if it is not there.
    pub due: Time,
}

impl Tx {
    /// Wants the checkouts that a new run's plan asks for; those of the run that it repeats are the same bytes.
    pub(super) async fn want_checkouts(&mut self, run: RunId, new: &NewRun<'_>) -> Result<()> {
        let actions = new.plan.iter().flat_map(|plan| &plan.stages).flat_map(|stage| &stage.actions);
        let wanted: BTreeSet<String> =
            actions.filter_map(|action| action.checkout.options()).map(CheckoutOptions::key).collect();
        for options in wanted {
            let met = execute!(
                self,
                "INSERT INTO checkouts (run_id, options, trouble, due, source, sha) VALUES ($1, $2, '', $3, \
                 (SELECT source FROM checkouts WHERE run_id = $4 AND options = $2), \
                 (SELECT sha FROM checkouts WHERE run_id = $4 AND options = $2))",
                run,
                &options,
                new.now,
                new.rerun_of,
            )?;
            meant("a checkout", 1, met)?;
        }
        Ok(())
    }

    /// A run's checkout.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout(&mut self, run: RunId, options: &str) -> Result<Option<CheckoutRow>> {
        row!(self, CheckoutRow, "SELECT * FROM checkouts WHERE run_id = $1 AND options = $2", run, options)
    }

    /// Why a run waits for a checkout, if it could not be made so far.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout_trouble(&mut self, run: RunId) -> Result<Option<String>> {
        let found: Option<(String,)> = row!(
            self,
            (String,),
            "SELECT trouble FROM checkouts WHERE run_id = $1 AND source IS NULL AND failure IS NULL AND trouble <> '' \
             ORDER BY options LIMIT 1",
            run,
        )?;
        Ok(found.map(|(trouble,)| trouble))
    }

    /// Checkouts of open runs that are to be made now. A broken one is not.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkouts_due(&mut self, now: Time) -> Result<Vec<CheckoutRow>> {
        rows!(
            self,
            CheckoutRow,
            "SELECT c.* FROM checkouts c JOIN runs r ON r.id = c.run_id WHERE c.source IS NULL AND c.failure IS NULL \
             AND c.due <= $1 AND r.phase <> 'ended' ORDER BY c.due, c.run_id, c.options LIMIT 8",
            now,
        )
    }

    /// A checkout is there.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout_made(&mut self, row: &CheckoutRow, source: &str, sha: &Sha) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE checkouts SET source = $3, sha = $4 WHERE run_id = $1 AND options = $2",
            row.run_id,
            &row.options,
            source,
            sha,
        )?;
        self.ring(Change::Run(row.run_id));
        meant("a checkout", 1, met)
    }

    /// A checkout is tried again later.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout_postponed(&mut self, row: &CheckoutRow, due: Time, trouble: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE checkouts SET due = $3, trouble = $4 WHERE run_id = $1 AND options = $2",
            row.run_id,
            &row.options,
            due,
            trouble,
        )?;
        meant("a checkout", 1, met)
    }

    /// A checkout can never be made.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout_failed(&mut self, row: &CheckoutRow, failure: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE checkouts SET failure = $3 WHERE run_id = $1 AND options = $2",
            row.run_id,
            &row.options,
            failure,
        )?;
        self.ring(Change::Run(row.run_id));
        meant("a checkout", 1, met)
    }

    /// An open run's checkout is gone: it is to be made again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn checkout_lost(&mut self, run: RunId, source: &str, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE checkouts SET source = NULL, due = $3 WHERE run_id = $1 AND source = $2",
            run,
            source,
            now,
        )?;
        self.ring(Change::Run(run));
        Ok(())
    }

    /// Lets go of the checkouts of runs that ended before `before`: a re-run makes its own again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_checkouts(&mut self, before: Time) -> Result<u64> {
        execute!(
            self,
            "UPDATE checkouts SET source = NULL WHERE source IN (SELECT c.source FROM checkouts c JOIN runs r \
             ON r.id = c.run_id WHERE c.source IS NOT NULL GROUP BY c.source \
             HAVING COUNT(CASE WHEN r.phase <> 'ended' THEN 1 END) = 0 AND MAX(COALESCE(r.ended, 0)) < $1 LIMIT $2)",
            before,
            AT_ONCE,
        )
    }
}
