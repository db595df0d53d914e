//! Where the sweep has looked, the heads that it saw there, and those that deliveries told of.

use super::{Result, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, ForgeKind, RepositoryId, Sha, Time};

/// A place where the sweep looks: a repository, or the hook of a whole forge.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SweepRow {
    /// Which forge.
    pub forge: ForgeKind,
    /// The repository's name, or nothing for the hook of the whole forge.
    pub name: String,
    /// When the heads were listed last.
    pub swept: Option<Time>,
    /// Attempts at deliveries before this have been looked through.
    pub since: Time,
    /// Up to when a look through them will have come that is not at its end.
    pub upto: Time,
    /// The forge's word for where that look goes on.
    pub page: Option<String>,
    /// When to look again.
    pub due: Time,
    /// Why the last look did not see everything; empty if it did.
    pub trouble: String,
}

/// A head as the sweep saw it last.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HeadRow {
    /// `refs/heads/…`, `refs/tags/…` or `refs/pull/N`.
    pub name: String,
    /// Where it is.
    pub sha: Sha,
    /// Where it was before, as far as something was made of that; zeros if it was nowhere.
    pub before: Sha,
    /// When it was last known to be elsewhere.
    pub after: Time,
    /// When it was first seen here.
    pub noticed: Time,
    /// When it was known that something tells of it; `None`: nothing has.
    pub settled: Option<Time>,
}

impl Tx {
    /// Has a forge's repositories looked at, now for the first time those that were not.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn sweep_repositories(&mut self, forge: ForgeKind, now: Time) -> Result<()> {
        // a forge need not be asked for what it could not deliver before there was anybody to deliver to
        execute!(
            self,
            "INSERT INTO sweeps (forge, name, since, upto, due, trouble) SELECT forge, name, \
             COALESCE((SELECT received FROM deliveries ORDER BY id DESC LIMIT 1), $2), 0, $2, '' FROM repositories r \
             WHERE forge = $1 AND NOT EXISTS (SELECT 1 FROM sweeps s WHERE s.forge = r.forge AND s.name = r.name)",
            forge,
            now,
        )?;
        Ok(())
    }

    /// Has a whole forge's hook looked at.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn sweep_hook(&mut self, forge: ForgeKind, now: Time) -> Result<()> {
        execute!(
            self,
            "INSERT INTO sweeps (forge, name, since, upto, due, trouble) VALUES ($1, '', \
             COALESCE((SELECT received FROM deliveries ORDER BY id DESC LIMIT 1), $2), 0, $2, '') \
             ON CONFLICT (forge, name) DO NOTHING",
            forge,
            now,
        )?;
        Ok(())
    }

    /// Where to look now, those that have waited longest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_sweeps(&mut self, now: Time, limit: i64) -> Result<Vec<SweepRow>> {
        rows!(self, SweepRow, "SELECT * FROM sweeps WHERE due <= $1 ORDER BY due, name LIMIT $2", now, limit)
    }

    /// One place where the sweep looks.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn sweep(&mut self, forge: ForgeKind, name: &str) -> Result<Option<SweepRow>> {
        row!(self, SweepRow, "SELECT * FROM sweeps WHERE forge = $1 AND name = $2", forge, name)
    }

    /// Writes down how far a look came.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_sweep(&mut self, sweep: &SweepRow) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE sweeps SET swept = $3, since = $4, upto = $5, page = $6, due = $7, trouble = $8 \
             WHERE forge = $1 AND name = $2",
            sweep.forge,
            &sweep.name,
            sweep.swept,
            sweep.since,
            sweep.upto,
            sweep.page.as_deref(),
            sweep.due,
            &sweep.trouble,
        )?;
        meant("a look of the sweep", 1, met)
    }

    /// A forge asks for patience: nothing of it is looked at before `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn postpone_sweeps(&mut self, forge: ForgeKind, due: Time) -> Result<()> {
        execute!(self, "UPDATE sweeps SET due = $2 WHERE forge = $1 AND due < $2", forge, due)?;
        execute!(self, "UPDATE recoveries SET due = $2 WHERE forge = $1 AND attempt <> '' AND due < $2", forge, due)?;
        Ok(())
    }

    /// The heads that the sweep saw last in a repository.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn heads(&mut self, repository: RepositoryId) -> Result<Vec<HeadRow>> {
        rows!(self, HeadRow, "SELECT * FROM heads WHERE repository_id = $1", repository)
    }

    /// Writes down where a head is.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_head(&mut self, repository: RepositoryId, head: &HeadRow) -> Result<()> {
        execute!(
            self,
            "INSERT INTO heads (repository_id, name, sha, before, after, noticed, settled) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (repository_id, name) DO UPDATE SET sha = excluded.sha, \
             before = excluded.before, after = excluded.after, noticed = excluded.noticed, settled = excluded.settled",
            repository,
            &head.name,
            &head.sha,
            &head.before,
            head.after,
            head.noticed,
            head.settled,
        )?;
        Ok(())
    }

    /// A head is gone.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_head(&mut self, repository: RepositoryId, name: &str) -> Result<()> {
        execute!(self, "DELETE FROM heads WHERE repository_id = $1 AND name = $2", repository, name)?;
        Ok(())
    }

    /// A handled delivery told of this head.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn head_arrived(
        &mut self,
        repository: RepositoryId,
        (name, sha): (&str, &Sha),
        received: Time,
        delivery: DeliveryId,
    ) -> Result<()> {
        execute!(
            self,
            "INSERT INTO arrivals (repository_id, name, sha, received, delivery_id) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (repository_id, name, sha) DO UPDATE SET received = excluded.received, \
             delivery_id = excluded.delivery_id WHERE excluded.received > arrivals.received",
            repository,
            name,
            sha,
            received,
            delivery,
        )?;
        Ok(())
    }

    /// When a delivery last told of this head, and which.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn arrival(
        &mut self,
        repository: RepositoryId,
        name: &str,
        sha: &Sha,
    ) -> Result<Option<(Time, DeliveryId)>> {
        row!(
            self,
            (Time, DeliveryId),
            "SELECT received, delivery_id FROM arrivals WHERE repository_id = $1 AND name = $2 AND sha = $3",
            repository,
            name,
            sha,
        )
    }

    /// The heads that deliveries told of: name, where it was, and when.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn arrivals(&mut self, repository: RepositoryId) -> Result<Vec<(String, Sha, Time)>> {
        rows!(
            self,
            (String, Sha, Time),
            "SELECT name, sha, received FROM arrivals WHERE repository_id = $1",
            repository,
        )
    }

    /// What was told before this is of no more use.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_arrivals(&mut self, repository: RepositoryId, before: Time) -> Result<()> {
        execute!(self, "DELETE FROM arrivals WHERE repository_id = $1 AND received < $2", repository, before)?;
        Ok(())
    }
}
