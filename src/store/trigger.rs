//! Jobs that start another flow, and the deliveries by which they do.

use super::{Result, Tx, execute, row, rows};
use crate::model::{ActionId, DeliveryId, JobId, RunId, Time};

/// A job that has started a run, by its places in its run's plan.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct TriggerPlace {
    /// Its run.
    pub run_id: RunId,
    /// Its stage's place.
    pub stage: i64,
    /// Its action's place there.
    pub action: i64,
    /// Its own place there.
    pub job: i64,
}

impl Tx {
    /// A job has put in a start.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_trigger(&mut self, job: JobId, delivery: DeliveryId) -> Result<()> {
        execute!(self, "INSERT INTO triggers (job_id, delivery_id) VALUES ($1, $2)", job, delivery)?;
        Ok(())
    }

    /// The start that a job has put in.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn trigger(&mut self, job: JobId) -> Result<Option<DeliveryId>> {
        let found: Option<(DeliveryId,)> =
            row!(self, (DeliveryId,), "SELECT delivery_id FROM triggers WHERE job_id = $1", job)?;
        Ok(found.map(|(id,)| id))
    }

    /// The job that has put in a delivery.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn triggered_by(&mut self, delivery: DeliveryId) -> Result<Option<TriggerPlace>> {
        row!(
            self,
            TriggerPlace,
            "SELECT a.run_id, a.stage, a.place AS action, j.place AS job FROM triggers t \
             JOIN jobs j ON j.id = t.job_id JOIN attempts x ON x.id = j.attempt_id \
             JOIN actions a ON a.id = x.action_id WHERE t.delivery_id = $1",
            delivery,
        )
    }

    /// Something became of a start: the driver of the job that waits for it should look now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_trigger(&mut self, delivery: DeliveryId, now: Time) -> Result<()> {
        // two statements: hardly any delivery is a trigger's, and then no action is looked for
        let waiting: Vec<(ActionId,)> = rows!(
            self,
            (ActionId,),
            "SELECT x.action_id FROM triggers t JOIN jobs j ON j.id = t.job_id JOIN attempts x ON x.id = j.attempt_id \
             WHERE t.delivery_id = $1 AND x.phase IN ('starting', 'running')",
            delivery,
        )?;
        for (action,) in waiting {
            execute!(
                self,
                "UPDATE actions SET due = $2 WHERE phase IN ('queued', 'running') AND due > $2 AND id = $1",
                action,
                now,
            )?;
        }
        Ok(())
    }
}
