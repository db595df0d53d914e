//! Caches, and what jobs found of them.

use super::{Result, Tx, execute, meant, row, rows};
use crate::model::{ActionId, AttemptId, BundleId, CacheId, JobId, RepositoryId, Time};

/// How many are let go in one transaction.
const AT_ONCE: i64 = 100;

/// One cache.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CacheRow {
    /// Ours.
    pub id: CacheId,
    /// Whose.
    pub repository_id: RepositoryId,
    /// The flow's `uri`.
    pub flow: String,
    /// Who may read it.
    pub scope: String,
    /// As the flow file calls it.
    pub name: String,
    /// What its key files said.
    pub key: String,
    /// Of its parts together.
    pub digest: String,
    /// Its bytes.
    pub bundle_id: BundleId,
    /// Bytes of its tar.
    pub length: i64,
    /// How long the action took that had none.
    pub miss_ms: Option<i64>,
    /// When it was kept.
    pub created: Time,
    /// When it was found last.
    pub used: Time,
}

/// What a job has left for a cache, which it becomes when its action has ended well.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptCacheRow {
    /// Who.
    pub job_id: JobId,
    /// As the flow file calls it.
    pub name: String,
    /// What its key files said.
    pub key: String,
    /// Of its parts together.
    pub digest: String,
    /// Its bytes.
    pub bundle_id: BundleId,
    /// Bytes of its tar.
    pub length: i64,
    /// How long the action took that had none.
    pub miss_ms: Option<i64>,
    /// When it came.
    pub created: Time,
}

/// What a job found of a cache.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CacheUseRow {
    /// Who.
    pub job_id: JobId,
    /// As the flow file calls it.
    pub name: String,
    /// What its key files said.
    pub key: String,
    /// How it was found.
    pub hit: String,
    /// Bytes of its tar; 0 if none was found.
    pub length: i64,
    /// How long an action took that had none.
    pub miss_ms: Option<i64>,
}

impl Tx {
    /// The newest cache of a scope, of this key if one is given.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache(
        &mut self,
        repository: RepositoryId,
        flow: &str,
        scope: &str,
        name: &str,
        key: Option<&str>,
    ) -> Result<Option<CacheRow>> {
        row!(
            self,
            CacheRow,
            "SELECT * FROM caches WHERE repository_id = $1 AND flow = $2 AND scope = $3 AND name = $4 \
             AND ($5 = '' OR key = $5) ORDER BY created DESC, id DESC LIMIT 1",
            repository,
            flow,
            scope,
            name,
            key.unwrap_or_default(),
        )
    }

    /// Keeps a cache; one of its scope, name and key is replaced.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_cache(&mut self, cache: &CacheRow) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO caches (id, repository_id, flow, scope, name, key, digest, bundle_id, length, miss_ms, created, \
             used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (repository_id, flow, scope, name, key) DO UPDATE SET digest = excluded.digest, \
             bundle_id = excluded.bundle_id, length = excluded.length, miss_ms = excluded.miss_ms, \
             created = excluded.created, used = excluded.used",
            cache.id,
            cache.repository_id,
            &cache.flow,
            &cache.scope,
            &cache.name,
            &cache.key,
            &cache.digest,
            cache.bundle_id,
            cache.length,
            cache.miss_ms,
            cache.created,
            cache.used,
        )?;
        meant("a cache", 1, met)
    }

    /// A cache was found.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache_used(&mut self, id: CacheId, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE caches SET used = $2 WHERE id = $1", id, now)?;
        meant("a cache is used", 1, met)
    }

    /// Takes what a job has left for a cache; what it leaves again replaces it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn take_cache(&mut self, kept: &KeptCacheRow) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO kept_caches (job_id, name, key, digest, bundle_id, length, miss_ms, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id, name) DO UPDATE SET key = excluded.key, \
             digest = excluded.digest, bundle_id = excluded.bundle_id, length = excluded.length, \
             miss_ms = excluded.miss_ms, created = excluded.created",
            kept.job_id,
            &kept.name,
            &kept.key,
            &kept.digest,
            kept.bundle_id,
            kept.length,
            kept.miss_ms,
            kept.created,
        )?;
        meant("what is left for a cache", 1, met)
    }

    /// What an attempt's jobs have left for caches, in their order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn kept_caches(&mut self, attempt: AttemptId) -> Result<Vec<KeptCacheRow>> {
        rows!(
            self,
            KeptCacheRow,
            "SELECT k.* FROM kept_caches k JOIN jobs j ON j.id = k.job_id WHERE j.attempt_id = $1 \
             ORDER BY j.place, k.name",
            attempt,
        )
    }

    /// Keeps what a job found; what it asks again it hears again, or better.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_cache_use(&mut self, used: &CacheUseRow) -> Result<()> {
        execute!(
            self,
            "INSERT INTO cache_uses (job_id, name, key, hit, length, miss_ms) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (job_id, name) DO UPDATE SET key = excluded.key, hit = excluded.hit, \
             length = excluded.length, miss_ms = excluded.miss_ms",
            used.job_id,
            &used.name,
            &used.key,
            &used.hit,
            used.length,
            used.miss_ms,
        )?;
        Ok(())
    }

    /// What an attempt's first job found.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache_use_of_attempt(&mut self, attempt: AttemptId, name: &str) -> Result<Option<CacheUseRow>> {
        row!(
            self,
            CacheUseRow,
            "SELECT u.* FROM cache_uses u JOIN jobs j ON j.id = u.job_id \
             WHERE j.attempt_id = $1 AND u.name = $2 ORDER BY j.place LIMIT 1",
            attempt,
            name,
        )
    }

    /// What the first job that ran of an action's newest attempt found, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache_uses(&mut self, action: ActionId) -> Result<Vec<CacheUseRow>> {
        rows!(
            self,
            CacheUseRow,
            "SELECT u.* FROM cache_uses u JOIN jobs j ON j.id = u.job_id WHERE j.attempt_id = \
             (SELECT id FROM attempts WHERE action_id = $1 ORDER BY number DESC LIMIT 1) AND NOT EXISTS \
             (SELECT 1 FROM cache_uses v JOIN jobs k ON k.id = v.job_id WHERE v.name = u.name \
             AND k.attempt_id = j.attempt_id AND k.place < j.place) ORDER BY u.name",
            action,
        )
    }

    /// Lets go of the caches that nobody has found since `before`. How many there were.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_caches(&mut self, before: Time) -> Result<u64> {
        execute!(
            self,
            "DELETE FROM caches WHERE id IN (SELECT id FROM caches WHERE used < $1 LIMIT $2)",
            before,
            AT_ONCE,
        )
    }

    /// Lets go of a repository's caches that were found least lately, until the others have no more than `most` bytes.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_caches_over(&mut self, repository: RepositoryId, most: i64) -> Result<u64> {
        execute!(
            self,
            "DELETE FROM caches WHERE repository_id = $1 AND id IN (SELECT id FROM (SELECT id, \
             SUM(length) OVER (ORDER BY used DESC, id DESC) AS total FROM caches WHERE repository_id = $1) AS sized \
             WHERE total > $2)",
            repository,
            most,
        )
    }
}
