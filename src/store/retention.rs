//! Whose logs and artifacts are still kept, and how they go.

use super::{Change, Result, Tx, execute, meant, row, rows};
use crate::model::{ForgeKind, JobId, RepositoryId, RepositoryName, RunId, Time};

/// Runs of a repository and a kind of events, of which some still have their logs and artifacts.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptGroup {
    /// Whose.
    pub repository_id: RepositoryId,
    /// At which forge.
    pub forge: ForgeKind,
    /// Its name.
    pub name: RepositoryName,
    /// The kind of events.
    pub kind: String,
}

/// A run that has ended and still has its logs and artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptRow {
    /// Which.
    pub id: RunId,
    /// Counts from 1 in its repository.
    pub number: i64,
    /// When it ended.
    pub ended: Time,
}

/// What was removed of a run, and when.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pruned {
    /// When.
    pub pruned: Time,
    /// Why, in words.
    pub pruned_why: String,
}

/// Of a run's logs: what they hold is removed, not how long they were.
const FORGET_LOGS: &str = "DELETE FROM log_chunks WHERE job_id IN (SELECT j.id FROM actions a \
     JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = $1)";
const FORGET_BLOBS: &str = "UPDATE jobs SET log_blob = NULL WHERE log_blob IS NOT NULL AND id IN (SELECT j.id \
     FROM actions a JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = $1)";
const FORGET_ARTIFACTS: &str = "UPDATE artifacts SET bundle_id = NULL, listing = NULL \
     WHERE bundle_id IS NOT NULL AND job_id IN (SELECT j.id FROM actions a \
     JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = $1)";

impl Tx {
    /// All groups of runs that still have something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn kept_groups(&mut self) -> Result<Vec<KeptGroup>> {
        rows!(
            self,
            KeptGroup,
            "SELECT g.repository_id, r.forge, r.name, g.kind FROM (SELECT DISTINCT repository_id, kind FROM runs \
             WHERE pruned IS NULL AND phase = 'ended') AS g JOIN repositories r ON r.id = g.repository_id \
             ORDER BY g.repository_id, g.kind",
        )
    }

    /// A group's runs that still have something, the newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn kept_runs(&mut self, group: &KeptGroup) -> Result<Vec<KeptRow>> {
        rows!(
            self,
            KeptRow,
            "SELECT id, number, ended FROM runs WHERE repository_id = $1 AND kind = $2 AND pruned IS NULL \
             AND phase = 'ended' AND ended IS NOT NULL ORDER BY id DESC",
            group.repository_id,
            &group.kind,
        )
    }

    /// Bytes of a run's logs and artifacts, as they are stored.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn kept_bytes(&mut self, run: RunId) -> Result<u64> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT CAST(COALESCE(SUM((SELECT COALESCE(SUM(c.size), 0) FROM log_chunks c WHERE c.job_id = j.id) + \
             (SELECT COALESCE(SUM(b.size), 0) FROM artifacts f JOIN bundles b ON b.id = f.bundle_id \
             WHERE f.job_id = j.id)), 0) AS BIGINT) FROM actions a JOIN attempts t ON t.action_id = a.id \
             JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = $1",
            run,
        )?;
        Ok(found.map_or(0, |(bytes,)| bytes.cast_unsigned()))
    }

    /// Whether something that is not over still needs what a run has left: an open run has taken actions of it over, or
    /// a log of it is yet to be read to its end.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn is_run_needed(&mut self, run: RunId) -> Result<bool> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT CAST(1 AS BIGINT) FROM runs r WHERE r.id = $1 AND (r.phase <> 'ended' OR EXISTS (SELECT 1 FROM actions a \
             JOIN actions c ON c.carried_from = a.id JOIN runs o ON o.id = c.run_id \
             WHERE a.run_id = r.id AND o.phase <> 'ended') OR EXISTS (SELECT 1 FROM actions a \
             JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = r.id \
             AND j.log_length > 0 AND j.log_check IS NULL))",
            run,
        )?;
        Ok(found.is_some())
    }

    /// Lets go of a run's logs and artifacts: no row names their blobs any more. False: somebody needs them again, or
    /// they are gone already.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn prune(&mut self, run: RunId, why: &str, now: Time) -> Result<bool> {
        // first of all the row: of several who do this one waits here, and finds it done
        let met = execute!(
            self,
            "UPDATE runs SET pruned = $2, pruned_why = $3 WHERE id = $1 AND pruned IS NULL AND phase = 'ended'",
            run,
            now,
            why,
        )?;
        if met == 0 {
            return Ok(false);
        }
        execute!(self, FORGET_LOGS, run)?;
        execute!(self, FORGET_BLOBS, run)?;
        execute!(self, FORGET_ARTIFACTS, run)?;
        self.ring(Change::Run(run));
        meant("a run's logs and artifacts go", 1, met)?;
        Ok(true)
    }

    /// What was removed of a run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn pruned(&mut self, run: RunId) -> Result<Option<Pruned>> {
        row!(self, Pruned, "SELECT pruned, pruned_why FROM runs WHERE id = $1 AND pruned IS NOT NULL", run)
    }

    /// What was removed of the run in which a job ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn pruned_of_job(&mut self, job: JobId) -> Result<Option<Pruned>> {
        row!(
            self,
            Pruned,
            "SELECT r.pruned, r.pruned_why FROM jobs j JOIN attempts t ON t.id = j.attempt_id \
             JOIN actions a ON a.id = t.action_id JOIN runs r ON r.id = a.run_id \
             WHERE j.id = $1 AND r.pruned IS NOT NULL",
            job,
        )
    }
}
