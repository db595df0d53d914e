//! What repositories keep: artifacts and caches as their rows say, logs as of the last look at all of them.

use super::{Result, Tx, execute, rows};
use crate::model::{CacheId, ForgeKind, RepositoryId, RepositoryName, Time};

/// What a repository keeps.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StoredRow {
    /// Ours.
    pub repository_id: RepositoryId,
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// Bytes of artifacts and logs.
    pub kept: i64,
    /// Bytes of caches, which give way to others.
    pub caches: i64,
}

/// A cache, and how much goes with it.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct CacheSize {
    /// Ours.
    pub id: CacheId,
    /// Whose.
    pub repository_id: RepositoryId,
    /// Its bytes.
    pub size: i64,
}

impl Tx {
    /// What each repository keeps that keeps something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn stored(&mut self) -> Result<Vec<StoredRow>> {
        rows!(
            self,
            StoredRow,
            "SELECT p.id AS repository_id, p.forge, p.name, CAST(SUM(s.kept) AS BIGINT) AS kept, \
             CAST(SUM(s.caches) AS BIGINT) AS caches FROM (\
             SELECT r.repository_id, b.size AS kept, 0 AS caches FROM artifacts f JOIN bundles b ON b.id = f.bundle_id \
             JOIN jobs j ON j.id = f.job_id JOIN attempts t ON t.id = j.attempt_id \
             JOIN actions a ON a.id = t.action_id JOIN runs r ON r.id = a.run_id \
             UNION ALL SELECT c.repository_id, 0, b.size FROM caches c JOIN bundles b ON b.id = c.bundle_id \
             UNION ALL SELECT u.repository_id, u.logs, 0 FROM uses u) s \
             JOIN repositories p ON p.id = s.repository_id GROUP BY p.id, p.forge, p.name",
        )
    }

    /// All caches, those that were found least lately first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache_sizes(&mut self) -> Result<Vec<CacheSize>> {
        rows!(
            self,
            CacheSize,
            "SELECT c.id, c.repository_id, b.size FROM caches c JOIN bundles b ON b.id = c.bundle_id \
             ORDER BY c.used, c.id",
        )
    }

    /// Lets go of a cache.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_cache(&mut self, id: CacheId) -> Result<()> {
        execute!(self, "DELETE FROM caches WHERE id = $1", id).map(drop)
    }

    /// How many bytes the logs of each repository have, by a look at all of them.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn logged(&mut self) -> Result<Vec<(RepositoryId, i64)>> {
        rows!(
            self,
            (RepositoryId, i64),
            "SELECT r.repository_id, CAST(SUM(c.size) AS BIGINT) FROM log_chunks c JOIN jobs j ON j.id = c.job_id \
             JOIN attempts t ON t.id = j.attempt_id JOIN actions a ON a.id = t.action_id \
             JOIN runs r ON r.id = a.run_id GROUP BY r.repository_id",
        )
    }

    /// Writes down what the look has come to. Those that have no log any more are told of with 0.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_logged(&mut self, logged: &[(RepositoryId, i64)], now: Time) -> Result<()> {
        execute!(self, "UPDATE uses SET logs = 0 WHERE logs <> 0")?;
        for (repository, logs) in logged {
            execute!(
                self,
                "INSERT INTO uses (repository_id, month, millis, recent, recent_at, logs) VALUES ($1, 0, 0, 0, $2, $3) \
                 ON CONFLICT (repository_id) DO UPDATE SET logs = excluded.logs",
                *repository,
                now,
                *logs,
            )?;
        }
        Ok(())
    }
}
