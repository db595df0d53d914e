//! Bundles: which parts they have, who put them, and who may fetch them.

use super::{Result, Tx, execute, meant, row, rows, run::column};
use crate::{
    agent::protocol::{Bundle, Part},
    model::{BundleId, JobId},
};

/// How many rows of what is over are removed in one transaction.
const AT_ONCE: i64 = 100;

#[derive(sqlx::FromRow)]
struct PartRow {
    digest: String,
    size: i64,
}

impl Tx {
    /// Keeps that a job has put a part.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn part_put(&mut self, job: JobId, digest: &str, size: u64) -> Result<()> {
        execute!(
            self,
            "INSERT INTO put_parts (job_id, digest, size) VALUES ($1, $2, $3) ON CONFLICT (job_id, digest) DO NOTHING",
            job,
            digest,
            size.cast_signed(),
        )?;
        Ok(())
    }

    /// How many bytes a job has put that are of no bundle yet.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn put_size(&mut self, job: JobId) -> Result<u64> {
        let found: Option<(i64,)> =
            row!(self, (i64,), "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM put_parts WHERE job_id = $1", job,)?;
        Ok(found.map_or(0, |(size,)| size.cast_unsigned()))
    }

    /// Whether a job has put all parts of a bundle.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn has_put(&mut self, job: JobId, bundle: &Bundle) -> Result<bool> {
        for part in &bundle.parts {
            let put: Option<(i64,)> =
                row!(self, (i64,), "SELECT size FROM put_parts WHERE job_id = $1 AND digest = $2", job, &part.digest,)?;
            if put != Some((part.size.cast_signed(),)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a bundle of parts that this job has put. False, and nothing is written: it has not put all of them.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_bundle(&mut self, id: BundleId, job: JobId, bundle: &Bundle, files: u64) -> Result<bool> {
        if !self.has_put(job, bundle).await? {
            return Ok(false);
        }
        execute!(
            self,
            "INSERT INTO bundles (id, length, size, files) VALUES ($1, $2, $3, $4)",
            id,
            bundle.length.cast_signed(),
            bundle.size().cast_signed(),
            files.cast_signed(),
        )?;
        for (number, part) in bundle.parts.iter().enumerate() {
            let met = execute!(
                self,
                "INSERT INTO bundle_parts (bundle_id, number, digest, size) VALUES ($1, $2, $3, $4)",
                id,
                column(number),
                &part.digest,
                part.size.cast_signed(),
            )?;
            meant("a part of a bundle", 1, met)?;
        }
        execute!(self, "DELETE FROM put_parts WHERE job_id = $1", job)?;
        Ok(true)
    }

    /// A bundle with its parts.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn bundle(&mut self, id: BundleId) -> Result<Option<Bundle>> {
        let found: Option<(i64,)> = row!(self, (i64,), "SELECT length FROM bundles WHERE id = $1", id)?;
        let Some((length,)) = found else { return Ok(None) };
        let parts: Vec<PartRow> =
            rows!(self, PartRow, "SELECT digest, size FROM bundle_parts WHERE bundle_id = $1 ORDER BY number", id)?;
        let parts = parts.into_iter().map(|part| Part { digest: part.digest, size: part.size.cast_unsigned() });
        Ok(Some(Bundle { length: length.cast_unsigned(), parts: parts.collect() }))
    }

    /// Lets a job fetch a bundle.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn grant(&mut self, job: JobId, bundle: BundleId) -> Result<()> {
        execute!(
            self,
            "INSERT INTO grants (job_id, bundle_id) VALUES ($1, $2) ON CONFLICT (job_id, bundle_id) DO NOTHING",
            job,
            bundle,
        )?;
        Ok(())
    }

    /// Whether a job may fetch a part.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn may_fetch(&mut self, job: JobId, digest: &str) -> Result<bool> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT CAST(1 AS BIGINT) FROM bundle_parts p JOIN grants g ON g.bundle_id = p.bundle_id \
             WHERE p.digest = $2 AND g.job_id = $1 LIMIT 1",
            job,
            digest,
        )?;
        Ok(found.is_some())
    }

    /// Forgets what ended jobs have put and might have fetched, and then the bundles that nobody has or fetches. How many.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_bundles(&mut self) -> Result<u64> {
        execute!(
            self,
            "DELETE FROM put_parts WHERE job_id IN (SELECT DISTINCT p.job_id FROM put_parts p \
             JOIN jobs j ON j.id = p.job_id WHERE j.phase = 'ended' LIMIT $1)",
            AT_ONCE,
        )?;
        execute!(
            self,
            "DELETE FROM grants WHERE job_id IN (SELECT DISTINCT g.job_id FROM grants g \
             JOIN jobs j ON j.id = g.job_id WHERE j.phase = 'ended' LIMIT $1)",
            AT_ONCE,
        )?;
        execute!(
            self,
            "DELETE FROM kept_caches WHERE job_id IN (SELECT k.job_id FROM kept_caches k JOIN jobs j ON j.id = k.job_id \
             JOIN attempts t ON t.id = j.attempt_id WHERE t.phase IN ('ended', 'removed') LIMIT $1)",
            AT_ONCE,
        )?;
        let nobodys: Vec<(BundleId,)> = rows!(
            self,
            (BundleId,),
            "SELECT b.id FROM bundles b WHERE NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.bundle_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM caches c WHERE c.bundle_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM kept_caches k WHERE k.bundle_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.bundle_id = b.id) LIMIT $1",
            AT_ONCE,
        )?;
        for (bundle,) in &nobodys {
            execute!(self, "DELETE FROM bundle_parts WHERE bundle_id = $1", *bundle)?;
            execute!(self, "DELETE FROM bundles WHERE id = $1", *bundle)?;
        }
        Ok(nobodys.len() as u64)
    }
}
