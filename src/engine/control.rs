//! What people ask of runs: stop, and once more.

use super::{Engine, EngineError, Result};
use crate::{
    model::{DeliveryId, Repository, RunId, RunState, Sha},
    store::{NewRun, RunRow, Tx},
};

impl Engine {
    /// Stops a run: what has not started ends now, what runs is told to stop. False: it had ended, or was being
    /// stopped already.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn cancel(&self, run: RunId, by: &str) -> Result<bool> {
        let mut tx = self.store.write().await?;
        let stopped = tx.cancel_run(run, by).await?;
        if stopped {
            self.settle(&mut tx, run, self.now()).await?;
        }
        tx.commit().await?;
        Ok(stopped)
    }

    /// Runs the same plan on the same bytes again, as a new run.
    ///
    /// # Errors
    /// If the database is away, or there is no such run.
    pub async fn rerun(&self, id: RunId) -> Result<RunId> {
        let mut tx = self.store.write().await?;
        let run = tx.run(id).await?.ok_or_else(|| EngineError::Broken(format!("there is no run {id}")))?;
        let new = self.repeat(&mut tx, &run, None).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// The runs that a forge's re-run button means: one check's, or the newest of each context at the commit.
    pub(super) async fn meant_by(
        &self,
        tx: &mut Tx,
        repository: &Repository,
        sha: &Sha,
        external_id: Option<&str>,
    ) -> Result<Vec<RunRow>> {
        let Some(known) = tx.repository_named(repository.forge, &repository.name).await? else {
            return Ok(Vec::new());
        };
        let newest = tx.newest_runs_of(known.id, sha).await?;
        let Some(external_id) = external_id else { return Ok(newest) };
        let Ok(id) = external_id.parse::<RunId>() else { return Ok(Vec::new()) };
        let run = tx.run(id).await?;
        // an id is only good for the repository and commit that it was made for
        Ok(run.into_iter().filter(|run| run.repository_id == known.id && run.sha == *sha).collect())
    }

    /// `delivery` asked for it, if a forge did.
    pub(super) async fn repeat(&self, tx: &mut Tx, run: &RunRow, delivery: Option<DeliveryId>) -> Result<RunId> {
        let now = self.now();
        let state = match &run.plan.0 {
            Some(_) if run.state.0 != RunState::Ended(crate::model::Conclusion::Skipped) => RunState::Queued,
            // a broken file stays broken, and a run that was left out stays so, at the same commit
            Some(_) | None => run.state.0.clone(),
        };
        let id = tx
            .insert_run(&NewRun {
                repository: run.repository_id,
                delivery,
                rerun_of: Some(run.id),
                flow: &run.flow,
                path: &run.path,
                event: &run.event,
                plan: run.plan.0.as_ref(),
                diagnostics: &run.diagnostics,
                reason: if state == RunState::Queued { "" } else { &run.reason },
                state,
                pins: &run.pins,
                source: run.source.as_deref(),
                source_note: &run.source_note,
                now,
            })
            .await?;
        self.settle(tx, id, now).await?;
        Ok(id)
    }
}
