//! How the webhooks of repositories are.

use super::{Json, Result, Tx, execute, row};
use crate::model::{ForgeKind, HookState, RepositoryId, RepositoryName, Time};

/// As many of a repository's deliveries are looked at.
const LOOKED_AT: i64 = 200;

/// How a repository's webhook is.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct HookRow {
    /// Whose.
    pub repository_id: RepositoryId,
    /// When that was looked at last.
    pub looked: Time,
    /// What the forge said then.
    pub seen: Json<HookState>,
    /// Since when it says so.
    pub since: Time,
    /// What is to be said of it.
    pub state: Json<HookState>,
}

/// When events of a repository last came, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Came {
    /// By a webhook.
    pub brought: Option<Time>,
    /// Found by the sweep.
    pub found: Option<Time>,
}

impl Tx {
    /// How a repository's webhook is; `None`: nobody has looked.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hook(&mut self, repository: RepositoryId) -> Result<Option<HookRow>> {
        row!(self, HookRow, "SELECT * FROM hooks WHERE repository_id = $1", repository)
    }

    /// Writes down how a repository's webhook is.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_hook(&mut self, hook: &HookRow) -> Result<()> {
        execute!(
            self,
            "INSERT INTO hooks (repository_id, looked, seen, since, state) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (repository_id) DO UPDATE SET looked = excluded.looked, seen = excluded.seen, \
             since = excluded.since, state = excluded.state",
            hook.repository_id,
            hook.looked,
            &hook.seen,
            hook.since,
            &hook.state,
        )?;
        Ok(())
    }

    /// When events of a repository last came by a webhook, and when the sweep, whose deliveries have this hook, last
    /// found one. What we made of somebody's wish is neither.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn events_came(
        &mut self,
        forge: ForgeKind,
        name: &RepositoryName,
        sweep: &str,
        ours: &str,
    ) -> Result<Came> {
        let came = row!(
            self,
            Came,
            "SELECT MAX(CASE WHEN hook <> $3 THEN received END) AS brought, \
             MAX(CASE WHEN hook = $3 THEN received END) AS found FROM \
             (SELECT hook, received FROM deliveries WHERE forge = $1 AND repository = $2 AND replays IS NULL \
             AND hook <> $4 ORDER BY id DESC LIMIT $5) newest",
            forge,
            name,
            sweep,
            ours,
            LOOKED_AT,
        )?;
        Ok(came.unwrap_or_default())
    }
}
