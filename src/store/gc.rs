//! What is over its time, counted before it goes; and which blobs rows name.

use super::{Result, Tx, row, rows};
use crate::model::Time;

/// What would go, besides logs and artifacts of runs that are over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct Leftovers {
    /// Artifacts that have expired.
    pub artifacts: i64,
    /// Their bytes, as they are stored.
    pub artifact_bytes: i64,
    /// Caches that nobody has found for long.
    pub caches: i64,
    /// Their bytes, as they are stored.
    pub cache_bytes: i64,
    /// Snapshots of commits whose last run ended long ago.
    pub sources: i64,
}

impl Tx {
    /// Counts what is over its time.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn leftovers(&mut self, now: Time, caches_before: Time, sources_before: Time) -> Result<Leftovers> {
        let found = row!(
            self,
            Leftovers,
            "SELECT f.artifacts, f.artifact_bytes, c.caches, c.cache_bytes, s.sources FROM \
             (SELECT COUNT(*) AS artifacts, CAST(COALESCE(SUM(b.size), 0) AS BIGINT) AS artifact_bytes FROM artifacts a \
             JOIN bundles b ON b.id = a.bundle_id WHERE a.expires <= $1) AS f, \
             (SELECT COUNT(*) AS caches, CAST(COALESCE(SUM(b.size), 0) AS BIGINT) AS cache_bytes FROM caches k \
             JOIN bundles b ON b.id = k.bundle_id WHERE k.used < $2) AS c, \
             (SELECT COUNT(*) AS sources FROM (SELECT source FROM runs WHERE source IS NOT NULL GROUP BY source \
             HAVING COUNT(CASE WHEN phase <> 'ended' THEN 1 END) = 0 AND MAX(COALESCE(ended, 0)) < $3) AS g) AS s",
            now,
            caches_before,
            sources_before,
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Names of blobs that rows need, in order, behind this one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn needed_blobs(&mut self, behind: &str, limit: i64) -> Result<Vec<String>> {
        let found: Vec<(String,)> = rows!(
            self,
            (String,),
            "SELECT digest FROM (SELECT source AS digest FROM runs WHERE source > $1 \
             UNION SELECT source FROM checkouts WHERE source > $1 \
             UNION SELECT log_blob FROM jobs WHERE log_blob > $1 \
             UNION SELECT digest FROM bundle_parts WHERE digest > $1 \
             UNION SELECT digest FROM put_parts WHERE digest > $1 \
             UNION SELECT listing FROM artifacts WHERE listing > $1) AS needed ORDER BY digest LIMIT $2",
            behind,
            limit,
        )?;
        Ok(found.into_iter().map(|(digest,)| digest).collect())
    }

    /// Why a blob is needed, in words: one reason of perhaps several.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn why_needed(&mut self, digest: &str) -> Result<Option<String>> {
        let found: Option<(String,)> = row!(
            self,
            (String,),
            "SELECT why FROM (SELECT 'the snapshot of a commit' AS why FROM runs WHERE source = $1 \
             UNION ALL SELECT 'a checkout' FROM checkouts WHERE source = $1 \
             UNION ALL SELECT 'a log' FROM jobs WHERE log_blob = $1 \
             UNION ALL SELECT 'the list of an artifact''s files' FROM artifacts WHERE listing = $1 \
             UNION ALL SELECT 'a part of an artifact or a cache' FROM bundle_parts WHERE digest = $1 \
             UNION ALL SELECT 'a part that a job has put' FROM put_parts WHERE digest = $1) AS named LIMIT 1",
            digest,
        )?;
        Ok(found.map(|(why,)| why))
    }
}
