//! Not once more: a maintainer says that what is left of a run is not needed.
//!
//! What a branch requires is green then, as skipped, with the name of who said so. It is a run of its own, which speaks
//! for the contexts from then on; nothing of it ever runs, and what still runs is stopped.

use crate::{
    engine::{Engine, Result},
    model::{Conclusion, DeliveryId, Grants, Repeats, RunId, RunState, What},
    store::{NewRun, RunRow, Tx},
};

impl Engine {
    /// Waives what is left of a run; `by` says who does, for people.
    pub(in crate::engine) async fn waive(
        &self,
        tx: &mut Tx,
        run: &RunRow,
        by: &str,
        delivery: DeliveryId,
    ) -> Result<RunId> {
        let now = self.now();
        if tx.cancel_run(run.id, by).await? {
            self.settle(tx, run.id, now).await?;
        }
        let reason = format!("skipped by {by}");
        let id = tx
            .insert_run(&NewRun {
                repository: run.repository_id,
                delivery: Some(delivery),
                rerun_of: Some(run.id),
                repeats: Some(&Repeats { what: What::Nothing, newest: None, by: by.to_owned() }),
                flow: &run.flow,
                path: &run.path,
                event: &run.event,
                plan: run.plan.0.as_deref(),
                wants: &run.wants.as_deref().cloned().unwrap_or_default(),
                grants: &Grants::none(),
                diagnostics: &[],
                state: RunState::Ended(Conclusion::Skipped),
                reason: &reason,
                pins: &run.pins,
                source: run.source.as_deref(),
                source_note: &run.source_note,
                now,
            })
            .await?;
        if let Some(plan) = &run.plan.0 {
            tx.insert_waived_actions(id, plan, &reason, now).await?;
        }
        tracing::info!(run.id = %id, waives = %run.id, by, "run waived");
        self.settle(tx, id, now).await?;
        Ok(id)
    }
}
