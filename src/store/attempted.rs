//! Actions that were attempted, as whoever drives them looks at them: many at once.

use super::{ActionRow, AttemptRow, JobRow, On, Result, Tx, postgres};
use crate::model::ActionId;

/// An action with its newest attempt.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// The action.
    pub action: ActionRow,
    /// Its newest attempt.
    pub attempt: AttemptRow,
    /// That attempt's jobs, in order.
    pub jobs: Vec<JobRow>,
    /// Whether some of them have no container.
    pub has_podless: bool,
}

impl Tx {
    /// Those of these actions that were attempted.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempted(&mut self, ids: &[ActionId]) -> Result<Vec<Attempted>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        if let On::Postgres(on) = &mut self.on {
            return postgres::attempted(on, ids).await;
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(attempt) = self.newest_attempt(*id).await? else { continue };
            let (jobs, podless) = (self.jobs(attempt.id).await?, self.podless(attempt.id).await?);
            let action = self.action(*id).await?;
            found.push(Attempted { action, attempt, jobs, has_podless: !podless.is_empty() });
        }
        Ok(found)
    }
}
