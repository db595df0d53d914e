//! What people ask of runs: stop. Once more is [`rerun`](super::rerun)'s.

use super::{Engine, Result};
use crate::model::RunId;

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
        self.note(&mut tx, if stopped { "done" } else { "nothing was left to stop" }).await?;
        tx.commit().await?;
        Ok(stopped)
    }
}
