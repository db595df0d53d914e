//! What starts flows besides what happens on a forge, as the files at the newest commits of branches say.

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, ForgeKind, Repository, RepositoryId, Sha, Starter, Time};

/// One way in which a flow can be started.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StarterRow {
    /// Whose.
    pub repository_id: RepositoryId,
    /// The branch whose file says so.
    pub branch: String,
    /// The flow's file.
    pub path: String,
    /// The flow's name.
    pub flow: String,
    /// The flow's `uri`.
    pub uri: String,
    /// How.
    pub starter: Json<Starter>,
    /// The commit that the file is of.
    pub sha: Sha,
    /// The commit that stood there before.
    pub before: Sha,
    /// When a schedule comes next.
    pub due: Option<Time>,
}

/// The same with its repository.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StarterOf {
    /// How.
    #[sqlx(flatten)]
    pub row: StarterRow,
    /// The repository, as its forge described it last.
    pub facts: Json<Repository>,
}

impl Tx {
    /// All that a branch's files say.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn starters(&mut self, repository: RepositoryId, branch: &str) -> Result<Vec<StarterRow>> {
        rows!(
            self,
            StarterRow,
            "SELECT * FROM starters WHERE repository_id = $1 AND branch = $2 ORDER BY path, kind, name",
            repository,
            branch,
        )
    }

    /// Keeps what a file says, or says again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_starter(&mut self, row: &StarterRow) -> Result<()> {
        execute!(
            self,
            "INSERT INTO starters (repository_id, branch, path, flow, uri, kind, name, starter, sha, before, due) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (repository_id, branch, path, kind, name) DO UPDATE SET flow = excluded.flow, \
             uri = excluded.uri, starter = excluded.starter, sha = excluded.sha, before = excluded.before, \
             due = excluded.due",
            row.repository_id,
            &row.branch,
            &row.path,
            &row.flow,
            &row.uri,
            row.starter.kind(),
            row.starter.name(),
            &row.starter,
            &row.sha,
            &row.before,
            row.due,
        )?;
        Ok(())
    }

    /// A file does not say it any more.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_starter(&mut self, row: &StarterRow) -> Result<()> {
        execute!(
            self,
            "DELETE FROM starters WHERE repository_id = $1 AND branch = $2 AND path = $3 AND kind = $4 AND name = $5",
            row.repository_id,
            &row.branch,
            &row.path,
            row.starter.kind(),
            row.starter.name(),
        )?;
        Ok(())
    }

    /// Schedules whose time has come, the latest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_starters(&mut self, now: Time, limit: i64) -> Result<Vec<StarterOf>> {
        rows!(
            self,
            StarterOf,
            "SELECT s.*, r.facts FROM starters s JOIN repositories r ON r.id = s.repository_id \
             WHERE s.due <= $1 ORDER BY s.due, s.path, s.name LIMIT $2",
            now,
            limit,
        )
    }

    /// A schedule's time is taken: the next one is this. Only one who takes it does.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if another has taken it.
    pub async fn take_starter(&mut self, row: &StarterRow, next: Option<Time>) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE starters SET due = $6 WHERE repository_id = $1 AND branch = $2 AND path = $3 AND kind = 'schedule' \
             AND name = $4 AND due = $5",
            row.repository_id,
            &row.branch,
            &row.path,
            row.starter.name(),
            row.due,
            next,
        )?;
        meant("a schedule's time", 1, met)
    }

    /// The delivery with this id from this hook.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery_named(&mut self, forge: ForgeKind, delivery: &str, hook: &str) -> Result<Option<DeliveryId>> {
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT id FROM deliveries WHERE forge = $1 AND delivery = $2 AND hook = $3",
            forge,
            delivery,
            hook,
        )?;
        Ok(found.map(|(id,)| id))
    }

    /// The flows that follow the one with this `uri`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn followers(&mut self, uri: &str, limit: i64) -> Result<Vec<StarterOf>> {
        rows!(
            self,
            StarterOf,
            "SELECT s.*, r.facts FROM starters s JOIN repositories r ON r.id = s.repository_id \
             WHERE s.kind = 'flow' AND s.name = $1 ORDER BY s.repository_id, s.branch, s.path LIMIT $2",
            uri,
            limit,
        )
    }
}
